"""The image files of an export: upright, and in formats that every reader of COCO and YOLO folders reads.

An image is shown turned as its EXIF data say, and labels are relative to what is shown. Readers differ in whether they
turn it, so a turned image is written with its pixels upright and without that entry.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from diffucurate.generator.errors import ExportError
from diffucurate.generator.exports.splits import check_split_name
from diffucurate.generator.files.copies import copy_file
from diffucurate.generator.labels.model import Instance
from diffucurate.generator.text.class_names import some_of

#: Pillow's name of a format -> the ends of file names by which readers know it, the usual one first. Images of other
#: formats are written as PNG.
_ENDINGS: Mapping[str, tuple[str, ...]] = {
    "JPEG": (".jpg", ".jpeg"),
    "MPO": (".jpg", ".jpeg"),  # what some cameras write: a JPEG with more images after it
    "PNG": (".png",),
    "BMP": (".bmp",),
    "TIFF": (".tif", ".tiff"),
    "WEBP": (".webp",),
}

_ORIENTATION = 0x0112
_UPRIGHT = 1
#: The values of the EXIF orientation for which width and height are swapped.
_SIDEWAYS = frozenset({5, 6, 7, 8})


@dataclass(frozen=True, eq=False)
class ExportRecord:
    """One image to export: its file, its instances (none is legal) and the split it belongs to.

    ``crowds`` are the indices of instances that are regions of many objects: COCO marks them, YOLO has no place for
    them. ``prompt`` is the text that the image was painted from, empty where unknown. ``semantic`` is (H, W) uint8 with
    the ids of the exported classes from 1, 0 background, 255 ignore; where None, it follows from the instances.
    """

    image_path: Path
    instances: Sequence[Instance]
    split: str = "train"
    crowds: Collection[int] = ()
    prompt: str = ""
    semantic: NDArray[np.uint8] | None = None


def upright_size(path: str | os.PathLike[str]) -> tuple[int, int]:
    """The (width, height) of an image file as it is shown, in pixels. Decodes no image but a turned TIFF.

    Raises:
        OSError: the file is missing or not an image.
    """
    try:
        with Image.open(path) as image:
            if image.format == "TIFF" and _orientation(image) != _UPRIGHT:
                return ImageOps.exif_transpose(image).size  # Pillow's versions differ in whether its size is upright
            width, height = image.size
            return (height, width) if _orientation(image) in _SIDEWAYS else (width, height)
    except OSError:
        raise
    except Exception as error:  # Pillow has many for broken files; Ultralytics, once imported, adds an ImportError
        raise OSError(f"{path} is not an image that can be read") from error


def checked_size(path: Path, instances: Sequence[Instance], classes: Sequence[str]) -> tuple[int, int]:
    """The (width, height) in pixels of an exported image, whose instances were checked against it.

    Raises:
        ExportError: the image cannot be read, an instance's class is not in ``classes``, or its mask has another size.
    """
    try:
        with Image.open(path) as image:
            width, height = image.size
    except (OSError, ImportError) as error:  # Ultralytics, once imported, makes Pillow raise the latter
        raise ExportError(f"image {path.name} cannot be read; export a view without it") from error
    for instance in instances:
        if instance.label not in classes:
            raise ExportError(f"instance of class '{instance.label}', expected one of {some_of(classes)}")
        if instance.mask.shape != (height, width):
            raise ExportError(
                f"image {path.name} is {width} x {height} px, its mask {instance.mask.shape[1]} x "
                f"{instance.mask.shape[0]}; label the image again"
            )
    return width, height


class ImageFolder:
    """Puts images into ``folder/images/<split>/``: copies, or with ``links`` hard links where the file system can.

    With ``shared`` the images of all splits go into that one folder below ``folder``. Whoever writes to a hard link in
    place changes the original, as some training programs do.
    """

    def __init__(self, folder: Path, *, links: bool = False, shared: str | None = None) -> None:
        self._folder, self._links, self._shared = folder, links, shared
        self._numbers: dict[str, int] = {}  # folder and name -> the last number that the name was given

    def add(self, record: ExportRecord) -> Path:
        """The image's new path. A name that is taken gets a number: images of several folders may share one.

        Raises:
            ExportError: the image is not there or cannot be read, or the split's name is no plain folder name.
        """
        check_split_name(record.split)
        source = record.image_path.resolve()
        try:
            with Image.open(source) as image:
                format, orientation = image.format or "", _orientation(image)
        except FileNotFoundError as error:
            raise ExportError(f"image {record.image_path} is not there; export a view without it") from error
        except Exception as error:  # Pillow's own for broken files; once Ultralytics is imported, an ImportError
            raise ExportError(f"image {record.image_path.name} cannot be read; export a view without it") from error
        path = self._path(record, format)
        path.parent.mkdir(parents=True, exist_ok=True)
        if format not in _ENDINGS or orientation != _UPRIGHT:
            _write_upright(source, path)
        elif not (self._links and _linked(source, path)):
            copy_file(source, path)
        return path

    def _path(self, record: ExportRecord, format: str) -> Path:
        endings = _ENDINGS.get(format, _ENDINGS["PNG"])
        suffix = record.image_path.suffix
        if suffix.lower() not in endings:
            known = any(suffix.lower() in others for others in _ENDINGS.values())
            suffix = suffix if known and format in _ENDINGS else endings[0]
        # Readers skip files that are hidden, so no name may begin with a dot.
        stem = record.image_path.stem.lstrip(".") or "image"
        place = f"images/{record.split}" if self._shared is None else self._shared
        name, key = stem, f"{place}/{stem.casefold()}"  # labels go by stem; some systems ignore case
        number = self._numbers.get(key, 1)
        while f"{place}/{name.casefold()}" in self._numbers:
            number += 1
            name = f"{stem}-{number}"
        self._numbers[key] = number
        self._numbers.setdefault(f"{place}/{name.casefold()}", 1)
        return self._folder / place / f"{name}{suffix}"


def _linked(source: Path, path: Path) -> bool:
    try:
        os.link(source, path)
    except OSError:  # another disk, or a file system without links
        return False
    return True


def _write_upright(source: Path, path: Path) -> None:
    """Write the first image of a file as it is shown, in the format that ``path`` ends with."""
    with Image.open(source) as image:
        upright = ImageOps.exif_transpose(image)
        kept = {name: upright.info[name] for name in ("icc_profile",) if upright.info.get(name)}
        if path.suffix.lower() in _ENDINGS["JPEG"]:
            upright.save(path, quality=95, subsampling=0, **kept)
        elif path.suffix.lower() in _ENDINGS["WEBP"]:
            upright.save(path, lossless=True, **kept)
        else:
            if path.suffix.lower() == ".png" and upright.mode not in ("1", "L", "LA", "I", "I;16", "P", "RGB", "RGBA"):
                upright = upright.convert("RGBA" if "A" in upright.mode.upper() else "RGB")
            upright.save(path, **kept)


def _orientation(image: Image.Image) -> int:
    value = image.getexif().get(_ORIENTATION, _UPRIGHT)
    return value if value in range(1, 9) else _UPRIGHT
