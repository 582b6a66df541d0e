"""How right the attention of any model is on photographs with masks: ``python benchmarks/voc.py FOLDER --model ID``.

FOLDER is Pascal VOC's (``JPEGImages``, ``SegmentationClass``), or holds ``images`` and, in a folder ``labels`` beside
it, YOLO's segmentation labels of the same names; or give a COCO file with ``--coco``. Names of YOLO's classes are those
of a ``data.yaml`` in FOLDER, else COCO's 80. Images of YOLO and COCO are brought to a longest side of 512 px.

The protocol is the usual one of training-free segmentation: the classes that an image shows are given, by name, in the
prompt "a photo of a bus and a dog", and the model looks at the image by its own preset (``families.presets``), without
contrast. The figure is the mIoU over the classes that occur and the background, intersections and unions added up over
all images; pixels marked 255 do not count. A pixel that several masks hold goes to the class with the highest map,
brought to [0, 1]. Rows: by the words of the prompt and, where text and image are one sequence, by concepts. Columns:

- DiffuGen's recipe (peers/diffugen.py) and the map cut at 0.4, DAAM's threshold;
- ours: the library's defaults, and with edges off, by the maps alone;
- classes alone: the highest map of each pixel that shows a class, so without the question where the background is.
"""

from __future__ import annotations

import argparse
import json
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import cv2
import numpy as np
import yaml
from numpy.typing import NDArray
from photographs import WAYS, Photograph, coco_outlines, photograph_of, yolo_outlines
from PIL import Image
from quality import Mask

from diffucurate.generator.attention.families import family_of
from diffucurate.generator.errors import DiffucurateError
from diffucurate.generator.labels.from_heatmaps import normalised_heatmaps
from diffucurate.generator.models.load import load_pipeline
from diffucurate.generator.sources.attention_source import AttentionSource

#: Pascal VOC's classes in the order of their values in masks, and what they are called in a prompt.
VOC = (
    "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow", "diningtable", "dog",
    "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor",
)  # fmt: skip
SPOKEN = {"diningtable": "dining table", "pottedplant": "potted plant", "tvmonitor": "tv monitor"}
COCO_NAMES = (
    "person", "bicycle", "car", "motorcycle", "airplane", "bus", "train", "truck", "boat", "traffic light",
    "fire hydrant", "stop sign", "parking meter", "bench", "bird", "cat", "dog", "horse", "sheep", "cow", "elephant",
    "bear", "zebra", "giraffe", "backpack", "umbrella", "handbag", "tie", "suitcase", "frisbee", "skis", "snowboard",
    "sports ball", "kite", "baseball bat", "baseball glove", "skateboard", "surfboard", "tennis racket", "bottle",
    "wine glass", "cup", "fork", "knife", "spoon", "bowl", "banana", "apple", "sandwich", "orange", "broccoli",
    "carrot", "hot dog", "pizza", "donut", "cake", "chair", "couch", "potted plant", "bed", "dining table", "toilet",
    "tv", "laptop", "mouse", "remote", "keyboard", "cell phone", "microwave", "oven", "toaster", "sink",
    "refrigerator", "book", "clock", "vase", "scissors", "teddy bear", "hair drier", "toothbrush",
)  # fmt: skip

BACKGROUND = "background"
ALONE = "classes alone"
COLUMNS = ("DiffuGen's recipe", "cut at 0.4", "ours", "ours, edges off")

Item = TypeVar("Item")

#: Images that the model looks at in one call of the source.
_AT_ONCE = 8


class Sample(NamedTuple):
    """A photograph, and the pixels that nobody knows the class of."""

    photograph: Photograph
    open: Mask


