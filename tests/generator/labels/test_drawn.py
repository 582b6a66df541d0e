"""What a person drew stays, and new labels give way to it."""

from __future__ import annotations

import numpy as np

from diffucurate.generator.labels.drawn import with_drawn
from diffucurate.generator.labels.model import Instance, Labels

SHAPE = (8, 40)


def bar(label: str, left: int, right: int) -> Instance:
    mask = np.zeros(SHAPE, np.bool_)
    mask[:, left:right] = True
    return Instance(label, mask, 0.7)


def test_drawn_objects_replace_what_was_found_there() -> None:
    new = Labels.from_instances([bar("car", 0, 10), bar("car", 18, 30), bar("bus", 34, 40)], ("car", "bus"), SHAPE)
    result = with_drawn(new, [bar("tree", 1, 11), bar("bus", 28, 32)])
    assert [(one.label, one.box[0], one.box[2], one.found_by) for one in result.instances] == [
        ("tree", 1, 11, ("human",)),
        ("bus", 28, 32, ("human",)),
        ("car", 18, 28, ()),
        ("bus", 34, 40, ()),
    ]
    assert result.classes == ("car", "bus", "tree")
    expected = np.zeros(40, np.uint8)
    expected[1:11], expected[18:28], expected[28:32], expected[34:40] = 3, 1, 2, 2
    assert (result.semantic == expected).all()


def test_nothing_drawn_changes_nothing() -> None:
    new = Labels.from_instances([bar("car", 0, 10)], ("car",), SHAPE)
    assert with_drawn(new, []) is new
