"""The kinds of disagreement, on masks small enough to check by eye."""

from __future__ import annotations

import numpy as np
import pytest

from diffucurate.plugin.comparison.kinds import EXTRA, LOOSE, MERGED, MISSED, SPLIT, WRONG_CLASS, Seen, kinds_of


def seen(label: str, first: int, last: int, iou: float | None = None) -> Seen:
    """Columns [first, last) of a strip."""
    mask = np.zeros((4, 40), np.bool_)
    mask[:, first:last] = True
    return Seen(label, mask, iou)


@pytest.mark.parametrize(
    ("a", "b", "kinds_a", "kinds_b"),
    [
        pytest.param([seen("car", 0, 8, 0.9)], [seen("car", 0, 8, 0.9)], [set()], [set()], id="both agree"),
        pytest.param([seen("car", 0, 8)], [], [{EXTRA}], [], id="only a"),
        pytest.param([], [seen("car", 0, 8)], [], [{MISSED}], id="only b"),
        pytest.param([seen("car", 0, 8)], [seen("bus", 0, 9)], [{WRONG_CLASS}], [{WRONG_CLASS}], id="other name"),
        # IoU 4/12: too little to be one place of two classes, enough for one object with another outline.
        pytest.param([seen("car", 0, 8)], [seen("bus", 4, 12)], [{EXTRA}], [{MISSED}], id="beside each other"),
        pytest.param([seen("car", 0, 8)], [seen("car", 4, 12)], [{LOOSE}], [{LOOSE}], id="outlines too far apart"),
        pytest.param([seen("car", 0, 8, 0.6)], [seen("car", 0, 12, 0.6)], [{LOOSE}], [{LOOSE}], id="a loose match"),
        pytest.param(
            [seen("car", 0, 20)], [seen("car", 0, 9), seen("car", 11, 20)], [{MERGED}], [{SPLIT}, {SPLIT}], id="merged"
        ),
        pytest.param(
            [seen("car", 0, 9, 0.6), seen("car", 9, 15)],
            [seen("car", 0, 15, 0.6)],
            [{SPLIT}, {SPLIT}],
            [{MERGED}],
            id="split, one part matches",
        ),
        # A tight match is right whatever else lies in it.
        pytest.param(
            [seen("car", 0, 20, 0.95)],
            [seen("car", 0, 19, 0.95), seen("car", 2, 4)],
            [set()],
            [set(), {MISSED}],
            id="a part beside the whole",
        ),
        # Of two candidates the better overlap is the pair; what is left has nothing.
        pytest.param(
            [seen("car", 0, 8), seen("car", 6, 14)],
            [seen("bus", 0, 8)],
            [{WRONG_CLASS}, {EXTRA}],
            [{WRONG_CLASS}],
            id="the best pair",
        ),
    ],
)
def test_kinds(a: list[Seen], b: list[Seen], kinds_a: list[set[str]], kinds_b: list[set[str]]) -> None:
    differences = kinds_of(a, b, 0.5)
    assert differences[:2] == (kinds_a, kinds_b)
    assert len(differences.confused) == sum(WRONG_CLASS in kinds for kinds in kinds_a)
    for i, j in differences.confused:
        assert WRONG_CLASS in kinds_a[i] and WRONG_CLASS in kinds_b[j] and a[i].label != b[j].label