class Tally:
    """Intersections and unions of classes, added up over images."""

    def __init__(self) -> None:
        self._common: dict[str, int] = defaultdict(int)
        self._either: dict[str, int] = defaultdict(int)

    def add(self, found: Mapping[str, Mask], truth: Mapping[str, Mask], counts: Mask) -> None:
        """Add one image: class -> mask of both, of which the pixels where ``counts`` is true are compared."""
        for label in {*found, *truth}:
            one, other = (masks.get(label, np.zeros_like(counts)) & counts for masks in (found, truth))
            self._common[label] += int((one & other).sum())
            self._either[label] += int((one | other).sum())

    @property
    def mean(self) -> float:
        """The mean IoU of the classes that occur in either."""
        return float(np.mean([self._common[label] / size for label, size in self._either.items() if size]))


def voc_samples(folder: Path, split: str) -> list[tuple[Path, Path]]:
    """The images and masks of Pascal VOC, those of a split where its list is there."""
    listing = folder / "ImageSets" / "Segmentation" / f"{split}.txt"
    masks = sorted((folder / "SegmentationClass").glob("*.png"))
    names = set(listing.read_text().split()) if listing.is_file() else {mask.stem for mask in masks}
    return [(folder / "JPEGImages" / f"{mask.stem}.jpg", mask) for mask in masks if mask.stem in names]


def voc_sample(image: Path, mask: Path) -> Sample:
    values = np.asarray(Image.open(mask))
    objects = {name: [values == number] for number, name in enumerate(VOC, 1) if (values == number).any()}
    pixels = cv2.cvtColor(cv2.imread(str(image)), cv2.COLOR_BGR2RGB)
    return Sample(Photograph(image.stem, pixels, objects), values == 255)


def yolo_names(folder: Path) -> dict[str, str]:
    """The number of a class in YOLO's labels -> its name."""
    config = folder / "data.yaml"
    names: Any = yaml.safe_load(config.read_text())["names"] if config.is_file() else COCO_NAMES
    return {str(number): str(name) for number, name in (names.items() if isinstance(names, dict) else enumerate(names))}


def samples(folder: Path, coco: Path | None, split: str, most: int | None) -> Iterator[Sample]:
    """The images that show something, ``most`` of them spread over all."""
    if coco is None and (folder / "SegmentationClass").is_dir():
        for paths in spread(voc_samples(folder, split), most):
            yield voc_sample(*paths)
        return
    names = yolo_names(folder) if coco is None else None
    listing = yolo_outlines(folder) if coco is None else coco_outlines(folder, coco)
    for path, outlines in spread([each for each in listing if each[1]], most):
        named = {label if names is None else names.get(label, label): rings for label, rings in outlines.items()}
        photograph = photograph_of(path, named, least=0.0)
        if photograph.objects:
            yield Sample(photograph, np.zeros(photograph.image.shape[:2], bool))


