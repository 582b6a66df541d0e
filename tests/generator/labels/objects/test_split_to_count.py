"""Where it is known how many objects there are, a hint is enough to tell them apart."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from diffucurate.generator.labels.from_heatmaps import labels_from_heatmaps
from diffucurate.generator.labels.objects.split_by_colour import colour_bins, cut_by_colour
from diffucurate.generator.labels.objects.split_to_count import split_to_count
from diffucurate.generator.labels.settings import LabelSettings

Mask = NDArray[np.bool_]
Image = NDArray[np.uint8]

SIDE = 80
RED, BLUE, GREY = (200, 40, 30), (40, 60, 190), (128, 128, 128)


def box(left: int, top: int, right: int, bottom: int) -> Mask:
    mask = np.zeros((SIDE, SIDE), np.bool_)
    mask[top:bottom, left:right] = True
    return mask


def painted(*things: tuple[Mask, tuple[int, int, int]]) -> Image:
    image = np.full((SIDE, SIDE, 3), GREY, np.uint8)
    for mask, colour in things:
        image[mask] = colour
    return image


def iou(one: Mask, other: Mask) -> float:
    return float(np.count_nonzero(one & other) / np.count_nonzero(one | other))


def in_order(parts: list[Mask]) -> list[Mask]:
    return sorted(parts, key=lambda part: part.nonzero()[1].mean())


LEFT, RIGHT = box(10, 20, 45, 60), box(45, 20, 70, 60)


def test_colours_tell_two_apart() -> None:
    parts = split_to_count([LEFT | RIGHT], painted((LEFT, RED), (RIGHT, BLUE)), 2)
    assert [np.count_nonzero(part) for part in parts] == sorted(map(np.count_nonzero, parts), reverse=True)
    left, right = in_order(parts)
    assert iou(left, LEFT) > 0.9 and iou(right, RIGHT) > 0.9
    assert not (left & right).any()


def test_the_worth_of_a_cut_is_how_much_its_sides_differ() -> None:
    two = cut_by_colour(LEFT | RIGHT, colour_bins(painted((LEFT, RED), (RIGHT, BLUE))))
    one = cut_by_colour(LEFT | RIGHT, colour_bins(painted((LEFT | RIGHT, RED))))
    assert two is not None and one is not None
    assert two.worth > 0.8 and one.worth == pytest.approx(0, abs=0.01)
    assert cut_by_colour(box(0, 0, 4, 4), colour_bins(painted())) is None


def test_a_notch_tells_two_of_one_colour_apart() -> None:
    front, back = box(8, 30, 50, 70), box(44, 18, 72, 55)
    both = front | back
    left, right = in_order(split_to_count([both], painted((both, RED)), 2))
    assert iou(left, front) > 0.8 and iou(right, back & ~front) > 0.8


@pytest.mark.parametrize("count", [0, 1, 2])
def test_no_more_than_there_are(count: int) -> None:
    given = [LEFT, box(60, 20, 75, 60)]
    parts = split_to_count(given, painted((LEFT, RED)), count)
    assert len(parts) == 2 and all(np.array_equal(one, other) for one, other in zip(parts, given, strict=True))
    assert split_to_count([], painted(), count) == []


def test_the_one_is_cut_that_is_two() -> None:
    alone = box(10, 64, 78, 79)  # the largest, of one colour
    parts = split_to_count([alone, LEFT | RIGHT], painted((alone, BLUE), (LEFT, RED), (RIGHT, BLUE)), 3)
    assert len(parts) == 3 and any(np.array_equal(part, alone) for part in parts)


def test_without_a_hint_it_stays_one() -> None:
    whole = LEFT | RIGHT
    (part,) = split_to_count([whole], painted((whole, RED)), 5)
    assert np.array_equal(part, whole)


@pytest.mark.parametrize("scale", [1, 6])
def test_labels_have_as_many_as_are_there(scale: int) -> None:
    image = np.kron(painted((LEFT, RED), (RIGHT, BLUE)), np.ones((scale, scale, 1), np.uint8))
    heat = np.kron((LEFT | RIGHT).reshape(20, 4, 20, 4).mean(axis=(1, 3)), np.ones((1, 1)))

    def found(counts: dict[str, int], settings: LabelSettings | None = None) -> list[Mask]:
        labels = labels_from_heatmaps(
            {"car": heat}, image.shape[:2], ["car", "bus"], settings or LabelSettings(), image, counts=counts
        )
        return [instance.mask for instance in labels.instances]

    assert len(found({})) == len(found({"car": 1})) == len(found({"bus": 2})) == 1
    assert len(found({"car": 2}, LabelSettings(counted=False))) == 1
    left, right = in_order(found({"car": 2}))
    large = np.ones((scale, scale), np.bool_)
    assert iou(left, np.kron(LEFT, large)) > 0.85 and iou(right, np.kron(RIGHT, large)) > 0.85
