"""The Pascal VOC format: boxes as XML, and masks of classes and of objects as PNG files with VOC's palette.

    JPEGImages/<name>.png                 copies, upright, of all splits; named so by VOC, whatever their format
    Annotations/<name>.xml                class and box of each object; pixels count from 1, the last one included
    SegmentationClass/<name>.png          class ids, 0 background, 255 ignored
    SegmentationObject/<name>.png         object ids in the order of the XML file, 0 background, 255 unknown
    ImageSets/Main/<split>.txt            the names of a split's images, also in ImageSets/Segmentation
    classes.txt                           class names in the order of their ids, from 1

A region of many objects is ``difficult``, which evaluations leave out, and of unknown object. An object is
``truncated`` where it touches the border of the image. XML has no place for masks in VOC, nor for a confidence: readers
that check a file against VOC's own elements would refuse one.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from xml.etree import ElementTree

from diffucurate.generator.exports.about import About, write_readme
from diffucurate.generator.exports.folder import Written, replacing_folder
from diffucurate.generator.exports.images import ExportRecord, ImageFolder, checked_size
from diffucurate.generator.exports.masks import class_mask, object_mask
from diffucurate.generator.exports.palette import write_mask


def write_voc(
    records: Iterable[ExportRecord],
    folder: Path,
    classes: Sequence[str],
    *,
    overwrite: bool = False,
    link_images: bool = False,
    about: About | None = None,
) -> Written:
    """Write images, boxes and masks. Records are taken one at a time and may be a generator.

    The folder appears complete or not at all. Class ids are 1 + the index in ``classes``. Images are copied, or hard
    links with ``link_images``. ``about`` names the data in each annotation and adds a README.md.

    Raises:
        ExportError: the folder is not empty and ``overwrite`` is not set, or holds more than an earlier export; there
            are no records, or more than 254 classes; an image is missing, unreadable or of another size than its
            masks; an instance's class is not in ``classes``.
    """
    written = Written()
    names: dict[str, list[str]] = {}
    ids = {name: 1 + index for index, name in enumerate(classes)}
    with replacing_folder(folder, "voc", overwrite=overwrite) as fresh:
        images = ImageFolder(fresh, links=link_images, shared="JPEGImages")
        (fresh / "Annotations").mkdir()
        for record in records:
            path = images.add(record)
            size = checked_size(path, record.instances, classes)
            annotation = _annotation(path, size, record, about or About())
            # Bytes: text would be written with the line ends of the system.
            (fresh / "Annotations" / f"{path.stem}.xml").write_bytes(annotation)
            mask = class_mask(record.semantic, record.instances, classes, size)
            write_mask(fresh / "SegmentationClass" / f"{path.stem}.png", mask)
            instance_ids = [ids[instance.label] for instance in record.instances]
            objects = object_mask(mask, record.instances, instance_ids, record.crowds)
            write_mask(fresh / "SegmentationObject" / f"{path.stem}.png", objects)
            names.setdefault(record.split, []).append(path.stem)
            written.add(record.split, (instance.label for instance in record.instances))
        written.require_images()
        for kind in ("Main", "Segmentation"):
            (fresh / "ImageSets" / kind).mkdir(parents=True)
            for split, stems in names.items():
                (fresh / "ImageSets" / kind / f"{split}.txt").write_text(
                    "".join(f"{stem}\n" for stem in stems), "utf-8"
                )
        (fresh / "classes.txt").write_text("".join(f"{name}\n" for name in classes), "utf-8")
        write_readme(fresh, about, written)
    return written


def _annotation(path: Path, size: tuple[int, int], record: ExportRecord, about: About) -> bytes:
    width, height = size
    root = ElementTree.Element("annotation")
    _add(root, folder="JPEGImages", filename=path.name)
    _add(ElementTree.SubElement(root, "source"), database=about.name, annotation="Diffucurate")
    _add(ElementTree.SubElement(root, "size"), width=width, height=height, depth=3)
    _add(root, segmented=1)
    for index, instance in enumerate(record.instances):
        x0, y0, x1, y1 = instance.box
        element = ElementTree.SubElement(root, "object")
        truncated = int(x0 == 0 or y0 == 0 or x1 == width or y1 == height)
        _add(element, name=instance.label, pose="Unspecified", truncated=truncated, occluded=0)
        _add(element, difficult=int(index in record.crowds))
        _add(ElementTree.SubElement(element, "bndbox"), xmin=x0 + 1, ymin=y0 + 1, xmax=x1, ymax=y1)
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="utf-8", xml_declaration=True)


def _add(parent: ElementTree.Element, **values: object) -> None:
    for name, value in values.items():
        ElementTree.SubElement(parent, name).text = str(value)
