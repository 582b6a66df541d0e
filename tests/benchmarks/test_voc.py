"""The mIoU of attention on folders with masks, by hand; and the command on a folder of Pascal VOC drawn here."""

from __future__ import annotations

import importlib
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image
from untrained import untrained_sd3, untrained_tokenizer

from diffucurate.generator.models.load import release_models

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
Y, X = np.mgrid[:80, :120]
BUS, DOG = (X < 40) & (Y < 60), (X > 70) & (Y > 30)


@pytest.fixture(scope="module")
def voc() -> Iterator[Any]:
    sys.path.insert(0, str(BENCHMARKS))
    yield importlib.import_module("voc")
    sys.path.remove(str(BENCHMARKS))
    for name in ("voc", "photographs", "quality"):
        del sys.modules[name]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three images as Pascal VOC has them, of which two are of the split: buses (6), dogs (12), and open pixels."""
    for name in ("JPEGImages", "SegmentationClass", "ImageSets/Segmentation"):
        (tmp_path / name).mkdir(parents=True)
    for number in range(3):
        values = np.where(BUS, 6, np.where(DOG, 12, 0)).astype(np.uint8)
        values[:, 40:45] = 255
        mask = Image.fromarray(values)
        mask.putpalette([value for grey in range(256) for value in (grey, 0, 255 - grey)])
        mask.save(tmp_path / "SegmentationClass" / f"{number}.png")
        pixels = np.where(BUS[..., None], (200, 30, 30), np.where(DOG[..., None], (30, 30, 200), (90, 120, 90)))
        cv2.imwrite(str(tmp_path / "JPEGImages" / f"{number}.jpg"), pixels[..., ::-1].astype(np.uint8))
    (tmp_path / "ImageSets" / "Segmentation" / "val.txt").write_text("0\n2\n")
    return tmp_path


def test_intersections_and_unions_are_added_up(voc: Any) -> None:
    """By hand: of class a 2 of 4 pixels and 1 of 4, so 3 of 8, not the mean of both; of the background 3 of 5 and 0 of
    3."""
    tally, row = voc.Tally(), lambda *values: np.array([values], bool)
    tally.add({"a": row(1, 1, 1, 0, 0, 0)}, {"a": row(0, 1, 1, 1, 0, 0)}, row(1, 1, 1, 1, 1, 1))
    tally.add({"a": row(1, 1, 0, 0, 0, 1)}, {"a": row(0, 1, 1, 1, 0, 0)}, row(1, 1, 1, 1, 1, 0))
    assert tally.mean == pytest.approx(3 / 8)
    tally.add({"b": row(1, 0)}, {}, row(1, 1))  # a class that is not there
    assert tally.mean == pytest.approx((3 / 8 + 0) / 2)
    tally.add({}, {"c": row(1, 0)}, row(0, 1))  # one of which nothing counts
    assert tally.mean == pytest.approx((3 / 8 + 0) / 2)


def test_right_and_wrong_maps(voc: Any, folder: Path) -> None:
    (sample,) = voc.samples(folder, None, "val", 1)
    assert list(sample.photograph.objects) == ["bus", "dog"] and sample.open.sum() == 5 * 80
    right = {"bus": BUS.astype(np.float32), "dog": DOG.astype(np.float32)}
    figures = {}
    for name, maps in (("right", right), ("swapped", {"bus": right["dog"], "dog": right["bus"]}), ("none", {})):
        tallies = {column: voc.Tally() for column in (*voc.COLUMNS, voc.ALONE)}
        voc.add(tallies, sample, maps)
        figures[name] = {column: tally.mean for column, tally in tallies.items()}
    assert figures["right"]["cut at 0.4"] == figures["right"]["classes alone"] == 1
    assert all(value > 0.85 for value in figures["right"].values())  # DiffuGen's erosion costs most
    assert figures["swapped"]["classes alone"] == 0
    assert figures["swapped"]["cut at 0.4"] == pytest.approx(1 / 3)  # the background
    background = (~BUS & ~DOG & ~sample.open).sum() / (~sample.open).sum()
    assert figures["none"]["cut at 0.4"] == pytest.approx(background / 3)


def test_overlaps(voc: Any) -> None:
    square, spot = (X < 40), (X < 10) & (Y < 10)
    masks = voc.true_masks(voc.Photograph("", np.zeros((80, 120, 3), np.uint8), {"bed": [square], "cat": [spot]}))
    assert np.array_equal(masks["cat"], spot) and np.array_equal(masks["bed"], square & ~spot)
    assert np.array_equal(masks["background"], ~square)


def test_prompts(voc: Any) -> None:
    assert voc.prompt_of(["bus"]) == "a photo of a bus"
    assert voc.prompt_of(["bus", "aeroplane", "tvmonitor"]) == "a photo of a bus, an aeroplane and a tv monitor"


def test_names_of_yolo_folders(voc: Any, tmp_path: Path) -> None:
    for name in ("images", "labels"):
        (tmp_path / name).mkdir()
    for number in range(4):
        cv2.imwrite(str(tmp_path / "images" / f"{number}.png"), np.full((80, 120, 3), 90, np.uint8))
        (tmp_path / "labels" / f"{number}.txt").write_text("16 0.1 0.1 0.9 0.1 0.9 0.9 0.1 0.9\n" if number else "")
    names = [sample.photograph.name for sample in voc.samples(tmp_path, None, "val", 2)]
    assert names == ["1", "2"]
    assert [list(sample.photograph.objects) for sample in voc.samples(tmp_path, None, "val", None)] == [["dog"]] * 3
    (tmp_path / "data.yaml").write_text("names: {16: hound}\n")
    assert list(next(voc.samples(tmp_path, None, "val", None)).photograph.objects) == ["hound"]


def test_a_coco_file(voc: Any, folder: Path) -> None:
    """An object of two parts, and one whose outline is no polygon, which is left out."""
    parts = [[0, 0, 40, 0, 40, 40, 0, 40], [80, 40, 120, 40, 120, 80, 80, 80]]
    crowd = {"size": [80, 120], "counts": [0, 9600]}
    annotations = [
        {"id": number, "image_id": 1, "category_id": 7, "iscrowd": number, "segmentation": outline}
        for number, outline in enumerate((parts, crowd))
    ]
    content = {
        "images": [{"id": 1, "file_name": "JPEGImages/0.jpg", "width": 120, "height": 80}],
        "annotations": annotations,
        "categories": [{"id": 7, "name": "kite"}],
    }
    (folder / "coco.json").write_text(json.dumps(content))
    (sample,) = voc.samples(folder, folder / "coco.json", "val", None)
    assert list(sample.photograph.objects) == ["kite"]
    (mask,) = sample.photograph.objects["kite"]
    assert mask.shape == (341, 512) and mask.mean() == pytest.approx(1 / 3, abs=0.01)


def test_the_table_of_a_folder(
    voc: Any, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    untrained_sd3(untrained_tokenizer(folder / "words")).save_pretrained(folder / "model")
    options = ["--model", str(folder / "model"), "--device", "cpu", "--background", "road,sky"]
    monkeypatch.setattr(sys, "argv", ["voc.py", str(folder), *options, "--json", str(folder / "out.json")])
    voc.main()
    release_models()
    printed = capsys.readouterr().out
    assert "2 images, 2 classes; mIoU" in printed
    assert [line.split("|")[1].strip() for line in printed.splitlines()[-2:]] == ["words", "concepts"]
    for row in json.loads((folder / "out.json").read_text()).values():
        assert len(row) == 6 and all(0 < value < 1 for name, value in row.items() if name != "seconds")


@pytest.mark.parametrize(
    ("masks", "model", "words"),
    [(False, "tiny", "no image below .* has masks"), (True, "no-such-model", "model 'no-such-model' is neither")],
)
def test_what_is_wrong_is_one_sentence(
    voc: Any,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    masks: bool,
    model: str,
    words: str,
) -> None:
    monkeypatch.setattr(sys, "argv", ["voc.py", str(folder if masks else folder / "ImageSets"), "--model", model])
    with pytest.raises(SystemExit) as raised:
        voc.main()
    assert raised.value.code == 2
    assert re.search(words, capsys.readouterr().err)
