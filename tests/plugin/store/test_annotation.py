"""Instances can be annotated in the App as soon as they are declared, and what a person drew there stays."""

from __future__ import annotations

import fiftyone as fo
import pytest

pytestmark = pytest.mark.skipif(
    not hasattr(fo.Dataset, "update_label_schema"), reason="this FiftyOne knows no label schemas"
)

FIELD = "attention_instances"


def test_declared_instances_can_be_annotated(dataset: fo.Dataset) -> None:
    from diffucurate.plugin.store.schema import declare_label_fields

    declare_label_fields(dataset, "attention", ["car", "bus"])
    schema = dataset.label_schemas[FIELD]
    assert dataset.active_label_schemas == [FIELD]
    assert schema["classes"] == ["car", "bus"] and schema["component"] == "radio"
    (tags,) = (each for each in schema["attributes"] if each["name"] == "tags")
    assert tags["default"] == ["human"] and set(tags["values"]) >= {"human", "accepted", "rejected", "fix later"}

    declare_label_fields(dataset, "attention", ["car", "tree", "sign", "cone", "house"])
    schema = dataset.label_schemas[FIELD]
    assert schema["classes"] == ["car", "bus", "tree", "sign", "cone", "house"] and schema["component"] == "dropdown"


def test_a_person_s_own_schema_and_choice_of_fields_stay(dataset: fo.Dataset) -> None:
    from diffucurate.plugin.store.schema import declare_label_fields

    declare_label_fields(dataset, "attention", ["car"])
    own = {"type": "detections", "component": "text", "attributes": []}
    dataset.update_label_schema(FIELD, own)
    dataset.deactivate_label_schemas(FIELD)
    declare_label_fields(dataset, "attention", ["car", "bus"])
    assert dataset.label_schemas[FIELD] == own
    assert dataset.active_label_schemas == []
