"""The size of a sample's image."""

from __future__ import annotations

from typing import Any


def image_size(sample: Any) -> tuple[int, int] | None:
    """(height, width) of a sample's image, from its metadata, else from its file; None where neither can be read."""
    size = sample.metadata
    if size is None or not (size.height and size.width):
        try:
            sample.compute_metadata()
        except Exception:  # FiftyOne and the image libraries each have their own
            return None
        size = sample.metadata
    return (size.height, size.width) if size is not None and size.height and size.width else None
