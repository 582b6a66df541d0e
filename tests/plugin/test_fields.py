from __future__ import annotations

import pytest

from diffucurate.generator.errors import DatasetError
from diffucurate.plugin import fields


def test_names_follow_one_scheme():
    assert fields.mask("yolov8") == "yolov8_mask"
    assert fields.polygons("yolov8") == "yolov8_polygons"
    assert fields.instances("attention") == "attention_instances"
    assert fields.agreement("attention", "yolov8") == "agreement_attention_yolov8"


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
    assert fields.heatmap(label) == name


def test_class_without_letters_is_refused():
    with pytest.raises(DatasetError, match="letter or digit"):
        fields.heatmap("--")


@pytest.mark.parametrize("name", ["", "two words", "a-b", "1st", "_hidden", "a.b"])
def test_source_that_is_no_identifier_is_refused(name: str):
    with pytest.raises(DatasetError, match="label source"):
        fields.instances(name)
