"""The CVAT writer, read back by the XML parser and OpenCV; FiftyOne's importer reads it in the plugin's tests."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import cv2
import numpy as np

from diffucurate.generator.exports.about import About
from diffucurate.generator.exports.cvat import write_cvat
from diffucurate.generator.exports.images import ExportRecord


def drawn(points: str) -> np.ndarray:
    """The pixels of a polygon as OpenCV fills it, in an image of 64 x 48 px."""
    ring = np.array([[float(value) for value in point.split(",")] for point in points.split(";")])
    mask = np.zeros((48, 64), np.uint8)
    cv2.fillPoly(mask, [np.floor(ring).astype(np.int32)], 1)
    return mask == 1


def test_one_polygon_per_instance(tmp_path: Path, odd_records: list[ExportRecord]) -> None:
    out = tmp_path / "out"
    write_cvat(odd_records, out, ["a & co" if name == "c" else name for name in "abc"], about=About(name="<streets>"))
    root = ElementTree.parse(out / "annotations/train.xml").getroot()
    assert root.findtext("version") == "1.1" and root.findtext("meta/task/name") == "<streets> train"
    assert [each.findtext("name") for each in root.iter("label")] == ["a", "b", "a & co"]
    images = list(root.iter("image"))
    assert [(each.get("id"), each.get("name"), each.get("width")) for each in images] == [
        ("0", "0.png", "64"),
        ("1", "1.png", "64"),
    ]
    ring, parts = images[0].findall("polygon")
    assert np.array_equal(drawn(ring.get("points") or ""), odd_records[0].instances[0].mask), "the hole is kept"
    found, mask = drawn(parts.get("points") or ""), odd_records[0].instances[1].mask
    assert (found >= mask).all() and (found & ~mask).sum() < 64, "all but the bridge between the parts"
    assert [each.get("z_order") for each in (ring, parts)] == ["0", "1"]
    attributes = [{a.get("name"): a.text for a in each.iter("attribute")} for each in images[1].findall("polygon")]
    assert attributes == [
        {"confidence": "1.000000", "iscrowd": "0"},
        {"confidence": "0.250000", "iscrowd": "1"},
    ]
    assert ElementTree.parse(out / "annotations/val.xml").getroot().find("image/polygon") is None
