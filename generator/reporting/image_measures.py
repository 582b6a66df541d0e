"""Measures of one image: a vector of simple features, contrast of neighbouring pixels, how far it can be compressed."""

from __future__ import annotations

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image

#: What ``feature_vector`` holds, in words.
FEATURES = "colour and gradient histograms"

#: Levels of each colour channel, parts of the image per side for gradients, and directions of gradients.
_LEVELS, _PARTS, _DIRECTIONS = 4, 4, 8

#: The length of a vector.
LENGTH = _LEVELS**3 + _PARTS**2 * _DIRECTIONS

#: Weights of a channel in the lightness of a pixel (ITU-R BT.601).
_LIGHTNESS = np.array([0.299, 0.587, 0.114], np.float32)


def feature_vector(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Simple features of a (H, W, 3) RGB image, float32 of shape (LENGTH,), of length 1. Nothing in them is learned.

    The square roots of two histograms, each of which counts half: of colours in 4 x 4 x 4 cells, and of gradients of
    lightness in 8 directions, weighted by their strength, in each of 4 x 4 parts of the image. The product of two
    vectors is 1 for images of the same histograms, 0 for such that share no cell.
    """
    cells = (pixels.reshape(-1, 3) // (256 // _LEVELS)).astype(np.int64)
    colours = np.bincount(cells @ [_LEVELS**2, _LEVELS, 1], minlength=_LEVELS**3).astype(np.float32)
    lightness = pixels.astype(np.float32) @ _LIGHTNESS
    down, across = np.gradient(lightness) if min(lightness.shape) > 1 else (lightness * 0, lightness * 0)
    height, width = lightness.shape
    part = (np.arange(height) * _PARTS // height)[:, None] * _PARTS + (np.arange(width) * _PARTS // width)
    direction = (np.arctan2(down, across) / (2 * np.pi) * _DIRECTIONS).round().astype(np.int64) % _DIRECTIONS
    index = (part * _DIRECTIONS + direction).ravel()
    gradients = np.bincount(index, np.hypot(down, across).ravel(), minlength=_PARTS**2 * _DIRECTIONS)
    halves = [
        part / part.sum() / 2 if part.sum() else np.full(len(part), 0.5 / len(part)) for part in (colours, gradients)
    ]
    return np.sqrt(np.concatenate(halves)).astype(np.float32)


def glcm_contrast(pixels: NDArray[np.uint8]) -> float:
    """The contrast of the grey-level co-occurrence matrix of a (H, W, 3) RGB image: 0 where it has one grey.

    The mean squared difference of neighbours in 256 greys, over the four directions right, down and both diagonals,
    each of which counts the same.
    """
    grey = np.asarray(Image.fromarray(pixels).convert("L"), np.float64)
    pairs = (
        (grey[:, 1:], grey[:, :-1]),
        (grey[1:], grey[:-1]),
        (grey[1:, 1:], grey[:-1, :-1]),
        (grey[1:, :-1], grey[:-1, 1:]),
    )
    means = [float(np.mean((first - second) ** 2)) for first, second in pairs if first.size]
    return float(np.mean(means)) if means else 0.0


def compression_ratio(pixels: NDArray[np.uint8]) -> float:
    """How many times smaller a (H, W, 3) RGB image is as a PNG than its plain bytes; noise has about 1."""
    content = io.BytesIO()
    Image.fromarray(pixels).save(content, format="PNG", compress_level=6)
    return pixels.nbytes / content.tell()
