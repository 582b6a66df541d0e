"""Measures of images and sets, against values that are known or that other libraries give."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image
from scipy import linalg
from skimage.feature import graycomatrix, graycoprops

from diffucurate.generator.reporting.calibration import Bin, calibration_error
from diffucurate.generator.reporting.image_measures import LENGTH, compression_ratio, feature_vector, glcm_contrast
from diffucurate.generator.reporting.set_measures import frechet_distance, kernel_distance, vendi_score

RANDOM = np.random.default_rng(0)
NOISE = RANDOM.integers(0, 256, (40, 56, 3), np.uint8)
FLAT = np.full((40, 56, 3), (200, 10, 30), np.uint8)


def test_vendi_counts_effective_images() -> None:
    assert vendi_score(np.eye(7)) == pytest.approx(7)
    assert vendi_score(np.ones((9, 4)) * np.arange(1, 10)[:, None]) == pytest.approx(1)
    assert vendi_score(np.repeat(np.eye(3), 5, axis=0)) == pytest.approx(3), "more vectors than features"
    halves = np.array([[1, 0], [0.5, np.sqrt(0.75)]])  # cosine 0.5: eigenvalues 0.75 and 0.25
    assert vendi_score(halves) == pytest.approx(np.exp(-(0.75 * np.log(0.75) + 0.25 * np.log(0.25))))
    assert vendi_score(np.zeros((0, 4))) == vendi_score(np.zeros((3, 4))) == 0


def test_frechet_distance() -> None:
    first, second = RANDOM.normal(size=(200, 5)), RANDOM.normal(1, 2, size=(150, 5))
    root = linalg.sqrtm(np.cov(first, rowvar=False) @ np.cov(second, rowvar=False)).real
    expected = ((first.mean(0) - second.mean(0)) ** 2).sum()
    expected += np.trace(np.cov(first, rowvar=False) + np.cov(second, rowvar=False) - 2 * root)
    assert frechet_distance(first, second) == pytest.approx(expected)
    assert frechet_distance(first, first) == pytest.approx(0, abs=1e-9)
    assert frechet_distance(first, first + 3) == pytest.approx(45)


def test_kernel_distance() -> None:
    first, second = RANDOM.normal(size=(30, 4)), RANDOM.normal(1, 1, size=(20, 4))

    def kernel(a: np.ndarray, b: np.ndarray) -> float:
        return float((a @ b / 4 + 1) ** 3)

    own = np.mean([kernel(a, b) for i, a in enumerate(first) for j, b in enumerate(first) if i != j])
    other = np.mean([kernel(a, b) for i, a in enumerate(second) for j, b in enumerate(second) if i != j])
    across = np.mean([kernel(a, b) for a in first for b in second])
    assert kernel_distance(first, second) == pytest.approx(own + other - 2 * across)
    assert kernel_distance(first, second) > 10 * abs(kernel_distance(first[:15], first[15:]))


@pytest.mark.parametrize("distance", [frechet_distance, kernel_distance])
def test_sets_that_cannot_be_compared_are_refused(distance) -> None:
    with pytest.raises(ValueError, match="1 and 5 vectors; give at least two of each"):
        distance(np.ones((1, 3)), np.ones((5, 3)))
    with pytest.raises(ValueError, match="3 and 4 features"):
        distance(np.ones((5, 3)), np.ones((5, 4)))


def test_glcm_contrast_is_that_of_scikit_image() -> None:
    grey = np.array(Image.fromarray(NOISE).convert("L"))
    angles = [0, np.pi / 4, np.pi / 2, 3 * np.pi / 4]
    matrix = graycomatrix(grey, [1], angles, levels=256, symmetric=True, normed=True)
    assert glcm_contrast(NOISE) == pytest.approx(graycoprops(matrix, "contrast").mean())
    assert glcm_contrast(FLAT) == 0 and glcm_contrast(FLAT[:1, :1]) == 0


def test_compression_ratio() -> None:
    content = io.BytesIO()
    Image.fromarray(NOISE).save(content, format="PNG")
    assert compression_ratio(NOISE) == pytest.approx(NOISE.nbytes / len(content.getvalue()), rel=0.02)
    assert compression_ratio(NOISE) < 1.1 and compression_ratio(FLAT) > 30


def test_feature_vectors_tell_colours_and_directions_apart() -> None:
    stripes = np.zeros((64, 64, 3), np.uint8)
    stripes[:, ::8] = stripes[:, 1::8] = 255
    others = {"blue": FLAT[..., ::-1].copy(), "upright": stripes, "lying": stripes.swapaxes(0, 1).copy()}
    vectors = {name: feature_vector(pixels) for name, pixels in {"flat": FLAT, **others}.items()}
    for vector in vectors.values():
        assert vector.shape == (LENGTH,) and np.linalg.norm(vector) == pytest.approx(1)
    assert vectors["flat"] @ vectors["blue"] == pytest.approx(0.5), "colours differ, both have no gradients"
    assert vectors["upright"] @ vectors["lying"] == pytest.approx(0.5, abs=0.01), "gradients differ, colours do not"
    assert feature_vector(FLAT[:1, :1]).shape == (LENGTH,)


def test_calibration_error() -> None:
    assert calibration_error([]) is None
    assert calibration_error([Bin(3, 0.9, 0.5), Bin(1, 0.2, 0.2)]) == pytest.approx(0.3)
