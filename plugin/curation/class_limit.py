"""A few images of each class instead of many of one. Knows lists of ids and classes, no database."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence


def over_limit(images: Iterable[tuple[str, Sequence[str]]], limit: int) -> set[str]:
    """The ids of the images to leave out, so that no class is shown by more than ``limit`` of the others.

    Args:
        images: (id, the classes it shows), the best image first.
        limit: greatest number of images of a class, at least 1.

    An image is taken in turn unless one of its classes has its images already, so an image of several classes counts
    for each of them; one that shows nothing always stays.
    """
    shown: Counter[str] = Counter()
    dropped = set()
    for image_id, classes in images:
        distinct = set(classes)
        if any(shown[name] >= limit for name in distinct):
            dropped.add(image_id)
        else:
            shown.update(distinct)
    return dropped
