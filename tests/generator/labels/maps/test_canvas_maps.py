"""Names of regions' maps, and which region a pixel belongs to."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from diffucurate.generator.labels.maps.canvas_maps import RegionMap, owners, region_maps, tiles, whole_maps


@pytest.mark.parametrize(
    "region",
    [
        RegionMap(0, (0, 8, 128, 64), "car"),
        RegionMap(12, (1024, 0, 512, 512), "traffic light: red", lost=True),
        RegionMap(1, (0, 0, 8, 8), "region 1 at 0,0 of 8x8: car"),
    ],
)
def test_names_say_everything(region: RegionMap) -> None:
    assert RegionMap.named(region.name) == region


def test_names_of_classes_are_no_regions() -> None:
    heat = np.zeros((2, 2), np.float32)
    name = RegionMap(0, (0, 0, 16, 16), "car").name
    maps = {"car": heat, "region": heat, "region 1 at home": heat, name: heat}
    assert list(region_maps(maps)) == [name] and list(whole_maps(maps)) == ["car", "region", "region 1 at home"]


def test_the_nearer_region_owns_a_pixel_and_the_front_one_more() -> None:
    boxes = {0: (0, 0, 64, 64), 1: (48, 0, 64, 64)}
    owner = owners(boxes, (64, 112))
    assert owner[32, 32] == 0 and owner[32, 80] == 1 and owner[0, 0] == -1
    # Without an order the border would be in the middle, at 56. The square root of 8 moves it by its logarithm times
    # the variance by the distance of the centres in sides, 0.75: 1.04 * 0.01 / 0.75 = 0.0139 sides, or 0.9 px.
    border = int(np.flatnonzero(owner[32] == 1)[0])
    assert border == 55


def test_the_rearmost_of_many_regions_keeps_its_middle() -> None:
    boxes = {order: (48 * order, 0, 64, 64) for order in range(16)}
    owner = owners(boxes, (64, 48 * 15 + 64))
    for order in boxes:
        assert (owner[32, 48 * order + 20 : 48 * order + 44] == order).all(), order


def test_tiles_cover_and_overlap() -> None:
    boxes = tiles((240, 400), (128, 128), 8)
    covered = np.zeros((400, 240), int)
    for x, y, width, height in boxes:
        assert x % 8 == y % 8 == 0
        covered[y : y + height, x : x + width] += 1
    assert covered.min() >= 1 and len(boxes) == 2 * 4
    starts = sorted({y for _, y, _, _ in boxes})
    assert all(later - earlier <= 112 for earlier, later in pairwise(starts))
    assert tiles((128, 128), (128, 128), 8) == [(0, 0, 128, 128)]
