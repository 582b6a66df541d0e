"""How right attention labels are, against exact masks: ``python benchmarks/attention_accuracy.py``.

Prints a table of methods: IoU per class over all pixels of the images whose caption names the class, and the mean over
classes, which is the mIoU. Two sets of images:

- rendered scenes that no model has seen, with the renderer's exact masks as the truth. A scene's latent is noised
  and a pass traced at each of ``--steps``, with the same noise for all methods and the scene's true caption. What the
  methods' papers leave open was chosen on scenes of seed 502, as our own settings were; seed 501 is reported;
- images the built-in model painted, with the masks of the segmenter trained on renders as reference. These
  are no truth: the figure says how far two label sources agree.

The rows:

- DiffuGen's recipe: DAAM's maps, Otsu's threshold, fixed morphology (peers/diffugen.py);
- DAAM, OVAM: their maps cut at 0.4 (peers/daam.py, peers/ovam.py);
- Dataset Diffusion's recipe (peers/dataset_diffusion.py); attention at half the latent's side stands in for its
  cross-attention, at the latent's side for its self-attention. "S once" applies self-attention once instead of four
  times, which spreads the small maps of a small model less;
- ours: the library's defaults, with the mask network, which was trained with masks; "guided filter": without it, so
  unsupervised but for the tokens; "by attention alone": without contrast, as painted images are labelled from what was
  seen while they were painted; "without the image": before outlines follow the image's edges; "tokens": classes are
  found by one optimised token each, learned from exact masks of as many scenes per class as it says, of seed 503, and
  their maps cut where it was learned from the same masks, or by Otsu's threshold;
- best threshold: what the same maps, along the image's edges where not said otherwise, would give if someone who
  knows the truth chose each image's and class's threshold: the bound of thresholding.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from peers import daam, dataset_diffusion
from peers.diffugen import diffugen
from peers.ovam import Ovam
from peers.passes import denoise_once, encoded, noised
from tiny_model import recipe
from worlds import WORLDS

from diffucurate.generator.attention.capture.tokens import locate
from diffucurate.generator.attention.class_tokens.class_tokens import ClassToken
from diffucurate.generator.attention.class_tokens.token_training import learn_tokens
from diffucurate.generator.attention.settings import DAAM
from diffucurate.generator.jobs.jobs import jobs
from diffucurate.generator.labels.from_heatmaps import labels_from_heatmaps, normalised_heatmaps
from diffucurate.generator.labels.maps.guided_filter import GuidedFilter
from diffucurate.generator.labels.settings import DEFAULT_SETTINGS, LabelSettings
from diffucurate.generator.models.load import load_pipeline
from diffucurate.generator.painting.painter import paint
from diffucurate.generator.sources.attention_source import AttentionSource
from diffucurate.generator.sources.yolov8_source import YoloSource
from diffucurate.generator.text.class_mentions import find_phrases
from diffucurate.generator.tiny.scenes import Scene, iter_scenes, real_scenes
from diffucurate.generator.tiny.shapes import CLASSES
from diffucurate.generator.tiny.words import SYNONYMS

PHRASES = {name: [name, *([SYNONYMS[name]] if name in SYNONYMS else [])] for name in CLASSES}
REPORT_SEED = 501  # scenes that no setting was ever chosen on; SELECT_SEED is for choosing
SELECT_SEED = 502
TOKEN_SEED = 503  # scenes whose masks tokens are learned from

#: How many scenes that show a class its token is learned from, one row each.
SHOTS = (1, 5, 10)

#: What OVAM's queries attend to, best of several texts on SELECT_SEED: mIoU 0.48, one text per class 0.44 to 0.48.
ATTRIBUTION_TEXT = " ".join(CLASSES)
#: The sides of the layers that Dataset Diffusion reads, as shares of the latent's.
CROSS_SHARE, SELF_SHARE = 0.5, 1.0

Image = NDArray[np.uint8]
Maps = Mapping[str, NDArray[np.float32]]
Masks = dict[str, NDArray[np.bool_]]


class Tally:
    """Intersections and unions per class."""

    def __init__(self) -> None:
        self._sums: dict[str, NDArray[np.int64]] = defaultdict(lambda: np.zeros(2, np.int64))

    def add(self, found: Masks, truth: Masks) -> None:
        for label, mask in truth.items():
            other = found.get(label, np.zeros_like(mask))
            self._sums[label] += (np.count_nonzero(mask & other), np.count_nonzero(mask | other))

    def iou(self) -> dict[str, float]:
        per_class = {
            label: float(self._sums[label][0] / max(1, self._sums[label][1]))
            for label in CLASSES
            if label in self._sums
        }
        return {**per_class, "mean": float(np.mean(list(per_class.values())))}


# Ways from maps to masks. Each gets the image too and, for the bounds, the truth.


def by_diffugen(maps: Maps, image: Image, truth: Masks) -> Masks:
    """DiffuGen's masks. Its morphology was chosen for 512 px images, so it works at that size."""
    masks = {}
    for label, heat in normalised_heatmaps(maps, (512, 512)).items():
        mask = diffugen(heat).mask.astype(np.uint8)
        masks[label] = cv2.resize(mask, image.shape[1::-1], interpolation=cv2.INTER_NEAREST).astype(bool)
    return masks


