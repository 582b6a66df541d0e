"""Where the App's sidebar lists the fields, and what becomes of groups that a person has made."""

from __future__ import annotations

import fiftyone as fo
import pytest

from diffucurate.plugin.appearance.sidebar import group_fields
from diffucurate.plugin.store import runs
from diffucurate.plugin.store.classes import extend_classes
from diffucurate.plugin.store.schema import declare_job_fields, declare_label_fields


@pytest.fixture
def generated(dataset: fo.Dataset) -> fo.Dataset:
    """The schema that ``generate`` leaves."""
    classes = extend_classes(dataset, {"car": ["car"]})
    dataset.media_type = "image"
    declare_job_fields(dataset, ["colour"], classes)
    declare_label_fields(dataset, "attention", classes)
    group_fields(dataset, ["attention"])
    return dataset


def groups(dataset: fo.Dataset) -> dict[str, list[str]]:
    dataset.reload()
    return {group.name: list(group.paths) for group in dataset.app_config.sidebar_groups}


def test_fields_stand_with_their_like(generated):
    found = groups(generated)
    assert list(found)[:4] == ["tags", "Attention", "Prompt", "Details"]
    assert found["Attention"] == ["attention_instances", "attention_mask", "attention_polygons", "heatmap_car"]
    assert found["Prompt"][:4] == ["prompt", "negative_prompt", "attributes.colour", "model"]
    assert found["Details"][:4] == ["job_id", "run_key", "source_id", "attention_maps"]
    paths = [path for group in found.values() for path in group]
    assert len(paths) == len(set(paths))
    assert {"tags", "id", "filepath", "metadata.width"} <= set(paths)
    folded = [group.name for group in generated.app_config.sidebar_groups if group.expanded is False]
    assert folded == ["Details"]


def test_later_sources_scores_and_comparisons_find_their_place(generated):
    declare_label_fields(generated, "yolov8", ["car"])
    with runs.recorded(generated, "compare", {"a": "attention", "b": "yolov8"}):
        pass
    generated.add_sample_field("agreement_attention_yolov8", fo.FloatField)
    generated.add_sample_field("compare_attention_yolov8_tp", fo.IntField)
    generated.add_sample_field("clip_score", fo.FloatField)
    group_fields(generated, ["attention", "yolov8"])
    found = groups(generated)
    assert list(found)[:6] == ["tags", "Attention", "YOLOv8", "Prompt", "Quality", "Details"]
    assert found["YOLOv8"] == ["yolov8_instances", "yolov8_mask", "yolov8_polygons"]
    assert found["Quality"] == ["agreement_attention_yolov8", "clip_score"]
    assert found["Details"][-1] == "compare_attention_yolov8_tp"


def test_what_a_person_has_arranged_stays(generated):
    generated.app_config.sidebar_groups = [
        fo.SidebarGroupDocument(name="tags", paths=[]),
        fo.SidebarGroupDocument(name="mine", paths=["prompt", "heatmap_car"], expanded=False),
        fo.SidebarGroupDocument(name="theirs", paths=["attention_mask", "attention_instances", "attention_polygons"]),
    ]
    generated.save()
    extend_classes(generated, {"bus": ["bus"]})
    generated.add_sample_field("heatmap_bus", fo.EmbeddedDocumentField, embedded_doc_type=fo.Heatmap)
    group_fields(generated, ["attention"])
    found = groups(generated)
    assert found["mine"][:2] == ["prompt", "heatmap_car"]
    assert found["theirs"] == ["attention_mask", "attention_instances", "attention_polygons"]
    assert "Attention" not in found and "Prompt" not in found
    assert "heatmap_bus" in found["mine"]  # beside the heatmap that was put there


def test_fields_of_others_are_left_where_they_are(dataset):
    for name in ("ground_truth", "my_instances"):
        dataset.add_sample_field(name, fo.EmbeddedDocumentField, embedded_doc_type=fo.Detections)
    dataset.add_sample_field("weather", fo.StringField)
    declare_label_fields(dataset, "yolov8", ["car"])
    group_fields(dataset, ["yolov8"])
    found = groups(dataset)
    assert found["labels"] == ["ground_truth", "my_instances"]
    assert "weather" in found["primitives"]
    assert list(found).index("YOLOv8") == list(found).index("labels") + 1
