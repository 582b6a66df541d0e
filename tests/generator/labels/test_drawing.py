"""Masks over an image: filled by their opacity, outlined in their colour, the topmost one visible."""

from __future__ import annotations

import numpy as np

from diffucurate.generator.labels.drawing import OPACITY, Layer, draw, overlaid
from diffucurate.generator.labels.model import Instance, Labels

IMAGE = np.full((9, 9, 3), 100, np.uint8)
RED, BLUE = (255, 0, 0), (0, 0, 255)


def square(first: int, last: int) -> np.ndarray:
    mask = np.zeros((9, 9), np.bool_)
    mask[first:last, first:last] = True
    return mask


def test_inside_is_blended_and_the_outline_is_the_colour() -> None:
    """By hand: 100 + 0.2 (255 - 100) = 131 and 100 - 0.2 100 = 80."""
    drawn = overlaid(IMAGE, [Layer(square(1, 6), RED, 0.2)], 1)
    expected = IMAGE.copy()
    expected[1:6, 1:6] = RED
    expected[2:5, 2:5] = (131, 80, 80)
    assert np.array_equal(drawn, expected) and (IMAGE == 100).all()


def test_the_outline_is_as_wide_as_asked_and_follows_the_image_s_border() -> None:
    drawn = overlaid(IMAGE, [Layer(square(0, 9), RED, 0.0)], 2)
    assert np.array_equal((drawn == RED).all(axis=2), ~square(2, 7))


def test_the_last_layer_hides_those_below() -> None:
    drawn = overlaid(IMAGE, [Layer(square(0, 7), RED, 0.5), Layer(square(2, 9), BLUE, 0.5)], 1)
    assert np.array_equal(drawn[2:9, 2:9], overlaid(IMAGE, [Layer(square(2, 9), BLUE, 0.5)], 1)[2:9, 2:9])
    assert overlaid(IMAGE, [], 1).tolist() == IMAGE.tolist()


def test_of_labels_the_most_confident_is_on_top() -> None:
    instances = [Instance("a", square(2, 9), 0.9), Instance("b", square(0, 7), 0.4)]
    labels = Labels.from_instances(instances, ["a", "b"], (9, 9))
    drawn = draw(IMAGE, labels, {"a": BLUE, "b": RED})
    expected = overlaid(IMAGE, [Layer(square(0, 7), RED, OPACITY), Layer(square(2, 9), BLUE, OPACITY)], 1)
    assert np.array_equal(drawn, expected)
