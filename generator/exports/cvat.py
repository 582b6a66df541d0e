"""The annotation tool CVAT's own format, "CVAT for images 1.1": one polygon per instance.

    images/<split>/<name>.png      copies, upright
    annotations/<split>.xml        classes, and the polygons of each image by its file name

A polygon is one closed ring, so parts and holes are joined by bridges of zero width, as in YOLO exports. Its confidence
is the attribute ``confidence``; a region of many objects has ``iscrowd`` 1. More confident instances lie above others.

FiftyOne writes this format too, with the time of writing in it and class names that are not escaped; it reads ours.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import IO
from xml.etree import ElementTree

from diffucurate.generator.exports.about import About, write_readme
from diffucurate.generator.exports.folder import Written, replacing_folder
from diffucurate.generator.exports.images import ExportRecord, ImageFolder, checked_size
from diffucurate.generator.labels.polygon_bridges import bridge

#: Attributes of every polygon -> how CVAT asks for them.
_ATTRIBUTES = {"confidence": "text", "iscrowd": "number"}


def write_cvat(
    records: Iterable[ExportRecord],
    folder: Path,
    classes: Sequence[str],
    *,
    overwrite: bool = False,
    link_images: bool = False,
    about: About | None = None,
) -> Written:
    """Write images and polygons. Records are taken one at a time and may be a generator.

    The folder appears complete or not at all. Images are copied, or hard links with ``link_images``. ``about`` names
    the task and adds a README.md.

    Raises:
        ExportError: the folder is not empty and ``overwrite`` is not set, or holds more than an earlier export; there
            are no records; an image is missing, unreadable or of another size than its masks; an instance's class is
            not in ``classes``.
    """
    written, about = Written(), about or About()
    with replacing_folder(folder, "cvat", overwrite=overwrite) as fresh:
        (fresh / "annotations").mkdir()
        with ExitStack() as open_files:
            images = ImageFolder(fresh, links=link_images)
            files: dict[str, IO[bytes]] = {}
            for record in records:
                path, split = images.add(record), record.split
                size = checked_size(path, record.instances, classes)
                if split not in files:
                    files[split] = open_files.enter_context((fresh / "annotations" / f"{split}.xml").open("wb"))
                    files[split].write(_head(classes, f"{about.name} {split}"))
                image = _image(written.images.get(split, 0), path, size, record)
                files[split].write(_indented(image))
                written.add(split, (instance.label for instance in record.instances))
            written.require_images()
            for file in files.values():
                file.write(b"</annotations>\n")
        write_readme(fresh, about, written)
    return written


def _head(classes: Sequence[str], name: str) -> bytes:
    meta = ElementTree.Element("meta")
    task = ElementTree.SubElement(meta, "task")
    ElementTree.SubElement(task, "name").text = name
    labels = ElementTree.SubElement(task, "labels")
    for label in classes:
        element = ElementTree.SubElement(labels, "label")
        ElementTree.SubElement(element, "name").text = label
        attributes = ElementTree.SubElement(element, "attributes")
        for attribute, input_type in _ATTRIBUTES.items():
            values = {
                "name": attribute,
                "mutable": "False",
                "input_type": input_type,
                "default_value": "",
                "values": "",
            }
            described = ElementTree.SubElement(attributes, "attribute")
            for key, value in values.items():
                ElementTree.SubElement(described, key).text = value
    start = b'<?xml version="1.0" encoding="utf-8"?>\n<annotations>\n  <version>1.1</version>\n'
    return start + _indented(meta)


def _image(index: int, path: Path, size: tuple[int, int], record: ExportRecord) -> ElementTree.Element:
    width, height = size
    image = ElementTree.Element("image", id=str(index), name=path.name, width=str(width), height=str(height))
    order = sorted(range(len(record.instances)), key=lambda index: record.instances[index].confidence)
    for position, instance in enumerate(record.instances):
        if instance.boxed:
            corners = zip(("xtl", "ytl", "xbr", "ybr"), instance.box, strict=True)
            shape, place = "box", {name: f"{value:.2f}" for name, value in corners}
        else:
            points = bridge(instance.polygons, prune=True)
            shape, place = "polygon", {"points": ";".join(f"{x:.2f},{y:.2f}" for x, y in points)}
        described = {"label": instance.label, "source": "auto", "occluded": "0", **place}
        element = ElementTree.SubElement(image, shape, {**described, "z_order": str(order.index(position))})
        values = {"confidence": f"{instance.confidence:.6f}", "iscrowd": str(int(position in record.crowds))}
        for name, value in values.items():
            ElementTree.SubElement(element, "attribute", name=name).text = value
    return image


def _indented(element: ElementTree.Element) -> bytes:
    ElementTree.indent(element, level=1)
    return b"  " + ElementTree.tostring(element, encoding="utf-8") + b"\n"
