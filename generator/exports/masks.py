"""The masks of one image for exports: class ids, and which object each pixel is of. Pure functions of arrays."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np
from numpy.typing import NDArray

from diffucurate.generator.errors import ExportError
from diffucurate.generator.labels.model import IGNORE, Instance, Labels

#: The most objects that a mask of bytes tells apart, beside the background and what is ignored.
MOST_OBJECTS = IGNORE - 1


def check_class_count(classes: Sequence[str]) -> None:
    """Raise an ExportError for more classes than a mask of bytes can tell apart."""
    if len(classes) >= IGNORE:
        raise ExportError(f"there are {len(classes)} classes, and a mask tells {IGNORE - 1} apart; name fewer classes")


def class_mask(
    semantic: NDArray[np.uint8] | None, instances: Sequence[Instance], classes: Sequence[str], size: tuple[int, int]
) -> NDArray[np.uint8]:
    """The (H, W) class ids of an image of (width, height) ``size``: ``1 + index`` in ``classes``, 0, 255 for ignore.

    ``semantic`` itself, or else painted from the instances, the most confident on top.

    Raises:
        ExportError: ``semantic`` has another size, or there are more classes than ids.
    """
    width, height = size
    check_class_count(classes)
    if semantic is None:
        return Labels.from_instances(instances, classes, (height, width)).semantic
    if semantic.shape != (height, width):
        raise ExportError(
            f"an image is {width} x {height} px, its mask {semantic.shape[1]} x {semantic.shape[0]}; label it again"
        )
    return semantic


def object_mask(
    classes: NDArray[np.uint8], instances: Sequence[Instance], ids: Sequence[int], crowds: Collection[int] = ()
) -> NDArray[np.uint8]:
    """The (H, W) object ids that go with a mask of class ids: instance ``i`` is ``1 + i``, 0 background, 255 unknown.

    Where instances overlap the most confident is on top. Unknown are pixels of a class that no instance of it covers,
    those of ``crowds``, and objects beyond ``MOST_OBJECTS``.

    Args:
        classes: as ``class_mask`` gives them.
        instances: the objects.
        ids: the class id of each.
        crowds: indices of instances that are regions of many objects.
    """
    objects = np.where(classes == 0, 0, IGNORE).astype(np.uint8)
    for index in sorted(range(len(instances)), key=lambda index: instances[index].confidence):
        known = index < MOST_OBJECTS and index not in crowds
        objects[instances[index].mask & (classes == ids[index])] = 1 + index if known else IGNORE
    return objects
