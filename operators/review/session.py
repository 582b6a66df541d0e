"""The reviews that are open in this process: a queue each, and which outlines it shows.

The queue of a large dataset takes seconds to read, so it is kept from one decision to the next. A review that is not
here any more is read again.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import fiftyone as fo
from bson import json_util

from diffucurate.plugin.appearance.source_colours import source_colours
from diffucurate.plugin.review.drawing import draw_item
from diffucurate.plugin.review.items import ReviewItem
from diffucurate.plugin.review.review import ReviewQueue, continued_review
from diffucurate.plugin.store.label_sources import comparable

#: Reviews that are kept.
_KEPT = 4

open_reviews: OrderedDict[tuple[str, str], ReviewSession] = OrderedDict()
_lock = threading.Lock()


#: Draws what comes next while the person looks at what is there.
_drawing = ThreadPoolExecutor(1, thread_name_prefix="review")


class ReviewSession:
    """One review: its queue, and how it is shown."""

    def __init__(self, queue: ReviewQueue) -> None:
        self.queue = queue
        self.colours = source_colours(queue.dataset, comparable(queue.dataset))
        self._shown = 0
        self._lock = threading.Lock()
        self._ahead: tuple[str, Future[str]] | None = None

    @property
    def sources(self) -> list[str]:
        """The names of the one or two sources."""
        return [side.name for side in self.queue.sides]

    @property
    def colours_of_sources(self) -> list[str]:
        """Their colours, ``#RRGGBB``, in that order."""
        return [self.colours[name] for name in self.sources]

    @property
    def shown(self) -> list[str]:
        """The sources whose outlines are shown."""
        return self._views()[self._shown]

    def switch(self) -> None:
        """Show the next of: both, either alone, none."""
        self._shown = (self._shown + 1) % len(self._views())

    def image(self, item: ReviewItem) -> str:
        """The item as a PNG in a data URI; that of the item after it is begun.

        Raises:
            DatasetError: its image is gone.
        """
        name, ahead = f"{item_key(item)} {self._shown}", self._ahead
        image = ahead[1].result() if ahead is not None and ahead[0] == name else self._draw(item, self.shown)
        following = self.queue.after_next()
        if following is not None:
            self._ahead = f"{item_key(following)} {self._shown}", _drawing.submit(self._draw, following, self.shown)
        return image

    def _draw(self, item: ReviewItem, shown: list[str]) -> str:
        return draw_item(self.queue.dataset, self.queue.sides, item, self.colours, shown)

    def decide(self, decision: str, asked: str) -> None:
        """Decide on the item that the person saw (``item_key``); a key pressed twice is not a second decision."""
        with self._lock:
            item = self.queue.next()
            if item is not None and item_key(item) == asked:
                self.queue.decide(decision)

    def back(self) -> None:
        """Take the latest decision back."""
        with self._lock:
            self.queue.back()

    def _views(self) -> list[list[str]]:
        names = self.sources
        return [names, *([name] for name in names if len(names) > 1), []]


def item_key(item: ReviewItem) -> str:
    """Tells an item from all others, as plain text."""
    return " ".join(part or "-" for part in item.key)


def keep(dataset: str, session: ReviewSession) -> str:
    """Keep a review of the dataset that has the key ``dataset``; what ``session_of`` finds it by."""
    settings = json_util.dumps(session.queue.settings)
    with _lock:
        open_reviews[dataset, settings] = session
        while len(open_reviews) > _KEPT:
            open_reviews.popitem(last=False)
    return settings


def session_of(dataset: str, settings: str, load: Callable[[], fo.Dataset]) -> ReviewSession:
    """The review of these settings, read again where it is not kept: only then is the dataset loaded.

    Raises:
        InvalidSetting, DatasetError: the dataset no longer has what is reviewed.
    """
    with _lock:
        session = open_reviews.get((dataset, settings))
    if session is None:
        values: dict[str, Any] = json_util.loads(settings)
        session = ReviewSession(continued_review(load(), values))
        keep(dataset, session)
    return session
