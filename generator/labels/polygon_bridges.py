"""Parts and holes of a polygonal mask joined into one ring, for formats that know nothing else. Knows only arrays."""

from __future__ import annotations

import heapq
from collections.abc import Sequence

import numpy as np
import shapely
from numpy.typing import NDArray

from diffucurate.generator.errors import LabelError
from diffucurate.generator.labels.polygons import Polygon, Ring

#: From which ring, where on it, to which ring, where on that. A place counts points along the ring; its fraction is
#: the way to the next point.
_Bridge = tuple[int, float, int, float]

#: A bridge's slant counts this much less than its length, so that it decides only between equal ones.
_SLANT = 1024

#: How far ``bridge`` draws a ring into the object, in pixels: enough that rounding a coordinate down always
#: names a pixel of the object, too little to matter to any other reader.
BRIDGE_INSET_PX = 1 / 32


def bridge(polygons: Sequence[Polygon], *, prune: bool = False) -> Ring:
    """Join all parts and holes into one closed ring, for formats that know nothing else.

    Rings are linked into a tree by bridges of zero width, walked once there and once back, each between the
    two nearest points of its rings. A bridge to a hole lies on the object; one between parts crosses what lies
    between them, and a reader that also draws outlines (OpenCV's ``fillPoly``, hence Ultralytics' loader) sets
    the pixels under it: the price in pixels is the gap's width.

    The ring is drawn ``BRIDGE_INSET_PX`` into the object. That loader rounds coordinates down and takes them
    for pixel indices; thanks to the inset each names a pixel of the object, so the mask comes back exactly
    except under bridges. Readers of pixel edges see a shift of 1/32 px.

    Args:
        polygons: as ``mask_to_polygons`` gives them: holes run against their outer ring.
        prune: leave out parts that are smaller than the bridge they need, counted in pixels. A speck far off is
            not worth a line across the image.

    Returns:
        (N, 2) float32, pixel-edge coordinates, closed implicitly; even-odd and non-zero fills agree.

    Raises:
        LabelError: there is no polygon to join.
    """
    rings = [_inset(ring) for polygon in polygons for ring in polygon]
    if not rings:
        raise LabelError("there are no polygons to join; leave empty instances out")
    if len(rings) == 1:
        return rings[0]
    bridges = _spanning_tree(rings)
    if prune:
        firsts = np.cumsum([0, *(len(polygon) for polygon in polygons)])[:-1]
        bridges = _worthwhile(rings, bridges, parts={int(first) for first in firsts})
    return _splice(rings, bridges)


def _inset(ring: Ring) -> Ring:
    """Each corner moved towards the object, which lies to the right of every edge as seen on the screen."""
    edges = np.roll(ring, -1, axis=0) - ring
    lengths = np.maximum(np.linalg.norm(edges, axis=1, keepdims=True), np.finfo(np.float32).tiny)
    normals = np.stack([-edges[:, 1], edges[:, 0]], axis=1) / lengths
    return (ring + BRIDGE_INSET_PX * (normals + np.roll(normals, 1, axis=0))).astype(np.float32)


def _spanning_tree(rings: Sequence[Ring]) -> list[_Bridge]:
    """The shortest bridges that link all rings (Prim's algorithm), in the order in which rings are reached.

    Lengths are the larger of the distances along x and y: the pixels of a drawn line. Among equally long bridges
    the straightest is taken, because a slanted line there and back is not always drawn on the same pixels. Two rings
    are compared point by point only when Shapely's distance between them leaves room for a shorter bridge than those
    that are known.
    """
    dense = [_densify(ring) for ring in rings]
    firsts = np.cumsum([0, *(len(points) for points, _ in dense)])
    outlines = [shapely.LinearRing(ring) for ring in rings]
    bridges: list[_Bridge] = []
    # (length or less, whether it is exact, end, how many rings were reached before the start's, from, to, start)
    candidates: list[tuple[float, bool, int, int, int, int, int]] = []
    waiting, newest = set(range(1, len(rings))), 0
    while waiting:
        others = sorted(waiting)
        # The larger of two distances is at least the straight one over the root of 2; rounding is below 0.01 px.
        least = shapely.distance(outlines[newest], [outlines[other] for other in others]) / np.sqrt(2) - 0.01
        for bound, other in zip(least.tolist(), others, strict=True):
            heapq.heappush(candidates, (bound, False, 0, len(bridges), newest, other, 0))
        while True:
            _, exact, end, rank, parent, child, start = heapq.heappop(candidates)
            if child not in waiting:
                continue
            if exact:
                break
            length, start, end = _shortest(dense[parent][0], dense[child][0])
            # Of equal ones the first in the order of points is taken, whichever rings were compared first.
            heapq.heappush(candidates, (length, True, int(firsts[child]) + end, rank, parent, child, start))
        entry = dense[child][1][end - int(firsts[child])]
        bridges.append((parent, float(dense[parent][1][start]), child, float(entry)))
        waiting.remove(child)
        newest = child
    return bridges


