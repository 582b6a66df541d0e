"""The formats of exports: their names, what each is in words, how large its labels are, and who writes it.

Light: forms and the command line read this table; a writer is imported when it is asked for.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from diffucurate.generator.errors import ExportError, InvalidSetting

if TYPE_CHECKING:
    from diffucurate.generator.exports.folder import Written

#: The split of all images where none are asked for.
ONLY_SPLIT = "train"


@dataclass(frozen=True)
class ExportFormat:
    """One format.

    ``per_instance`` and ``per_image`` are bytes of labels: (always, per pixel of the image's width). They were measured
    on objects of a tenth of an image of 128 to 1024 px; outlines grow with the width, and rough ones take more.
    ``fixed`` are the bytes of what describes the whole export, its datasheet among it.
    ``semantic`` says that it holds masks of class ids, ``embeds`` that it holds the images in files of its own, so that
    links save nothing. ``boxes`` says whether it takes instances of which only the box is known: ``beside`` those with
    masks, and alone; ``alone``; ``with masks`` only, as pixels of unknown class; ``never``.
    """

    title: str
    per_instance: tuple[float, float]
    per_image: tuple[float, float] = (100, 0.0)
    fixed: int = 2000
    semantic: bool = False
    embeds: bool = False
    boxes: Literal["beside", "alone", "with masks", "never"] = "beside"

    def takes_boxes(self, masks: int) -> bool:
        """Whether it takes instances of which only the box is known, beside ``masks`` others."""
        return {"beside": True, "alone": not masks, "with masks": masks > 0, "never": False}[self.boxes]


#: Name -> format, in the order in which forms offer them.
FORMATS: Mapping[str, ExportFormat] = {
    "coco": ExportFormat("COCO - exact masks (RLE), scores and captions", (80, 1.8), (250, 0.0)),
    "yolo": ExportFormat("YOLO - one polygon (or box) per object, data.yaml", (40, 18.0), boxes="alone"),
    "voc": ExportFormat("Pascal VOC - boxes, masks of classes and objects", (330, 0.0), (2200, 2.0), semantic=True),
    "semantic": ExportFormat(
        "Semantic masks - PNG with a palette", (0, 0.0), (900, 1.0), semantic=True, boxes="with masks"
    ),
    "huggingface": ExportFormat("Hugging Face - image folder, metadata.jsonl, Croissant", (140, 1.8), (200, 0.0), 8000),
    "parquet": ExportFormat(
        "Parquet - images and labels in one file, Croissant", (100, 1.8), (200, 0.0), 8000, embeds=True
    ),
    "lvis": ExportFormat("LVIS - COCO with absent classes and frequencies", (80, 1.8), (200, 0.0), boxes="never"),
    "cvat": ExportFormat("CVAT for images - one polygon per object", (200, 18.0), (150, 0.0)),
}


def format_named(name: str) -> ExportFormat:
    """The format of that name.

    Raises:
        InvalidSetting: there is none.
    """
    if name not in FORMATS:
        raise InvalidSetting("format", name, f"use one of {', '.join(FORMATS)}")
    return FORMATS[name]


def writer_of(name: str) -> Callable[..., Written]:
    """The function that writes a format: ``write(records, folder, classes, overwrite=, link_images=, about=)``.

    Raises:
        ExportError: it needs a package that is not installed.
        InvalidSetting: there is no such format.
    """
    format_named(name)
    from diffucurate.generator.exports.coco import write_coco
    from diffucurate.generator.exports.cvat import write_cvat
    from diffucurate.generator.exports.huggingface import write_huggingface
    from diffucurate.generator.exports.lvis import write_lvis
    from diffucurate.generator.exports.parquet import write_parquet
    from diffucurate.generator.exports.semantic import write_semantic
    from diffucurate.generator.exports.voc import write_voc
    from diffucurate.generator.exports.yolo import write_yolo

    check_packages(name)
    writers: dict[str, Any] = {
        "coco": write_coco,
        "yolo": write_yolo,
        "voc": write_voc,
        "semantic": write_semantic,
        "huggingface": write_huggingface,
        "parquet": write_parquet,
        "lvis": write_lvis,
        "cvat": write_cvat,
    }
    return writers[name]


def check_packages(name: str) -> None:
    """Raise an ExportError where a format needs a package that is not installed. Imports none."""
    if name == "parquet" and find_spec("pyarrow") is None:
        raise ExportError(
            "parquet: the package pyarrow is not installed; run pip install 'diffucurate[parquet]', or export to "
            "huggingface"
        )


def first_step(name: str, folder: str, splits: Mapping[str, int], *, boxes: bool = False) -> str:
    """One line that trains from an export, or reads it: for YOLO a shell command, of ``boxes`` alone another."""
    split = ONLY_SPLIT if ONLY_SPLIT in splits else next(iter(splits))
    here = Path(folder)
    match name:
        case "yolo":
            task, weights = ("detect", "yolov8n.pt") if boxes else ("segment", "yolov8n-seg.pt")
            return f"yolo {task} train model={weights} data={shlex.quote(str(here / 'data.yaml'))}"
        case "coco":
            return f"from pycocotools.coco import COCO; coco = COCO({str(here / 'annotations' / f'{split}.json')!r})"
        case "lvis":
            return f"from lvis import LVIS; lvis = LVIS({str(here / 'annotations' / f'{split}.json')!r})"
        case "huggingface" | "parquet":
            return f"from datasets import load_dataset; dataset = load_dataset({folder!r})"
    kind, images, labels = {
        "voc": ("VOCDetectionDataset", "JPEGImages", "Annotations"),
        "semantic": ("ImageSegmentationDirectory", f"images/{split}", f"masks/{split}"),
        "cvat": ("CVATImageDataset", f"images/{split}", f"annotations/{split}.xml"),
    }[name]
    return (
        f"import fiftyone as fo; dataset = fo.Dataset.from_dir(dataset_dir={folder!r}, "
        f"dataset_type=fo.types.{kind}, data_path={images!r}, labels_path={labels!r})"
    )
