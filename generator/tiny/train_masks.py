"""Trains the mask network: ``python -m diffucurate.generator.tiny.train_masks``.

What it learns from has exact masks: photographs' textures cut and pasted (``pasted_scenes``) and the built-in world's
scenes, with class maps made from the masks as attention's are (``simulated_maps``), good and bad ones, and for one
image in five the built-in model's own maps of its own scenes. Some maps are of nothing at all, and their masks empty: a
map may be wrong. It goes on from its checkpoint in the runs folder; ``--pack`` writes what it has learned beside the
other weights. Needs the extra ``train``.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file
from torch.nn.functional import binary_cross_entropy_with_logits
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from diffucurate.generator.labels.maps.heatmaps import min_max, resized
from diffucurate.generator.labels.maps.mask_network import SIDE_PX, MaskNetwork, folded, network_inputs
from diffucurate.generator.models.built_in import mask_network_path
from diffucurate.generator.sources.attention_source import AttentionSource
from diffucurate.generator.text.class_mentions import find_phrases
from diffucurate.generator.tiny.pasted_scenes import Composer, Cover, recoloured
from diffucurate.generator.tiny.scenes import iter_scenes
from diffucurate.generator.tiny.shapes import CLASSES
from diffucurate.generator.tiny.simulated_maps import random_kind, simulated
from diffucurate.generator.tiny.training import Clock, Curve, load_state, save_state
from diffucurate.generator.tiny.words import SYNONYMS

BATCH = 32
SCENE_SEED = 604  # benchmarks draw others
SCENES = 300

#: Shares of the images: with the built-in model's own maps; and of the rest pasted, areas of photographs, and renders.
_ATTENDED = 0.2
_PASTED, _AREAS = 0.62, 0.23
#: Share of objects whose masks are as people draw them.
_LOOSE = 0.55
#: Share of images whose simulated maps are as those of a model that attends well.
_CLEAN = 0.6
#: Share of maps that are of nothing.
_WRONG = 0.03

PHRASES = {name: [name, *([SYNONYMS[name]] if name in SYNONYMS else [])] for name in CLASSES}

Heat = NDArray[np.float32]
Image = NDArray[np.uint8]


class Lesson(NamedTuple):
    """An image of at most ``SIDE_PX`` a side, the cover of each class, and its raw map."""

    image: Image
    covers: dict[str, Cover]
    maps: dict[str, Heat]


class Lessons(IterableDataset[tuple[Heat, Heat, Heat]]):
    """Without end: the network's inputs for one class, its cover, and 1 where that counts and 0 in the margin.

    Args:
        attended: rendered scenes with the built-in model's maps of them.
    """

    def __init__(self, attended: list[Lesson]) -> None:
        self._attended = attended

    def __iter__(self) -> Iterator[tuple[Heat, Heat, Heat]]:
        cv2.setNumThreads(1)
        worker = get_worker_info()
        rng = np.random.default_rng([time.time_ns() % 2**32, 0 if worker is None else worker.id])
        composer = Composer(rng)
        while True:
            lesson = self._flipped(rng) if rng.random() < _ATTENDED else self._made(composer, rng)
            if lesson is not None:
                yield from _rows(lesson, rng)

    def _flipped(self, rng: np.random.Generator) -> Lesson:
        image, covers, maps = self._attended[rng.integers(len(self._attended))]
        image = recoloured(image, rng) if rng.random() < 0.3 else image
        power = float(np.exp(rng.normal(0, 0.2)))
        step = -1 if rng.random() < 0.5 else 1
        return Lesson(
            np.ascontiguousarray(image[:, ::step]),
            {label: np.ascontiguousarray(cover[:, ::step]) for label, cover in covers.items()},
            {label: np.ascontiguousarray(maps[label][:, ::step]) ** np.float32(power) for label in covers},
        )

    def _made(self, composer: Composer, rng: np.random.Generator) -> Lesson | None:
        """A lesson with simulated maps; None where nothing large enough came out."""
        short = int(SIDE_PX * rng.choice([0.66, 0.75, 1]))
        size = (SIDE_PX, short) if rng.random() < 0.65 else (short, SIDE_PX)
        share = rng.random()
        if share < _PASTED:
            image, objects = composer.pasted(size)
        elif share < _PASTED + _AREAS:
            image, objects = composer.areas(size)
        else:
            image, objects = self._rendered(size, rng)
        objects = [(label, composer.loosened(each) if rng.random() < _LOOSE else each) for label, each in objects]
        covers: dict[str, list[Cover]] = {}
        for label, cover in objects:
            if (cover > 0.5).sum() > 12:
                covers.setdefault(label, []).append(cover)
        covers = {label: each for label, each in covers.items() if np.maximum.reduce(each).mean() > 0.008}
        if not covers:
            return None
        if rng.random() < 0.3:
            noise = rng.normal(0, rng.uniform(2, 12), image.shape)
            image = np.clip(image + noise, 0, 255).astype(np.uint8)
        if rng.random() < 0.3:
            image = np.asarray(cv2.GaussianBlur(image, (0, 0), rng.uniform(0.3, 1)), np.uint8)
        clean = rng.random() < _CLEAN
        maps = simulated(covers, random_kind(rng, clean, SIDE_PX), rng)
        if not clean:
            maps = _distorted(maps, rng)
        return Lesson(image, {label: np.minimum(np.add.reduce(each), 1) for label, each in covers.items()}, maps)

    def _rendered(self, size: tuple[int, int], rng: np.random.Generator) -> tuple[Image, list[tuple[str, Cover]]]:
        image, covers, _ = self._attended[rng.integers(len(self._attended))]
        share = rng.uniform(0.5, 1)
        wide, high = (max(8, int(image.shape[1 - axis] * share * size[axis] / SIDE_PX)) for axis in (0, 1))
        top, left = rng.integers(image.shape[0] - high + 1), rng.integers(image.shape[1] - wide + 1)

        def cropped(plane: NDArray[Any]) -> NDArray[Any]:
            return np.asarray(cv2.resize(plane[top : top + high, left : left + wide], size))

        crop = np.asarray(cropped(image), np.uint8)
        crop = recoloured(crop, rng) if rng.random() < 0.6 else crop
        return crop, [(label, np.asarray(cropped(cover), np.float32)) for label, cover in covers.items()]


def _distorted(maps: dict[str, Heat], rng: np.random.Generator) -> dict[str, Heat]:
    """Maps with peaks within objects, and on another scale: attention's values have no unit."""
    if rng.random() < 0.5:
        for label, heat in maps.items():
            rows, columns = (max(2, side // int(rng.integers(2, 7))) for side in heat.shape)
            field = cv2.resize(rng.random((rows, columns), np.float32), heat.shape[::-1], interpolation=cv2.INTER_CUBIC)
            flat = rng.uniform(0, 1)
            maps[label] = np.asarray(heat * (flat + (1 - flat) * np.clip(field, 0, 1)), np.float32)
    if rng.random() < 0.7:
        power = np.float32(np.exp(rng.uniform(np.log(0.6), np.log(3))))
        maps = {label: heat**power for label, heat in maps.items()}
    return maps


def _rows(lesson: Lesson, rng: np.random.Generator) -> Iterator[tuple[Heat, Heat, Heat]]:
    image, covers, maps = lesson
    counts = np.zeros((SIDE_PX, SIDE_PX), np.float32)
    counts[: image.shape[0], : image.shape[1]] = 1
    if rng.random() < _WRONG:
        label, heat = next(iter(maps.items()))
        moved = np.roll(heat[:, ::-1], (rng.integers(heat.shape[0]), rng.integers(heat.shape[1])), (0, 1))
        over = cv2.resize(np.ascontiguousarray(moved), image.shape[1::-1])
        if np.corrcoef(over.ravel(), covers[label].ravel())[0, 1] < 0.2:
            inputs = _inputs(image, {**maps, label: moved})[label]
            yield _padded(inputs), np.zeros_like(counts), counts
            return
    for label, inputs in _inputs(image, maps).items():
        yield _padded(inputs), _padded(covers[label][None])[0], counts


def _inputs(image: Image, maps: dict[str, Heat]) -> dict[str, Heat]:
    heats = {label: resized(min_max(heat), image.shape[1::-1]) for label, heat in maps.items()}
    return network_inputs(image, heats, {label: max(heat.shape) for label, heat in maps.items()})


def _padded(planes: Heat) -> Heat:
    """Planes of ``SIDE_PX`` both ways, their last row and column repeated."""
    below, beside = SIDE_PX - planes.shape[1], SIDE_PX - planes.shape[2]
    return np.pad(planes, [(0, 0), (0, below), (0, beside)], mode="edge").astype(np.float32)


def attended_scenes(count: int = SCENES) -> list[Lesson]:
    """Rendered scenes with the built-in model's maps, by attention alone and with contrast."""
    scenes = list(iter_scenes(count, SCENE_SEED))
    images, captions = [scene.image for scene in scenes], [scene.caption for scene in scenes]
    lessons = []
    for contrast in (False, True):
        source = AttentionSource(PHRASES, contrast=contrast)
        for scene, maps in zip(scenes, source.heatmaps(images, captions), strict=True):
            masks = scene.class_mask()
            covers = {
                label: (masks == 1 + CLASSES.index(label)).astype(np.float32)
                for label in find_phrases(scene.caption, PHRASES)
            }
            lessons.append(Lesson(scene.image, covers, {label: maps[label] for label in covers}))
    return lessons


def train(folder: Path, minutes: float, peak_rate: float, decay: float) -> MaskNetwork:
    """Train for ``minutes`` of wall-clock time; the rate falls linearly in the last share ``decay`` of it.

    The loss is twice the cross-entropy of the pixels and half of one less the soft IoU of each mask that is not empty.

    Returns:
        The mean of the weights over the last steps, in evaluation.
    """
    network = MaskNetwork(normalised=True)
    average = AveragedModel(network, multi_avg_fn=get_ema_multi_avg_fn(0.9993), use_buffers=True)
    optimiser = torch.optim.AdamW(network.parameters(), peak_rate, weight_decay=1e-4)
    state = load_state(folder / "masks.pt", network=network, average=average, optimiser=optimiser)
    # Spawned: a fork of a process whose threads hold locks may wait for them for ever.
    loader = DataLoader(
        Lessons(attended_scenes()), BATCH, num_workers=1, prefetch_factor=8, multiprocessing_context="spawn"
    )
    step, curve, batches, clock = state.get("step", 0), Curve(folder / "masks.jsonl"), iter(loader), Clock(minutes)
    recent = 0.0
    while clock.running():
        for group in optimiser.param_groups:
            group["lr"] = peak_rate * min(1.0, (step + 5) / 100, (1 - clock.share()) / decay + 0.01)
        inputs, covers, counts = next(batches)
        logits = network(inputs)
        errors = binary_cross_entropy_with_logits(logits, covers, reduction="none")
        chances, covers = torch.sigmoid(logits) * counts, covers * counts
        both = (chances * covers).sum((1, 2))
        either = chances.sum((1, 2)) + covers.sum((1, 2)) - both
        shown = (covers.sum((1, 2)) > 0).float()
        unlike = ((1 - (both + 1) / (either + 1)) * shown).sum() / shown.sum().clamp(min=1)
        loss = 2 * ((errors * counts).sum((1, 2)) / counts.sum((1, 2))).mean() + 0.5 * unlike
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        average.update_parameters(network)
        step += 1
        recent = 0.98 * recent + 0.02 * float(loss.detach()) if recent else float(loss.detach())
        if step % 100 == 0:
            curve.add(step=step, minutes=clock.minutes(), loss=recent)
            save_state(folder / "masks.pt", step=step, network=network, average=average, optimiser=optimiser)
    save_state(folder / "masks.pt", step=step, network=network, average=average, optimiser=optimiser)
    averaged = average.module.eval()
    assert isinstance(averaged, MaskNetwork)
    return averaged


def pack(network: MaskNetwork, path: Path) -> None:
    """Write what the trained network does, in half precision."""
    save_file({name: value.half().contiguous() for name, value in folded(network).state_dict().items()}, path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=Path, default=Path("runs/tiny"), help="of checkpoints (default: %(default)s)")
    parser.add_argument("--minutes", type=float, default=45)
    parser.add_argument("--rate", type=float, default=4e-3, help="learning rate at its peak (default: %(default)s)")
    parser.add_argument("--decay", type=float, default=0.6, help="share of the time in which it falls")
    parser.add_argument("--pack", action="store_true", help="write the weights that the package uses")
    options = parser.parse_args()
    torch.set_flush_denormal(True)
    options.runs.mkdir(parents=True, exist_ok=True)
    network = train(options.runs, options.minutes, options.rate, options.decay)
    if options.pack:
        pack(network, mask_network_path())


if __name__ == "__main__":
    main()