def by_fixed_threshold(maps: Maps, image: Image, truth: Masks) -> Masks:
    """DAAM's and OVAM's masks."""
    return daam.masks(maps, image.shape[:2])


def by_dataset_diffusion(maps: Maps, image: Image, truth: Masks) -> Masks:
    return dataset_diffusion.masks(maps, image.shape[:2])


def by_us(maps: Maps, image: Image, truth: Masks) -> Masks:
    semantic = labels_from_heatmaps(maps, image.shape[:2], CLASSES, image=image).semantic
    return {label: semantic == 1 + CLASSES.index(label) for label in maps}


def by_us_along_the_filter(maps: Maps, image: Image, truth: Masks) -> Masks:
    settings = LabelSettings(edges="filter")
    semantic = labels_from_heatmaps(maps, image.shape[:2], CLASSES, settings, image).semantic
    return {label: semantic == 1 + CLASSES.index(label) for label in maps}


def by_us_where_learned(maps: Maps, image: Image, truth: Masks) -> Masks:
    """Maps of tokens that carry their class's threshold, cut there."""
    settings = LabelSettings(cut="learned")
    semantic = labels_from_heatmaps(maps, image.shape[:2], CLASSES, settings, image, calibrated=CLASSES).semantic
    return {label: semantic == 1 + CLASSES.index(label) for label in maps}


def by_us_without_image(maps: Maps, image: Image, truth: Masks) -> Masks:
    semantic = labels_from_heatmaps(maps, image.shape[:2], CLASSES).semantic
    return {label: semantic == 1 + CLASSES.index(label) for label in maps}


def by_best_threshold(maps: Maps, image: Image, truth: Masks) -> Masks:
    best = {}
    for label, heat in normalised_heatmaps(maps, image.shape[:2]).items():
        cuts = [heat > threshold for threshold in np.linspace(0.95, 0.05, 19)]
        best[label] = max(
            cuts, key=lambda cut: np.count_nonzero(cut & truth[label]) / max(1, np.count_nonzero(cut | truth[label]))
        )
    return best


def by_best_threshold_along_edges(maps: Maps, image: Image, truth: Masks) -> Masks:
    guide = GuidedFilter(image, DEFAULT_SETTINGS.edge_reach, DEFAULT_SETTINGS.edge_contrast)
    large = normalised_heatmaps(maps, image.shape[:2])
    return by_best_threshold({label: guide.refine(heat) for label, heat in large.items()}, image, truth)


@dataclass(frozen=True)
class Row:
    """A method: the ``maps`` it starts from, by the names that ``scene_maps`` gives them, and how it cuts them."""

    name: str
    maps: str
    cut: Callable[[Maps, Image, Masks], Masks]


ROWS = (
    Row("DiffuGen's recipe", "daam", by_diffugen),
    Row("DAAM, threshold 0.4", "daam", by_fixed_threshold),
    Row("OVAM, threshold 0.4", "ovam", by_fixed_threshold),
    Row("Dataset Diffusion's recipe", "dataset diffusion", by_dataset_diffusion),
    Row("Dataset Diffusion, S once", "dataset diffusion, S once", by_dataset_diffusion),
    Row("ours, without the image", "ours", by_us_without_image),
    Row("ours, guided filter, by attention alone", "attention", by_us_along_the_filter),
    Row("ours, guided filter", "ours", by_us_along_the_filter),
    Row("ours, by attention alone", "attention", by_us),
    Row("ours", "ours", by_us),
    Row("ours, looked at again", "again", by_us),
    *(Row(f"ours, tokens of {n} a class", f"tokens of {n}", by_us) for n in SHOTS),
    *(
        Row(f"ours, tokens of {n} a class, cut as learned", f"tokens of {n}, weighed", by_us_where_learned)
        for n in SHOTS
    ),
    Row("best threshold, DAAM's maps without the image", "daam", by_best_threshold),
    Row("best threshold, DAAM's maps", "daam", by_best_threshold_along_edges),
    Row("best threshold, our maps without the image", "ours", by_best_threshold),
    Row("best threshold, our maps", "ours", by_best_threshold_along_edges),
    *(Row(f"best threshold, tokens of {n} a class", f"tokens of {n}", by_best_threshold_along_edges) for n in SHOTS),
)


