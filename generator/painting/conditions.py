"""The conditions under which an image was painted, to paint it the same to the bit. Light: no torch."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Conditions:
    """What an image's rounding depends on besides its job.

    For another number of images or threads sums are taken in another order, which moves a few pixels by one level.
    Which images share the batch does not matter, only how many.
    """

    device: str
    """As torch names it, such as ``cpu`` or ``cuda:0``."""
    batch_size: int
    """Images painted at once."""
    threads: int
    """Threads of the CPU that torch uses."""
