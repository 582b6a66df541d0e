"""What a person decided of labels, as tags: on an object for itself, on a sample for all objects of a source.

``plugin.review`` writes them; curation and fusion read them. What is decided of an object counts for more than what is
decided of its image. An object that a person drew or mended (label tag ``human``) is as good as accepted.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from fiftyone import ViewField as F

from diffucurate.generator.labels.model import HUMAN

#: Label tags. ``LATER`` is a sample tag as well.
ACCEPTED, REJECTED, LATER = "accepted", "rejected", "fix later"

DECIDED = (ACCEPTED, REJECTED, LATER)


def image_tag(decision: str, source: str) -> str:
    """The sample tag of a decision on all objects that a source has in an image, such as ``accepted (yolov8)``."""
    return decision if decision == LATER else f"{decision} ({source})"


def is_accepted(label_tags: Iterable[str], sample_tags: Iterable[str], source: str) -> bool:
    """Whether a person called an object of ``source`` right."""
    own = set(label_tags)
    by_image = image_tag(ACCEPTED, source) in sample_tags and REJECTED not in own
    return bool(own & {ACCEPTED, HUMAN}) or by_image


def is_rejected(label_tags: Iterable[str], sample_tags: Iterable[str], source: str) -> bool:
    """Whether a person called an object of ``source`` wrong."""
    own = set(label_tags)
    by_image = image_tag(REJECTED, source) in sample_tags and not own & {ACCEPTED, HUMAN}
    return (REJECTED in own and HUMAN not in own) or by_image


def accepted_rule(source: str) -> Any:
    """``is_accepted`` as an expression of the database on a label inside of its sample."""
    own, image = _tags("tags"), _tags("$tags")
    by_image = image.contains(image_tag(ACCEPTED, source)) & ~own.contains(REJECTED)
    return own.contains([ACCEPTED, HUMAN]) | by_image


def rejected_rule(source: str) -> Any:
    """``is_rejected`` as an expression of the database on a label inside of its sample."""
    own, image = _tags("tags"), _tags("$tags")
    by_image = image.contains(image_tag(REJECTED, source)) & ~own.contains([ACCEPTED, HUMAN])
    return (own.contains(REJECTED) & ~own.contains(HUMAN)) | by_image


def _tags(name: str) -> Any:
    """FiftyOne stores an empty list as nothing where a sample is saved."""
    return F(name).if_null([])
