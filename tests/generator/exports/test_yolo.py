"""The YOLO writer, read back by Ultralytics' own dataset, the way it reads for training."""

from __future__ import annotations

import csv
import importlib.util
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
import yaml
from numpy.typing import NDArray
from PIL import Image

from diffucurate.generator.errors import ExportError
from diffucurate.generator.exports.yolo import YoloRecord, write_yolo
from diffucurate.generator.labels.model import Instance
from diffucurate.generator.sources.yolov8_source import prepare_ultralytics
from diffucurate.generator.tiny.scenes import iter_scenes
from diffucurate.generator.tiny.shapes import CLASSES

# importorskip would import it, unprepared.
pytestmark = pytest.mark.skipif(importlib.util.find_spec("ultralytics") is None, reason="an optional extra")

Mask = NDArray[np.bool_]


def iou(a: Mask, b: Mask) -> float:
    return float((a & b).sum() / (a | b).sum())


def image_file(path: Path, size: tuple[int, int]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size).save(path)
    return path


def read_back(data_yaml: Path, split: str, size: int) -> dict[str, list[tuple[int, Mask]]]:
    """Image name -> its (class id, mask) as Ultralytics' loader hands them to training, at the image's own size."""
    prepare_ultralytics()
    from ultralytics.cfg import get_cfg
    from ultralytics.data import YOLODataset
    from ultralytics.data.utils import check_det_dataset

    data = check_det_dataset(str(data_yaml))
    options = get_cfg(overrides={"mask_ratio": 1, "overlap_mask": False, "task": "segment"})
    dataset = YOLODataset(img_path=data[split], imgsz=size, data=data, task="segment", augment=False, hyp=options)
    found = {}
    for sample in (dataset[index] for index in range(len(dataset))):
        height, width = sample["ori_shape"]
        assert max(height, width) == size, "not resized, padded to a square at most"
        top, left = (size - height) // 2, (size - width) // 2
        whole = sample["masks"].numpy().astype(bool)
        masks = whole[:, top : top + height, left : left + width] if len(sample["cls"]) else []
        found[Path(sample["im_file"]).name] = list(zip(sample["cls"].flatten().int().tolist(), masks, strict=True))
    return found


