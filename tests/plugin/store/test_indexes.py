"""Indexes: the App shows a slider or a list of values for indexed fields only."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    import fiftyone as fo


def test_what_people_filter_by_is_indexed(dataset: fo.Dataset) -> None:
    from diffucurate.plugin.store.schema import declare_agreement, declare_job_fields, declare_label_fields

    declare_job_fields(dataset, ["colour"], [])
    declare_label_fields(dataset, "attention", ["car"])
    assert declare_agreement(dataset, "attention", "yolov8") == "agreement_attention_yolov8"
    ours = [f"attention_instances.detections.{name}" for name in ("confidence", "label")]
    assert {*ours, "attributes.colour", "agreement_attention_yolov8", "job_id"} <= set(dataset.list_indexes())


def test_an_older_dataset_gets_its_indexes_when_it_is_compared_again(dataset: fo.Dataset) -> None:
    import fiftyone as fo

    from diffucurate.plugin.comparison.compare import compare

    box = fo.Detection(label="car", bounding_box=[0, 0, 0.5, 0.5], confidence=0.5)
    fields = {name: fo.Detections(detections=[box.copy()]) for name in ("ground_truth", "yolov8_instances")}
    dataset.add_sample(fo.Sample("image.png", **fields))
    for _ in range(2):
        compare(dataset, "ground_truth", "yolov8")
        indexed = dataset.list_indexes()
        wanted = [f"{field}.detections.{name}" for field in fields for name in ("confidence", "label")]
        assert {*wanted, "agreement_ground_truth_yolov8"} <= set(indexed)
        assert len(set(indexed)) == len(indexed)


@pytest.mark.parametrize("room", [0, 1])
def test_a_full_collection_is_no_obstacle(dataset: fo.Dataset, monkeypatch: pytest.MonkeyPatch, room: int) -> None:
    from diffucurate.plugin.store import indexes
    from diffucurate.plugin.store.schema import declare_label_fields

    before = len(dataset.list_indexes())
    monkeypatch.setattr(indexes, "MOST", before + room)
    declare_label_fields(dataset, "attention", ["car"])
    assert len(dataset.list_indexes()) == before + room