def spread(items: Sequence[Item], most: int | None) -> list[Item]:
    """At most so many of them, at even distances."""
    if most is None or most >= len(items):
        return list(items)
    return [items[number * len(items) // most] for number in range(most)]


def prompt_of(labels: Sequence[str]) -> str:
    """ "a photo of a bus, a dog and an apple"."""
    phrases = [SPOKEN.get(label, label) for label in labels]
    nouns = [f"{'an' if phrase[0].lower() in 'aeiou' else 'a'} {phrase}" for phrase in phrases]
    return "a photo of " + " and ".join(filter(None, [", ".join(nouns[:-1]), nouns[-1]]))


def exclusive(masks: Mapping[str, Mask], heats: Mapping[str, NDArray[np.float32]]) -> dict[str, Mask]:
    """Masks of which each pixel has one, that of the highest map, and the background's where it has none."""
    labels = list(masks)
    heat = np.stack([np.where(masks[label], heats[label], -1) for label in labels])
    winner, taken = heat.argmax(axis=0), heat.max(axis=0) >= 0
    return {
        **{label: taken & (winner == number) for number, label in enumerate(labels)},
        BACKGROUND: ~taken,
    }


def true_masks(photograph: Photograph) -> dict[str, Mask]:
    """The same of the truth: where classes overlap, the smaller is in front."""
    masks = photograph.truths
    sizes = {label: np.full(mask.shape, -float(mask.sum()), np.float32) for label, mask in masks.items()}
    least = min(float(size.min()) for size in sizes.values())
    return exclusive(masks, {label: size - least for label, size in sizes.items()})


def add(tallies: Mapping[str, Tally], sample: Sample, maps: Mapping[str, NDArray[np.float32]]) -> None:
    """Add what every way makes of an image's maps."""
    photograph, counts = sample.photograph, ~sample.open
    truth, shape = true_masks(photograph), photograph.image.shape[:2]
    flat = {label: np.zeros((1, 1), np.float32) for label in photograph.objects}
    maps = {**flat, **maps}  # a class of which the model finds nothing
    heats = normalised_heatmaps(maps, shape)
    for name in COLUMNS:
        tallies[name].add(exclusive(WAYS[name](maps, photograph).masks, heats), truth, counts)
    everywhere = {label: np.ones(shape, bool) for label in maps}
    tallies[ALONE].add(exclusive(everywhere, heats), truth, counts & ~truth[BACKGROUND])


def measured(source: AttentionSource, todo: Sequence[Sample]) -> dict[str, float]:
    """Column -> mIoU, and the seconds that an image took."""
    tallies = {name: Tally() for name in (*COLUMNS, ALONE)}
    seconds = 0.0
    for start in range(0, len(todo), _AT_ONCE):
        batch = todo[start : start + _AT_ONCE]
        began = time.monotonic()
        found = source.heatmaps(
            [sample.photograph.image for sample in batch],
            [prompt_of(list(sample.photograph.objects)) for sample in batch],
        )
        seconds += time.monotonic() - began
        for sample, maps in zip(batch, found, strict=True):
            add(tallies, sample, maps)
    return {**{name: tally.mean for name, tally in tallies.items()}, "seconds": seconds / len(todo)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--model", required=True, help="a hub id, a folder, a .safetensors file, or tiny")
    parser.add_argument("--coco", type=Path, metavar="FILE", help="annotations of the images in FOLDER")
    parser.add_argument("--split", default="val", help="of Pascal VOC's ImageSets/Segmentation")
    parser.add_argument("--images", type=int, metavar="N", help="so many of them, spread over all")
    parser.add_argument("--device", help="by default the GPU where there is one")
    parser.add_argument("--background", default="background", help="concepts of no class, such as sky,road")
    parser.add_argument("--json", type=Path, metavar="PATH", help="also write every figure there")
    options = parser.parse_args()

    todo = list(samples(options.folder, options.coco, options.split, options.images))
    if not todo:
        parser.error(
            f"no image below {options.folder} has masks; it should hold JPEGImages and SegmentationClass (Pascal VOC), "
            "or images and labels (YOLO), or name a COCO file"
        )
    labels = dict.fromkeys(label for sample in todo for label in sample.photograph.objects)
    classes = {label: [SPOKEN.get(label, label)] for label in labels}
    try:
        one_sequence = family_of(load_pipeline(options.model, options.device)).image_pass() is not None
        rows = {
            way: measured(
                AttentionSource(
                    classes,
                    options.model,
                    options.device,
                    contrast=False,
                    by=way,
                    background=options.background.split(","),
                ),
                todo,
            )
            for way in (("words", "concepts") if one_sequence else ("words",))
        }
    except DiffucurateError as error:
        parser.error(str(error))

    columns = (*COLUMNS, ALONE)
    print(f"{options.model}: {len(todo)} images, {len(labels)} classes; mIoU\n")
    print(f"| by | {' | '.join(columns)} | seconds an image |\n|---|" + "---|" * (len(columns) + 1))
    for way, row in rows.items():
        print(f"| {way} | " + " | ".join(f"{row[name]:.3f}" for name in columns) + f" | {row['seconds']:.1f} |")
    if options.json:
        options.json.write_text(json.dumps(rows, indent=2) + "\n")


if __name__ == "__main__":
    main()
