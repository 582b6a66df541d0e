"""Labels of one image at other settings, to be looked at before a whole view is labelled with them.

Made from the class maps that the sample keeps, by the source that they are of and exactly as ``label`` would, but
nothing is stored and no model is loaded. Knows nothing of forms.
"""

from __future__ import annotations

import base64
import io
import os
from collections.abc import Sequence
from dataclasses import dataclass

import fiftyone as fo
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageColor

from diffucurate.generator.errors import DatasetError
from diffucurate.generator.labels.drawing import draw
from diffucurate.generator.labels.model import Labels
from diffucurate.generator.labels.settings import SourceSettings
from diffucurate.generator.sources import LabelRequest
from diffucurate.generator.sources.registry import source_of_maps
from diffucurate.plugin.appearance.palette import family_of, shades
from diffucurate.plugin.labelling.images import SampleImage, maps_path
from diffucurate.plugin.labelling.start import wanted_classes
from diffucurate.plugin.store import field_names
from diffucurate.plugin.store.classes import Phrases, read_classes
from diffucurate.plugin.store.label_values import instances_of
from diffucurate.plugin.store.media_files import read_image


@dataclass(frozen=True, eq=False)
class Preview:
    """One image with its labels at some settings.

    ``image``, ``now`` and ``then`` are (H, W, 3) uint8 RGB: the image itself, with the labels that the sample
    holds (None where it holds none), and with ``labels``, those at the settings.
    """

    labels: Labels
    current: Labels | None
    image: NDArray[np.uint8]
    now: NDArray[np.uint8] | None
    then: NDArray[np.uint8]


def preview(
    sample: fo.Sample, settings: SourceSettings | None = None, classes: Phrases | Sequence[str] | None = None
) -> Preview:
    """The labels of a sample at ``settings``, beside those of the same source that it holds; nothing is changed.

    Args:
        sample: of a dataset, with class maps that were kept when it was painted or labelled by attention.
        settings: how maps become labels, ``LabelSettings``; the defaults where left out.
        classes: those to look for, all of the dataset's by default; as for ``label``.

    Raises:
        DatasetError: the sample keeps no maps, or its image cannot be read.
        InvalidSetting: ``settings`` are another source's, or ``classes`` is empty or a single text.
    """
    spec, dataset = source_of_maps(), sample.dataset
    spec.check({}, settings)
    if maps_path(sample) is None:
        raise DatasetError(
            f"{os.path.basename(sample.filepath)} keeps no heatmaps, so without a model there is nothing to preview; "
            f"label it with {spec.name} first"
        )
    try:
        image = SampleImage(sample, read_image(sample.filepath))
    except OSError as error:
        raise DatasetError(f"{sample.filepath} cannot be read; put the image back or choose another one") from error
    if image.kept_maps() is None:
        raise DatasetError(f"the heatmaps of {os.path.basename(sample.filepath)} cannot be read; label it with a model")
    request = LabelRequest(wanted_classes(dataset, classes), settings or spec.make_settings({}))
    ((_, result),) = spec.load(request).results([image])
    labels, current = result.labels, _current(sample, spec.name, image.shape)
    shown = [*labels.classes, *(current.classes if current else ())]
    colours = class_colours(dataset, spec.name, shown)
    rgb = {name: ImageColor.getrgb(colour)[:3] for name, colour in colours.items()}
    now = None if current is None else draw(image.pixels, current, rgb)
    return Preview(labels, current, image.pixels, now, draw(image.pixels, labels, rgb))


def first_with_maps(samples: fo.Dataset | fo.DatasetView) -> fo.Sample | None:
    """The first sample that keeps class maps, None where none does."""
    if not samples.has_sample_field(field_names.ATTENTION_MAPS):
        return None
    return next(iter(samples.exists(field_names.ATTENTION_MAPS).limit(1)), None)


def class_colours(dataset: fo.Dataset, source: str, classes: Sequence[str]) -> dict[str, str]:
    """Class -> ``#RRGGBB`` as the App shows the instances of ``source``; the source's own where nobody chose one."""
    known = list(dict.fromkeys([*read_classes(dataset), *classes]))
    colours = dict(zip(known, shades(family_of(source), len(known)), strict=True))
    scheme = dataset.app_config.color_scheme
    for entry in (scheme.fields or []) if scheme is not None else []:
        if entry.get("path") == field_names.instances(source):
            colours |= {pair["value"]: pair["color"] for pair in entry.get("valueColors") or []}
    return colours


def data_uri(pixels: NDArray[np.uint8], side: int) -> str:
    """(H, W, 3) uint8 RGB as the address of a JPEG that a page can show at once, at most ``side`` pixels a side."""
    image = Image.fromarray(pixels)
    image.thumbnail((side, side))
    content = io.BytesIO()
    image.save(content, format="JPEG", quality=90)
    return "data:image/jpeg;base64," + base64.b64encode(content.getvalue()).decode("ascii")


def _current(sample: fo.Sample, source: str, shape: tuple[int, int]) -> Labels | None:
    """The labels of ``source`` that the sample holds; classes that the person has renamed are kept."""
    field = field_names.instances(source)
    detections = sample[field] if sample.has_field(field) else None
    if detections is None:
        return None
    instances = instances_of(detections, shape)
    return Labels.from_instances(instances, sorted({instance.label for instance in instances}), shape)
