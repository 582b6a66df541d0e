"""Masks -> polygons -> masks without loss, and the one-ring form in the hands of two other rasterisers."""

from __future__ import annotations

from itertools import combinations

import cv2
import numpy as np
import pytest
import shapely
from numpy.typing import NDArray
from scipy.sparse.csgraph import minimum_spanning_tree

from diffucurate.generator.errors import LabelError
from diffucurate.generator.labels import polygon_bridges
from diffucurate.generator.labels.polygon_bridges import bridge
from diffucurate.generator.labels.polygons import Polygon, mask_to_polygons, polygons_to_mask, simplify

Mask = NDArray[np.bool_]


def drawn(picture: str) -> Mask:
    return np.array([[pixel == "#" for pixel in row] for row in picture.split()])


def disc(shape: tuple[int, int], centre: tuple[float, float], radius: float) -> Mask:
    y, x = np.mgrid[: shape[0], : shape[1]] + 0.5
    return np.hypot(x - centre[0], y - centre[1]) < radius


def blobs(seed: int) -> Mask:
    """Smooth or ragged random regions with parts and holes that also touch the border."""
    rng = np.random.default_rng(seed)
    height, width = rng.integers(20, 90, 2)
    noise = cv2.GaussianBlur(rng.random((height, width)), (0, 0), float(rng.choice([0.7, 1.5, 4.0])))
    return noise > np.quantile(noise, rng.uniform(0.2, 0.9))


def iou(a: Mask, b: Mask) -> float:
    return float((a & b).sum() / (a | b).sum())


def winding_fill(ring: NDArray[np.float32], shape: tuple[int, int]) -> Mask:
    """The non-zero rule at pixel centres, slowly and from its definition."""
    height, width = shape
    turns = np.zeros(shape, int)
    x = np.arange(width) + 0.5
    for (x0, y0), (x1, y1) in zip(ring.astype(float), np.roll(ring, -1, axis=0).astype(float), strict=True):
        for row in range(height):
            y = row + 0.5
            if (y0 <= y) != (y1 <= y):
                turns[row] += np.where(x0 + (y - y0) / (y1 - y0) * (x1 - x0) <= x, 1 if y1 > y0 else -1, 0)
    return turns != 0


CASES = {
    "one pixel": drawn("... .#. ..."),
    "one pixel in the corner": drawn("#.. ... ..."),
    "whole image": np.ones((5, 7), np.bool_),
    "ring": disc((60, 60), (30, 30), 25) & ~disc((60, 60), (28, 33), 14),
    "ring one pixel thin": drawn("##### #...# #...# #####"),
    "two parts": disc((50, 80), (20, 25), 15) | disc((50, 80), (60, 20), 13),
    "island in a lake": disc((70, 70), (35, 35), 30) & ~disc((70, 70), (35, 35), 20) | disc((70, 70), (36, 34), 9),
    "touching all borders": disc((40, 40), (20, 20), 23),
    "diagonal neighbours": drawn("#... .#.. ..#. .##."),
    "both diagonals": drawn("#.# .#. #.#"),
    "hole open at a corner": drawn(".### #.## #### ####"),
    **{f"random {seed}": blobs(seed) for seed in range(12)},
}


@pytest.mark.parametrize("mask", CASES.values(), ids=CASES)
def test_masks_come_back_exactly(mask: Mask) -> None:
    assert np.array_equal(polygons_to_mask(mask_to_polygons(mask), mask.shape), mask)


def test_coordinates_are_pixel_edges() -> None:
    (polygon,) = mask_to_polygons(drawn("... .#. ..."))
    assert polygon[0].tolist() == [[1, 1], [2, 1], [2, 2], [1, 2]]
    assert polygon[0].dtype == np.float32


@pytest.mark.parametrize(
    ("picture", "holes"),
    [
        ("..#.. .....", [0]),  # one part
        ("#.#.# ..#..", [0, 0, 0]),  # three parts
        ("##### #.#.# #####", [2]),  # two holes
        ("#. .#", [0, 0]),  # corners do not connect
        ("... ...", []),  # nothing
    ],
)
def test_parts_and_holes_are_told_apart(picture: str, holes: list[int]) -> None:
    assert [len(polygon) - 1 for polygon in mask_to_polygons(drawn(picture))] == holes


def test_holes_run_against_their_outer_ring() -> None:
    def signed_area(ring: NDArray[np.float32]) -> float:
        return float(np.sum(ring[:, 0] * np.roll(ring[:, 1], -1) - ring[:, 1] * np.roll(ring[:, 0], -1))) / 2

    mask = CASES["island in a lake"]
    polygons = mask_to_polygons(mask)
    assert all(signed_area(ring) > 0 for ring, *_ in polygons)
    assert sum(signed_area(ring) for polygon in polygons for ring in polygon) == mask.sum()


@pytest.mark.parametrize("mask", CASES.values(), ids=CASES)
def test_shapely_reads_the_same_areas_and_holes(mask: Mask) -> None:
    shapes = [shapely.Polygon(exterior, holes) for exterior, *holes in mask_to_polygons(mask)]
    assert sum(shape.area for shape in shapes) == mask.sum()
    # Rings that touch themselves at a corner are no valid polygons to it; that mask has pixels that do.
    for shape in (shape for shape in shapes if shape.is_valid):
        assert all(shapely.Polygon(shape.exterior).covers(shapely.Polygon(hole)) for hole in shape.interiors)


