"""What a long step says while it runs. Light: whoever only counts samples need not load the painter."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Progress:
    """``done`` of ``total`` images, or whatever the ``unit`` is, the pace so far, and what may be said of it.

    ``seconds_left`` is infinite as long as nothing is done; ``note`` says when something changed on the way,
    such as the batch size.
    """

    done: int
    total: int
    images_per_second: float
    seconds_left: float
    note: str = ""
    unit: str = "images"
