"""Semantic masks, read back by Pillow."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
from PIL import Image

from diffucurate.generator.exports.images import ExportRecord
from diffucurate.generator.exports.semantic import write_semantic


def test_ids_and_colours_come_back(tmp_path: Path, odd_records: list[ExportRecord]) -> None:
    out = tmp_path / "out"
    write_semantic(odd_records, out, ["b", "a"])
    with (out / "classes.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["id"], row["name"]) for row in rows] == [
        ("0", "background"),
        ("1", "b"),
        ("2", "a"),
        ("255", "ignore"),
    ]
    colours = {int(row["id"]): tuple(int(row[channel]) for channel in ("red", "green", "blue")) for row in rows}
    ring, parts = (instance.mask for instance in odd_records[0].instances)
    with Image.open(out / "masks/train/0.png") as image:
        ids, shown = np.array(image), np.array(image.convert("RGB"))
    assert np.array_equal(ids, np.where(parts, 1, np.where(ring, 2, 0)))
    for value in (0, 1, 2):
        assert {tuple(colour) for colour in shown[ids == value].tolist()} == {colours[value]}
    assert (out / "images/val/2.png").is_file()
    with Image.open(out / "masks/val/2.png") as image:
        assert not np.array(image).any()
