"""Two label sources drawn side by side on one image, as a picture that a browser shows as it stands.

What both found is drawn thin, what only one of them found is filled: that is what one looks for.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence

import fiftyone as fo
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from diffucurate.plugin.fiftyone_private import dataset_behind
from diffucurate.plugin.statistics.counts import MATCHED
from diffucurate.plugin.store import field_names
from diffucurate.plugin.store.label_sources import instances_field
from diffucurate.plugin.store.media_files import read_image

#: Height of each of the two images in pixels, and the gap between them.
HEIGHT, GAP = 200, 6

#: How much of the colour is laid over an instance that both found, and over one that only one of them found.
_MATCHED, _ALONE = 0.15, 0.55


def side_by_side(
    samples: fo.Dataset | fo.DatasetView, ids: Sequence[str], a: str, b: str, colours: Mapping[str, str]
) -> dict[str, str]:
    """Sample id -> PNG as a data URI: the image with ``a``'s instances, and the same with ``b``'s.

    ``colours`` maps source -> ``#RRGGBB``. A sample whose file cannot be read is left out.
    """
    key = field_names.evaluation(a, b)
    names = {source: instances_field(dataset_behind(samples), source) for source in (a, b)}
    pictures = {}
    for sample in samples.select(list(ids)).select_fields(list(names.values())):
        try:
            pixels = read_image(sample.filepath)
        except OSError:
            continue
        halves = [_drawn(pixels, sample[names[source]], key, colours[source]) for source in (a, b)]
        picture = Image.new("RGBA", (halves[0].width * 2 + GAP, HEIGHT))
        picture.paste(halves[0], (0, 0))
        picture.paste(halves[1], (halves[0].width + GAP, 0))
        pictures[sample.id] = _as_uri(picture)
    return pictures


def _drawn(pixels: NDArray[np.uint8], detections: fo.Detections | None, key: str, colour: str) -> Image.Image:
    height, width = pixels.shape[:2]
    image = Image.fromarray(pixels).resize((max(1, round(width * HEIGHT / height)), HEIGHT), Image.Resampling.BILINEAR)
    for detection in detections.detections if detections is not None else ():
        alone = getattr(detection, key, None) != MATCHED
        _draw(image, detection, colour, _ALONE if alone else _MATCHED)
    return image


def _draw(image: Image.Image, detection: fo.Detection, colour: str, share: float) -> None:
    """Lay a colour over an instance's mask, or over its box where it has none, and draw the outline."""
    x, y, wide, tall = detection.bounding_box
    left, top = round(x * image.width), round(y * image.height)
    size = (max(1, round(wide * image.width)), max(1, round(tall * image.height)))
    mask = detection.get_mask()
    if mask is None:
        area = Image.new("L", size, 255)
    else:
        area = Image.fromarray(np.asarray(mask, np.uint8) * 255).resize(size, Image.Resampling.NEAREST)
    image.paste(Image.new("RGB", size, colour), (left, top), area.point(lambda value: round(value * share)))
    image.paste(Image.new("RGB", size, colour), (left, top), _outline(area))


def _outline(area: Image.Image, thickness: int = 2) -> Image.Image:
    """The inner edge of an area: its pixels that have one outside of it within ``thickness``."""
    inside = np.pad(np.asarray(area) > 0, thickness)
    kept = inside.copy()
    for shift in range(1, thickness + 1):
        for axis in (0, 1):
            kept &= np.roll(inside, shift, axis) & np.roll(inside, -shift, axis)
    edge = (inside & ~kept)[thickness:-thickness, thickness:-thickness]
    return Image.fromarray(edge.astype(np.uint8) * 255)


def _as_uri(picture: Image.Image) -> str:
    content = io.BytesIO()
    picture.save(content, format="PNG")
    return "data:image/png;base64," + base64.b64encode(content.getvalue()).decode()
