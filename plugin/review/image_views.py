"""What one sample can be shown as: its pixels, the objects of a label source or the heatmap of a class on them, or
another image that it is related to.

A view is named by a key, so that a choice holds from one sample to the next: ``image``, ``source:<name>``,
``heatmap:<class>``, ``parent``, ``variant:<number>``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import fiftyone as fo
import numpy as np
from bson import ObjectId
from numpy.typing import NDArray
from PIL import Image, ImageColor

from diffucurate.generator.errors import DatasetError
from diffucurate.generator.labels.drawing import Layer, overlaid
from diffucurate.plugin.review.drawing import heated, heatmap_pixels
from diffucurate.plugin.statistics.side_by_side import as_uri
from diffucurate.plugin.store import field_names
from diffucurate.plugin.store.classes import read_classes
from diffucurate.plugin.store.instances import UnreadableInstanceError, read_mask
from diffucurate.plugin.store.label_sources import comparable, instances_field
from diffucurate.plugin.store.media_files import read_image
from diffucurate.plugin.store.samples import all_images

IMAGE, SOURCE, HEATMAP, PARENT, VARIANT = "image", "source:", "heatmap:", "parent", "variant:"

#: The least and the greatest longest side of what is drawn, in pixels: a small image is enlarged before it is drawn on.
SIDES_PX = (640, 900)

#: Variants of one image that are offered.
_VARIANTS = 8

#: Opacity, in [0, 1], of the colour inside of an outline, and of the hottest place of a heatmap.
_INSIDE, _HOT = 0.35, 0.75

_OUTLINE_PX = 2


def views_of(dataset: fo.Dataset, sample_id: str) -> dict[str, str]:
    """Key -> caption of every view that a sample has, the image itself first.

    Raises:
        DatasetError: the sample was deleted.
    """
    sample = _sample(dataset, sample_id)
    views = {IMAGE: "Image"}
    views |= {f"{SOURCE}{name}": name for name in comparable(dataset) if sample[instances_field(dataset, name)]}
    for label in read_classes(dataset):
        if _heatmap(sample, label) is not None:
            views[f"{HEATMAP}{label}"] = f"heatmap of {label}"
    if _parent_id(dataset, sample) is not None:
        views[PARENT] = "painted from"
    for number in range(len(_variant_ids(dataset, sample_id))):
        views[f"{VARIANT}{number + 1}"] = f"variant {number + 1}"
    return views


def draw_view(dataset: fo.Dataset, sample_id: str, view: str, colours: Mapping[str, str]) -> str:
    """A view as a PNG in a data URI.

    Args:
        dataset: of which the sample is.
        sample_id: of the sample that is looked at, also where the view is of an image that it is related to.
        view: a key of ``views_of``.
        colours: label source -> ``#RRGGBB``.

    Raises:
        DatasetError: the sample or the image was deleted or cannot be read, or has no such view.
    """
    if view == PARENT:
        shown = _parent_id(dataset, _sample(dataset, sample_id))
    elif view.startswith(VARIANT):
        shown = dict(enumerate(_variant_ids(dataset, sample_id), 1)).get(int(view.removeprefix(VARIANT)))
    else:
        shown = sample_id
    if shown is None:
        raise DatasetError(f"this image has no '{view}' to show")
    sample = _sample(dataset, shown)
    try:
        pixels = _resized(read_image(sample.filepath))
    except OSError as error:
        raise DatasetError(f"the image cannot be read ({str(error)[:100]})") from error
    if view.startswith(SOURCE):
        name = view.removeprefix(SOURCE)
        pixels = _with_objects(pixels, sample[instances_field(dataset, name)], colours[name])
    elif view.startswith(HEATMAP):
        heat = heatmap_pixels(_heatmap(sample, view.removeprefix(HEATMAP)), pixels.shape[:2])
        if heat is None:
            raise DatasetError(f"this image has no '{view}' to show")
        pixels = heated(pixels, heat, _HOT)
    return as_uri(Image.fromarray(pixels))


def _sample(dataset: fo.Dataset, sample_id: str) -> fo.Sample:
    try:
        return all_images(dataset)[sample_id]
    except KeyError:
        raise DatasetError(f"sample {sample_id} was deleted meanwhile") from None


def _heatmap(sample: fo.Sample, label: str) -> Any:
    """A class's heatmap; None where the sample has none, or the class's name gives no field name."""
    try:
        name = field_names.heatmap(label)
    except DatasetError:
        return None
    return sample[name] if sample.has_field(name) else None


def _parent_id(dataset: fo.Dataset, sample: fo.Sample) -> str | None:
    """The id of the image in this dataset that the sample was painted from."""
    value = sample[field_names.SOURCE_ID] if sample.has_field(field_names.SOURCE_ID) else None
    if not value or not ObjectId.is_valid(value):
        return None
    return value if len(all_images(dataset).select(value)) else None


def _variant_ids(dataset: fo.Dataset, sample_id: str) -> list[str]:
    if not dataset.has_sample_field(field_names.SOURCE_ID):
        return []
    of_sample = fo.ViewField(field_names.SOURCE_ID) == sample_id
    return [str(each) for each in all_images(dataset).match(of_sample).limit(_VARIANTS).values("id")]


def _resized(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    longest = max(pixels.shape[:2])
    scale = min(max(longest, SIDES_PX[0]), SIDES_PX[1]) / longest
    size = max(1, round(pixels.shape[1] * scale)), max(1, round(pixels.shape[0] * scale))
    return np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.BILINEAR))


def _with_objects(pixels: NDArray[np.uint8], labels: Any, colour: str) -> NDArray[np.uint8]:
    layers = []
    for detection in (labels.detections or ()) if labels is not None else ():
        try:
            mask = read_mask(detection, pixels.shape[:2], box_suffices=True)
        except UnreadableInstanceError:
            continue
        layers.append(Layer(mask, ImageColor.getrgb(colour)[:3], _INSIDE))
    return overlaid(pixels, layers, _OUTLINE_PX)
