"""The classes that templates most likely show."""

from __future__ import annotations

import pytest

from diffucurate.generator.text.class_names import class_name
from diffucurate.generator.text.suggest_classes import likely_classes

ATTRIBUTES = {
    "object": ["car", "bus"], "colour": ["red"], "time": ["noon"], "place": ["road"], "weather": ["fog"],
    "animal": ["dog"], "toy": ["ball"], "style": ["photo", "sketch"], "count": ["two"],
}  # fmt: skip


@pytest.mark.parametrize(
    ("template", "classes"),
    [
        ("a {colour} {object} on a road at {time}", ["car", "bus"]),
        ("a photo of a {colour} {object} in {weather}", ["car", "bus"]),
        ("{count} {object}s, {style}, highly detailed", ["car", "bus"]),
        ("{style} of a {animal} in front of a house", ["dog"]),
        ("a {animal} chasing a {toy}", ["dog", "ball"]),
        ("a {colour} car on a {place}", ["car"]),
        ("a red car and a blue {object} near a tree", ["car", "bus", "tree"]),
        ("a person parked beside a sign", ["person", "sign"]),
        ("a {colour=blue} {object} that is {style}", ["car", "bus"]),
        ("an empty street", ["street"]),
        ("in the rain", []),
        ("a {object.__class__}", []),
        ("a {nothing}", []),
        ("", []),
    ],
)
def test_what_a_template_is_about(template: str, classes: list[str]) -> None:
    assert list(likely_classes([template], ATTRIBUTES)) == classes


def test_values_that_mean_the_same_share_a_class() -> None:
    values = ["fire truck", "fire-truck", "Fire trucks", "été", "犬", "background", "car", "cars"]
    assert likely_classes(["a {object}", "the {object}"], {"object": values}) == {
        "fire_truck": ["fire truck"],
        "ete": ["été"],
        "car": ["car"],
    }


@pytest.mark.parametrize(
    ("phrase", "name"), [("traffic light", "traffic_light"), ("2 cars", "cars"), ("x" * 80, "x" * 64), ("犬", None)]
)
def test_class_names(phrase: str, name: str | None) -> None:
    assert class_name(phrase) == name
