"""Planes on the coarser grid and back, for images of any shape."""

from __future__ import annotations

import numpy as np
import pytest

from diffucurate.generator.labels.masks.working_grid import POINTS, Grid, around, framed, halved

SHAPES = [(512, 512), (768, 1152), (500, 333), (2 * POINTS - 1, 40), (64, 64), (3, 900), (1, 1)]


@pytest.mark.parametrize("shape", SHAPES)
def test_a_grid_is_coarse_and_goes_back_and_forth(shape: tuple[int, int]) -> None:
    grid = Grid(shape)
    assert min(shape) >= grid.step or min(grid.shape) == 1
    assert max(grid.shape) <= 2 * POINTS and max(grid.shape) >= min(POINTS, max(shape))
    plane = np.random.default_rng(0).random(grid.shape, np.float32)
    large = grid.enlarged(plane)
    assert large.shape == shape and large.dtype == np.float32
    assert np.array_equal(grid.sampled(large), plane)
    if grid.step == 1:
        assert grid.shape == shape and np.array_equal(large, plane)


@pytest.mark.parametrize("shape", SHAPES)
def test_a_window_in_pixels_is_that_of_its_points(shape: tuple[int, int]) -> None:
    grid = Grid(shape)
    height, width = grid.shape
    window = np.s_[height // 3 : height // 3 + 1 + height // 4, width // 5 : 1 + width // 2]
    points = np.zeros(grid.shape, np.bool_)
    points[window] = True
    large = grid.enlarged(points)
    pixels = grid.pixels(window)
    assert large[pixels].all() and np.count_nonzero(large) == large[pixels].size
    assert np.array_equal(grid.enlarged(points, pixels), large[pixels])


def test_around_is_the_box_and_its_margin_within_the_image() -> None:
    mask = np.zeros((20, 30), np.bool_)
    mask[4:6, 25] = True
    assert around(mask) == np.s_[4:6, 25:26]
    assert around(mask, 5) == np.s_[0:11, 20:30]


@pytest.mark.parametrize("value", [False, True])
def test_a_frame_goes_round_a_mask(value: bool) -> None:
    mask = np.eye(4, dtype=np.bool_)[:, :3]
    expected = np.pad(mask, ((1, 2), (3, 0)), constant_values=value)
    assert np.array_equal(framed(mask, (1, 2, 3, 0), value), expected)


@pytest.mark.parametrize(
    ("shape", "size", "halved_to"),
    [((512, 512), (64, 64), (128, 128)), ((100, 90), (50, 50), (100, 90)), ((401, 800), (200, 100), (200, 400))],
)
def test_images_are_halved_down_to_twice_the_size(
    shape: tuple[int, int], size: tuple[int, int], halved_to: tuple[int, int]
) -> None:
    image = np.full((*shape, 3), 77, np.uint8)
    assert halved(image, size).shape == (*halved_to, 3)
    assert (halved(image, size) == 77).all()


def test_colours_are_averaged_around_the_points() -> None:
    large = np.random.default_rng(0).integers(0, 256, (288, 576, 3), np.uint8)
    grid = Grid(large.shape[:2])
    tiles = large.reshape(grid.shape[0], grid.step, grid.shape[1], grid.step, 3)
    np.testing.assert_allclose(grid.averaged(large), tiles.mean(axis=(1, 3)), atol=2)
    small = large[:60, :50]
    assert np.array_equal(Grid(small.shape[:2]).averaged(small), small), "a small image is its own grid"
