"""Labels of a canvas from the maps of its regions."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from diffucurate.generator.labels.from_canvas import is_whole, labels_from_canvas, region_objects
from diffucurate.generator.labels.from_heatmaps import labels_from_heatmaps
from diffucurate.generator.labels.from_maps import labels_from_maps
from diffucurate.generator.labels.maps.canvas_maps import RegionMap, region_maps
from diffucurate.generator.labels.model import Instance

#: Two discs of which the second one hides a part of the first, each in the middle of a region of 64 px.
BOXES = ((0, 0, 64, 64), (36, 0, 64, 64))
CLASSES = ("car", "bus")


def disc(middle: int) -> NDArray[np.bool_]:
    y, x = np.mgrid[:64, :100]
    mask: NDArray[np.bool_] = np.hypot(x + 0.5 - middle, y + 0.5 - 32) < 24
    return mask


def canvas(*labels: str, lost: int | None = None) -> tuple[NDArray[np.uint8], dict[str, NDArray[np.float32]]]:
    """An image of the discs, red on grey, and the exact maps of the regions."""
    image = np.full((64, 100, 3), 120, np.uint8)
    maps = {}
    for order, (box, label) in enumerate(zip(BOXES, labels, strict=True)):
        mask = disc(box[0] + 32)
        image[mask] = (200, 30, 30)
        cut = mask[:, box[0] : box[0] + 64].reshape(32, 2, 32, 2).mean((1, 3)).astype(np.float32)
        maps[RegionMap(order, box, label, order == lost).name] = cut
    return image, maps


def iou(one: NDArray[np.bool_], other: NDArray[np.bool_]) -> float:
    return float((one & other).sum() / (one | other).sum())


def test_objects_of_one_class_that_touch_stay_apart() -> None:
    image, maps = canvas("car", "car")
    whole = np.maximum(*(np.pad(heat, ((0, 0), (box[0] // 2, 18 - box[0] // 2)))
                         for heat, box in zip(maps.values(), BOXES, strict=True)))  # fmt: skip
    assert len(labels_from_heatmaps({"car": whole}, (64, 100), CLASSES, image=image).instances) == 1
    labels = labels_from_canvas(maps, region_maps(maps), image, CLASSES)
    assert [each.label for each in labels.instances] == ["car", "car"]
    left, right = sorted(labels.instances, key=lambda each: each.box[0])
    assert iou(left.mask, disc(32) & ~disc(68)) > 0.8 and iou(right.mask, disc(68)) > 0.8
    assert not (left.mask & right.mask).any() and min(left.confidence, right.confidence) > 0.5


def test_kept_maps_lead_to_the_same_labels() -> None:
    image, maps = canvas("car", "bus")
    expected = labels_from_canvas(maps, region_maps(maps), image, CLASSES)
    found = labels_from_maps(
        {**maps, "car": np.ones((8, 8), np.float32)}, image, {"car": ["car"], "bus": ["bus"]}, None
    )
    assert np.array_equal(found.semantic, expected.semantic) and set(np.unique(found.semantic)) == {0, 1, 2}
    only = labels_from_canvas(maps, region_maps(maps), image, ["bus"])
    assert [each.label for each in only.instances] == ["bus"]


def test_a_lost_region_is_unknown() -> None:
    image, maps = canvas("car", "bus", lost=1)
    labels = labels_from_canvas(maps, region_maps(maps), image, CLASSES)
    assert [each.label for each in labels.instances] == ["car"]
    assert labels.semantic[32, 80] == 255 and labels.semantic[32, 20] == 1 and labels.semantic[0, 99] == 0


def test_what_a_whole_object_is() -> None:
    image, maps = canvas("car", "bus")
    found = region_objects({"car": next(iter(maps.values()))}, BOXES[0], image)
    assert is_whole(found, 0.5) and not is_whole(found, 1.0) and not is_whole({"car": []}, 0.5)

    def block(share: float) -> Instance:
        mask = np.zeros((100, 100), np.bool_)
        mask[: round(100 * share)] = True
        return Instance("car", mask, 0.9)

    assert is_whole({"car": [block(0.5), block(0.1)]}, 0.5)
    assert not is_whole({"car": [block(0.4), block(0.2)]}, 0.5)  # two objects
    assert not is_whole({"car": [block(0.01)]}, 0.5) and not is_whole({"car": [block(0.95)]}, 0.5)
    assert not is_whole({"car": [block(0.5)], "bus": []}, 0.5)
