"""The LVIS writer, read back by pycocotools and, where it is installed, by LVIS' own reader."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest
from pycocotools.coco import COCO

from diffucurate.generator.exports.images import ExportRecord
from diffucurate.generator.exports.lvis import write_lvis


def test_what_lvis_adds_to_coco(tmp_path: Path, odd_records: list[ExportRecord]) -> None:
    written = write_lvis(odd_records, tmp_path / "out", ["a", "b", "c"])
    train, val = (COCO(str(written.annotations[split])) for split in ("train", "val"))
    assert np.array_equal(train.annToMask(train.anns[1]), odd_records[0].instances[0].mask)
    assert written.instances == {"train": 3, "val": 0}, "the crowd is left out"
    lists = {
        name: [image[name] for image in train.imgs.values()]
        for name in ("neg_category_ids", "not_exhaustive_category_ids")
    }
    # The second image has a crowd of 'a', which is neither absent nor told apart; 'c' occurs nowhere.
    assert lists == {"neg_category_ids": [[], []], "not_exhaustive_category_ids": [[], [1]]}
    assert [image["neg_category_ids"] for image in val.imgs.values()] == [[1, 2]]
    counted = [(c["name"], c["image_count"], c["instance_count"], c["frequency"]) for c in val.cats.values()]
    assert counted == [("a", 1, 1, "r"), ("b", 2, 2, "r"), ("c", 0, 0, "r")], "of train, as in LVIS itself"


@pytest.mark.parametrize(("images", "frequency"), [(10, "r"), (11, "c"), (100, "c"), (101, "f")])
def test_frequency(tmp_path: Path, odd_records: list[ExportRecord], images: int, frequency: str) -> None:
    record = odd_records[0]
    records = [
        ExportRecord(record.image_path, record.instances[:1], "half" if index % 2 else "rest")
        for index in range(images)
    ]
    written = write_lvis(records, tmp_path / "out", ["a"])
    (category,) = COCO(str(written.annotations["half"])).cats.values()
    assert (category["image_count"], category["frequency"]) == (images, frequency)


@pytest.mark.skipif(importlib.util.find_spec("lvis") is None, reason="LVIS' own reader is not installed")
def test_its_own_reader_reads_it(tmp_path: Path, odd_records: list[ExportRecord]) -> None:
    from lvis import LVIS

    written = write_lvis(odd_records, tmp_path / "out", ["a", "b", "c"])
    lvis = LVIS(str(written.annotations["train"]))
    assert len(lvis.get_img_ids()) == 2
    for annotation, instance in zip(
        lvis.load_anns(lvis.get_ann_ids(img_ids=[1])), odd_records[0].instances, strict=True
    ):
        assert np.array_equal(lvis.ann_to_mask(annotation) == 1, instance.mask)
