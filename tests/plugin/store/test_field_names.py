from __future__ import annotations

import pytest

from diffucurate.generator.errors import DatasetError
from diffucurate.plugin.store import field_names


def test_names_follow_one_scheme():
    assert field_names.mask("yolov8") == "yolov8_mask"
    assert field_names.polygons("yolov8") == "yolov8_polygons"
    assert field_names.instances("attention") == "attention_instances"
    assert field_names.agreement("attention", "yolov8") == "agreement_attention_yolov8"


@pytest.mark.parametrize(
    ("label", "name"),
    [
        ("car", "heatmap_car"),
        ("Car", "heatmap_Car"),  # capitals stay: field names are told apart by them
        ("traffic light", "heatmap_traffic_light"),
        ("a.b", "heatmap_a_b"),  # a dot would mean an embedded field
        (" $car ", "heatmap_car"),
    ],
)
def test_any_class_name_gives_a_field_name(label: str, name: str):
    assert field_names.heatmap(label) == name


def test_class_without_letters_is_refused():
    with pytest.raises(DatasetError, match="letter or digit"):
        field_names.heatmap("--")


@pytest.mark.parametrize("name", ["", "two words", "a-b", "1st", "_hidden", "a.b"])
def test_source_that_is_no_identifier_is_refused(name: str):
    with pytest.raises(DatasetError, match="label source"):
        field_names.instances(name)
