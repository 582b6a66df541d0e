"""Otsu's threshold against its definition and OpenCV's own."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from diffucurate.generator.labels.thresholds import otsu


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([0, 0, 0, 1], 0.5),
        ([5, 1, 5, 1], 3.0),
        ([2, 2, 2], 2.0),  # nothing to split, nothing above
        ([7], 7.0),
        ([0, 1, 9, 10], 5.0),
        ([1e-9, 1e-9, 3e-9], 2e-9),  # any unit
    ],
)
def test_small_cases(values: list[float], expected: float) -> None:
    assert otsu(np.array(values)) == pytest.approx(expected)


def test_agrees_with_opencv_on_8_bit_maps() -> None:
    rng = np.random.default_rng(0)
    for _ in range(5):
        image = cv2.GaussianBlur(rng.integers(0, 256, (40, 50)).astype(np.uint8), (0, 0), 3)
        image[5:20, 5:25] //= 2
        reference, _ = cv2.threshold(image, 0, 255, cv2.THRESH_BINARY | cv2.THRESH_OTSU)
        assert np.array_equal(image > otsu(image.astype(np.float32)), image > reference)


def test_is_the_best_split_of_all() -> None:
    values = np.random.default_rng(1).gamma(1.0, size=60)

    def spread(threshold: float) -> float:
        low, high = values[values <= threshold], values[values > threshold]
        return len(low) * len(high) * (low.mean() - high.mean()) ** 2

    assert spread(otsu(values)) == pytest.approx(max(spread(value) for value in np.sort(values)[:-1]))


def test_sees_steps_that_8_bits_lose() -> None:
    values = np.where(np.arange(100) < 90, 0.5, 0.5001).astype(np.float32)
    values[0] = 0.0
    split = values[1:] > otsu(values[1:])
    assert split.sum() == 10
