"""Draws the pictures of ``docs/attention.md`` with the built-in model: ``python docs/draw_attention.py``.

All scenes shown are rendered ones of seed 502, on which settings were chosen; tokens learn from others. Their masks
are exact.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import cycle
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from diffucurate.generator.attention.class_tokens.token_training import learn_tokens
from diffucurate.generator.attention.settings import TraceSettings
from diffucurate.generator.labels.from_heatmaps import labels_from_heatmaps, normalised_heatmaps
from diffucurate.generator.labels.from_maps import labels_from_maps
from diffucurate.generator.labels.maps.guided_filter import GuidedFilter
from diffucurate.generator.labels.settings import DEFAULT_SETTINGS, LabelSettings
from diffucurate.generator.models.load import load_pipeline
from diffucurate.generator.sources.attention_source import AttentionSource
from diffucurate.generator.text.class_mentions import find_phrases
from diffucurate.generator.tiny.scenes import Scene, real_scenes
from diffucurate.generator.tiny.shapes import CLASSES
from diffucurate.generator.tiny.words import SYNONYMS

FOLDER = Path(__file__).parent / "images"
SEED, SCENES = 502, 60
LESSON_SEED, LESSONS = 503, 40  # about five of each class
PHRASES = {name: [name, *([SYNONYMS[name]] if name in SYNONYMS else [])] for name in CLASSES}
ZOOM, MARGIN = 2, 8
COLOURS = (255, 200, 0), (0, 220, 255), (255, 80, 200)

Pixels = NDArray[np.uint8]
Mask = NDArray[np.bool_]
Maps = Mapping[str, NDArray[np.float32]]


def maps_of(scenes: Sequence[Scene], trace: TraceSettings, **options: object) -> list[Maps]:
    source = AttentionSource(PHRASES, trace=trace, **options)  # type: ignore[arg-type]
    return list(source.heatmaps([scene.image for scene in scenes], [scene.caption for scene in scenes]))


def heat(values: NDArray[np.float32]) -> Pixels:
    """A map as colours, from dark to bright."""
    low, high = float(values.min()), float(values.max())
    eight = np.uint8(255 * (values - low) / max(high - low, 1e-9))
    return np.asarray(cv2.cvtColor(cv2.applyColorMap(eight, cv2.COLORMAP_INFERNO), cv2.COLOR_BGR2RGB))


def outlined(image: Pixels, found: Sequence[Mask], truth: Sequence[Mask]) -> Pixels:
    """The image with the outlines of what was found in colours, the first in yellow, and of the truth in white."""
    drawn = cv2.resize(image, None, fx=ZOOM, fy=ZOOM, interpolation=cv2.INTER_NEAREST)
    for mask, colour in [*((mask, (255, 255, 255)) for mask in truth), *zip(found, cycle(COLOURS))]:
        large = cv2.resize(mask.astype(np.uint8), drawn.shape[1::-1], interpolation=cv2.INTER_NEAREST)
        rings, _ = cv2.findContours(large, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
        cv2.drawContours(drawn, rings, -1, colour, 1)
    return np.asarray(drawn, np.uint8)


def large(picture: Pixels) -> Pixels:
    return np.asarray(cv2.resize(picture, (128 * ZOOM, 128 * ZOOM), interpolation=cv2.INTER_NEAREST), np.uint8)


def write(name: str, rows: Sequence[Sequence[Pixels]]) -> None:
    """A grid of pictures on white."""
    high, wide = 128 * ZOOM, 128 * ZOOM
    columns = max(map(len, rows))
    sheet = np.full((len(rows) * (high + MARGIN) - MARGIN, columns * (wide + MARGIN) - MARGIN, 3), 255, np.uint8)
    for row, pictures in enumerate(rows):
        for column, picture in enumerate(pictures):
            top, left = row * (high + MARGIN), column * (wide + MARGIN)
            sheet[top : top + high, left : left + wide] = large(picture)
    cv2.imwrite(str(FOLDER / f"{name}.png"), cv2.cvtColor(sheet, cv2.COLOR_RGB2BGR))


def mask_of(maps: Maps, label: str, image: Pixels, settings: LabelSettings = DEFAULT_SETTINGS) -> Mask:
    calibrated = CLASSES if settings.cut == "learned" else ()
    semantic = labels_from_heatmaps(maps, image.shape[:2], CLASSES, settings, image, calibrated=calibrated).semantic
    return np.asarray(semantic == 1 + CLASSES.index(label))


def truth_of(scene: Scene, label: str) -> Mask:
    return np.asarray(scene.class_mask() == 1 + CLASSES.index(label))


def iou(a: Mask, b: Mask) -> float:
    return float((a & b).sum() / max(1, (a | b).sum()))


def resolutions(scene: Scene, label: str) -> list[Pixels]:
    """The image, and its maps of 16 x 16, of 8 x 8 and of both."""
    shown = [scene.image]
    for finest, coarsest in ((1, 1), (2, 2), (1, 4)):
        (maps,) = maps_of([scene], TraceSettings(finest=finest, coarsest=coarsest, tau=0), contrast=False)
        shown.append(heat(maps[label]))
    return shown


def edges(scene: Scene, label: str) -> list[Pixels]:
    """The map enlarged and its mask, then along the image's edges."""
    (maps,) = maps_of([scene], TraceSettings(), contrast=False)
    plain = normalised_heatmaps(maps, scene.image.shape[:2])[label]
    guide = GuidedFilter(scene.image, DEFAULT_SETTINGS.edge_reach, DEFAULT_SETTINGS.edge_contrast)
    truth, without = [truth_of(scene, label)], LabelSettings(edge_reach=0)
    return [
        heat(plain),
        outlined(scene.image, [mask_of(maps, label, scene.image, without)], truth),
        heat(guide.refine(plain)),
        outlined(scene.image, [mask_of(maps, label, scene.image)], truth),
    ]