def table(
    images: Sequence[Image], truths: Sequence[Masks], maps: Mapping[str, Sequence[Maps]]
) -> dict[str, dict[str, float]]:
    """Row -> class -> IoU, for the rows whose maps are there."""
    result = {}
    for row in ROWS:
        if row.maps in maps:
            tally = Tally()
            for image, truth, own in zip(images, truths, maps[row.maps], strict=True):
                tally.add(row.cut(own, image, truth), truth)
            result[row.name] = tally.iou()
    return result


def on_real_scenes(
    count: int, seed: int, timesteps: Sequence[int], model: str, world: str
) -> dict[str, dict[str, float]]:
    scenes = real_scenes(count, seed, style=WORLDS[world])
    return table(
        [scene.image for scene in scenes],
        [exact_masks(scene) for scene in scenes],
        scene_maps(scenes, timesteps, model, world),
    )


def exact_masks(scene: Scene) -> Masks:
    """Of the classes that the caption names."""
    semantic = scene.class_mask()
    return {label: semantic == 1 + CLASSES.index(label) for label in find_phrases(scene.caption, PHRASES)}


def scene_maps(scenes: Sequence[Scene], timesteps: Sequence[int], model: str, world: str) -> dict[str, list[Maps]]:
    """The raw maps of each kind, of the same passes as far as a kind's prompt allows."""
    images, captions = [scene.image for scene in scenes], [scene.caption for scene in scenes]
    maps: dict[str, list[Maps]] = defaultdict(list)
    for kind, contrast in (("ours", True), ("attention", False)):
        source = AttentionSource(PHRASES, model, timesteps=timesteps, contrast=contrast)
        maps[kind] = list(source.heatmaps(images, captions))
    pipe: Any = load_pipeline(model)
    for shots in SHOTS:
        tokens = learned(pipe, shots, timesteps, world)
        for kind, settings in (("", DEFAULT_SETTINGS), (", weighed", LabelSettings(cut="learned"))):
            by_tokens = AttentionSource(PHRASES, model, settings=settings, timesteps=timesteps, tokens=tokens)
            maps[f"tokens of {shots}{kind}"] = list(by_tokens.heatmaps(images, captions))
    for start in range(0, len(scenes), 25):
        for kind, found in peer_maps(pipe, scenes[start : start + 25], timesteps).items():
            maps[kind] += found
    return maps


def learned(pipe: Any, shots: int, timesteps: Sequence[int], world: str) -> dict[str, ClassToken]:
    """Class -> its token, learned from a few scenes, of which at least ``shots`` show each class."""
    missing, lessons = Counter(dict.fromkeys(CLASSES, shots)), []
    for scene in iter_scenes(1000, TOKEN_SEED, style=WORLDS[world]):
        shown = exact_masks(scene)
        if any(missing[label] > 0 for label in shown):
            missing.subtract(list(shown))
            lessons.append(scene)
        if max(missing.values()) <= 0:
            break
    images, captions = [scene.image for scene in lessons], [scene.caption for scene in lessons]
    masks = [exact_masks(scene) for scene in lessons]
    return learn_tokens(pipe, images, masks, phrases=PHRASES, prompts=captions, timesteps=timesteps)