def shapes(side: int) -> dict[str, Mask]:
    y, x = np.mgrid[:side, :side] + 0.5
    far = np.hypot(x - side / 2, y - side / 2)
    noise = cv2.GaussianBlur(np.random.default_rng(5).random((side, side)), (0, 0), side / 24)
    split = far < side / 3
    split[:, side // 2 : side // 2 + side // 32] = False  # as if behind a pole
    return {
        "disc over 200 px": np.hypot(x - 20, y - 20) < 8.3,
        "ring": (far < side * 0.4) & (far > side * 0.25),
        "thin ring": (far < side * 0.4) & (far > side * 0.4 - 2),
        "behind a pole": split,
        "island in a lake": (far < side * 0.45) & (far > side * 0.3) | (far < side * 0.27),
        "whole image": np.ones((side, side), bool),
        "ragged, with many holes": noise > np.quantile(noise, 0.25),
        "speck far away": split | (np.hypot(x - 3, y - 3) < 2),
    }


@pytest.mark.parametrize("side", [128, 512])
def test_ultralytics_reads_the_masks_back(tmp_path: Path, side: int) -> None:
    masks = shapes(side)
    image = image_file(tmp_path / "in.png", (side, side))
    record = YoloRecord(image, [Instance("b", mask, 0.5) for mask in masks.values()])
    summary = write_yolo([record], tmp_path / "out", ["a", "b"])
    # The loader may reorder rows, so each mask is compared with the best of what it returned.
    (found,) = read_back(summary.data_yaml, "train", side).values()
    assert [label for label, _ in found] == [1] * len(masks)
    scores = {name: max(iou(mask, read) for _, read in found) for name, mask in masks.items()}
    assert min(scores.values()) >= 0.97, scores
    assert min(scores[name] for name in ("disc over 200 px", "ring", "thin ring", "whole image")) == 1


@pytest.mark.parametrize("gap", [4, 12, 40])
def test_two_parts_cost_no_more_than_the_gap_between_them(tmp_path: Path, gap: int) -> None:
    mask = np.zeros((128, 128), bool)
    mask[30:60, 10:40] = mask[40:70, 40 + gap : 70 + gap] = True
    record = YoloRecord(image_file(tmp_path / "in.png", (128, 128)), [Instance("a", mask, 0.5)])
    (((_, found),),) = read_back(write_yolo([record], tmp_path / "out", ["a"]).data_yaml, "train", 128).values()
    assert found[mask].all()
    assert (found & ~mask).sum() <= gap
    assert iou(mask, found) >= 0.97  # 1800 px, of which 3 % are 54


def test_rendered_scenes_come_back(tmp_path: Path) -> None:
    truth: dict[str, list[tuple[int, Mask]]] = {}

    def records() -> Iterator[YoloRecord]:
        for index, scene in enumerate(iter_scenes(24, seed=9, size=(128, 96))):
            path = tmp_path / f"{index}.png"
            Image.fromarray(scene.image).save(path)
            truth[path.name] = [(CLASSES.index(thing.label), thing.mask) for thing in scene.objects]
            instances = [Instance(thing.label, thing.mask, 1.0) for thing in scene.objects]
            yield YoloRecord(path, instances, "val" if index % 4 else "train")

    summary = write_yolo(records(), tmp_path / "out", CLASSES)
    assert summary.images == {"train": 6, "val": 18}
    compared = 0
    for split in ("train", "val"):
        for name, found in read_back(summary.data_yaml, split, 128).items():
            assert len(found) == len(truth[name])
            for label, mask in truth[name]:
                if mask.sum() > 200:
                    compared += 1
                    assert max(iou(mask, read) for other, read in found if other == label) >= 0.97
    assert compared > 20


def test_images_without_objects_have_an_empty_label_file(tmp_path: Path) -> None:
    records = [YoloRecord(image_file(tmp_path / f"{name}.png", (32, 32)), []) for name in ("one", "two")]
    summary = write_yolo(records, tmp_path / "out", ["car"])
    assert (tmp_path / "out/labels/train/one.txt").read_text() == ""
    assert read_back(summary.data_yaml, "train", 32) == {"one.png": [], "two.png": []}


def test_confidences_are_kept_beside(tmp_path: Path) -> None:
    mask = np.ones((8, 8), bool)
    instances = [Instance("a", mask, 0.25), Instance("b", mask, 1.0)]
    write_yolo([YoloRecord(image_file(tmp_path / "x.png", (8, 8)), instances, "val")], tmp_path / "out", ["a", "b"])
    with (tmp_path / "out/scores.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["split"], row["image"], row["row"], row["class"], float(row["confidence"])) for row in rows] == [
        ("val", "x.png", "0", "a", 0.25),
        ("val", "x.png", "1", "b", 1.0),
    ]


@pytest.mark.parametrize(
    ("splits", "expected"),
    [
        (["train", "val"], {"train": "images/train", "val": "images/val"}),
        (["train"], {"train": "images/train", "val": "images/train"}),
        (["train", "test"], {"train": "images/train", "val": "images/test", "test": "images/test"}),
        (["left", "download"], {"train": "images/left", "val": "images/download"}),
    ],
)
def test_data_yaml_names_splits_and_classes(tmp_path: Path, splits: list[str], expected: dict[str, str]) -> None:
    names = ["a: b", "Straße", "#x", "yes", "'", "- \n"]
    records = [YoloRecord(image_file(tmp_path / "x.png", (8, 8)), [], split) for split in splits]
    content = yaml.safe_load(write_yolo(records, tmp_path / "out", names).data_yaml.read_text("utf-8"))
    assert content == {**expected, "names": dict(enumerate(names))}


def test_targets_are_guarded_and_failures_leave_nothing(tmp_path: Path) -> None:
    image = image_file(tmp_path / "in/x.png", (8, 8))
    with pytest.raises(ExportError, match="no images"):
        write_yolo([], tmp_path / "out", ["a"])
    with pytest.raises(ExportError, match="class 'c', expected one of a"):
        write_yolo([YoloRecord(image, [Instance("c", np.ones((8, 8), bool), 1.0)])], tmp_path / "out", ["a"])
    assert [path.name for path in tmp_path.iterdir()] == ["in"]
    write_yolo([YoloRecord(image, [], "old")], tmp_path / "out", ["a"])
    with pytest.raises(ExportError, match="not empty"):
        write_yolo([YoloRecord(image, [])], tmp_path / "out", ["a"])
    write_yolo([YoloRecord(image, [], "new")], tmp_path / "out", ["a"], overwrite=True)
    assert [path.name for path in (tmp_path / "out/images").iterdir()] == ["new"]
