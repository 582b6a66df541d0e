"""Image files are opened here: regular files only, and none whose pixels would fill the memory.

A few kilobytes of PNG can stand for gigabytes of pixels. Knows nothing of what images are for.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from PIL import Image

#: Raises the limit on an image's pixels, or lowers it.
MAX_PIXELS_VARIABLE = "DIFFUCURATE_MAX_PIXELS"

#: The limit where nobody sets one: 9,459 pixels a side, from which on Pillow warns.
MAX_PIXELS = 89_478_485


@contextmanager
def opened_image(path: str | os.PathLike[str]) -> Iterator[Image.Image]:
    """A block with an image file whose pixels are not decoded yet.

    Raises:
        OSError: the file is missing, a pipe or a device, no image, or has more pixels than the limit.
    """
    limit = _limit()
    if Path(path).exists() and not Path(path).is_file():
        raise OSError(f"{path} is no file")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        try:
            image = Image.open(path)
        except Image.DecompressionBombError as error:
            raise OSError(f"{path} has {_more(limit)}") from error
    with image:
        if image.width * image.height > limit:
            raise OSError(f"{path} has {image.width:,} x {image.height:,} pixels, {_more(limit)}")
        yield image


def _limit() -> int:
    value = os.environ.get(MAX_PIXELS_VARIABLE, "")
    limit = int(value) if value.isdecimal() and len(value) < 16 else MAX_PIXELS
    if Image.MAX_IMAGE_PIXELS is not None and limit > Image.MAX_IMAGE_PIXELS:  # beyond twice of which Pillow refuses
        Image.MAX_IMAGE_PIXELS = limit
    return limit


def _more(limit: int) -> str:
    return f"more pixels than the limit of {limit:,}; make it smaller, or set {MAX_PIXELS_VARIABLE} to a higher limit"
