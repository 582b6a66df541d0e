"""Instances of which only the box is known: written as boxes where a format has a place for them, else left out."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import fiftyone as fo
import numpy as np
import pytest
from PIL import Image

from diffucurate.generator.errors import DatasetError
from diffucurate.plugin.exporting.export import export

#: In an image of 128 x 128 px: relative (x, y, width, height), and its corners in pixels.
BOX, CORNERS = [0.25, 0.125, 0.5, 0.25], (32, 16, 96, 48)


def detector_labels(*, masks: bool) -> fo.Detections:
    box = fo.Detection(label="car", bounding_box=BOX, confidence=0.75)
    mask = fo.Detection(label="bus", bounding_box=[0, 0.5, 0.5, 0.5], mask=np.ones((64, 64), bool), confidence=0.5)
    return fo.Detections(detections=[box, mask] if masks else [box])


@pytest.fixture
def detected(dataset: fo.Dataset, scenes, tmp_path: Path) -> fo.Dataset:
    """An image with one box by a detector, as ``detector``, and with a mask beside it, as ``mixed``."""
    from diffucurate.plugin.store.media_files import write_png

    path = write_png(tmp_path / "images" / "a.png", scenes[0].image)
    labels = {"detector": detector_labels(masks=False), "mixed": detector_labels(masks=True)}
    dataset.add_sample(fo.Sample(filepath=str(path), **labels))
    return dataset


@pytest.fixture
def imported() -> Iterator[list[fo.Dataset]]:
    datasets: list[fo.Dataset] = []
    yield datasets
    for each in datasets:
        each.delete()


def test_coco(detected: fo.Dataset, tmp_path: Path) -> None:
    from pycocotools.coco import COCO

    summary = export(detected, tmp_path / "out", format="coco", source="mixed")
    assert summary.left_out == [] and "instances that are boxes without masks: 1" in summary.notes
    coco = COCO(str(tmp_path / "out/annotations/train.json"))
    box, mask = coco.anns[1], coco.anns[2]
    assert (box["bbox"], box["area"], box["score"]) == ([32, 16, 64, 32], 64 * 32, 0.75)
    assert "segmentation" not in box and coco.annToMask(mask).sum() == 64 * 64


def test_yolo_has_boxes_alone(detected: fo.Dataset, tmp_path: Path) -> None:
    summary = export(detected, tmp_path / "out", format="yolo", source="detector", classes=["car"])
    row = (tmp_path / "out/labels/train/a.txt").read_text().split()
    assert row == ["0", "0.500000", "0.250000", "0.500000", "0.250000"] and summary.instances == {"train": 1}
    assert summary.first_step().startswith("yolo detect train model=yolov8n.pt ")


def test_ultralytics_reads_the_boxes(detected: fo.Dataset, tmp_path: Path) -> None:
    pytest.importorskip("ultralytics")
    from ultralytics.data import YOLODataset
    from ultralytics.data.utils import check_det_dataset

    export(detected, tmp_path / "out", format="yolo", source="detector")
    data = check_det_dataset(str(tmp_path / "out/data.yaml"))
    (labels,) = YOLODataset(data["train"], data=data, task="detect", imgsz=128, augment=False).get_labels()
    assert np.allclose(labels["bboxes"], [[0.5, 0.25, 0.5, 0.25]])


@pytest.mark.parametrize(("format", "source"), [("yolo", "mixed"), ("lvis", "mixed")])
def test_formats_without_a_place_for_boxes_leave_them_out(
    detected: fo.Dataset, tmp_path: Path, format: str, source: str
) -> None:
    summary = export(detected, tmp_path / "out", format=format, source=source)
    (sentence,) = summary.left_out
    assert "an instance of 'car' was left out: it has no mask, only a box" in sentence
    assert summary.instances == {"train": 1}


@pytest.mark.parametrize("format", ["lvis", "semantic"])
def test_nothing_but_boxes_is_an_error_where_masks_are_a_must(
    detected: fo.Dataset, tmp_path: Path, format: str
) -> None:
    with pytest.raises(DatasetError, match="it has no mask, only a box"):
        export(detected, tmp_path / "out", format=format, source="detector")
    assert not (tmp_path / "out").exists()


def test_semantic_masks_do_not_know_the_class_in_a_box(detected: fo.Dataset, tmp_path: Path) -> None:
    export(detected, tmp_path / "out", format="semantic", source="mixed", classes=["car", "bus"])
    mask = np.asarray(Image.open(tmp_path / "out/masks/train/a.png"))
    expected = np.zeros((128, 128), np.uint8)
    expected[16:48, 32:96] = 255
    expected[64:, :64] = 1  # bus: the export's ids are those of the dataset's classes in their order
    assert np.array_equal(mask == 255, expected == 255) and np.array_equal(mask > 0, expected > 0)


def test_voc(detected: fo.Dataset, tmp_path: Path, imported: list[fo.Dataset]) -> None:
    step = export(detected, tmp_path / "out", format="voc", source="detector").first_step()
    (item,) = ElementTree.parse(tmp_path / "out/Annotations/a.xml").getroot().iter("bndbox")
    assert [int(each.text or "") for each in item] == [33, 17, 96, 48]  # VOC counts from 1, the last one included
    read: dict[str, fo.Dataset] = {}
    exec(step, read)
    imported.append(read["dataset"])
    ((label,),) = read["dataset"].values("ground_truth.detections.label")
    assert label == "car"


def test_cvat(detected: fo.Dataset, tmp_path: Path, imported: list[fo.Dataset]) -> None:
    step = export(detected, tmp_path / "out", format="cvat", source="mixed").first_step()
    read: dict[str, fo.Dataset] = {}
    exec(step, read)
    imported.append(read["dataset"])
    sample = read["dataset"].first()
    (box,) = sample["detections"].detections
    (polygon,) = sample["polylines"].polylines
    assert np.allclose(box.bounding_box, BOX) and (box.label, box.confidence) == ("car", 0.75)
    assert polygon.label == "bus"


def test_huggingface(detected: fo.Dataset, tmp_path: Path) -> None:
    export(detected, tmp_path / "out", format="huggingface", source="mixed")
    objects = json.loads((tmp_path / "out/images/train/metadata.jsonl").read_text())["objects"]
    assert objects["bbox"][0] == [32, 16, 64, 32] and objects["segmentation"][0] is None
    assert objects["segmentation"][1]["size"] == [128, 128]


def test_parquet(detected: fo.Dataset, tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    export(detected, tmp_path / "out", format="parquet", source="mixed")
    (row,) = parquet.read_table(tmp_path / "out/data/train-00000-of-00001.parquet").to_pylist()
    assert row["objects"]["segmentation"][0] is None and row["objects"]["bbox"][0] == [32, 16, 64, 32]
    assert row["objects"]["segmentation"][1]["size"] == [128, 128]
