"""How maps are read as chances is learned from masks."""

from __future__ import annotations

import numpy as np
import pytest

from diffucurate.generator.attention.class_tokens.calibration import Calibration, calibrate, mean_of_peaks
from diffucurate.generator.labels.maps.calibrated_maps import LEVEL

Y, X = np.mgrid[:64, :64] + 0.5
DISTANCE = np.hypot(X - 32, Y - 32)
DISC = DISTANCE < 20
IMAGE = np.where(DISC[..., None], (200, 40, 30), (90, 95, 100)).astype(np.uint8)


def cone(radius: float) -> np.ndarray:
    """(16, 16), falling from 1 to 0 at twice ``radius``."""
    return np.clip(1 - DISTANCE[2::4, 2::4] / (2 * radius), 0, 1).astype(np.float32)


def test_cuts_where_the_masks_end() -> None:
    """The same maps, of objects that are larger or smaller than usual."""
    found = {}
    for radius in (12, 24):
        disc = np.less(DISTANCE, radius)
        image = np.where(disc[..., None], (200, 40, 30), (90, 95, 100)).astype(np.uint8)
        read = calibrate([image] * 3, [disc] * 3, [cone(20)] * 3, [cone(20)] * 3)
        assert read.masks == 3
        found[radius] = read.heat(cone(20), cone(20))
        wide = (np.count_nonzero(found[radius] > LEVEL**2) * 16 / np.pi) ** 0.5
        assert wide == pytest.approx(radius, rel=0.2)
    assert (found[12] <= found[24]).all() and found[12].shape == (16, 16) and found[12].dtype == np.float32


def test_weighs_the_map_that_knows() -> None:
    noise = np.random.default_rng(0).random((16, 16), np.float32)
    by_words = calibrate([IMAGE], [DISC], [cone(20)], [noise])
    by_token = calibrate([IMAGE], [DISC], [noise], [cone(20)])
    assert by_words.words > by_token.words + 1


def test_weighs_the_contrast_where_it_knows() -> None:
    noise = np.random.default_rng(0).random((16, 16), np.float32)
    weights = [calibrate([IMAGE], [DISC], [noise], [noise], [given]).contrast for given in (cone(20), noise[::-1])]
    assert weights[0] > weights[1] + 1
    assert calibrate([IMAGE], [DISC], [noise], [noise]).contrast == 0
    read = calibrate([IMAGE], [DISC], [cone(20)], [cone(20)], [np.kron(cone(20), np.ones((2, 2), np.float32))])
    assert read.heat(cone(20), cone(20), cone(20)).shape == (16, 16)


def test_the_unit_of_the_maps_does_not_matter() -> None:
    read = calibrate([IMAGE], [DISC], [cone(20)], [cone(16)])
    other = calibrate([IMAGE], [DISC], [1e-3 * cone(20)], [7 * cone(16)])
    assert (other.mean, other.words, other.bias) == pytest.approx((read.mean, read.words, read.bias), rel=1e-3)
    np.testing.assert_allclose(read.heat(cone(20), cone(16)), read.heat(5 * cone(20), 9 * cone(16)), rtol=1e-4)
    assert mean_of_peaks(3 * cone(20), 2 * cone(16)).max() == pytest.approx(1)


def test_maps_without_heat_are_read_as_nothing() -> None:
    nothing = np.zeros((16, 16), np.float32)
    assert not calibrate([IMAGE], [~DISC & DISC], [nothing], [nothing]).heat(nothing, nothing).any()


def test_numbers_that_are_none() -> None:
    with pytest.raises(ValueError, match="not finite"):
        Calibration(8.0, 6.0, float("nan"), 1)
