"""A queue of objects or images for a person to decide: which source is right there.

Decisions are tags (``plugin.store.decisions``), so that the App filters by them, ``curate`` has a rule on them and
``fuse`` follows them. Knows nothing of how an item is shown.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from itertools import islice
from typing import Any

import fiftyone as fo

from diffucurate.generator.errors import DatasetError, InvalidSetting
from diffucurate.plugin.fiftyone_private import stages_of, view_of
from diffucurate.plugin.review.history import Entry, History
from diffucurate.plugin.review.items import IMAGES, OBJECTS, ReviewItem, Side, order_of, read_items, sides_of
from diffucurate.plugin.review.tagging import restore_tags, tag_item
from diffucurate.plugin.store.decisions import ACCEPTED, LATER, REJECTED
from diffucurate.plugin.store.samples import dataset_of

#: What can be decided -> the tags of what the first source has at the place, and of what the second has.
DECISIONS: Mapping[str, tuple[str, str]] = {
    "a": (ACCEPTED, REJECTED),
    "b": (REJECTED, ACCEPTED),
    "both": (ACCEPTED, ACCEPTED),
    "neither": (REJECTED, REJECTED),
    "later": (LATER, LATER),
}

#: Of these, those on one source alone.
ALONE = ("a", "neither", "later")


@dataclass(frozen=True)
class ReviewCounts:
    """How far a review is: what was decided in it (decision -> how often), what was decided before or elsewhere, and
    what is left."""

    decided: Mapping[str, int]
    before: int
    left: int

    @property
    def total(self) -> int:
        """Everything there is, decided or not."""
        return sum(self.decided.values()) + self.before + self.left

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return asdict(self)


def review(
    samples: fo.Dataset | fo.DatasetView, a: str, b: str | None = None, *, by: str | None = None, of: str = OBJECTS
) -> ReviewQueue:
    """Queue objects or images, the worst or most uncertain first, for a person to decide on one by one.

    What was decided before, in this review or another, or bears the label tag ``human``, is not asked again; a review
    with the same arguments goes on where the last one stopped, and can take its decisions back.

    Args:
        samples: a dataset or view; label filters of a view count.
        a: a label source, or another field of detections.
        b: the source that it was compared with; None to accept or reject what ``a`` has.
        by: the order. ``agreement`` (of the image; the usual one for two sources), ``confidence`` (the usual one for
            one source), ``iou`` (of the two), each the least first; a kind of disagreement, such as ``wrong class``, of
            which there then are those alone; or a numeric field of the samples or the objects, such as
            ``label_quality_attention``, the least first, or with a minus (``-mistakenness``) the greatest.
        of: ``objects``, or ``images`` to decide on all objects of an image at once.

    Raises:
        InvalidSetting: an order that there is none of, ``of`` is neither, or both sources are one.
        DatasetError: a source that the dataset lacks, or two that were not compared.
    """
    return ReviewQueue(samples, a, b, by=by, of=of)


class ReviewQueue:
    """What is left to decide. ``review`` makes one."""

    def __init__(self, samples: fo.Dataset | fo.DatasetView, a: str, b: str | None, *, by: str | None, of: str) -> None:
        if of not in (OBJECTS, IMAGES):
            raise InvalidSetting("of", of, f"use '{OBJECTS}' or '{IMAGES}'")
        self.dataset = dataset_of(samples)
        self.sides: tuple[Side, ...] = sides_of(self.dataset, a, b)
        self.of = of
        self.order = order = order_of(self.dataset, self.sides, by)
        view = samples if isinstance(samples, fo.DatasetView) else None
        self.settings: dict[str, Any] = {
            "a": a, "b": b, "by": order.name, "of": of, "view": stages_of(view) if view is not None else []
        }  # fmt: skip
        self._history = History(self.dataset, self.settings)
        items = read_items(samples, self.sides, order, of)
        self._items = {item.key: item for item, _ in items}
        self._left = deque(item for item, decided in items if not decided)
        own = {(entry.sample_id, entry.a, entry.b) for entry in self._history.entries}
        self._before = sum(decided and item.key not in own for item, decided in items)

    @property
    def decisions(self) -> tuple[str, ...]:
        """What can be decided: ``a``, ``b``, ``both``, ``neither`` and ``later``, on one source alone the first
        (right), ``neither`` (wrong) and ``later``."""
        return tuple(DECISIONS) if len(self.sides) == 2 else ALONE

    @property
    def counts(self) -> ReviewCounts:
        """How far the review is."""
        return ReviewCounts(self._history.counts(), self._before, len(self._left))

    @property
    def run_key(self) -> str | None:
        """The custom run that holds the decisions; None before the first."""
        return self._history.run_key

    def next(self) -> ReviewItem | None:
        """The item that is to be decided now; None where all are."""
        return self._left[0] if self._left else None

    def after_next(self) -> ReviewItem | None:
        """The item after that, so that what is shown of it can be prepared."""
        return self._left[1] if len(self._left) > 1 else None

    def upcoming(self, count: int) -> list[ReviewItem]:
        """The items that come next, at most ``count`` of them."""
        return list(islice(self._left, count))

    def decide(self, decision: str) -> ReviewItem | None:
        """Store a decision on the item that ``next`` gives; the one after it.

        ``a`` says that what the first source has there is right and what the second has is wrong, ``b`` the reverse;
        ``later`` that it has to be mended.

        Raises:
            InvalidSetting: no such decision.
            DatasetError: nothing is left, or the labels were made again since the queue was: that item is left out.
        """
        if decision not in self.decisions:
            raise InvalidSetting("decision", decision, f"use one of {', '.join(self.decisions)}")
        if not self._left:
            raise DatasetError("all is decided; nothing is left in the queue")
        item = self._left[0]
        # It leaves the queue in any case: labels that are gone cannot be decided later either.
        self._left.popleft()
        before = tag_item(self.dataset, self.sides, item, DECISIONS[decision])
        self._history.append(Entry(item.sample_id, item.a, item.b, decision, before))
        if not self._left:
            self._history.finish(done=True)
        return self.next()

    def back(self) -> ReviewItem | None:
        """Take the latest decision of this review back, also one of an earlier session; the item that it was about,
        which is the next again. None where there is none."""
        if not self._history.entries:
            return None
        entry = self._history.pop()
        item = ReviewItem(entry.sample_id, entry.a, entry.b)
        item = self._items.get(item.key, item)  # a view may have changed since
        try:
            restore_tags(self.dataset, self.sides, item, entry.before)
        except DatasetError:  # the labels were made again since: their tags went with them
            return self.back()
        self._history.finish(done=False)
        self._left.appendleft(item)
        return item

    def skip(self) -> ReviewItem | None:
        """Put the item to the end of the queue, undecided; the one after it."""
        self._left.rotate(-1)
        return self.next()

    def undo_all(self) -> int:
        """Take all decisions of this review back; how many there were."""
        count = 0
        while self.back() is not None:
            count += 1
        return count


def continued_review(dataset: fo.Dataset, settings: Mapping[str, Any]) -> ReviewQueue:
    """The queue that has these ``settings`` (``ReviewQueue.settings``).

    Raises:
        InvalidSetting, DatasetError: as ``review`` does, where the dataset has changed since.
    """
    stages = settings["view"]
    samples = view_of(dataset, stages) if stages else dataset
    return ReviewQueue(samples, settings["a"], settings["b"], by=settings["by"], of=settings["of"])
