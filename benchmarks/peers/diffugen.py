"""DiffuGen's way from a heatmap to labels, as a peer to compare with. Not part of the library.

Written from a description of the published steps: Otsu's threshold on the 8-bit heatmap, erosion (3x3, 10 times),
dilation (3x3, 7 times), outer contours, small ones dropped, a score from box size and heat. Its known faults are
part of it, since leaving them out would compare with something else:

- morphology is fixed in pixels: objects under about 20 px disappear, all others come out 3 px or more
  thinner all round;
- holes are lost, for only outer contours are kept;
- the size term of the score is about 0, because a box in units of the image is divided by the image's pixels;
- a blob that holds the map's peak always scores 1.

Where the original stops with an error (no contour left, a contour of a point or a line), this returns no object. How
the original weighs the terms of its score is not part of the description; here each may lift it, as the stated
faults imply. The pixel constants were chosen for 512 px images: to be fair, give it maps at that size.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

MIN_AREA_PX = 50
MIN_SHARE_OF_MEAN = 0.05
_SQUARE = np.ones((3, 3), np.uint8)


@dataclass(frozen=True, eq=False)
class DiffuGenLabels:
    """What the recipe finds in one map.

    ``mask`` is (H, W) bool, all objects filled. ``polygons`` are (N, 2) float32 and ``boxes`` (x, y, width, height),
    both in units of the image's width and height; ``scores`` are in [0, 1].
    """

    mask: NDArray[np.bool_]
    polygons: list[NDArray[np.float32]]
    boxes: list[tuple[float, float, float, float]]
    scores: list[float]


def diffugen(heatmap: NDArray[np.floating]) -> DiffuGenLabels:
    """Labels of one class from its (H, W) map; the range of the values does not matter."""
    height, width = heatmap.shape
    heat = cv2.normalize(heatmap.astype(np.float32), None, 0, 255, cv2.NORM_MINMAX).astype(np.uint8)
    _, hot = cv2.threshold(heat, 0, 255, cv2.THRESH_BINARY | cv2.THRESH_OTSU)
    hot = cv2.dilate(cv2.erode(hot, _SQUARE, iterations=10), _SQUARE, iterations=7)
    contours, _ = cv2.findContours(hot, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    contours = [contour for contour in contours if len(contour) >= 3]
    areas = [cv2.contourArea(contour) for contour in contours]
    smallest = max(MIN_AREA_PX, MIN_SHARE_OF_MEAN * float(np.mean(areas))) if areas else 0.0

    mask = np.zeros((height, width), np.uint8)
    labels = DiffuGenLabels(mask.view(np.bool_), [], [], [])
    for contour, area in zip(contours, areas, strict=True):
        if area < smallest:
            continue
        cv2.drawContours(mask, [contour], -1, 1, cv2.FILLED)
        x, y, w, h = cv2.boundingRect(contour)
        box = (x / width, y / height, w / width, h / height)
        labels.polygons.append((contour.reshape(-1, 2) / (width, height)).astype(np.float32))
        labels.boxes.append(box)
        labels.scores.append(_score(box, heat[y : y + h, x : x + w], hot[y : y + h, x : x + w]))
    return labels


def _score(box: tuple[float, float, float, float], heat: NDArray[np.uint8], hot: NDArray[np.uint8]) -> float:
    size = box[2] * box[3] / heat.size
    share_hot = float((hot > 0).mean())
    return min(1.0, size + max(float(heat.mean()) / 255, float(heat.max()) / 255, share_hot))
