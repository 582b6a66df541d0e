from __future__ import annotations

import json
import os
import shlex
from pathlib import Path

import cv2
import fiftyone as fo
import numpy as np
import pytest
import yaml
from fiftyone import ViewField as F
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO

from diffucurate.generator.errors import DatasetError, ExportError, InvalidSetting
from diffucurate.generator.labels.model import Instance, Labels
from diffucurate.generator.tiny.shapes import CLASSES
from diffucurate.plugin.exporting.export import export
from diffucurate.plugin.exporting.size import estimate_size
from diffucurate.plugin.store.label_values import instances_of


def odd_labels(shape: tuple[int, int]) -> Labels:
    """A ring and a bus in two parts, of different confidence."""
    ring, parts = np.zeros(shape, np.uint8), np.zeros(shape, np.uint8)
    cv2.circle(ring, (30, 30), 20, 1, 7)
    parts[70:100, 10:40] = parts[80:110, 60:100] = 1
    found = [Instance("car", ring == 1, 0.9), Instance("bus", parts == 1, 0.4)]
    return Labels.from_instances(found, CLASSES, shape)


@pytest.fixture
def labelled(dataset, add_scenes, scenes):
    """Three samples: odd masks, nothing found, not labelled; and a second source that must not be exported."""
    shape = scenes[0].image.shape[:2]
    everything = Labels.from_instances([Instance("tree", np.ones(shape, np.bool_), 1.0)], CLASSES, shape)
    empty = Labels.from_instances([], CLASSES, shape)
    add_scenes(scenes[:3], odd=[odd_labels(shape), empty, None], other=[everything] * 3)
    return dataset


def coco_masks(folder: Path, split: str = "train") -> dict[str, list[tuple[str, float, np.ndarray]]]:
    """File name -> (class, score, mask) as pycocotools reads them."""
    coco = COCO(str(folder / "annotations" / f"{split}.json"))
    return {
        image["file_name"]: [
            (coco.cats[a["category_id"]]["name"], a["score"], coco_mask.decode(coco.annToRLE(a)) == 1)
            for a in coco.imgToAnns[image["id"]]
        ]
        for image in coco.imgs.values()
    }


def test_coco_returns_every_pixel_and_only_the_chosen_source(labelled, scenes, tmp_path):
    reports = []
    summary = export(labelled, tmp_path / "out", format="coco", source="odd", progress=reports.append)
    assert (summary.images, summary.instances, summary.unlabelled) == ({"train": 2}, {"train": 2}, 1)
    found = coco_masks(tmp_path / "out")
    assert sorted(found) == ["0.png", "1.png"]
    assert found["1.png"] == []
    expected = odd_labels(scenes[0].image.shape[:2]).instances
    for (label, score, mask), instance in zip(found["0.png"], expected, strict=True):
        assert (label, score) == (instance.label, pytest.approx(instance.confidence))
        assert np.array_equal(mask, instance.mask)
    assert (tmp_path / "out" / "images" / "train" / "0.png").is_file()
    categories = json.loads((tmp_path / "out" / "annotations" / "train.json").read_text())["categories"]
    assert [(c["id"], c["name"]) for c in categories] == [(1 + i, name) for i, name in enumerate(CLASSES)]
    assert [(r.done, r.total) for r in reports] == [(1, 2), (2, 2)]


def test_yolo_has_one_row_per_instance(labelled, tmp_path):
    summary = export(labelled, tmp_path / "out", format="yolo", source="odd")
    rows = (tmp_path / "out" / "labels" / "train" / "0.txt").read_text().splitlines()
    assert [CLASSES[int(row.split()[0])] for row in rows] == ["car", "bus"]
    assert (tmp_path / "out" / "labels" / "train" / "1.txt").read_text() == ""
    assert list(yaml.safe_load((tmp_path / "out" / "data.yaml").read_text())["names"].values()) == list(CLASSES)
    assert summary.to_dict()["instances"] == {"train": 2}


def test_filters_of_the_view_decide_what_is_written(labelled, tmp_path):
    sure = labelled.filter_labels("odd_instances", F("confidence") > 0.5)
    export(sure, tmp_path / "out", format="coco", source="odd")
    ((name, ((label, _, _),)),) = coco_masks(tmp_path / "out").items()
    assert (name, label) == ("0.png", "car")


@pytest.mark.parametrize("format", ["coco", "yolo"])
def test_only_the_named_classes_are_written(labelled, tmp_path, format):
    summary = export(labelled, tmp_path / "out", format=format, source="odd", classes=["bus"])
    assert (summary.images, summary.instances, summary.unlabelled) == ({"train": 2}, {"train": 1}, 1)
    assert estimate_size(labelled, tmp_path, format=format, source="odd", classes=["bus"]).instances == 1
    if format == "coco":
        found = coco_masks(tmp_path / "out")
        assert [label for label, _, _ in found["0.png"]] == ["bus"] and found["1.png"] == []
        categories = json.loads((tmp_path / "out" / "annotations" / "train.json").read_text())["categories"]
        assert [category["name"] for category in categories] == ["bus"]
    else:
        assert (tmp_path / "out" / "labels" / "train" / "0.txt").read_text().split()[0] == "0"
        assert list(yaml.safe_load((tmp_path / "out" / "data.yaml").read_text())["names"].values()) == ["bus"]
    with pytest.raises(InvalidSetting, match="classes: 'lorry' - the dataset has no such class"):
        export(labelled, tmp_path / "out", format=format, source="odd", classes=["lorry"])


