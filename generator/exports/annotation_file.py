"""A JSON file of COCO's family that grows on disk: neither its annotations nor its images are kept in memory."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

import numpy as np
from pycocotools import mask as coco_mask

from diffucurate.generator.exports.about import About
from diffucurate.generator.labels.model import Instance


class AnnotationFile:
    """One file. Annotation ids count from 1.

    The images come after the annotations; until then they wait in a file of their own beside it, one a line.
    """

    def __init__(self, path: Path, files: ExitStack) -> None:
        """Open ``path``, which must be new; ``files`` closes it."""
        path.parent.mkdir(exist_ok=True)
        self._stream = files.enter_context(path.open("x", encoding="utf-8"))
        self._stream.write('{"annotations": [')
        self._waiting = files.enter_context(TemporaryFile("w+", encoding="utf-8", dir=path.parent))  # noqa: SIM115
        self._image_id = 0
        self.images = self.annotations = 0

    def add_image(self, image_id: int, path: Path, size: tuple[int, int], **more: Any) -> None:
        """List an image of (width, height) ``size``."""
        image = {"id": image_id, "file_name": path.name, "width": size[0], "height": size[1], **more}
        self._waiting.write(json.dumps(image) + "\n")
        self._image_id = image_id
        self.images += 1

    def add(self, **annotation: Any) -> None:
        """Write an annotation of the image that was listed last."""
        self.annotations += 1
        whole = {"id": self.annotations, "image_id": self._image_id, **annotation}
        self._stream.write(("\n" if self.annotations == 1 else ",\n") + json.dumps(whole))

    def finish(self, *, change: Callable[[dict[str, Any]], object] | None = None, **rest: Any) -> None:
        """Write the images, each after ``change`` was called with it, and the ``rest`` of the file."""
        self._stream.write('\n],\n"images": [')
        self._waiting.seek(0)
        for index, line in enumerate(self._waiting):
            image = json.loads(line)
            if change is not None:
                change(image)
            self._stream.write((", " if index else "") + json.dumps(image))
        self._stream.write("]" + "".join(f",\n{json.dumps(key)}: {json.dumps(rest[key])}" for key in rest) + "}\n")


def run_length(instance: Instance) -> dict[str, Any]:
    """COCO's compressed run-length code of an instance's mask, ``{"size": [height, width], "counts": text}``."""
    runs = coco_mask.encode(np.asfortranarray(instance.mask, np.uint8))
    return {"size": list(instance.mask.shape), "counts": runs["counts"].decode("ascii")}


def box_xywh(instance: Instance) -> list[int]:
    """The tight box as COCO has it: [x, y, width, height] in pixels."""
    x0, y0, x1, y1 = instance.box
    return [x0, y0, x1 - x0, y1 - y0]


def info_of(about: About | None) -> dict[str, Any]:
    """COCO's ``info``. Without a date: it would be the clock's, not the data's."""
    about = about or About()
    return {"description": about.description, "version": "1.0", "contributor": "Diffucurate"}


def licences_of(about: About | None) -> list[dict[str, Any]]:
    """COCO's ``licenses``: the one of the data, or none."""
    licence = None if about is None else about.licence
    return [] if licence is None else [{"id": 1, "name": licence, "url": licence if "://" in licence else ""}]
