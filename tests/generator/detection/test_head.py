"""Targets, losses and decoding of heads, by values worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from diffucurate.generator.detection.decode import instances
from diffucurate.generator.detection.head import HIDDEN, MASK_FEATURES, DetectionHead, Predictions, mask_logits, places
from diffucurate.generator.detection.precision import average_precision_50, mean_precision
from diffucurate.generator.detection.targets import Truth, assigned, losses
from diffucurate.generator.detection.views import Lesson, truth_of, view_of
from diffucurate.generator.labels.model import Instance

PARAMETERS = HIDDEN * (MASK_FEATURES + 2) + 2 * HIDDEN + 1


def box_mask(x0: int, y0: int, x1: int, y1: int, side: int = 16) -> np.ndarray:
    mask = np.zeros((side, side), np.bool_)
    mask[y0:y1, x0:x1] = True
    return mask


def truth(*masks: np.ndarray) -> Truth:
    found = [Instance("car", mask, 1.0) for mask in masks]
    image = np.zeros((*masks[0].shape, 3), np.uint8) if masks else np.zeros((16, 16, 3), np.uint8)
    return truth_of(Lesson(image, found), ["bus", "car"], 16)


def test_places_are_the_middles_row_by_row() -> None:
    assert places(2, torch.zeros(1)).tolist() == [[0.25, 0.25], [0.75, 0.25], [0.25, 0.75], [0.75, 0.75]]


def test_truth_of_a_view() -> None:
    made = truth(box_mask(4, 0, 12, 16))
    assert made.classes.tolist() == [1] and made.boxes.tolist() == [[0.25, 0.0, 0.75, 1.0]]
    assert made.masks[0].sum() == 128 and made.known.tolist() == [True]


def test_places_near_an_objects_middle_are_its_own() -> None:
    owner = assigned(truth(box_mask(0, 0, 8, 8), box_mask(0, 0, 2, 2)), 8).reshape(8, 8)
    # The middle of the large one is two places from either side, so that all its 4 x 4 places are within 1.5 of that;
    # the first of them is the only one of the small one.
    expected = torch.full((8, 8), -1)
    expected[:4, :4], expected[0, 0] = 0, 1
    assert torch.equal(owner, expected)


def test_an_object_smaller_than_a_place_has_one() -> None:
    owner = assigned(truth(box_mask(9, 9, 10, 10)), 2)
    assert owner.tolist() == [-1, -1, -1, 0]
    assert (assigned(truth(), 4) == -1).all()


def test_mask_networks_against_plain_loops() -> None:
    rng = torch.Generator().manual_seed(0)
    networks, masks = torch.randn(2, PARAMETERS, generator=rng), torch.randn(MASK_FEATURES, 4, 4, generator=rng)
    middles = torch.tensor([[0.5, 0.5], [0.1, 0.9]])
    made = mask_logits(networks, masks, middles)
    for place in range(2):
        first = networks[place, : HIDDEN * (MASK_FEATURES + 2)].reshape(HIDDEN, MASK_FEATURES + 2)
        bias = networks[place, HIDDEN * (MASK_FEATURES + 2) :][:HIDDEN]
        second, last = networks[place, -HIDDEN - 1 : -1], networks[place, -1]
        for row in range(4):
            for column in range(4):
                away = [(column + 0.5) / 4 - middles[place, 0], (row + 0.5) / 4 - middles[place, 1]]
                read = torch.tensor([*masks[:, row, column], *(4 * each for each in away)])
                expected = second @ torch.relu(first @ read + bias) + last
                assert made[place, row, column] == pytest.approx(float(expected), abs=1e-4)


def predictions(grid: int = 8) -> Predictions:
    """Of one image: a car around the place in row 2, column 5, and nothing else."""
    classes = torch.full((1, 2, grid, grid), -9.0)
    classes[0, 1, 2, 5] = 9.0
    boxes = torch.zeros(1, 4, grid, grid)
    boxes[0, :, 2, 5] = torch.tensor([0.1875, 0.0625, 0.0625, 0.1875])  # from (0.6875, 0.3125)
    networks = torch.zeros(1, PARAMETERS, grid, grid)
    networks[0, -1] = 5.0  # a mask of all pixels, which the box cuts
    return Predictions(
        classes, boxes, torch.full((1, grid, grid), 9.0), networks, torch.zeros(1, MASK_FEATURES, 16, 16)
    )


def test_decoding() -> None:
    (found,) = instances(predictions(), 0, (32, 32), ["bus", "car"], min_confidence=0.5, max_overlap=0.6)
    assert found.label == "car" and found.confidence > 0.99 and not found.boxed
    assert found.box == (15, 7, 25, 17)  # 16, 8, 24, 16 and a pixel around
    (boxed,) = instances(predictions(), 0, (32, 64), ["bus", "car"], min_confidence=0.5, max_overlap=0.6, masks=False)
    assert boxed.boxed and boxed.box == (32, 8, 48, 16)


def test_losses_fall_where_predictions_are_right() -> None:
    wanted = [truth(box_mask(8, 4, 12, 8))]  # 0.5, 0.25, 0.75, 0.5
    right = predictions()
    right.boxes[0, :, 2, 5] = torch.tensor([0.1875, 0.0625, 0.0625, 0.1875])
    good = losses(right, wanted, torch.Generator().manual_seed(0))
    wrong = right._replace(classes=-right.classes)
    bad = losses(wrong, wanted, torch.Generator().manual_seed(0))
    assert good["class"] < bad["class"]
    nothing = losses(right, [truth()], torch.Generator().manual_seed(0))
    assert nothing["box"] == nothing["mask"] == 0 and nothing["class"] > 0


def test_a_head_of_any_blocks() -> None:
    head = DetectionHead([4, 6], 3, 16, 8)
    features = [torch.randn(2, 4, 4, 4), torch.randn(2, 6, 8, 8)]
    head.standardise(features)
    made = head(features, torch.zeros(2, 3, 32, 32))
    assert made.classes.shape == (2, 3, 16, 16) and made.masks.shape == (2, MASK_FEATURES, 32, 32)
    assert (made.boxes > 0).all() and made.networks.shape == (2, PARAMETERS, 16, 16)


def test_average_precision_by_hand() -> None:
    car = [Instance("car", box_mask(0, 0, 4, 4), 1.0), Instance("car", box_mask(8, 8, 12, 12), 1.0)]
    found = [
        Instance("car", box_mask(0, 0, 4, 4), 0.9),
        Instance("car", box_mask(0, 8, 4, 12), 0.8),
        Instance("car", box_mask(8, 8, 12, 12), 0.7),
        Instance("bus", box_mask(0, 0, 4, 4), 0.9),
    ]
    # Precision is 1 up to a recall of 0.5 (51 of 101 points), then 2 / 3.
    assert average_precision_50([found], [car]) == {"car": pytest.approx((51 + 50 * 2 / 3) / 101)}
    assert mean_precision([[]], [car]) == 0 and mean_precision([found], [[]]) == 0
    twice = [Instance("car", box_mask(0, 0, 4, 4), score) for score in (0.9, 0.8)]
    assert mean_precision([twice], [car]) == pytest.approx(51 / 101)  # the second finds nothing new


def test_views() -> None:
    image = np.zeros((16, 32, 3), np.uint8)
    image[:8, :8] = 200
    lesson = Lesson(image, [Instance("car", image[..., 0] > 0, 1.0)])
    plain = view_of(lesson, None, 16, 1.0, False)
    assert plain.image.shape == (16, 16, 3) and plain.instances[0].box == (0, 0, 4, 8)
    sides = set()
    for seed in range(12):
        view = view_of(lesson, np.random.default_rng(seed), 32, 1.0, True)
        sides.add(view.instances[0].box[0] > 8)
        mask = view.instances[0].mask
        assert view.image[mask].mean() > view.image[~mask].mean() + 100
    assert sides == {True, False}
