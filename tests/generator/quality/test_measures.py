"""Measures of images and masks whose right values follow from how they are drawn."""

from __future__ import annotations

import math

import cv2
import numpy as np
import pytest

from diffucurate.generator.labels.model import Instance
from diffucurate.generator.quality.images import measure_image
from diffucurate.generator.quality.masks import measure_masks, measure_shape
from diffucurate.generator.quality.overlap import class_ious, mean_iou, mirrored


def grey(levels) -> np.ndarray:
    return np.repeat(np.asarray(levels, np.uint8)[..., None], 3, axis=-1)


def disc(radius, size=128):
    y, x = np.mgrid[:size, :size] - size / 2 + 0.5
    return np.hypot(x, y) <= radius


def test_one_colour_has_no_contrast_and_no_sharpness():
    assert measure_image(grey(np.full((8, 8), 51))) == pytest.approx((0.2, 0, 0))


def test_white_noise_has_the_sharpness_of_the_laplacians_weights():
    noise = np.random.default_rng(0).integers(0, 256, (300, 300))
    measured = measure_image(grey(noise))
    assert measured.brightness == pytest.approx(0.5, abs=0.01)
    assert measured.contrast == pytest.approx(1 / math.sqrt(12), abs=0.01)
    assert measured.sharpness == pytest.approx(math.sqrt(4**2 + 4), abs=0.05)


def test_blur_lowers_sharpness_and_light_does_not():
    image = np.random.default_rng(1).integers(60, 180, (64, 64)).astype(np.uint8)
    sharp = measure_image(grey(image)).sharpness
    assert measure_image(grey(cv2.GaussianBlur(image, (0, 0), 2))).sharpness < sharp / 5
    assert measure_image(grey(image // 2 + 20)).sharpness == pytest.approx(sharp, rel=0.02)


def test_large_images_are_measured_as_they_are_looked_at():
    image = np.random.default_rng(2).integers(0, 256, (100, 256)).astype(np.uint8)
    large = cv2.resize(image, None, fx=4, fy=4, interpolation=cv2.INTER_NEAREST)
    assert measure_image(grey(large)).sharpness == pytest.approx(
        measure_image(grey(np.repeat(np.repeat(image, 2, 0), 2, 1))).sharpness, rel=0.02
    )


def test_a_disc_is_compact_and_what_is_thin_or_in_pieces_is_not():
    assert measure_shape(disc(40)) == (1, pytest.approx(1, abs=0.02))
    square = np.zeros((64, 64), np.bool_)
    square[10:50, 10:50] = True
    # Lines in four directions take an upright square's outline for 5 % shorter than it is.
    assert measure_shape(square).compactness == pytest.approx(math.pi / 4 / 0.95**2, abs=0.02)
    line = np.zeros((64, 64), np.bool_)
    line[30:34, 2:62] = True
    assert measure_shape(line).compactness == pytest.approx(4 * math.pi * 240 / 128**2, abs=0.03)
    two = np.zeros((64, 64), np.bool_)
    two[10:20, 10:20] = two[40:50, 40:50] = True
    assert measure_shape(two).parts == 2
    assert measure_shape(two).compactness == pytest.approx(measure_shape(two[:30]).compactness / 2)


def test_crumbs_are_no_parts():
    mask = disc(40)
    mask[0, 0] = True
    assert measure_shape(mask).parts == 1


def test_an_image_is_as_covered_as_its_objects_together():
    left, both = np.zeros((4, 8), np.bool_), np.zeros((4, 8), np.bool_)
    left[:, :2], both[:, 1:4] = True, True
    measured = measure_masks([left, both], [measure_shape(left), measure_shape(both)], (4, 8))
    assert (measured.coverage, measured.objects, measured.parts) == (0.5, 2, 1)
    assert measure_masks([], [], (4, 8)) == (0, 0, None, None)


def bar(label, left, right):
    mask = np.zeros((4, 20), np.bool_)
    mask[:, left:right] = True
    return Instance(label, mask, 0.5)


def test_labels_overlap_class_by_class():
    one = [bar("car", 0, 4), bar("car", 4, 8), bar("bus", 10, 12)]
    other = [bar("car", 2, 10), bar("tree", 18, 20)]
    assert class_ious(one, other) == {"bus": 0, "car": 6 / 10, "tree": 0}
    assert mean_iou(one, other) == pytest.approx(0.2)
    assert mean_iou([], []) == 1
    (seen,) = mirrored([bar("car", 2, 10)])
    assert class_ious([seen], [bar("car", 10, 18)]) == {"car": 1}
