"""What a prompt asks for, and how far it was obeyed."""

from __future__ import annotations

import pytest

from diffucurate.generator.quality.obedience import obedience
from diffucurate.generator.text.object_counts import stated_counts


@pytest.mark.parametrize(
    ("asked", "found", "expected"),
    [
        ({}, {"car": 3}, None),
        ({"car": 1}, {"car": 1, "tree": 9}, 1.0),
        ({"car": 1}, {}, 0.0),
        ({"car": 2}, {"car": 1}, 0.5),
        ({"car": 1}, {"car": 4}, 0.25),
        ({"car": 0}, {"car": 4}, 1.0),  # any number
        ({"car": 0, "bus": 2}, {"bus": 1}, 0.25),
    ],
)
def test_the_smaller_number_by_the_larger_of_each_class(asked, found, expected) -> None:
    assert obedience(asked, found) == expected


def test_a_class_without_a_number_is_asked_for_in_any() -> None:
    classes = {"car": ["car"], "bus": ["bus"], "tree": ["tree"]}
    assert stated_counts("two cars and the bus before trees", classes) == {"car": 2, "bus": 0, "tree": 0}
