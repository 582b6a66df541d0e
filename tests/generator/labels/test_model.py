"""Instance and Labels: what is refused, and what follows from a mask."""

from __future__ import annotations

import numpy as np
import pytest

from diffucurate.generator.errors import LabelError
from diffucurate.generator.labels.model import IGNORE, Instance, Labels

MASK = np.zeros((6, 8), np.bool_)
MASK[2:5, 3:7] = True


def test_box_area_and_polygons_follow_from_the_mask() -> None:
    instance = Instance("car", MASK, 0.5)
    assert instance.box == (3, 2, 7, 5)
    assert instance.area == 12
    assert [ring.tolist() for ring in instance.polygons[0]] == [[[3, 2], [7, 2], [7, 5], [3, 5]]]


@pytest.mark.parametrize(
    ("mask", "confidence", "message"),
    [
        (MASK.astype(np.uint8), 0.5, "expected bool"),
        (MASK[0], 0.5, "expected bool"),
        (np.zeros_like(MASK), 0.5, "is empty"),
        (MASK, 1.5, r"outside \[0, 1\]"),
        (MASK, float("nan"), r"outside \[0, 1\]"),
    ],
)
def test_bad_instances_are_refused(mask: np.ndarray, confidence: float, message: str) -> None:
    with pytest.raises(LabelError, match=message):
        Instance("car", mask, confidence)


SEMANTIC = np.where(MASK, 1, 0).astype(np.uint8)


@pytest.mark.parametrize(
    ("semantic", "instances", "message"),
    [
        (SEMANTIC.astype(int), (), "expected uint8"),
        (SEMANTIC * 3, (), "class id 3, but there are 2 classes"),
        (SEMANTIC[:4], (Instance("car", MASK, 1.0),), "the semantic mask"),
        (SEMANTIC, (Instance("cat", MASK, 1.0),), "class 'cat', expected one of car, bus"),
    ],
)
def test_labels_that_do_not_fit_are_refused(
    semantic: np.ndarray, instances: tuple[Instance, ...], message: str
) -> None:
    with pytest.raises(LabelError, match=message):
        Labels(semantic, instances, ("car", "bus"))


def test_unknown_pixels_are_legal() -> None:
    assert (Labels(np.full((2, 2), IGNORE, np.uint8), (), ("car",)).semantic == IGNORE).all()


def test_the_most_confident_instance_is_painted_on_top() -> None:
    other = np.zeros_like(MASK)
    other[4:, :] = True
    instances = [Instance("car", MASK, 0.9), Instance("bus", other, 0.4)]
    labels = Labels.from_instances(instances, ["car", "bus"], MASK.shape)
    assert (labels.semantic[MASK] == 1).all() and (labels.semantic[other & ~MASK] == 2).all()
    assert [instance.label for instance in labels.instances] == ["car", "bus"]
    assert not Labels.from_instances([], ["car"], (3, 3)).semantic.any()
