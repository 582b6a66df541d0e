"""Refinement along the image's edges: heat steps where the colour steps, and nowhere else."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from diffucurate.generator.errors import LabelError
from diffucurate.generator.labels.from_heatmaps import labels_from_heatmaps
from diffucurate.generator.labels.maps.guided_filter import GuidedFilter
from diffucurate.generator.labels.settings import LabelSettings

SHAPES = [(128, 128), (512, 512), (96, 160), (37, 200), (1, 1)]


def scene(shape: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """A noisy picture of a red T on grey, whose corners attention is too coarse for, and its exact mask."""
    height, width = shape
    y, x = (np.mgrid[:height, :width] + 0.5) / np.array([height, width])[:, None, None]
    mask = ((abs(x - 0.5) < 0.3) & (abs(y - 0.3) < 0.1)) | ((abs(x - 0.5) < 0.1) & (abs(y - 0.55) < 0.3))
    image = np.where(mask[..., None], [190, 40, 30], [110, 115, 120])
    noise = np.random.default_rng(0).normal(0, 4, image.shape)
    return np.clip(image + noise, 0, 255).astype(np.uint8), mask


FILTER = LabelSettings(edges="filter")


def coarse(mask: np.ndarray, side: int = 16) -> np.ndarray:
    """What attention knows of a mask: a blurred map of ``side`` x ``side`` values."""
    small = cv2.resize(mask.astype(np.float32), (side, side), interpolation=cv2.INTER_AREA)
    return cv2.GaussianBlur(small, (3, 3), 0)


def iou(a: np.ndarray, b: np.ndarray) -> float:
    return float((a & b).sum() / (a | b).sum())


@pytest.mark.parametrize("shape", SHAPES[:4])
def test_outlines_follow_the_image(shape: tuple[int, int]) -> None:
    image, mask = scene(shape)
    found = {
        name: labels_from_heatmaps({"car": coarse(mask)}, shape, ["car"], FILTER, image=given).semantic == 1
        for name, given in (("plain", None), ("refined", image))
    }
    assert iou(found["refined"], mask) > 0.97
    assert iou(found["plain"], mask) < 0.94


def test_an_image_without_edges_keeps_the_heat_where_it_is() -> None:
    _, mask = scene((128, 128))
    heat = cv2.resize(coarse(mask), (128, 128), interpolation=cv2.INTER_CUBIC)
    refined = GuidedFilter(np.full((128, 128, 3), 99, np.uint8), 0.125, 1e-4).refine(heat)
    centre = [np.average(axis, weights=field) for field in (heat, refined) for axis in np.mgrid[:128, :128]]
    assert np.allclose(centre[:2], centre[2:], atol=1)
    assert np.corrcoef(heat.ravel(), refined.ravel())[0, 1] > 0.8


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("heat", ["blob", "constant", "zero"])
def test_values_stay_within_their_range(shape: tuple[int, int], heat: str) -> None:
    image, mask = scene(shape)
    values = {"blob": mask.astype(np.float32), "constant": np.full(shape, 0.3, np.float32), "zero": np.zeros(shape)}
    given = values[heat].astype(np.float32)
    refined = GuidedFilter(image, 0.125, 1e-4).refine(given)
    assert refined.shape == shape and np.isfinite(refined).all()
    assert given.min() <= refined.min() and refined.max() <= given.max()


def test_it_is_the_guided_filter() -> None:
    """Against the formulas of He, Sun and Tang (2013) written out window by window, on a grid as fine as the image."""
    rng = np.random.default_rng(1)
    image, heat = rng.integers(0, 256, (24, 20, 3), np.uint8), rng.random((24, 20), np.float32)
    reach, epsilon = 2, 1e-2
    guide, padded = image / 255, np.pad(image / 255, ((reach, reach), (reach, reach), (0, 0)), "symmetric")
    around = np.pad(heat, reach, "symmetric")
    fits = np.zeros((24, 20, 4))
    for row, column in np.ndindex(24, 20):
        window = np.s_[row : row + 2 * reach + 1, column : column + 2 * reach + 1]
        colours, heats = padded[window].reshape(-1, 3), around[window].ravel()
        spread = np.cov(colours.T, bias=True) + epsilon * np.eye(3)
        shared = ((colours - colours.mean(0)) * (heats - heats.mean())[:, None]).mean(0)
        slope = np.linalg.solve(spread, shared)
        fits[row, column] = (*slope, heats.mean() - slope @ colours.mean(0))
    fits = np.pad(fits, ((reach, reach), (reach, reach), (0, 0)), "symmetric")
    expected = np.zeros((24, 20))
    for row, column in np.ndindex(24, 20):
        fit = fits[row : row + 2 * reach + 1, column : column + 2 * reach + 1].reshape(-1, 4).mean(0)
        expected[row, column] = guide[row, column] @ fit[:3] + fit[3]
    found = GuidedFilter(image, reach / (24 * 20) ** 0.5, epsilon).refine(heat)
    assert np.allclose(found, np.clip(expected, heat.min(), heat.max()), atol=1e-4)


def test_a_grey_image_is_filtered_as_its_one_channel() -> None:
    """By hand: with three equal channels of variance v and a covariance c with the heat, the slopes add up to
    3c / (3v + epsilon), which is the filter of one channel with a third of epsilon."""
    rng = np.random.default_rng(0)
    plane = cv2.GaussianBlur(rng.integers(0, 256, (64, 64)).astype(np.uint8), (0, 0), 1.5)
    heat = cv2.GaussianBlur((np.indices((64, 64)).sum(0) < 60).astype(np.float32), (0, 0), 4)
    reach, epsilon = 8, 1e-5

    def mean(values: np.ndarray) -> np.ndarray:
        return cv2.blur(values, (2 * reach + 1,) * 2, borderType=cv2.BORDER_REFLECT)

    guide, values = plane / 255, heat.astype(np.float64)
    slope = (mean(guide * values) - mean(guide) * mean(values)) / (mean(guide**2) - mean(guide) ** 2 + epsilon / 3)
    expected = mean(slope) * guide + mean(mean(values) - slope * mean(guide))
    found = GuidedFilter(np.repeat(plane[..., None], 3, axis=2), reach / 64, epsilon).refine(heat)
    assert np.allclose(found, np.clip(expected, heat.min(), heat.max()), atol=2e-3)


def test_it_can_be_left_out() -> None:
    image, mask = scene((128, 128))
    settings = LabelSettings(edge_reach=0)
    without, given = (
        labels_from_heatmaps({"car": coarse(mask)}, (128, 128), ["car"], settings, pixels) for pixels in (None, image)
    )
    assert np.array_equal(without.semantic, given.semantic)


@pytest.mark.parametrize(("shape", "dtype"), [((64, 64), np.uint8), ((32, 64, 3), np.uint8), ((64, 64, 3), np.float32)])
def test_another_image_is_refused(shape: tuple[int, ...], dtype: type) -> None:
    image = np.zeros(shape, dtype)
    with pytest.raises(LabelError, match=r"expected uint8 \(64, 64, 3\)"):
        labels_from_heatmaps({"car": np.ones((8, 8))}, (64, 64), ["car"], image=image)