def peer_maps(pipe: Any, scenes: Sequence[Scene], timesteps: Sequence[int]) -> dict[str, list[Maps]]:
    """The peers' maps of one batch."""
    latents = noised(pipe, [scene.image for scene in scenes], timesteps)
    count, side = len(scenes), latents[0].shape[-1]
    captions = [scene.caption for scene in scenes]
    wanted = [list(find_phrases(caption, PHRASES)) for caption in captions]

    by_daam, by_ovam = daam.Daam(count, side), Ovam(count, side)
    denoise_once(pipe, latents, timesteps, encoded(pipe, captions), [by_daam, by_ovam])

    by_dataset = dataset_diffusion.DatasetDiffusion(count, round(side * CROSS_SHARE), round(side * SELF_SHARE))
    prompts = [f"{caption}; {' '.join(labels)}" for caption, labels in zip(captions, wanted, strict=True)]
    denoise_once(pipe, latents, timesteps, encoded(pipe, prompts), [by_dataset], among_pixels=True)
    class_prompts = [f"a photo of {' and '.join(f'a {label}' for label in labels)}" for labels in wanted]
    texts, places = encoded(pipe, class_prompts), [positions(pipe, prompt) for prompt in class_prompts]

    open_maps = by_ovam.maps(pipe.unet, encoded(pipe, [ATTRIBUTION_TEXT])[0], positions(pipe, ATTRIBUTION_TEXT))
    return {
        "daam": list(by_daam.maps([positions(pipe, caption) for caption in captions])),
        "ovam": [{label: found[label] for label in labels} for found, labels in zip(open_maps, wanted, strict=True)],
        "dataset diffusion": list(by_dataset.maps(pipe.unet, texts, places)),
        "dataset diffusion, S once": list(by_dataset.maps(pipe.unet, texts, places, power=1)),
    }


def positions(pipe: Any, text: str) -> dict[str, tuple[int, ...]]:
    """Class -> where its tokens are in a text as the model's text encoder gets it."""
    tokenizer = pipe.tokenizer
    ids = tokenizer(text, padding="max_length", truncation=True, max_length=tokenizer.model_max_length).input_ids
    return locate(tokenizer, ids, PHRASES).classes


def on_painted_images(count: int, guidance: float, model: str) -> dict[str, dict[str, float]]:
    todo = list(jobs(recipe(count, guidance, 20, model)))
    ours = list(paint(todo, batch_size=8))
    again = list(paint(todo, batch_size=8, look_again=True))
    by_daam = list(paint(todo, batch_size=8, settings=DAAM))
    images = [painting.image for painting in ours]
    reference = YoloSource(CLASSES).label(images)
    truths = [
        {label: labels.semantic == 1 + CLASSES.index(label) for label in painting.heatmaps}
        for painting, labels in zip(ours, reference, strict=True)
    ]
    maps = {"attention": ours, "again": again, "daam": by_daam}
    return table(images, truths, {kind: [each.heatmaps for each in found] for kind, found in maps.items()})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=200, help="scenes, 0 for none (default: %(default)s)")
    parser.add_argument("--painted", type=int, default=100, help="painted images, 0 for none (default: %(default)s)")
    parser.add_argument(
        "--seed", type=int, default=REPORT_SEED, help=f"of the scenes; choose settings on {SELECT_SEED}"
    )
    parser.add_argument(
        "--steps",
        type=int,
        nargs="+",
        action="append",
        metavar="STEP",
        help="the noise steps of the passes, may be given again for another table (default: 200, and 100 200 300)",
    )
    parser.add_argument("--guidance", type=float, default=5.0, help="of painted images")
    parser.add_argument("--model", default="tiny")
    parser.add_argument("--world", default="drawn", choices=WORLDS, help="of the scenes (default: %(default)s)")
    parser.add_argument("--json", type=Path, metavar="PATH", help="also write every figure there")
    options = parser.parse_args()

    report = {}
    for steps in (options.steps or [[200], [100, 200, 300]]) if options.images else ():
        title = (
            f"{options.images} rendered scenes ({options.world}), exact masks, noise steps {', '.join(map(str, steps))}"
        )
        report[title] = on_real_scenes(options.images, options.seed, steps, options.model, options.world)
        show(title, report[title])
    if options.painted:
        title = f"{options.painted} painted images, the segmenter's masks as reference"
        report[title] = on_painted_images(options.painted, options.guidance, options.model)
        show(title, report[title])
    if options.json:
        options.json.write_text(json.dumps(report, indent=2) + "\n")


def show(title: str, rows: Mapping[str, Mapping[str, float]]) -> None:
    columns = list(next(iter(rows.values())))
    print(f"\n{title}: IoU\n\n| | {' | '.join(columns)} |\n|---|" + "---|" * len(columns))
    for name, values in rows.items():
        print(f"| {name} | " + " | ".join(f"{value:.3f}" for value in values.values()) + " |", flush=True)


if __name__ == "__main__":
    main()
