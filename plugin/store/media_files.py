"""How a dataset's media files are written, whole or not at all, and read.

Knows nothing of samples. File names are ``<id>-<run key>``: a browser caches files by their path, so labels made again
go to new files, and the old ones are removed when no sample names them any more (``media_folder``).
"""

from __future__ import annotations

import io
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from diffucurate.generator.errors import DatasetError
from diffucurate.generator.files.atomic import write_bytes
from diffucurate.generator.files.image_files import opened_image

#: What the file of class maps calls the model that made them.
_MODEL = "model"


def write_png(path: Path, pixels: NDArray[np.uint8]) -> Path:
    """Write a (H, W) or (H, W, 3) uint8 image as PNG, whole or not at all.

    Raises:
        DatasetError: it cannot be written.
    """
    content = io.BytesIO()
    # Of an image of 512 x 512 px zlib's usual effort takes 0.13 s, as long as a GPU paints a part of it; the least
    # takes a quarter of that and makes files a sixth larger. Masks are small and worth the effort.
    Image.fromarray(pixels).save(content, format="PNG", compress_level=1 if pixels.ndim == 3 else 6)
    return _written(path, content.getvalue())


def read_image(path: str | os.PathLike[str]) -> NDArray[np.uint8]:
    """An image file as (H, W, 3) uint8 RGB, as a browser shows it.

    It is turned as its EXIF data say, what is transparent is white, and more than 8 bits are scaled down to 8.

    Raises:
        OSError: the file is missing, not an image, or has too many pixels (``generator.files.image_files``).
    """
    try:
        with opened_image(path) as image:
            return _rgb(ImageOps.exif_transpose(image))
    except OSError:
        raise
    # Pillow has an error of its own for each way in which a file can be broken or too large, and what it raises for
    # unreadable files is an ImportError once Ultralytics is imported.
    except Exception as error:
        raise OSError(f"{path} is not an image that can be read") from error


def _rgb(image: Image.Image) -> NDArray[np.uint8]:
    if image.mode.startswith(("I", "F")):  # Pillow's own conversion cuts values off at 255
        values = np.nan_to_num(np.asarray(image, np.float64))
        low, high = (0, 65535) if image.mode != "F" and 0 <= values.min() <= values.max() <= 65535 else (0.0, 1.0)
        if values.min() < low or values.max() > high:
            low, high = values.min(), values.max()
        gray = np.round((values - low) / (high - low) * 255).astype(np.uint8)
        return np.repeat(gray[..., None], 3, axis=-1)
    if "transparency" in image.info or image.mode in ("RGBA", "LA", "PA", "La", "RGBa"):
        layer = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer)
    return np.asarray(image.convert("RGB"))


def write_maps(path: Path, maps: Mapping[str, NDArray[np.floating[Any]]], model: str | None = None) -> Path:
    """Write raw class maps as float16 safetensors, whole or not at all, with the name of the model that made them.

    Raises:
        DatasetError: they cannot be written.
    """
    from safetensors.numpy import save

    tensors = {name: np.ascontiguousarray(values, np.float16) for name, values in maps.items()}
    return _written(path, save(tensors, None if model is None else {_MODEL: model}))


def _written(path: Path, content: bytes) -> Path:
    try:
        return write_bytes(path, content)
    except OSError as error:
        reason = error.strerror or str(error)
        raise DatasetError(
            f"'{path}' cannot be written: {reason}; make room or let it be written, and run again"
        ) from error


class StoredMaps(NamedTuple):
    """Raw class maps, class -> (h, w) float32, and the model that made them, None where the file does not say."""

    maps: dict[str, NDArray[np.float32]]
    model: str | None


def read_maps(path: str | os.PathLike[str]) -> dict[str, NDArray[np.float32]]:
    """The raw class maps of ``write_maps`` as float32; errors as for ``read_stored_maps``."""
    return read_stored_maps(path).maps


def read_stored_maps(path: str | os.PathLike[str]) -> StoredMaps:
    """What ``write_maps`` wrote, with the maps in the order of their names: the file keeps none.

    Raises:
        OSError: the file is missing, or holds anything but class maps.
    """
    from safetensors.numpy import load

    try:
        content = Path(path).read_bytes()
        tensors = load(content)
        length = int.from_bytes(content[:8], "little")
        model = json.loads(content[8 : 8 + length]).get("__metadata__", {}).get(_MODEL)
    except OSError:
        raise
    except Exception as error:  # safetensors has an error of its own, and others for types that NumPy lacks
        raise OSError(f"{path} holds no class maps") from error
    maps = {name: np.asarray(tensors[name]).astype(np.float32) for name in sorted(tensors)}
    for name, values in maps.items():
        if tensors[name].dtype.kind != "f" or values.ndim != 2 or not values.size:
            kind = f"{tensors[name].dtype} {tensors[name].shape}"
            raise OSError(f"{path} holds no class maps: '{name[:60]}' is {kind}, not (h, w) floats")
        if not np.isfinite(values).all() or values.min() < 0:
            raise OSError(f"{path} holds no class maps: '{name[:60]}' has values below 0, or none")
    return StoredMaps(maps, model)
