"""Labels in words, which find their classes and numbers again."""

from __future__ import annotations

import pytest

from diffucurate.generator.text.label_list import label_list
from diffucurate.generator.text.object_counts import object_counts

CLASSES = {"car": ["car"], "person": ["person"], "ice": ["ice cream"], "piano": ["<piano>", "piano"]}


@pytest.mark.parametrize(
    ("labels", "text"),
    [
        (["car"], "a car"),
        (["person", "car", "person"], "a car and two people"),
        (["ice", "car", "person"], "a car, a person and an ice cream"),
        (["piano", "piano"], "two <piano>"),
        (["ice"] * 3, "three ice creams"),
        (["car"] * 11, "many cars"),
        (["sky"], ""),
        ([], ""),
    ],
)
def test_text(labels: list[str], text: str) -> None:
    assert label_list(labels, CLASSES) == text


def test_counts_are_read_back() -> None:
    labels = ["car", "person", "person", "ice", "ice", "ice"]
    assert object_counts(label_list(labels, CLASSES), CLASSES) == {"car": 1, "person": 2, "ice": 3}
