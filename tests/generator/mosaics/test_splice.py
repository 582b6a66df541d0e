"""Images spliced into one: every label keeps its pixels."""

from __future__ import annotations

import numpy as np
import pytest

from diffucurate.generator.errors import LabelError
from diffucurate.generator.labels.model import IGNORE, Instance, Labels
from diffucurate.generator.mosaics.splice import Tile, cell_shape, fitted, splice

CLASSES = ("car", "bus")


def tile(shape, level, *boxes, ignored=()):
    """A grey image with boxes: (class, top, bottom, left, right)."""
    instances = []
    for label, top, bottom, left, right in boxes:
        mask = np.zeros(shape, np.bool_)
        mask[top:bottom, left:right] = True
        instances.append(Instance(label, mask, 0.5))
    labels = Labels.from_instances(instances, CLASSES, shape)
    for row, column in ignored:
        labels.semantic[row, column] = IGNORE
    return Tile(np.full((*shape, 3), level, np.uint8), labels)


def test_labels_stand_where_their_images_stand():
    one = tile((4, 6), 10, ("car", 0, 2, 0, 3), ignored=[(3, 5)])
    two = tile((4, 6), 20, ("bus", 2, 4, 4, 6), ("car", 0, 1, 0, 1))
    whole = splice([one, two], 1, 2)
    assert whole.pixels.shape == (4, 12, 3) and set(whole.pixels[:, :6].flat) == {10}
    assert np.array_equal(whole.labels.semantic, np.hstack([one.labels.semantic, two.labels.semantic]))
    assert [(each.label, each.box) for each in whole.labels.instances] == [
        ("car", (0, 0, 3, 2)),
        ("bus", (10, 2, 12, 4)),
        ("car", (6, 0, 7, 1)),
    ]
    below = splice([one, two], 2, 1)
    assert [each.box for each in below.labels.instances][1] == (4, 6, 6, 8)


def test_images_shrink_with_their_labels():
    small = fitted(tile((8, 12), 7, ("car", 2, 6, 4, 8), ("bus", 0, 1, 0, 1)), (4, 6))
    assert small.pixels.shape == (4, 6, 3)
    (car,) = small.labels.instances  # nothing is left of a bus of one pixel
    assert car.box == (2, 1, 4, 3)
    assert np.array_equal(small.labels.semantic == 1, car.mask)


def test_other_proportions_are_cut_around_the_middle():
    wide = fitted(tile((4, 12), 7, ("car", 0, 4, 0, 3), ("bus", 0, 4, 4, 8)), (4, 4))
    (bus,) = wide.labels.instances
    assert bus.label == "bus" and bus.mask.all()


@pytest.mark.parametrize(
    ("shape", "rows", "columns", "longest", "expected"),
    [
        ((128, 128), 2, 2, 128, (64, 64)),
        ((128, 128), 1, 2, 128, (64, 64)),
        ((100, 200), 2, 1, 200, (100, 200)),
        ((128, 128), 2, 2, 1000, (128, 128)),  # nothing is enlarged
        ((2, 2), 8, 8, 4, (1, 1)),
    ],
)
def test_cells_have_the_proportions_of_an_image(shape, rows, columns, longest, expected):
    assert cell_shape(shape, rows, columns, longest) == expected


def test_what_does_not_fit_is_named():
    with pytest.raises(LabelError, match="1 images for 1 x 2 cells"):
        splice([tile((4, 4), 0)], 1, 2)
    with pytest.raises(LabelError, match="one size"):
        splice([tile((4, 4), 0), tile((4, 5), 0)], 1, 2)
