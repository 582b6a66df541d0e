"""Labels of a canvas: each region's object from the region's own map, so that neighbours of one class stay apart."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from diffucurate.generator.labels.from_heatmaps import labels_from_heatmaps
from diffucurate.generator.labels.maps.canvas_maps import RegionMap, owners
from diffucurate.generator.labels.model import IGNORE, Instance, Labels
from diffucurate.generator.labels.settings import DEFAULT_SETTINGS, LabelSettings

#: Shares of its region that a whole object has; a second object of the class in the region is none that small.
_LEAST, _MOST, _SECOND = 0.02, 0.9, 0.25


def labels_from_canvas(
    heatmaps: Mapping[str, NDArray[np.float32]],
    regions: Mapping[str, RegionMap],
    image: NDArray[np.uint8],
    classes: Sequence[str],
    settings: LabelSettings = DEFAULT_SETTINGS,
) -> Labels:
    """The labels of an (H, W, 3) RGB canvas.

    One instance of each class of a region: the largest, where the region counts most. In regions whose object was not
    found the semantic mask is 255.

    Args:
        heatmaps: raw maps, (h, w) float32 >= 0, those of ``regions`` among them.
        regions: name of a map -> its class and place; those of other classes are left out.
        image: (H, W, 3) uint8 RGB.
        classes: all classes; class id = 1 + index.
        settings: how the maps are cut.

    Raises:
        LabelError: as ``labels_from_heatmaps``.
    """
    shape = image.shape[0], image.shape[1]
    owner = owners({region.order: region.box for region in regions.values()}, shape)
    instances = []
    unknown = np.zeros(shape, np.bool_)
    for order, names in _by_region(regions).items():
        if any(regions[name].lost for name in names):
            unknown |= owner == order
            continue
        maps = {regions[name].label: heatmaps[name] for name in names if regions[name].label in classes}
        box = regions[names[0]].box
        for largest in (found[0] for found in region_objects(maps, box, image, settings).values() if found):
            mask = placed(largest.mask, box, shape) & (owner == order)
            if mask.any():
                instances.append(replace(largest, mask=mask))
    labels = Labels.from_instances(instances, classes, shape)
    return replace(labels, semantic=np.where(unknown & (labels.semantic == 0), np.uint8(IGNORE), labels.semantic))


def region_objects(
    heatmaps: Mapping[str, NDArray[np.float32]],
    box: tuple[int, int, int, int],
    image: NDArray[np.uint8],
    settings: LabelSettings = DEFAULT_SETTINGS,
) -> dict[str, list[Instance]]:
    """Class -> its objects in the region ``box`` of an image, the largest first; masks have the region's size."""
    x, y, width, height = box
    crop = np.ascontiguousarray(image[y : y + height, x : x + width])
    counts = dict.fromkeys(heatmaps, 1)
    labels = labels_from_heatmaps(heatmaps, crop.shape[:2], list(heatmaps), settings, crop, counts=counts)
    found: dict[str, list[Instance]] = {label: [] for label in heatmaps}
    for instance in labels.instances:  # of a class the largest first
        found[instance.label].append(instance)
    return found


def is_whole(found: Mapping[str, Sequence[Instance]], min_confidence: float) -> bool:
    """Whether a region has one object of each class, neither tiny nor all of the region, found with confidence."""
    for objects in found.values():
        if not objects or objects[0].confidence < min_confidence:
            return False
        share = float(objects[0].mask.mean())
        if not _LEAST <= share <= _MOST or (len(objects) > 1 and objects[1].area > _SECOND * objects[0].area):
            return False
    return True


def placed(mask: NDArray[np.bool_], box: tuple[int, int, int, int], shape: tuple[int, int]) -> NDArray[np.bool_]:
    """A region's mask in an image of (height, width) ``shape``."""
    x, y, width, height = box
    whole = np.zeros(shape, np.bool_)
    whole[y : y + height, x : x + width] = mask
    return whole


def _by_region(regions: Mapping[str, RegionMap]) -> dict[int, list[str]]:
    """Order of a region -> the names of its maps, the frontmost last."""
    names: dict[int, list[str]] = defaultdict(list)
    for name in sorted(regions, key=lambda name: regions[name].order):
        names[regions[name].order].append(name)
    return names
