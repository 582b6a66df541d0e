"""How far images keep to the masks that they are painted by, with and without steering, on two small models.

    python benchmarks/mask_to_image.py [--images 48] [--seed 911] [--pictures FOLDER] [--scan]

Masks are those of rendered scenes, each painted once from its classes and its place. mIoU is over classes, of all
images' pixels together, between the mask and what a witness sees in the painted image: for the built-in model the
built-in YOLOv8, whose own mIoU on the renders the masks are of is the most that it can see, and for both models their
own attention, read beside the steering. ``--scan`` prints the settings that the defaults were chosen from, on scenes
of another seed.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from worlds import WORLDS

from diffucurate.generator.attention.control.layout import Layout
from diffucurate.generator.jobs.jobs import Job
from diffucurate.generator.labels.from_maps import labels_from_maps
from diffucurate.generator.models.load import load_pipeline
from diffucurate.generator.painting.painter import Painting, paint
from diffucurate.generator.recipe.layout import LayoutSource
from diffucurate.generator.recipe.layout_config import LayoutConfig
from diffucurate.generator.sources.yolov8_source import YoloSource
from diffucurate.generator.text.label_list import label_list
from diffucurate.generator.tiny.scenes import Scene, real_scenes
from diffucurate.generator.tiny.shapes import CLASSES

MODELS = {"drawn": "tiny", "textured": str(Path(__file__).parent / "textured" / "weights" / "pipeline")}

#: Settings of masks; None paints freely.
USUAL: dict[str, dict[str, Any] | None] = {
    "free": None,
    "masks alone": {"boost": 1.0, "until": 1.0},
    "default": {},
    "default, guided": {"guide": 12.0},
}
SCANNED: dict[str, dict[str, Any] | None] = {
    f"until {until:g}, boost {boost:g}, {words}": {"until": until, "boost": boost, "words": words}
    for words, until, boost in (
        ("shared", 1.0, 1.0),
        ("shared", 1.0, 8.0),
        ("shared", 0.75, 8.0),
        ("shared", 0.75, 16.0),
        ("shared", 0.5, 16.0),
        ("own", 1.0, 1.0),
        ("own", 0.75, 1.0),
        ("own", 0.75, 4.0),
        ("own", 0.5, 4.0),
    )
}


def layout_of(scene: Scene) -> Layout:
    ids = np.zeros(scene.image.shape[:2], np.uint8)
    for thing in scene.objects:
        ids[thing.mask.astype(np.bool_)] = 1 + CLASSES.index(thing.label)
    return Layout(ids, CLASSES)


def jobs_of(scenes: Sequence[Scene], model: str, settings: dict[str, Any] | None) -> list[Job]:
    """One job a scene, named by its seed; what a recipe with ``a photo of {labels} on a {place} at {time}`` makes."""
    jobs = []
    for index, scene in enumerate(scenes):
        present = layout_of(scene).present
        named = label_list([thing.label for thing in scene.objects], {label: [label] for label in CLASSES})
        strength = LayoutConfig(**(settings or {}))
        options = {name: getattr(strength, name) for name in ("until", "boost", "words", "guide")}
        layout = LayoutSource("scenes", str(index), "truth", str(index), **options)
        jobs.append(
            Job.of(
                task="txt2img" if settings is None else "mask2img",
                prompt=f"a photo of {named} on a {scene.attributes['place']} at {scene.attributes['time']}",
                negative_prompt="",
                phrases={label: (label,) for label in present},
                attributes={},
                seed=index,
                size=(128, 128),
                steps=20,
                guidance=5.0,
                model=model,
                layout=None if settings is None else layout,
            )
        )
    return jobs


def ious(seen: Sequence[NDArray[np.uint8]], layouts: Sequence[Layout]) -> tuple[float, NDArray[np.float64]]:
    """mIoU over the classes of all pixels, and of each image the mean IoU of its classes."""
    both, either = np.zeros(len(CLASSES)), np.zeros(len(CLASSES))
    each = []
    for ids, layout in zip(seen, layouts, strict=True):
        own = [1 + CLASSES.index(label) for label in layout.present]
        pairs = [(ids == value, layout.ids == value) for value in range(1, len(CLASSES) + 1)]
        inner = np.array([np.count_nonzero(a & b) for a, b in pairs])
        outer = np.array([np.count_nonzero(a | b) for a, b in pairs])
        both, either = both + inner, either + outer
        each.append(np.mean([inner[value - 1] / outer[value - 1] for value in own]))
    there = either > 0
    return float((both[there] / either[there]).mean()), np.array(each)


def by_attention(painting: Painting) -> NDArray[np.uint8]:
    classes = {label: [label] for label in CLASSES}
    return labels_from_maps(painting.heatmaps, painting.image, classes, painting.job.prompt).semantic


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=48)
    parser.add_argument("--seed", type=int, default=911)
    parser.add_argument("--pictures", type=Path)
    parser.add_argument("--scan", action="store_true")
    parser.add_argument("--world", choices=list(MODELS))
    options = parser.parse_args()
    torch.set_num_threads(1)
    witness = YoloSource(CLASSES)
    print("| model | settings | by YOLOv8 | by attention | of the half that agrees best | seconds |")
    print("|---|---|---|---|---|---|")
    for world, model in MODELS.items():
        if options.world not in (None, world):
            continue
        scenes = real_scenes(options.images, options.seed + 100 * options.scan, style=WORLDS[world])
        layouts = [layout_of(scene) for scene in scenes]
        pipe = load_pipeline(model)
        if world == "drawn":
            renders = [labels.semantic for labels in witness.label([scene.image for scene in scenes])]
            print(f"| {world} | the renders themselves | {ious(renders, layouts)[0]:.3f} | | | |")
        for name, settings in {**USUAL, **(SCANNED if options.scan else {})}.items():
            begun = time.perf_counter()
            jobs = jobs_of(scenes, model, settings)
            paintings = list(paint(jobs, pipe=pipe, batch_size=16, layouts=_by_seed(layouts)))
            seconds = (time.perf_counter() - begun) / len(paintings)
            attention, own = ious([by_attention(painting) for painting in paintings], layouts)
            images = [painting.image for painting in paintings]
            seen = [labels.semantic for labels in witness.label(images)]
            best = np.argsort(-own)[: len(own) // 2]
            kept = ious([seen[index] for index in best], [layouts[index] for index in best])[0]
            shown = (f"{ious(seen, layouts)[0]:.3f}", f"{kept:.3f}") if world == "drawn" else ("", "")
            print(f"| {world} | {name} | {shown[0]} | {attention:.3f} | {shown[1]} | {seconds:.2f} |", flush=True)
            if options.pictures is not None:
                options.pictures.mkdir(parents=True, exist_ok=True)
                np.savez_compressed(options.pictures / f"{world}-{name}.npz", images=np.stack(images))
                rows = [np.concatenate([drawn(layout), image]) for layout, image in zip(layouts, images, strict=True)]
                Image.fromarray(np.concatenate(rows[:12], axis=1)).save(options.pictures / f"{world}-{name}.png")


def _by_seed(layouts: Sequence[Layout]) -> Callable[[Job], Layout]:
    return lambda job: layouts[job.seed]


def drawn(layout: Layout) -> NDArray[np.uint8]:
    """A mask in colours."""
    palette = np.random.default_rng(3).integers(60, 255, (256, 3)).astype(np.uint8)
    palette[0] = 30
    coloured: NDArray[np.uint8] = palette[layout.ids]
    return coloured


if __name__ == "__main__":
    main()
