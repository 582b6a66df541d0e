"""The VOC writer, read back by Pillow and the XML parser; FiftyOne's importer reads it in the plugin's tests."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

from diffucurate.generator.errors import ExportError
from diffucurate.generator.exports.about import About
from diffucurate.generator.exports.images import ExportRecord
from diffucurate.generator.exports.palette import palette
from diffucurate.generator.exports.voc import write_voc
from diffucurate.generator.labels.model import Instance

CLASSES = ["a", "b", "c"]


def pixels(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        assert image.mode == "P"
        return np.array(image)


def test_the_palette_is_vocs() -> None:
    """As the devkit lists it: background, aeroplane, bicycle, bird, boat, ..., tv/monitor, void."""
    known = {0: (0, 0, 0), 1: (128, 0, 0), 2: (0, 128, 0), 3: (128, 128, 0), 4: (0, 0, 128), 8: (64, 0, 0),
             15: (192, 128, 128), 20: (0, 64, 128), 255: (224, 224, 192)}  # fmt: skip
    assert {value: tuple(palette()[value].tolist()) for value in known} == known


def test_boxes_masks_and_lists_come_back(tmp_path: Path, odd_records: list[ExportRecord]) -> None:
    out = tmp_path / "out"
    written = write_voc(odd_records, out, CLASSES, about=About(name="streets & <co>"))
    assert (written.images, written.instances) == ({"train": 2, "val": 1}, {"train": 4, "val": 0})
    root = ElementTree.parse(out / "Annotations/0.xml").getroot()
    assert root.findtext("filename") == "0.png" and root.findtext("source/database") == "streets & <co>"
    assert [root.findtext(f"size/{side}") for side in ("width", "height", "depth")] == ["64", "48", "3"]
    boxes = [
        [int(each.findtext(f"bndbox/{end}") or 0) for end in ("xmin", "ymin", "xmax", "ymax")]
        for each in root.iter("object")
    ]
    ring, parts = (instance.mask for instance in odd_records[0].instances)
    for box, mask in zip(boxes, (ring, parts), strict=True):
        rows, columns = np.nonzero(mask)
        assert box == [columns.min() + 1, rows.min() + 1, columns.max() + 1, rows.max() + 1], "from 1, last included"
    flags = [
        (e.findtext("name"), e.findtext("difficult"), e.findtext("truncated"))
        for e in ElementTree.parse(out / "Annotations/1.xml").iter("object")
    ]
    assert flags == [("b", "0", "1"), ("a", "1", "1")]
    assert list(ElementTree.parse(out / "Annotations/2.xml").iter("object")) == []

    expected = np.where(parts, 2, np.where(ring, 1, 0))  # the more confident one is on top
    assert np.array_equal(pixels(out / "SegmentationClass/0.png"), expected)
    assert np.array_equal(pixels(out / "SegmentationObject/0.png"), expected)  # here the ids are the same
    pixel, crowd = (instance.mask for instance in odd_records[1].instances)
    assert np.array_equal(pixels(out / "SegmentationClass/1.png"), np.where(pixel, 2, np.where(crowd, 1, 0)))
    assert np.array_equal(pixels(out / "SegmentationObject/1.png"), np.where(pixel, 1, np.where(crowd, 255, 0)))
    for kind in ("Main", "Segmentation"):
        lists = {path.stem: path.read_text().split() for path in (out / "ImageSets" / kind).iterdir()}
        assert lists == {"train": ["0", "1"], "val": ["2"]}
    assert sorted(path.name for path in (out / "JPEGImages").iterdir()) == ["0.png", "1.png", "2.png"]
    assert (out / "classes.txt").read_text().split() == CLASSES


def test_what_is_ignored_stays_ignored(tmp_path: Path, odd_records: list[ExportRecord]) -> None:
    """A stored mask decides: 255 in both masks; a class without an instance is of an unknown object."""
    ring = odd_records[0].instances[0]
    semantic = np.where(ring.mask, 1, 0).astype(np.uint8)
    semantic[:10], semantic[-10:] = 255, 3
    record = ExportRecord(odd_records[0].image_path, [ring], semantic=semantic)
    write_voc([record], tmp_path / "out", CLASSES)
    assert np.array_equal(pixels(tmp_path / "out/SegmentationClass/0.png"), semantic)
    objects = np.where(semantic == 1, 1, 0)
    objects[:10] = objects[-10:] = 255
    assert np.array_equal(pixels(tmp_path / "out/SegmentationObject/0.png"), objects)


def test_names_are_unique_over_all_splits(tmp_path: Path, odd_records: list[ExportRecord]) -> None:
    path = tmp_path / "elsewhere" / "0.png"
    path.parent.mkdir()
    path.write_bytes(odd_records[0].image_path.read_bytes())
    write_voc([*odd_records, ExportRecord(path, [], "val")], tmp_path / "out", CLASSES)
    assert (tmp_path / "out/ImageSets/Main/val.txt").read_text().split() == ["2", "0-2"]
    assert (tmp_path / "out/Annotations/0-2.xml").is_file()


def test_what_a_mask_cannot_hold_is_refused(tmp_path: Path, odd_records: list[ExportRecord]) -> None:
    with pytest.raises(ExportError, match="there are 255 classes, and a mask tells 254 apart"):
        write_voc(odd_records, tmp_path / "out", CLASSES + [f"x{i}" for i in range(252)])
    wrong = ExportRecord(odd_records[0].image_path, [], semantic=np.zeros((8, 8), np.uint8))
    with pytest.raises(ExportError, match="64 x 48 px, its mask 8 x 8"):
        write_voc([wrong], tmp_path / "out", CLASSES)
    many = np.zeros((48, 64), bool)
    many[0, 0] = True
    instances = [Instance("a", np.roll(many, index), 0.5) for index in range(256)]
    write_voc([ExportRecord(odd_records[0].image_path, instances)], tmp_path / "out", CLASSES)
    assert pixels(tmp_path / "out/SegmentationObject/0.png").ravel()[[0, 253, 254, 255]].tolist() == [1, 254, 255, 255]