def test_splits_are_disjoint_complete_and_stable(dataset, add_scenes, scenes, tmp_path):
    shape = scenes[0].image.shape[:2]
    add_scenes(scenes[:5], odd=[odd_labels(shape)] * 5)
    shares = {"train": 0.6, "val": 0.4}
    summary = export(dataset, tmp_path / "a", format="yolo", source="odd", splits=shares)
    export(dataset.sort_by("filepath", reverse=True), tmp_path / "b", format="yolo", source="odd", splits=shares)
    assert summary.images == {"train": 3, "val": 2}
    listed = [{path.relative_to(root) for path in root.rglob("*.png")} for root in (tmp_path / "a", tmp_path / "b")]
    assert listed[0] == listed[1]
    assert sorted(path.name for path in listed[0]) == [f"{i}.png" for i in range(5)]


def test_unreadable_images_are_named_and_the_rest_goes_on(labelled, tmp_path, caplog):
    Path(labelled.first().filepath).write_bytes(b"no image")
    summary = export(labelled, tmp_path / "out", format="coco", source="odd")
    assert summary.unreadable == [labelled.first().filepath]
    assert summary.images == {"train": 1}
    assert labelled.first().filepath in caplog.text
    for path in labelled.values("filepath"):
        Path(path).unlink()
    with pytest.raises(ExportError, match="none of the 2 images"):
        export(labelled, tmp_path / "none", format="coco", source="odd")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["images", "odd", "other", "out"]  # nothing half-written


def test_only_an_earlier_export_is_ever_replaced(labelled, tmp_path):
    out = tmp_path / "out"
    export(labelled, out, format="coco", source="odd")
    with pytest.raises(ExportError, match="not empty"):
        export(labelled, out, format="coco", source="odd")
    export(labelled.limit(1), out, format="coco", source="odd", overwrite=True)
    assert sorted(coco_masks(out)) == ["0.png"]
    (out / "thesis.tex").write_text("years of work")
    with pytest.raises(ExportError, match=r"thesis\.tex"):
        export(labelled, out, format="coco", source="odd", overwrite=True)
    with pytest.raises(ExportError, match="not part of a yolo export"):
        export(labelled, tmp_path, format="yolo", source="odd", overwrite=True)
    assert (out / "thesis.tex").read_text() == "years of work"


def test_users_own_ground_truth_can_be_exported(dataset, scenes, tmp_path):
    """Detections that other tools wrote: no classes of ours, no confidence, any label."""
    from diffucurate.plugin.store.media_files import write_png

    path = write_png(tmp_path / "a.png", scenes[0].image)
    mask = np.ones((16, 32), np.bool_)
    zebra = fo.Detection(label="zebra", bounding_box=[0.5, 0.5, 0.25, 0.125], mask=mask)
    detections = fo.Detections(detections=[zebra])
    dataset.add_sample(fo.Sample(filepath=str(path), truth_instances=detections))
    export(dataset, tmp_path / "out", format="coco", source="truth")
    ((label, score, found),) = coco_masks(tmp_path / "out")["a.png"]
    assert (label, score, int(found.sum())) == ("zebra", 1.0, 16 * 32)
    assert np.array_equal(found, instances_of(detections, scenes[0].image.shape[:2])[0].mask)


def test_a_folder_without_permission_is_named(labelled, tmp_path):
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o500)
    user = os.getresuid()
    try:
        if user[0] == 0:
            os.setresuid(65534, 0, 0)  # root may write anywhere; os.access asks for the real user
        with pytest.raises(ExportError, match=f"nothing can be written in {closed}; name a folder somewhere else"):
            export(labelled, closed / "new" / "out", format="coco", source="odd")
    finally:
        os.setresuid(*user)
    assert labelled.list_runs() == [] and list(closed.iterdir()) == []


@pytest.mark.parametrize("format", ["coco", "yolo"])
def test_size_is_told_beforehand(labelled, tmp_path, format):
    labelled.compute_metadata()
    size = estimate_size(labelled, tmp_path / "new" / "out", format=format, source="odd")
    export(labelled, tmp_path / "new" / "out", format=format, source="odd")
    written = [path.stat() for path in (tmp_path / "new").rglob("*") if path.is_file()]
    total = sum(file.st_size for file in written)
    assert (size.images, size.instances, size.fits) == (2, 2, True)
    assert total / 2 < size.total_bytes < total * 2
    linked = sum(file.st_size for file in written if file.st_nlink > 1)
    assert size.needed_bytes < size.total_bytes - linked / 2
    labelled.set_values("metadata", [None] * 3)
    assert estimate_size(labelled, tmp_path, format=format, source="odd").images == 2
    assert estimate_size(labelled, tmp_path, format="coco", source="odd").total_bytes > linked / 2


def test_the_first_step_works_as_written(labelled, tmp_path):
    out = tmp_path / "o'ut"
    step = export(labelled, out, format="coco", source="odd", splits={"val": 1}).first_step()
    read = {}
    exec(step, read)
    assert len(read["coco"].imgs) == 2
    step = export(labelled, tmp_path / "a b", format="yolo", source="odd").first_step()
    assert shlex.split(step)[-1] == f"data={tmp_path / 'a b' / 'data.yaml'}"


def test_bad_input_is_named(labelled, tmp_path):
    out = tmp_path / "out"
    with pytest.raises(InvalidSetting, match="format: 'voc' - use one of coco, yolo"):
        export(labelled, out, format="voc", source="odd")
    with pytest.raises(DatasetError, match="no field 'nobody_instances'"):
        export(labelled, out, format="coco", source="nobody")
    with pytest.raises(DatasetError, match="no sample has labels of 'odd'"):
        export(labelled.skip(2), out, format="coco", source="odd")
    with pytest.raises(ExportError, match="sum of 1"):
        export(labelled, out, format="coco", source="odd", splits={"train": 0.5})
    assert not out.exists()
    assert labelled.list_runs() == []
