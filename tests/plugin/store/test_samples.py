from __future__ import annotations

import cv2
import fiftyone as fo
import numpy as np
import pytest

from diffucurate.generator.errors import DatasetError
from diffucurate.generator.labels.model import Instance, Labels
from diffucurate.plugin.store.classes import extend_classes, read_classes
from diffucurate.plugin.store.heatmap_image import heatmap_pixels
from diffucurate.plugin.store.label_values import (
    from_detection,
    instances_of,
    to_detection,
    to_polyline,
    with_classes,
)
from diffucurate.plugin.store.samples import dataset_of, is_empty, parts_of, values_by
from diffucurate.plugin.store.schema import declare_job_fields, declare_label_fields


def odd_masks() -> dict[str, np.ndarray]:
    """Masks that have broken converters before, in an image whose sides are prime."""
    shape = (101, 127)
    ring = np.zeros(shape, np.uint8)
    cv2.circle(ring, (60, 50), 30, 1, 7)
    parts = np.zeros(shape, np.uint8)
    parts[3:20, 5:40] = parts[60:90, 80:127] = 1
    pixel = np.zeros(shape, np.uint8)
    pixel[100, 126] = 1
    column = np.zeros(shape, np.uint8)
    column[:, 0] = 1
    return {
        "ring": ring == 1,
        "two parts": parts == 1,
        "pixel": pixel == 1,
        "column": column == 1,
        "all": np.ones(shape, np.bool_),
    }


@pytest.mark.parametrize("name", list(odd_masks()))
def test_mask_returns_exactly_from_the_database(dataset, name: str):
    mask = odd_masks()[name]
    sample = fo.Sample(filepath="/x.png", found=fo.Detections(detections=[to_detection(Instance("car", mask, 0.25))]))
    dataset.add_sample(sample)
    dataset.reload()
    detection = dataset.first().found.detections[0]
    instance = from_detection(detection, mask.shape)
    assert np.array_equal(instance.mask, mask)
    assert (instance.label, instance.confidence) == ("car", 0.25)
    assert detection["area"] == pytest.approx(mask.mean())


def test_a_view_of_groups_is_refused_and_its_images_are_not(dataset):
    """It would count one image per group: 2 of 6."""
    dataset.add_samples([fo.Sample(filepath=f"/{index}.png", scene=f"s{index % 2}") for index in range(6)])
    grouped = dataset.group_by("scene")
    assert len(grouped) == 2
    with pytest.raises(DatasetError, match=r"shows groups of images.*flatten it"):
        dataset_of(grouped)
    assert dataset_of(grouped.flatten()) is dataset and len(grouped.flatten()) == 6


def test_random_boxes_return_exactly_at_any_size():
    rng = np.random.default_rng(0)
    for _ in range(300):
        height, width = rng.integers(1, 2000, 2)
        y0, x0 = rng.integers(0, height), rng.integers(0, width)
        mask = np.zeros((height, width), np.bool_)
        mask[y0 : rng.integers(y0, height) + 1, x0 : rng.integers(x0, width) + 1] = True
        assert np.array_equal(from_detection(to_detection(Instance("a", mask, 1.0)), mask.shape).mask, mask)


def test_mask_of_another_size_is_scaled_to_its_box():
    """Other tools store masks at a model's own resolution."""
    half = np.array([[True, False]])
    instance = from_detection(fo.Detection(label="a", bounding_box=[0.25, 0.5, 0.5, 0.5], mask=half), (4, 8))
    expected = np.zeros((4, 8), np.bool_)
    expected[2:4, 2:4] = True
    assert np.array_equal(instance.mask, expected)
    assert instance.confidence == 1.0


def test_box_reaching_out_of_the_image_is_cut_off():
    instance = from_detection(fo.Detection(label="a", bounding_box=[-0.5, 0, 1, 1], mask=np.ones((4, 4), bool)), (4, 4))
    assert instance.box == (0, 0, 2, 4)


def test_detection_with_an_empty_mask_is_left_out_and_one_without_is_refused():
    empty = fo.Detection(label="a", bounding_box=[0, 0, 1, 1], mask=np.zeros((4, 4), bool))
    assert instances_of(fo.Detections(detections=[empty]), (4, 4)) == []
    with pytest.raises(DatasetError, match="'bus' has no mask"):
        from_detection(fo.Detection(label="bus", bounding_box=[0, 0, 1, 1]), (4, 4))


def test_polyline_keeps_all_rings_and_few_points():
    masks = odd_masks()
    ring = to_polyline(Instance("car", masks["ring"], 0.5))
    assert (len(ring.points), ring.closed, ring.filled, ring.confidence) == (2, True, True, 0.5)
    assert len(to_polyline(Instance("car", masks["two parts"], 0.5)).points) == 2
    assert sum(map(len, ring.points)) < 80
    assert all(0 <= value <= 1 for points in ring.points for point in points for value in point)


