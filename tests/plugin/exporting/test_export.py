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
from PIL import Image
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO

from diffucurate.generator.errors import DatasetError, ExportError, InvalidSetting
from diffucurate.generator.labels.model import Instance, Labels
from diffucurate.generator.tiny.shapes import CLASSES
from diffucurate.plugin.exporting.export import export
from diffucurate.plugin.exporting.formats import FORMATS
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


@pytest.mark.parametrize("format", ["coco", "yolo"])
def test_a_split_without_images_is_refused_not_dropped(dataset, add_scenes, scenes, tmp_path, format):
    shape = scenes[0].image.shape[:2]
    add_scenes(scenes[:4], odd=[odd_labels(shape)] * 4)
    with pytest.raises(ExportError, match="split 'val' gets none of 4 images"):
        export(dataset, tmp_path / "out", format=format, source="odd", splits={"train": 0.99, "val": 0.01})
    assert dataset.list_runs() == []
    shares = {"train": 0.75, "val": 0.25}
    export(dataset, tmp_path / "out", format=format, source="odd", splits=shares)
    (name,) = (tmp_path / "out" / "images" / "val").iterdir()
    next(Path(path) for path in dataset.values("filepath") if Path(path).name == name.name).write_bytes(b"no image")
    with pytest.raises(ExportError, match="none of the images of split 'val' can be read"):
        export(dataset, tmp_path / "out", format=format, source="odd", splits=shares, overwrite=True)
    assert (tmp_path / "out" / "images" / "val" / name.name).is_file()


def test_images_without_a_split_are_said_to_be_both(labelled, tmp_path):
    summary = export(labelled, tmp_path / "out", format="yolo", source="odd")
    ids, note = summary.notes
    assert ids == f"class ids are those of the dataset's classes, the same for every view of dataset '{labelled.name}'"
    assert "val names the images of train" in note and note in (tmp_path / "out" / "data.yaml").read_text()
    assert export(labelled, tmp_path / "coco", format="coco", source="odd").notes == [ids]


NAN = float("nan")

BAD_INSTANCES = {
    "it has no label": {"label": None},
    "its box is [0.1, 0.1, 0.5], not four numbers": {"bounding_box": [0.1, 0.1, 0.5]},
    "its box is [], not four numbers": {"bounding_box": None},
    "its box holds a value that is no finite number": {"bounding_box": [NAN, 0.1, 0.5, 0.5]},
    "its box has a negative size": {"bounding_box": [0.5, 0.5, -0.2, 0.2]},
    "it has no pixels in the image": {"bounding_box": [1.5, 0.1, 0.5, 0.5]},
    "its mask has no pixels": {"mask": np.zeros((0, 0), bool)},
    "its mask has 1 dimensions, not 2": {"mask": np.ones(4, bool)},
    "its mask has 3 dimensions, not 2": {"mask": np.ones((4, 4, 3), bool)},
    "its mask cannot be read": {"mask": None, "mask_path": "/nowhere/mask.png"},
    "its mask is empty": {"mask": np.zeros((4, 4), bool)},
    "its box holds a value that is no finite number (infinite)": {"bounding_box": [0, 0, float("inf"), 1]},
    "its box is larger than any image": {"bounding_box": [0, 0, 1e12, 1]},
}


@pytest.fixture
def hostile(dataset, scenes, tmp_path):
    """Instances of other tools, as they should not be, beside a good one on each image; the images are 128 px."""
    from diffucurate.plugin.store.media_files import write_png

    for index, values in enumerate(BAD_INSTANCES.values()):
        path = write_png(tmp_path / "images" / f"{index}.png", scenes[0].image)
        good = {"label": "car", "bounding_box": [0, 0, 0.5, 0.5], "mask": np.ones((4, 4), bool)}
        detections = [fo.Detection(**good), fo.Detection(**{**good, **values})]
        dataset.add_sample(fo.Sample(filepath=str(path), truth=fo.Detections(detections=detections)))
    return dataset


