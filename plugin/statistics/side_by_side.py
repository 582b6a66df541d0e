"""Two label sources drawn on the same image, side by side, as a PNG that a browser shows without a file.

Matched instances get an outline and little colour, unmatched ones are filled, because these are to be noticed.
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
from diffucurate.plugin.store import field_names
from diffucurate.plugin.store.label_sources import instances_field
from diffucurate.plugin.store.matches import MATCHED
from diffucurate.plugin.store.media_files import read_image

#: Height of each of the two images in pixels, and the gap between them.
HEIGHT, GAP = 200, 6

#: Opacity, in [0, 1], of the colour over a matched instance, and over one that only one source has.
_MATCHED, _ALONE = 0.15, 0.55


def side_by_side(
    samples: fo.Dataset | fo.DatasetView, ids: Sequence[str], a: str, b: str, colours: Mapping[str, str]
) -> dict[str, str]:
    """Sample id -> PNG as a data URI: the image with ``a``'s instances, and the same with ``b``'s.

    ``colours`` maps source -> ``#RRGGBB``. A sample whose file cannot be read is left out.
    """
    key = field_names.evaluation(a, b)
    names = {source: instances_field(dataset_behind(samples), source) for source in (a, b)}
    uris = {}
    for sample in samples.select(list(ids)).select_fields(list(names.values())):
        try:
            pixels = read_image(sample.filepath)
        except OSError:
            continue
        halves = [_drawn(pixels, sample[names[source]], key, colours[source]) for source in (a, b)]
        canvas = Image.new("RGBA", (halves[0].width * 2 + GAP, HEIGHT))
        canvas.paste(halves[0], (0, 0))
        canvas.paste(halves[1], (halves[0].width + GAP, 0))
        uris[sample.id] = _as_uri(canvas)
    return uris


def _drawn(pixels: NDArray[np.uint8], detections: fo.Detections | None, key: str, colour: str) -> Image.Image:
    height, width = pixels.shape[:2]
    image = Image.fromarray(pixels).resize((max(1, round(width * HEIGHT / height)), HEIGHT), Image.Resampling.BILINEAR)
    for detection in detections.detections if detections is not None else ():
        alone = getattr(detection, key, None) != MATCHED
        _draw(image, detection, colour, _ALONE if alone else _MATCHED)
    return image


def _draw(image: Image.Image, detection: fo.Detection, colour: str, opacity: float) -> None:
    """Lay a colour over an instance's mask, or over its box where it has none, and draw the outline."""
    x, y, wide, tall = detection.bounding_box
    left, top = round(x * image.width), round(y * image.height)
    size = (max(1, round(wide * image.width)), max(1, round(tall * image.height)))
    mask = detection.get_mask()
    if mask is None:
        area = Image.new("L", size, 255)
    else:
        area = Image.fromarray(np.asarray(mask, np.uint8) * 255).resize(size, Image.Resampling.NEAREST)
    image.paste(Image.new("RGB", size, colour), (left, top), area.point(lambda value: round(value * opacity)))
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


def _as_uri(image: Image.Image) -> str:
    content = io.BytesIO()
    image.save(content, format="PNG")
    return "data:image/png;base64," + base64.b64encode(content.getvalue()).decode()