def test_fill_cuts_off_what_lies_outside() -> None:
    square = np.array([[-10, -10], [3, -10], [3, 2], [-10, 2]], np.float32)
    assert np.array_equal(polygons_to_mask([[square]], (4, 5)), drawn("###.. ###.. ..... ....."))
    assert not polygons_to_mask([[square + 100]], (4, 5)).any()


def test_fill_sets_pixels_whose_centres_are_inside() -> None:
    triangle = np.array([[0.6, 0], [3.4, 0], [3.4, 2.8]], np.float32)
    expected = [[triangle[0, 0] + (row + 0.5) < column + 0.5 < 3.4 for column in range(4)] for row in range(3)]
    assert np.array_equal(polygons_to_mask([[triangle]], (3, 4)), np.array(expected))


@pytest.mark.parametrize(
    ("ring", "message"),
    [
        (np.zeros((2, 2), np.float32), "at least 3"),
        (np.zeros((4, 3), np.float32), r"\(N, 2\)"),
        (np.full((4, 2), np.nan, np.float32), "finite"),
    ],
)
def test_bad_rings_are_refused(ring: NDArray[np.float32], message: str) -> None:
    with pytest.raises(LabelError, match=message):
        polygons_to_mask([[ring]], (4, 4))


def test_bad_masks_are_refused() -> None:
    with pytest.raises(LabelError, match="expected bool"):
        mask_to_polygons(np.zeros((4, 4), np.uint8))  # type: ignore[arg-type]


def points(polygons: list[Polygon]) -> int:
    return sum(len(ring) for polygon in polygons for ring in polygon)


@pytest.mark.parametrize("name", ["ring", "two parts", "island in a lake", "touching all borders"])
def test_simplify_saves_points_and_keeps_the_shape(name: str) -> None:
    exact = mask_to_polygons(CASES[name])
    simple = simplify(exact)
    assert points(simple) < points(exact) / 3
    assert iou(polygons_to_mask(simple, CASES[name].shape), CASES[name]) > 0.97


def test_simplify_keeps_small_objects_and_drops_holes_below_its_tolerance() -> None:
    assert [len(ring) for ring in simplify(mask_to_polygons(drawn("#")), 5)[0]] == [4]
    assert len(simplify(mask_to_polygons(drawn("######## ##.##### ########")), 2)[0]) == 1
    with pytest.raises(LabelError, match="0 or more"):
        simplify([], -1)


def opencv_fill(ring: NDArray[np.float32], shape: tuple[int, int]) -> Mask:
    canvas = np.zeros(shape, np.uint8)
    cv2.fillPoly(canvas, [ring.astype(np.int32)], 1)
    return canvas.astype(np.bool_)


@pytest.mark.parametrize("mask", CASES.values(), ids=CASES)
def test_one_ring_holds_parts_and_holes(mask: Mask) -> None:
    polygons = mask_to_polygons(mask)
    ring = bridge(polygons)
    assert ring.ndim == 2 and ring.shape[1] == 2 and ring.dtype == np.float32
    assert np.array_equal(polygons_to_mask([[ring]], mask.shape), mask), "even-odd"
    assert np.array_equal(winding_fill(ring, mask.shape), mask), "non-zero"
    integers = opencv_fill(ring, mask.shape)
    assert not (mask & ~integers).any(), "a fill that rounds down loses nothing"
    if len(polygons) == 1:
        assert np.array_equal(integers, mask), "and adds nothing but bridges between parts"


def test_a_bridge_between_parts_costs_its_length() -> None:
    mask = np.zeros((30, 60), np.bool_)
    mask[5:25, 4:20] = mask[8:22, 26:50] = True
    added = opencv_fill(bridge(mask_to_polygons(mask)), mask.shape) & ~mask
    assert added.sum() == 6


def test_pruning_leaves_out_specks_that_are_not_worth_their_bridge() -> None:
    mask = CASES["ring"].copy()
    speck, near = np.zeros_like(mask), np.zeros_like(mask)
    speck[56:58, 57:59] = True  # 4 px, farther away than that
    near[30:34, 57:59] = True  # 8 px, 2 px away
    ring = bridge(mask_to_polygons(mask | speck | near), prune=True)
    assert np.array_equal(polygons_to_mask([[ring]], mask.shape), mask | near)
    assert (opencv_fill(bridge(mask_to_polygons(mask | speck)), mask.shape) & speck).any()


def test_bridge_needs_something_to_join() -> None:
    with pytest.raises(LabelError, match="no polygons"):
        bridge([])


@pytest.mark.parametrize("seed", range(6))
def test_bridges_are_the_shortest_there_are(seed: int) -> None:
    """Against all pairs of points of all rings, and the shortest tree over those by SciPy."""
    noise = cv2.GaussianBlur(np.random.default_rng(seed).normal(size=(40, 40)).astype(np.float32), (0, 0), 1.2)
    rings = [ring for polygon in mask_to_polygons(noise > np.quantile(noise, 0.8)) for ring in polygon]
    points = [polygon_bridges._densify(ring)[0] for ring in rings]
    lengths = np.zeros((len(rings), len(rings)))
    for a, b in combinations(range(len(rings)), 2):
        lengths[a, b] = 1 + np.abs(points[a][:, None] - points[b][None]).max(axis=2).min()  # SciPy takes 0 for none
    bridges = polygon_bridges._spanning_tree(rings)
    found = [
        np.abs(polygon_bridges._at(rings[a], start) - polygon_bridges._at(rings[b], end)).max()
        for a, start, b, end in bridges
    ]
    assert len(rings) > 4
    assert sum(found) == pytest.approx(minimum_spanning_tree(lengths).sum() - len(bridges), abs=1e-3)