@pytest.mark.parametrize("format", ["coco", "yolo"])
def test_instances_that_cannot_be_read_are_named_and_the_rest_goes_on(hostile, tmp_path, format):
    summary = export(hostile, tmp_path / "out", format=format, source="truth")
    count = len(BAD_INSTANCES)
    assert (summary.images, summary.instances) == ({"train": count}, {"train": count})
    for path, reason, sentence in zip(hostile.values("filepath"), BAD_INSTANCES, summary.left_out, strict=True):
        assert sentence.startswith(f"{path}, truth: an instance of ") and reason.split(" (")[0] in sentence
    run = hostile.get_run_info(hostile.list_runs()[-1]).config
    assert list(run.facts["left_out"]) == summary.left_out


@pytest.mark.parametrize(
    ("box", "format", "reason"),
    [([0, 0, 1, 1], "lvis", "it has no mask, only a box"), ([2, 0, 1, 1], "coco", "it has no pixels in the image")],
)
def test_an_export_of_nothing_but_unreadable_instances_is_an_error(hostile, tmp_path, box, format, reason):
    hostile.set_values("truth", [None] * len(hostile))
    sample = hostile.first()
    sample["truth"] = fo.Detections(detections=[fo.Detection(label="car", bounding_box=box)])
    sample.save()
    with pytest.raises(DatasetError, match=f"none of 1 instances can be read: .*{reason}"):
        export(hostile, tmp_path / "out", format=format, source="truth")
    assert not (tmp_path / "out").exists()


def test_an_object_narrower_than_a_pixel_keeps_one(dataset, scenes, tmp_path):
    """As ordinary COCO files hold them; the last lies at the very edge."""
    from diffucurate.plugin.store.media_files import write_png

    path = write_png(tmp_path / "x.png", scenes[0].image)
    height, width = scenes[0].image.shape[:2]
    boxes = [[0.5, 0.5, 0.2 / width, 8 / height], [1 - 0.2 / width, 0.0, 0.2 / width, 4 / height]]
    detections = [fo.Detection(label="pole", bounding_box=box, mask=np.ones((3, 1), bool)) for box in boxes]
    dataset.add_sample(fo.Sample(filepath=str(path), truth=fo.Detections(detections=detections)))
    summary = export(dataset, tmp_path / "out", format="coco", source="truth")
    masks = [mask for _, _, mask in coco_masks(tmp_path / "out")["x.png"]]
    assert [int(mask.sum()) for mask in masks] == [8, 4] and masks[1][:4, -1].all() and summary.left_out == []


def test_crowds_are_marked_in_coco_and_left_out_of_yolo(dataset, scenes, tmp_path):
    from diffucurate.plugin.store.media_files import write_png

    path = write_png(tmp_path / "x.png", scenes[0].image)
    crowd = fo.Detection(label="person", bounding_box=[0, 0, 1, 0.5], mask=np.ones((4, 4), bool), iscrowd=1)
    person = fo.Detection(label="person", bounding_box=[0, 0.5, 0.5, 0.5], mask=np.ones((4, 4), bool), iscrowd=0)
    dataset.add_sample(fo.Sample(filepath=str(path), truth=fo.Detections(detections=[crowd, person])))
    export(dataset, tmp_path / "coco", format="coco", source="truth")
    coco = COCO(str(tmp_path / "coco" / "annotations" / "train.json"))
    assert [annotation["iscrowd"] for annotation in coco.dataset["annotations"]] == [1, 0]
    assert export(dataset, tmp_path / "yolo", format="yolo", source="truth").instances == {"train": 1}
    assert (tmp_path / "yolo/labels/train/x.txt").read_text().count("\n") == 1


