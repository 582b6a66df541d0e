"""Labels of an image from its class maps and its prompt: the last step of every way of labelling by attention."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from diffucurate.generator.labels.from_canvas import labels_from_canvas
from diffucurate.generator.labels.from_heatmaps import labels_from_heatmaps
from diffucurate.generator.labels.maps.canvas_maps import region_maps
from diffucurate.generator.labels.model import Labels
from diffucurate.generator.labels.settings import DEFAULT_SETTINGS, LabelSettings
from diffucurate.generator.text.object_counts import object_counts


def labels_from_maps(
    heatmaps: Mapping[str, NDArray[np.float32]],
    image: NDArray[np.uint8],
    classes: Mapping[str, Sequence[str]],
    prompt: str | None,
    settings: LabelSettings = DEFAULT_SETTINGS,
    calibrated: Collection[str] = (),
) -> Labels:
    """The labels of an (H, W, 3) RGB image.

    Args:
        heatmaps: raw maps, class -> (h, w), see ``labels_from_heatmaps``; with maps of a canvas's regions these alone
            make the labels (``labels_from_canvas``).
        image: (H, W, 3) uint8 RGB.
        classes: class -> the phrases that mean it, in the order of the class ids.
        prompt: what the image shows, None where unknown. It says how many objects of a class there are.
        settings: how the maps are cut.
        calibrated: the classes whose maps have a learned threshold.

    Raises:
        LabelError: as ``labels_from_heatmaps``.
    """
    if regions := region_maps(heatmaps):
        return labels_from_canvas(heatmaps, regions, image, tuple(classes), settings)
    counts = object_counts(prompt or "", classes)
    shape = image.shape[0], image.shape[1]
    return labels_from_heatmaps(heatmaps, shape, tuple(classes), settings, image, calibrated=calibrated, counts=counts)