def test_heatmap_of_one_is_the_brightest_pixel():
    assert heatmap_pixels(np.array([[0, 0.29, 0.5, 1]], np.float32)).tolist() == [[0, 0, 128, 255]]


def test_ids_follow_the_datasets_classes():
    mask = np.eye(4, dtype=bool)
    labels = Labels.from_instances([Instance("bus", mask, 1.0)], ["bus"], (4, 4))
    labels.semantic[0, 3] = 255
    moved = with_classes(labels, ["car", "bus"])
    assert sorted(np.unique(moved.semantic)) == [0, 2, 255]
    assert moved.classes == ("car", "bus")


def test_class_ids_stay_when_classes_are_added(dataset):
    extend_classes(dataset, {"car": ["car"], "bus": ["bus"]})
    merged = extend_classes(dataset, {"tree": ["tree"], "car": ["sedan", "car"]})
    assert list(merged.items()) == [("car", ("car", "sedan")), ("bus", ("bus",)), ("tree", ("tree",))]
    dataset.reload()
    assert read_classes(dataset) == merged
    declare_label_fields(dataset, "attention", merged)
    assert dataset.mask_targets["attention_mask"] == {1: "car", 2: "bus", 3: "tree"}


def test_classes_that_would_share_a_heatmap_are_refused(dataset):
    with pytest.raises(DatasetError, match="'traffic light' and 'traffic_light' would share"):
        extend_classes(dataset, {"traffic light": [], "traffic_light": []})


def test_job_id_is_unique_and_images_of_the_users_own_need_none(dataset):
    declare_job_fields(dataset, ["colour"], ["car"])
    declare_job_fields(dataset, ["colour"], ["car"])  # twice: nothing changes
    dataset.add_samples([fo.Sample(filepath="/a.png"), fo.Sample(filepath="/b.png")])
    dataset.add_sample(fo.Sample(filepath="/c.png", job_id="f" * 16))
    with pytest.raises(Exception, match="duplicate key"):
        dataset.add_sample(fo.Sample(filepath="/d.png", job_id="f" * 16))
    assert dataset.get_field("attributes.colour") is not None


def test_field_of_another_type_is_named(dataset):
    dataset.add_sample_field("seed", fo.StringField)
    with pytest.raises(DatasetError, match="'seed' of another type"):
        declare_job_fields(dataset, [], [])


def test_what_is_no_collection_of_images_is_refused(dataset):
    with pytest.raises(DatasetError, match="has no samples"):
        dataset_of(dataset)
    with pytest.raises(DatasetError, match="found str"):
        dataset_of("name")
    box = fo.Detections(detections=[fo.Detection(label="a", bounding_box=[0, 0, 1, 1])])
    dataset.add_sample(fo.Sample(filepath="/a.png", found=box))
    assert dataset_of(dataset.limit(1)) is dataset
    with pytest.raises(DatasetError, match="patches"):
        dataset_of(dataset.to_patches("found"))
    with pytest.raises(DatasetError, match="view of dataset"):
        dataset_of(dataset.limit(1).match_tags("none"))


def test_parts_are_the_samples_in_their_order(dataset: fo.Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("diffucurate.plugin.store.samples._PART", 3)
    ids = dataset.add_samples([fo.Sample(filepath=f"/{index}.png") for index in range(7)])
    whole = [[sample.id for sample in part] for part in parts_of(dataset)]
    assert whole == [ids[:3], ids[3:6], ids[6:]]
    backwards = dataset.sort_by("filepath", reverse=True)
    assert [sample.id for part in parts_of(backwards) for sample in part] == ids[::-1]
    asked = [ids[5], ids[0], ids[5], ids[3], ids[1]]
    assert [[sample.id for sample in part] for part in parts_of(dataset, asked)] == [[ids[5], ids[0], ids[3]], [ids[1]]]
    assert list(parts_of(dataset.match_tags("none"))) == []


def test_values_are_in_the_order_of_the_ids(dataset: fo.Dataset) -> None:
    ids = dataset.add_samples([fo.Sample(filepath=f"/{index}.png") for index in range(4)])
    assert values_by([ids[2], ids[0]], dataset, "filepath") == ["/2.png", "/0.png"]
    with pytest.raises(KeyError):
        values_by(["0" * 24], dataset, "filepath")


def test_a_dataset_that_the_database_has_not_counted_yet_is_not_empty(monkeypatch: pytest.MonkeyPatch) -> None:
    """MongoDB's estimate is 0 after a server was killed."""
    dataset = fo.Dataset()
    assert is_empty(dataset)
    dataset.add_sample(fo.Sample(filepath="a.png"))
    monkeypatch.setattr(fo.Dataset, "__len__", lambda self: 0)
    assert not is_empty(dataset) and dataset_of(dataset) is dataset
