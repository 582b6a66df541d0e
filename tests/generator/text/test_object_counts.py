"""What a prompt says of how many objects there are."""

from __future__ import annotations

import pytest

from diffucurate.generator.text.object_counts import object_counts

CLASSES = {"car": ["car", "sedan"], "bus": ["bus"], "person": ["person", "man"], "house": ["house"]}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("two red cars on a road", {"car": 2}),
        ("Three very old rusty cars", {"car": 3}),
        ("a red car and a blue car", {"car": 2}),
        ("a car, another car and two sedans", {"car": 4}),
        ("2 buses, 3 people", {"bus": 2, "person": 3}),
        ("a pair of cars", {"car": 2}),
        ("a couple of white buses", {"bus": 2}),
        ("a photo of two men beside the bus", {"person": 2, "bus": 1}),
        ("a man riding two buses", {"person": 1, "bus": 2}),
        # What says nothing of a number, or nothing new.
        ("cars", {"car": 1}),
        ("a car. The car is red, its car door open", {"car": 1}),
        ("two cars on a road; car; bus", {"car": 2, "bus": 1}),  # names that were appended
        ("two people in a car", {"person": 2, "car": 1}),
        ("two dogs and cars", {"car": 1}),
        ("two, cars", {"car": 1}),
        ("a two storey house", {"house": 1}),
        ("a two-tone car", {"car": 1}),
        ("a (red car:1.2)", {"car": 1}),
        ("(two red cars)1.3", {"car": 2}),
        ("a (very red)1.3 car", {"car": 1}),  # weights are no numbers of objects
        ("in 1980 cars", {"car": 1}),
        ("a couple in a car", {"car": 1}),
        ("a car and the light on a car\u2019s door", {"car": 1}),
        ("a tree", {}),
        ("", {}),
    ],
)
def test_counts(text: str, expected: dict[str, int]) -> None:
    assert object_counts(text, CLASSES) == expected


def test_letters_that_grow_when_folded_shift_nothing() -> None:
    assert object_counts("\u1e9e\u0130 in Gro\u00dfstadt, two cars", CLASSES) == {"car": 2}
