"""Which pixels of a map are hot enough: each way to a threshold, and the second one around each object."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from diffucurate.generator.errors import LabelError
from diffucurate.generator.labels.maps.binarize import cut
from diffucurate.generator.labels.maps.guided_filter import GuidedFilter
from diffucurate.generator.labels.masks.working_grid import Grid
from diffucurate.generator.labels.settings import LabelSettings

Map = NDArray[np.float32]


def discs(side: int, *rounds: tuple[float, float, float, float]) -> Map:
    """(x, y, radius, heat) of each disc, in hundredths of the side, on a ground of 0.05."""
    y, x = (np.mgrid[:side, :side] + 0.5) * 100 / side
    heat = np.full((side, side), 0.05, np.float32)
    for cx, cy, radius, value in rounds:
        heat[np.hypot(x - cx, y - cy) < radius] = value
    return heat


def hot(heat: Map, guide: GuidedFilter | None = None, **settings: object) -> NDArray[np.bool_]:
    return cut(heat, Grid(heat.shape), LabelSettings(**settings), guide)


#: An object of two temperatures beside a fainter one.
TWO = (30, 50, 20, 0.6), (30, 50, 12, 1.0), (78, 50, 12, 0.4)


@pytest.mark.parametrize("side", [64, 512])
@pytest.mark.parametrize(
    ("settings", "coolest"),
    [
        ({"cut": "fixed", "floor": 0.3}, 0.4),
        ({"cut": "fixed", "floor": 0.5}, 0.6),
        ({"cut": "fixed", "floor": 0.75}, 1.0),
        ({"cut": "otsu", "floor": 0.1}, 0.4),  # Otsu's own threshold is above the floor
        ({"cut": "otsu", "floor": 0.75}, 1.0),  # and here below it
        ({"cut": "steepest", "floor": 0.3}, 0.6),  # within 0.2 of the floor, the largest step
        ({"cut": "steepest", "floor": 0.85}, 1.0),  # of which there is but one here
    ],
)
def test_a_threshold_over_the_whole_map(settings: dict[str, object], coolest: float, side: int) -> None:
    heat = discs(side, *TWO)
    assert heat[hot(heat, surround=0.0, **settings)].min() == np.float32(coolest)


@pytest.mark.parametrize("side", [64, 512])
def test_a_threshold_around_each_object(side: int) -> None:
    """The whole map's leaves out the object's cooler part; what surrounds the object brings it back."""
    heat = discs(side, *TWO)
    found = hot(heat, cut="fixed", floor=0.75, surround=0.65)
    assert np.array_equal(found, (heat >= 0.6) & (np.mgrid[:side, :side][1] < side / 2))


def test_what_the_grid_may_miss_is_cut_pixel_by_pixel() -> None:
    heat = discs(500, (30, 50, 20, 1.0))
    heat[250, 60:140] = 0.05  # a crack of one pixel
    assert np.array_equal(hot(heat, cut="fixed"), heat > 0.5)


def test_agreement_needs_an_image() -> None:
    heat = discs(64, (50, 50, 30, 1.0))
    with pytest.raises(LabelError, match="pass the image and an edge_reach above 0"):
        hot(heat, cut="agreement")
    image = np.repeat((heat > 0.5)[..., None], 3, axis=2).astype(np.uint8) * np.uint8(200)
    assert np.array_equal(hot(heat, GuidedFilter(image, 0.125, 1e-5), cut="agreement"), heat > 0.5)
