"""Which masks of another model are taken, and who has the pixels then."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from diffucurate.generator.labels.model import Instance, Labels
from diffucurate.generator.labels.refinement import agreeing, hottest_points, overlap, refined

SHAPE = (20, 30)
NONE = np.zeros((0, *SHAPE), np.bool_)


def box(top: int, left: int, bottom: int, right: int) -> NDArray[np.bool_]:
    mask = np.zeros(SHAPE, np.bool_)
    mask[top:bottom, left:right] = True
    return mask


def labels_of(*instances: Instance) -> Labels:
    return Labels.from_instances(instances, ("car", "tree"), SHAPE)


# -- Points


def test_points_are_the_hottest_of_the_object_and_apart() -> None:
    mask = box(2, 2, 18, 18)
    heat = np.zeros(SHAPE, np.float32)
    heat[10, 25] = 9  # hotter, but of no object
    heat[5, 6], heat[5, 7], heat[14, 13] = 3, 2.9, 2
    points = hottest_points(heat, mask, 2)
    assert points.dtype == np.float32
    assert points.tolist() == [[6.5, 5.5], [13.5, 14.5]]  # the neighbour of the first is too near


def test_three_points_fit_into_any_object_that_is_not_tiny() -> None:
    rng = np.random.default_rng(0)
    for mask in (box(0, 0, 20, 30), box(3, 3, 5, 29), box(8, 8, 12, 12), rng.random(SHAPE) > 0.5):
        points = hottest_points(rng.random(SHAPE).astype(np.float32), mask, 3)
        assert len({tuple(point) for point in points.tolist()}) == 3
        assert all(mask[int(y), int(x)] for x, y in points)


def test_a_single_pixel_is_pointed_at_again() -> None:
    assert hottest_points(np.ones(SHAPE, np.float32), box(4, 7, 5, 8), 3).tolist() == [[7.5, 4.5]] * 3


# -- Acceptance


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        (box(0, 0, 10, 10), box(0, 0, 10, 10), 1.0),
        (box(0, 0, 10, 10), box(0, 0, 10, 5), 0.5),
        (box(0, 0, 10, 10), box(0, 5, 10, 15), 1 / 3),
        (box(0, 0, 10, 10), box(10, 10, 20, 20), 0.0),
        (box(0, 0, 0, 0), box(0, 0, 0, 0), 0.0),
    ],
)
def test_overlap(one: NDArray[np.bool_], other: NDArray[np.bool_], expected: float) -> None:
    assert overlap(one, other) == pytest.approx(expected)


MASK = box(0, 0, 10, 10)
PART, OBJECT, GROUP = box(0, 0, 10, 4), box(0, 0, 10, 11), box(0, 0, 20, 30)


@pytest.mark.parametrize(
    ("candidates", "least", "expected"),
    [
        ([PART, OBJECT, GROUP], 0.5, OBJECT),  # the closest, wherever it stands
        ([OBJECT, GROUP, PART], 0.5, OBJECT),
        ([PART, GROUP], 0.5, None),
        ([PART, GROUP], 0.4, PART),  # as much as is asked for is enough
        ([OBJECT], 0.95, None),
        ([PART, box(0, 0, 0, 0)], 0.0, PART),
        ([box(0, 0, 0, 0)], 0.0, None),  # an empty mask is no object
        ([box(15, 15, 20, 20)], 0.0, box(15, 15, 20, 20)),
        ([], 0.0, None),
    ],
)
def test_the_closest_mask_is_taken_if_it_is_close_enough(
    candidates: list[NDArray[np.bool_]], least: float, expected: NDArray[np.bool_] | None
) -> None:
    chosen = agreeing(np.stack(candidates) if candidates else NONE, MASK, least)
    assert (chosen is None) == (expected is None)
    assert expected is None or np.array_equal(chosen, expected)


# -- Labels


def test_redrawn_objects_keep_class_confidence_and_place() -> None:
    before = labels_of(Instance("car", MASK, 0.4), Instance("tree", box(0, 20, 10, 30), 0.9))
    after = refined(before, [np.stack([PART, OBJECT]), np.stack([GROUP])], 0.5)
    assert [(thing.label, thing.confidence, thing.refined) for thing in after.instances] == [
        ("car", 0.4, True),
        ("tree", 0.9, False),
    ]
    assert np.array_equal(after.instances[0].mask, OBJECT)
    assert np.array_equal(after.instances[1].mask, before.instances[1].mask)
    assert np.array_equal(after.semantic, np.where(OBJECT, 1, 0) + np.where(box(0, 20, 10, 30), 2, 0))
    assert after.classes == before.classes


@pytest.mark.parametrize("candidates", [np.stack([GROUP, box(12, 0, 20, 9)]), NONE])
def test_masks_that_disagree_change_nothing(candidates: NDArray[np.bool_]) -> None:
    before = labels_of(Instance("car", MASK, 0.4))
    assert refined(before, [candidates], 0.5) is before


def test_nothing_to_redraw() -> None:
    before = labels_of()
    assert refined(before, [], 0.0) is before


@pytest.mark.parametrize("sure", [0, 1])
def test_where_new_masks_overlap_the_more_confident_object_has_the_pixels(sure: int) -> None:
    left, right = box(0, 0, 10, 10), box(0, 10, 10, 20)
    wide = [box(0, 0, 10, 12), box(0, 8, 10, 20)]  # both want columns 8 to 11
    scores = [0.9, 0.3] if sure == 0 else [0.3, 0.9]
    before = labels_of(Instance("car", left, scores[0]), Instance("tree", right, scores[1]))
    masks = [thing.mask for thing in refined(before, [wide[0][None], wide[1][None]], 0.5).instances]
    assert np.array_equal(masks[sure], wide[sure])
    assert np.array_equal(masks[1 - sure], wide[1 - sure] & ~wide[sure])


def test_agreement_counts_only_the_pixels_that_are_left() -> None:
    # Both are shown the same thing; once the first has it, nothing is left for the other to agree with.
    before = labels_of(Instance("car", MASK, 0.9), Instance("tree", box(10, 0, 20, 10), 0.3))
    both = box(0, 0, 16, 10)
    car, tree = refined(before, [both[None], both[None]], 0.5).instances
    assert car.refined and np.array_equal(car.mask, both)
    assert not tree.refined and np.array_equal(tree.mask, box(16, 0, 20, 10))


def test_an_object_with_nothing_left_is_left_out() -> None:
    before = labels_of(Instance("tree", box(9, 0, 11, 4), 0.3), Instance("car", MASK, 0.9))
    (car,) = refined(before, [NONE, box(0, 0, 12, 10)[None]], 0.5).instances
    assert (car.label, car.area) == ("car", 120)
