"""Two label sources drawn on the same image, side by side, as a PNG that a browser shows without a file.

Matched instances get an outline and little colour, unmatched ones are filled, so that they stand out.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from contextlib import suppress

import fiftyone as fo
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageColor

from diffucurate.generator.labels.drawing import Layer, overlaid
from diffucurate.plugin.fiftyone_private import dataset_behind
from diffucurate.plugin.store import field_names
from diffucurate.plugin.store.instances import UnreadableInstanceError, read_mask
from diffucurate.plugin.store.label_sources import instances_field
from diffucurate.plugin.store.matches import MATCHED
from diffucurate.plugin.store.media_files import read_image

#: Height of each of the two images in pixels, and the gap between them.
HEIGHT, GAP = 200, 6

#: Opacity, in [0, 1], of the colour over a matched instance, and over one that only one source has.
_MATCHED, _ALONE = 0.15, 0.55

_OUTLINE_PX = 2


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
        uris[sample.id] = as_uri(canvas)
    return uris


def strip(
    samples: fo.Dataset | fo.DatasetView,
    ids: Sequence[str],
    source: str,
    label: str,
    bounds: tuple[float, float],
    colour: str,
) -> dict[str, str]:
    """Sample id -> PNG as a data URI: the image with the instances of ``label`` between two confidences filled.

    Args:
        samples, ids: of these samples those with these ids, in the order of the ids. One whose file cannot be read is
            left out.
        source, label: whose instances of which class.
        bounds: the least confidence, and that which all are below.
        colour: ``#RRGGBB``.
    """
    field = instances_field(dataset_behind(samples), source)
    low, high = bounds
    uris = {}
    for sample in samples.select(list(ids), ordered=True).select_fields(field):
        try:
            pixels = read_image(sample.filepath)
        except OSError:
            continue
        found = sample[field].detections if sample[field] is not None else []
        chosen = [each for each in found if each.label == label and low <= (each.confidence or 0.0) < high]
        uris[sample.id] = as_uri(_drawn(pixels, fo.Detections(detections=chosen), "", colour))
    return uris


def _drawn(pixels: NDArray[np.uint8], detections: fo.Detections | None, key: str, colour: str) -> Image.Image:
    height, width = pixels.shape[:2]
    image = Image.fromarray(pixels).resize((max(1, round(width * HEIGHT / height)), HEIGHT), Image.Resampling.BILINEAR)
    layers = []
    for detection in (detections.detections or ()) if detections is not None else ():
        opacity = _MATCHED if getattr(detection, key, None) == MATCHED else _ALONE
        with suppress(UnreadableInstanceError):  # which a comparison leaves out too
            mask = read_mask(detection, (image.height, image.width), box_suffices=True)
            layers.append(Layer(mask, ImageColor.getrgb(colour)[:3], opacity))
    return Image.fromarray(overlaid(np.asarray(image), layers, _OUTLINE_PX))


def as_uri(image: Image.Image) -> str:
    """A PNG as a data URI."""
    content = io.BytesIO()
    image.save(content, format="PNG")
    return "data:image/png;base64," + base64.b64encode(content.getvalue()).decode()
