"""An image as a short vector, so that near copies of an image have near vectors.

The vector is the image resized to 16 x 16 pixels, with nothing learned: it holds layout and colour, no meaning.
Copies stay near each other when they are compressed, resized or a little brighter; mirrored, rotated or clearly
cropped ones do not.
"""

from __future__ import annotations

import os

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from diffucurate.generator.files.image_files import opened_image

#: Width and height of the resized image, in pixels.
SIZE = 16

#: The length of a vector.
LENGTH = SIZE * SIZE * 3


def thumbnail(path: str | os.PathLike[str]) -> NDArray[np.float32]:
    """The vector of an image file as it is shown, turned as its EXIF data say: float32, shape (LENGTH,).

    Scaled so that the Euclidean distance of two vectors is the root mean square difference of the resized images'
    colours, from 0 (equal) to 1 (black and white).

    Raises:
        OSError: the file is missing, not an image, or has too many pixels.
    """
    try:
        with opened_image(path) as image:
            image.draft("RGB", (4 * SIZE, 4 * SIZE))  # spares JPEGs the full decoding
            upright = ImageOps.exif_transpose(image)
            tiny = upright.convert("RGB").resize((SIZE, SIZE), Image.Resampling.BOX)
    except OSError:
        raise
    except Exception as error:  # Pillow has many for broken files; Ultralytics, once imported, adds an ImportError
        raise OSError(f"{path} is not an image that can be read") from error
    return np.asarray(tiny, np.float32).ravel() / (255 * LENGTH**0.5)