def _shortest(starts: Ring, ends: Ring) -> tuple[float, int, int]:
    """The length of the shortest bridge between points of two rings, and the indices of its start and end."""
    best = (np.inf, 0, 0)
    for block in np.array_split(np.arange(len(ends)), 1 + len(ends) * len(starts) // 2_000_000):
        apart = np.abs(ends[block, None, :] - starts[None, :, :])
        lengths = apart.max(axis=2) + apart.min(axis=2) / _SLANT
        end, start = np.unravel_index(lengths.argmin(), lengths.shape)
        if lengths[end, start] < best[0]:
            best = (float(lengths[end, start]), int(start), int(block[end]))
    return best


def _worthwhile(rings: Sequence[Ring], bridges: Sequence[_Bridge], parts: set[int]) -> list[_Bridge]:
    """The bridges without those that add more pixels than the part behind them and all that hangs on it.

    ``parts`` are the indices of outer rings. A bridge to a hole lies on the object and costs nothing.
    """
    area = [float(np.sum(x * np.roll(y, -1) - y * np.roll(x, -1))) / 2 for x, y in (ring.T for ring in rings)]
    dropped = set()
    for parent, position, child, entry in reversed(bridges):
        length = np.abs(_at(rings[parent], position) - _at(rings[child], entry)).max()
        if child in parts and area[child] < length:
            dropped.add(child)
        else:
            area[parent] += area[child]
    kept = []
    for parent, position, child, entry in bridges:
        if parent in dropped:
            dropped.add(child)
        if child not in dropped:
            kept.append((parent, position, child, entry))
    return kept


def _densify(ring: Ring) -> tuple[Ring, NDArray[np.float64]]:
    """Points along ``ring`` at most a pixel apart, its corners among them, and their positions on it."""
    edges = np.roll(ring, -1, axis=0) - ring
    counts = np.maximum(np.ceil(np.abs(edges).max(axis=1)), 1).astype(np.intp)
    edge = np.repeat(np.arange(len(ring)), counts)
    share = (np.arange(len(edge)) - np.repeat(np.cumsum(counts) - counts, counts)) / counts[edge]
    return (ring[edge] + share[:, None] * edges[edge]).astype(np.float32), edge + share


def _splice(rings: Sequence[Ring], bridges: Sequence[_Bridge]) -> Ring:
    """Walk round the first ring, and at each bridge round the ring behind it and back."""
    entries = [0.0] * len(rings)
    exits: list[list[tuple[float, int]]] = [[] for _ in rings]
    for parent, position, child, entry in bridges:
        entries[child] = entry
        exits[parent].append((position, child))
    walks: dict[int, Ring] = {}
    # What hangs on a ring was reached after it, so going backwards every detour is complete when it is needed.
    for index in [*(child for _, _, child, _ in reversed(bridges)), 0]:
        ring, entry, count = rings[index], entries[index], len(rings[index])
        stops = [((corner - entry) % count, 0, ring[corner : corner + 1]) for corner in range(count)]
        for position, child in exits[index]:
            here = _at(ring, position)
            stops.append(((position - entry) % count, 1, np.concatenate([here, walks.pop(child), here])))
        stops.sort(key=lambda stop: stop[:2])
        walks[index] = np.concatenate([_at(ring, entry), *(points for _, _, points in stops), _at(ring, entry)])
    repeated = (walks[0] == np.roll(walks[0], 1, axis=0)).all(axis=1)
    return walks[0][~repeated]


def _at(ring: Ring, position: float) -> Ring:
    """The point at ``position`` on ``ring``, (1, 2)."""
    index, share = int(position), np.float32(position % 1)
    following = (index + 1) % len(ring)
    return ring[index : index + 1] + share * (ring[following : following + 1] - ring[index : index + 1])