@pytest.mark.parametrize(
    ("settings", "expected", "origin"),
    [
        ({}, ["bus", "car", "tree"], "all labels of the field"),
        ({"classes": {"truth": ["tree", "car"]}}, ["tree", "car", "bus"], "dataset.classes['truth']"),
        ({"default_classes": ["road", "tree"]}, ["road", "tree", "bus", "car"], "dataset.default_classes"),
        ({"default_mask_targets": {0: "sky", 1: "tree", 7: "car"}}, ["tree", "car", "bus"], "its mask targets"),
    ],
)
def test_class_ids_are_the_datasets_whatever_a_view_shows(dataset, scenes, tmp_path, settings, expected, origin):
    from diffucurate.plugin.store.media_files import write_png

    for index, label in enumerate(("tree", "car", "bus")):
        path = write_png(tmp_path / "images" / f"{index}.png", scenes[0].image)
        detection = fo.Detection(label=label, bounding_box=[0, 0, 1, 1], mask=np.ones((4, 4), bool))
        dataset.add_sample(fo.Sample(filepath=str(path), truth=fo.Detections(detections=[detection])))
    for name, value in settings.items():
        setattr(dataset, name, value)
    views = (dataset, dataset[:1], dataset[1:], dataset.filter_labels("truth", F("label") == "car"))
    for index, view in enumerate(views):
        summary = export(view, tmp_path / str(index), format="yolo", source="truth")
        names = yaml.safe_load((tmp_path / str(index) / "data.yaml").read_text())["names"]
        assert list(names.values()) == expected and origin in summary.notes[0]


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
    with pytest.raises(ExportError, match="holds an export to coco, not to yolo"):
        export(labelled, out, format="yolo", source="odd", overwrite=True)
    assert (out / "thesis.tex").read_text() == "years of work"


