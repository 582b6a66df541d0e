"""The peer of the benchmarks does what it is said to do, faults included."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

Y, X = np.mgrid[:256, :256] + 0.5


@pytest.fixture(scope="module")
def peer() -> ModuleType:
    path = Path(__file__).parents[3] / "benchmarks" / "peers" / "diffugen.py"
    spec = importlib.util.spec_from_file_location("peer_diffugen", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def disc(x: float, y: float, radius: float) -> np.ndarray:
    return np.hypot(X - x, Y - y) < radius


def test_objects_come_out_thinner_with_a_full_score(peer: ModuleType) -> None:
    labels = peer.diffugen(0.1 + disc(80, 100, 40) + 0.9 * disc(200, 200, 30))
    assert labels.mask[disc(80, 100, 34)].all() and not labels.mask[~(disc(80, 100, 40) | disc(200, 200, 30))].any()
    assert labels.mask.sum() == pytest.approx(disc(80, 100, 37).sum() + disc(200, 200, 27).sum(), rel=0.08)
    assert len(labels.polygons) == len(labels.boxes) == len(labels.scores) == 2
    x, y, width, height = max(labels.boxes, key=lambda box: box[2])
    assert np.allclose([x, y, width, height], np.array([44, 64, 72, 72]) / 256, atol=1.5 / 256)
    assert sorted(labels.scores)[1] == 1 and all(0 < score <= 1 for score in labels.scores)
    assert all(polygon.min() >= 0 and polygon.max() <= 1 for polygon in labels.polygons)


def test_small_objects_and_holes_are_lost(peer: ModuleType) -> None:
    assert peer.diffugen(disc(100, 100, 9).astype(np.float32)).scores == []
    ring = peer.diffugen((disc(128, 128, 100) & ~disc(128, 128, 40)).astype(np.float32))
    assert ring.mask[128, 128]


@pytest.mark.parametrize("heat", [np.zeros((64, 64), np.float32), np.full((64, 64), 0.5, np.float32)])
def test_nothing_found_is_no_error(peer: ModuleType, heat: np.ndarray) -> None:
    labels = peer.diffugen(heat)
    assert not labels.mask.any() and labels.boxes == []