def self_attention(scene: Scene, label: str) -> list[Pixels]:
    """Without self-attention, sharpened once, and the papers' four times."""
    shown = [scene.image]
    for tau, inflation in ((0, 1.0), (1, 4.0), (4, 1.0)):
        (maps,) = maps_of([scene], TraceSettings(tau=tau, inflation=inflation), contrast=False)
        shown.append(heat(maps[label]))
    return shown


def by_tokens(scenes: Sequence[Scene]) -> list[Maps]:
    """The maps of the classes' words and learned tokens together."""
    lessons = real_scenes(LESSONS, LESSON_SEED)
    images, captions = [lesson.image for lesson in lessons], [lesson.caption for lesson in lessons]
    masks = [{label: truth_of(lesson, label) for label in find_phrases(lesson.caption, PHRASES)} for lesson in lessons]
    tokens = learn_tokens(load_pipeline("tiny"), images, masks, prompts=captions)
    return maps_of(scenes, TraceSettings(), tokens=tokens)


def compared(
    name: str,
    scenes: Sequence[Scene],
    before: Sequence[Maps],
    after: Sequence[Maps],
    scored: Sequence[tuple[float, int, str]],
    settings: LabelSettings = DEFAULT_SETTINGS,
) -> None:
    """Maps and masks before and after a step, the latter cut by ``settings``: where it helped much, where it hurt."""

    def masks(index: int, label: str) -> list[Mask]:
        image = scenes[index].image
        return [mask_of(before[index], label, image), mask_of(after[index], label, image, settings)]

    def gain(index: int, label: str) -> float:
        one, other = (iou(mask, truth_of(scenes[index], label)) for mask in masks(index, label))
        return other - one

    gains = sorted((gain(index, label), index, label) for _, index, label in scored)
    rows = []
    for change, index, label in (gains[len(gains) * 95 // 100], gains[len(gains) * 5 // 100]):
        image, truth, row = scenes[index].image, [truth_of(scenes[index], label)], []
        for maps, mask in zip((before[index], after[index]), masks(index, label), strict=True):
            row += [heat(maps[label]), outlined(image, [mask], truth)]
        rows.append(row)
        print(f"{name}: scene {index}, {label}: its IoU changes by {change:+.2f}, '{scenes[index].caption}'")
    write(name, rows)


def counted(scenes: Sequence[Scene], maps: Sequence[Maps]) -> None:
    """Objects of a class without and with the count of the prompt: where it helped most, and where least."""
    rows = []
    for number, (scene, own) in enumerate(zip(scenes, maps, strict=True)):
        labels = [
            labels_from_maps(own, scene.image, PHRASES, scene.caption, LabelSettings(counted=counted)).instances
            for counted in (False, True)
        ]
        for label in own:
            truth = [thing.mask for thing in scene.objects if thing.label == label]
            found = [[one.mask for one in instances if one.label == label] for instances in labels]
            if found[0] and len(found[1]) > len(found[0]):
                before, after = (sum(max(iou(mask, true) for mask in masks) for true in truth) for masks in found)
                pictures = [outlined(scene.image, masks, truth) for masks in found]
                rows.append((after - before, number, label, [scene.image, heat(own[label]), *pictures]))
    rows.sort(key=lambda row: row[0])
    for gain, number, label, _ in (rows[-1], rows[0]):
        print(f"count: scene {number}, {label}: the IoU of its objects changes by {gain:+.2f} in sum")
    write("attention-count", [rows[-1][3], rows[0][3]])


def main() -> None:
    scenes = real_scenes(SCENES, SEED)
    found = maps_of(scenes, TraceSettings())
    scored = sorted(
        (iou(mask_of(maps, label, scene.image), truth_of(scene, label)), index, label)
        for index, (scene, maps) in enumerate(zip(scenes, found, strict=True))
        for label in maps
        if 0.02 < truth_of(scene, label).mean() < 0.5
    )
    middle = [scored[len(scored) // 2], scored[3 * len(scored) // 4]]
    write("attention-resolutions", [resolutions(scenes[index], label) for _, index, label in middle])
    write("attention-edges", [edges(scenes[index], label) for _, index, label in middle])
    write("attention-self", [self_attention(scenes[index], label) for _, index, label in middle])
    failures = [scored[len(scored) * part // 100] for part in (3, 8, 13, 18)]
    masks = [mask_of(found[index], label, scenes[index].image) for _, index, label in failures]
    drawn = [
        outlined(scenes[index].image, [mask], [truth_of(scenes[index], label)])
        for mask, (_, index, label) in zip(masks, failures, strict=True)
    ]
    write("attention-failures", [[heat(found[index][label]) for _, index, label in failures], drawn])
    counted(scenes, found)
    compared("attention-contrast", scenes, maps_of(scenes, TraceSettings(), contrast=False), found, scored)
    compared("attention-tokens", scenes, found, by_tokens(scenes), scored, LabelSettings(cut="learned"))
    for share, index, label in (*middle, *failures):
        print(f"scene {index}, {label}: IoU {share:.2f}, '{scenes[index].caption}'")


if __name__ == "__main__":
    main()
