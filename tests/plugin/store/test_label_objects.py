"""Objects of any label field: what can be read is cut to the image, what cannot is said with its reason."""

from __future__ import annotations

from typing import Any

import fiftyone as fo
import numpy as np
import pytest

from diffucurate.generator.errors import ImageError
from diffucurate.plugin.store.label_fields import LabelField
from diffucurate.plugin.store.label_objects import objects_in

SHAPE = (20, 40)
FIELD = LabelField("truth", {1: "car"})
FULL = np.ones((4, 4), np.bool_)

#: A part of the reason -> what labels of other tools may hold.
BAD_DETECTIONS: dict[str, dict[str, Any]] = {
    "it has no label": {"label": None},
    "its mask is empty": {"mask": np.zeros((4, 4), np.bool_)},
    "its mask has no pixels": {"mask": np.zeros((0, 0), np.bool_)},
    "1 dimensions, not 2": {"mask": np.ones(4, np.bool_)},
    "3 dimensions, not 2": {"mask": np.ones((4, 4, 3), np.bool_)},
    "its mask cannot be read": {"mask": None, "mask_path": "/nowhere/mask.png"},
    "no finite number": {"bounding_box": [float("nan"), 0, 0.5, 1]},
    "larger than any image": {"bounding_box": [0, 0, 1e300, 1]},
    "not four numbers": {"bounding_box": [0, 0, 0.5]},
    "its box is []": {"bounding_box": None},
    "a negative size": {"bounding_box": [0.5, 0, -0.25, 1]},
    "no pixels in the image": {"bounding_box": [1.5, 0, 0.5, 1]},
}

BAD_OUTLINES: dict[str, Any] = {
    "its outline has no pixels": [[(0, 0), (1, 1)]],
    "no pixels in the image": [[(2, 2), (3, 2), (3, 3)]],
    "or no number": [[(0, 0), (1, 0), (float("nan"), 1)]],
    "far outside": [[(0, 0), (1, 0), (1e9, 1)]],
    "not two numbers": [[(0, 0), (1, 0), (1,)]],
}


def detection(**values: Any) -> fo.Detection:
    return fo.Detection(
        **{"label": "car", "bounding_box": [0.25, 0, 0.5, 1], "mask": FULL, "confidence": 0.5, **values}
    )


@pytest.mark.parametrize(("reason", "values"), BAD_DETECTIONS.items(), ids=BAD_DETECTIONS)
def test_a_detection_that_cannot_be_read_is_said_and_the_others_stay(reason: str, values: dict[str, Any]) -> None:
    bad = detection(**values)
    read = objects_in(fo.Detections(detections=[bad, detection()]), SHAPE, FIELD)
    (car,) = read.objects
    assert (car.label, car.confidence) == ("car", 0.5)
    assert car.mask[:, 10:30].all() and car.mask.sum() == 20 * 20
    assert list(read.left_out) == [bad.id] and reason in read.left_out[bad.id]
    assert len(read.left_out[bad.id]) < 300


@pytest.mark.parametrize(("reason", "points"), BAD_OUTLINES.items(), ids=BAD_OUTLINES)
def test_an_outline_that_cannot_be_read_is_said_and_the_others_stay(reason: str, points: Any) -> None:
    bad = fo.Polyline(label="car", closed=True, filled=True)
    bad.points = points
    good = fo.Polyline(label="car", points=[[(-1, 0), (0.5, 0), (0.5, 2), (-1, 2)]], closed=True, filled=True)
    read = objects_in(fo.Polylines(polylines=[bad, good]), SHAPE, FIELD)
    (car,) = read.objects
    assert car.mask[:, :19].all() and not car.mask[:, 21:].any()  # what lies outside of the image is cut off
    assert reason in read.left_out[bad.id]


@pytest.mark.parametrize(
    ("values", "pixels"),
    [
        ({"bounding_box": [-0.25, 0, 0.5, 1]}, 10 * 20),  # cut off at the left
        ({"bounding_box": [0.5, 0, 0.0001, 1]}, 1 * 20),  # narrower than a pixel
        ({"mask": np.ones((1, 1), np.bool_)}, 20 * 20),  # scaled to its box
        ({"mask": None}, 20 * 20),  # a box alone
        ({"confidence": float("nan")}, 20 * 20),
        ({"confidence": 7.0}, 20 * 20),
    ],
)
def test_what_can_be_cut_is_cut(values: dict[str, Any], pixels: int) -> None:
    (car,) = objects_in(detection(**values), SHAPE, FIELD).objects
    assert int(car.mask.sum()) == pixels and (car.confidence is None or 0 <= car.confidence <= 1)


def test_lists_that_are_none_hold_nothing() -> None:
    for value in (None, fo.Detections(detections=None), fo.Polylines(polylines=None)):
        assert objects_in(value, SHAPE, FIELD) == ([], {})


@pytest.mark.parametrize(
    "values",
    [
        {"mask_path": "/nowhere/mask.png"},
        {"mask": np.ones((20, 40, 3), np.uint8)},
        {"mask": np.ones(20, np.uint8)},
        {"mask": np.ones((10, 40), np.uint8)},
        {"mask": np.full(SHAPE, np.nan, np.float32)},
        {},
    ],
)
def test_a_segmentation_that_cannot_be_read_is_an_image_error(values: dict[str, Any]) -> None:
    with pytest.raises(ImageError):
        objects_in(fo.Segmentation(**values), SHAPE, FIELD)