def files_of(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("by_hand", [False, True], ids=["our export", "made by hand"])
def test_the_set_that_a_dataset_was_loaded_from_is_never_replaced(labelled, tmp_path, by_hand):
    """In place: the images of the exported samples are those in the folder."""
    home = tmp_path / "yolo"
    export(labelled, home, format="yolo", source="odd", splits={"train": 0.5, "val": 0.5})
    if by_hand:
        (home / ".diffucurate-export.json").unlink()
    loaded = fo.Dataset.from_dir(
        dataset_dir=str(home),
        dataset_type=fo.types.YOLOv5Dataset,
        yaml_path="data.yaml",
        label_type="polylines",
        split="train",
    )
    try:
        before = files_of(home)
        assert all(str(home) in path for path in loaded.values("filepath"))
        for index, samples in enumerate((labelled, labelled[:1])):
            with pytest.raises(ExportError, match="not part of a yolo" if by_hand else f"of dataset '{loaded.name}'"):
                export(samples, home, format="yolo", source="odd", overwrite=True)
            assert files_of(home) == before, index
    finally:
        loaded.delete()
    if not by_hand:
        export(labelled[:1], home, format="yolo", source="odd", overwrite=True)


def test_a_folder_that_samples_name_by_a_link_is_never_replaced(labelled, dataset, tmp_path):
    """Any field may name the file, and by another spelling of its folder."""
    home, link = tmp_path / "yolo", tmp_path / "link"
    export(labelled, home, format="yolo", source="odd")
    link.symlink_to(home)
    other = fo.Dataset()
    try:
        other.add_sample(fo.Sample(filepath=str(tmp_path / "x.png"), thumbnail=str(home / "images/train/0.png")))
        for folder in (home, link):
            with pytest.raises(ExportError, match="an image or label of dataset"):
                export(labelled, folder, format="yolo", source="odd", overwrite=True)
    finally:
        other.delete()
    assert (home / "images/train/0.png").is_file()


@pytest.mark.parametrize("format", ["coco", "yolo"])
def test_originals_do_not_change_with_the_export(labelled, tmp_path, format):
    before = {path: Path(path).read_bytes() for path in labelled.values("filepath")}
    export(labelled, tmp_path / "out", format=format, source="odd")
    for path in (tmp_path / "out").rglob("*.png"):
        with path.open("r+b") as file:
            file.write(b"resized in place")
    assert {path: Path(path).read_bytes() for path in before} == before


@pytest.mark.parametrize("links", [False, True])
def test_photographs_that_are_turned_keep_their_labels(dataset, tmp_path, links):
    """A photograph of 60 x 40 px as the camera kept it, shown as 40 x 60 px, with an object of 20 x 50 px in that."""
    stored = np.full((40, 60, 3), 255, np.uint8)
    stored[10:30, 5:55] = (200, 0, 0)
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(stored).save(tmp_path / "photo.png", exif=exif)
    mask = np.ones((50, 20), np.bool_)
    box = [10 / 40, 5 / 60, 20 / 40, 50 / 60]
    truth = fo.Detections(detections=[fo.Detection(label="door", bounding_box=box, mask=mask)])
    dataset.add_sample(fo.Sample(filepath=str(tmp_path / "photo.png"), truth_instances=truth))
    export(dataset, tmp_path / "out", format="coco", source="truth", link_images=links)
    ((_, _, found),) = coco_masks(tmp_path / "out")["photo.png"]
    plain = cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION
    red = cv2.imread(str(tmp_path / "out/images/train/photo.png"), plain)[..., 1] == 0
    assert found.shape == (60, 40) and int(found.sum()) == 1000
    assert np.array_equal(found, red)


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


@pytest.mark.parametrize("format", [name for name in FORMATS if name != "parquet"])
def test_size_is_told_beforehand(labelled, tmp_path, format):
    labelled.compute_metadata()
    size = estimate_size(labelled, tmp_path / "new" / "out", format=format, source="odd")
    export(labelled, tmp_path / "new" / "out", format=format, source="odd")
    written = [path.stat() for path in (tmp_path / "new").rglob("*") if path.is_file()]
    total = sum(file.st_size for file in written)
    assert (size.images, size.instances, size.fits) == (2, 2, True)
    assert total / 2 < size.total_bytes < total * 2
    images = sum(file.stat().st_size for file in (tmp_path / "new").rglob("*.png") if "image" in str(file).lower())
    assert size.needed_bytes == size.total_bytes
    linked = estimate_size(labelled, tmp_path / "new" / "out", format=format, source="odd", link_images=True)
    assert linked.total_bytes == size.total_bytes and linked.needed_bytes < size.total_bytes - images / 2
    labelled.set_values("metadata", [None] * 3)
    assert estimate_size(labelled, tmp_path, format=format, source="odd").images == 2
    assert estimate_size(labelled, tmp_path, format="coco", source="odd").total_bytes > images / 2


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
    with pytest.raises(InvalidSetting, match="format: 'tfrecord' - use one of coco, yolo, voc, semantic"):
        export(labelled, out, format="tfrecord", source="odd")
    with pytest.raises(DatasetError, match="no field 'nobody_instances'"):
        export(labelled, out, format="coco", source="nobody")
    with pytest.raises(DatasetError, match="no sample has labels of 'odd'"):
        export(labelled.skip(2), out, format="coco", source="odd")
    with pytest.raises(ExportError, match="sum of 1"):
        export(labelled, out, format="coco", source="odd", splits={"train": 0.5})
    assert not out.exists()
    assert labelled.list_runs() == []


def test_relatives_share_a_split_and_mosaics_follow_their_images(dataset, add_scenes, scenes, tmp_path):
    shape = scenes[0].image.shape[:2]
    add_scenes(scenes, odd=[odd_labels(shape)] * 6)
    ids = dataset.values("id")
    dataset.add_sample_field("source_id", fo.StringField)
    dataset.set_values("source_id", {ids[1]: ids[0], ids[2]: ids[1]}, key_field="id")
    splits = {"train": 0.5, "val": 0.5}
    summary = export(dataset, tmp_path / "plain", format="coco", source="odd", splits=splits, check_leaks=True)
    assert "no image is in two splits" in summary.notes
    of_one_parent = {f"{index}.png" for index in range(3)}
    written = {name: set(coco_masks(tmp_path / "plain", name)) for name in splits}
    assert of_one_parent in written.values()
    # Two mosaics: of images of one split, and of both.
    home = next(name for name, files in written.items() if "0.png" in files)
    mosaics = [fo.Sample(dataset.first().filepath, odd_instances=dataset.first().odd_instances.copy()) for _ in "ab"]
    for sample, parents in zip(mosaics, (ids[:2], ids), strict=True):
        sample["mosaic"] = fo.DynamicEmbeddedDocument(parents=parents, rows=1, columns=2)
    dataset.add_samples(mosaics, dynamic=True)
    summary = export(dataset, tmp_path / "more", format="coco", source="odd", splits=splits)
    assert summary.images == {name: 3 + (name == home) for name in splits}
    assert any(note.startswith("1 mosaics of images in several splits") for note in summary.notes)
    with pytest.raises(InvalidSetting, match="together: 'cousins'"):
        export(dataset, tmp_path / "none", format="coco", source="odd", splits=splits, together=["cousins"])
