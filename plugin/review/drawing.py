"""One item as an image: what each source has there, outlined, and beside it the heatmap of the class."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

import fiftyone as fo
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageColor

from diffucurate.generator.errors import DatasetError
from diffucurate.generator.labels.drawing import Layer, overlaid
from diffucurate.plugin.review.items import ReviewItem, Side
from diffucurate.plugin.statistics.side_by_side import GAP, as_uri
from diffucurate.plugin.store import field_names
from diffucurate.plugin.store.instances import UnreadableInstanceError, read_mask
from diffucurate.plugin.store.media_files import read_image
from diffucurate.plugin.store.samples import all_images

#: Height and greatest width of each of the two images in pixels.
HEIGHT, WIDTH = 360, 480

#: An object is shown with so much around it, by its own size, and never less than this share of the image.
_AROUND, _LEAST_SHARE = 1.0, 0.4

_OUTLINE_PX = 2

#: Opacity, in [0, 1], of the colour inside of an outline, and of the hottest place of a heatmap.
_INSIDE, _HOT = 0.2, 0.7

_HEAT = np.array((255, 80, 0), np.float32)


def draw_item(
    dataset: fo.Dataset, sides: Sequence[Side], item: ReviewItem, colours: Mapping[str, str], shown: Sequence[str]
) -> str:
    """A PNG as a data URI: the image with the outlines of the sources ``shown``, the heatmap of the item's class to its
    right where there is one. Small objects are shown from near.

    Args:
        dataset: of which the item is.
        sides: the sources that are reviewed.
        item: of whose labels those at its place are drawn; of a whole image all.
        colours: source -> ``#RRGGBB``.
        shown: the names of the sources whose outlines are drawn.

    Raises:
        DatasetError: the sample was deleted, or its file cannot be read.
    """
    heatmap = _heatmap_field(dataset, item.label)
    fields = [side.field for side in sides] + ([heatmap] if heatmap else [])
    try:
        sample = all_images(dataset).select_fields(fields)[item.sample_id]
        pixels = read_image(sample.filepath)
    except KeyError:
        raise DatasetError(f"sample {item.sample_id} was deleted meanwhile") from None
    except OSError as error:
        raise DatasetError(f"the image cannot be read ({str(error)[:100]})") from error
    own = zip(sides, (item.a, item.b), strict=False)
    objects = {side.name: _detections(sample[side.field], item, identifier) for side, identifier in own}
    region = _region(pixels.shape[:2], [] if item.is_image else [each for both in objects.values() for each in both])
    near = _resized(pixels[region])
    layers = []
    for name in shown:
        colour = ImageColor.getrgb(colours[name])[:3]
        for detection in objects[name]:
            with suppress(UnreadableInstanceError):
                mask = read_mask(detection, pixels.shape[:2], box_suffices=True)[region]
                layers.append(Layer(np.asarray(_resized(mask)), colour, _INSIDE if len(shown) == 1 else 0.0))
    halves = [Image.fromarray(overlaid(near, layers, _OUTLINE_PX))]
    heat = heatmap_pixels(sample[heatmap], pixels.shape[:2]) if heatmap else None
    if heat is not None:
        halves.append(Image.fromarray(heated(near, _resized(heat[region]), _HOT)))
    canvas = Image.new("RGBA", (near.shape[1] * len(halves) + GAP * (len(halves) - 1), near.shape[0]))
    for index, half in enumerate(halves):
        canvas.paste(half, (index * (near.shape[1] + GAP), 0))
    return as_uri(canvas)


def _heatmap_field(dataset: fo.Dataset, label: str | None) -> str | None:
    if not label:
        return None
    try:
        name = field_names.heatmap(label)
    except DatasetError:  # a class without a letter or digit has none
        return None
    return name if dataset.has_sample_field(name) else None


def _detections(labels: Any, item: ReviewItem, identifier: str | None) -> list[Any]:
    """The label of that id; of a whole image all of them."""
    present = (labels.detections or []) if labels is not None else []
    return list(present) if item.is_image else [each for each in present if each.id == identifier]


def _region(shape: tuple[int, ...], detections: Sequence[Any]) -> tuple[slice, slice]:
    """The rows and columns around objects; all of them without one."""
    boxes = np.array([each.bounding_box for each in detections if each.bounding_box], np.float64).reshape(-1, 4)
    if not len(boxes) or not np.isfinite(boxes).all():
        return slice(0, shape[0]), slice(0, shape[1])
    low, high = boxes[:, :2].min(axis=0), (boxes[:, :2] + boxes[:, 2:]).max(axis=0)
    half = np.clip(max((high - low).max() * (1 + _AROUND), _LEAST_SHARE), 0, 1) / 2
    centre = np.clip((low + high) / 2, half, 1 - half)
    (left, top), (right, bottom) = centre - half, centre + half
    rows = slice(int(top * shape[0]), max(int(top * shape[0]) + 1, round(bottom * shape[0])))
    return rows, slice(int(left * shape[1]), max(int(left * shape[1]) + 1, round(right * shape[1])))


def _resized(pixels: NDArray[Any]) -> NDArray[Any]:
    """To the size that is shown; masks keep their edges."""
    height, width = pixels.shape[:2]
    scale = min(HEIGHT / height, WIDTH / width)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    way = Image.Resampling.NEAREST if pixels.dtype == np.bool_ else Image.Resampling.BILINEAR
    return np.asarray(Image.fromarray(pixels).resize(size, way))


def heated(pixels: NDArray[np.uint8], heat: NDArray[np.uint8], hottest: float) -> NDArray[np.uint8]:
    """An (H, W, 3) image under its (H, W) heatmap, of which the hottest place has the opacity ``hottest``."""
    opacity = hottest * heat.astype(np.float32)[..., None] / 255
    return np.round(pixels * (1 - opacity) + _HEAT * opacity).astype(np.uint8)


def heatmap_pixels(heatmap: Any, shape: tuple[int, ...]) -> NDArray[np.uint8] | None:
    """A heatmap's file as (H, W) uint8 of the image's size; None where there is none."""
    path = getattr(heatmap, "map_path", None)
    if not path:
        return None
    try:
        with Image.open(path) as file:
            return np.asarray(file.convert("L").resize((shape[1], shape[0]), Image.Resampling.BILINEAR))
    except OSError:
        return None
