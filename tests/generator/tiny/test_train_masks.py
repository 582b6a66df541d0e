"""What the mask network learns from: maps that stand for their masks, and images whose masks are exact."""

from __future__ import annotations

import itertools
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from diffucurate.generator.labels.maps import mask_network
from diffucurate.generator.tiny import train_masks
from diffucurate.generator.tiny.pasted_scenes import Composer, photographs
from diffucurate.generator.tiny.simulated_maps import KINDS, Kind, simulated
from diffucurate.generator.tiny.train_masks import Lesson, Lessons, pack

Y, X = np.mgrid[:128, :128]
LEFT, RIGHT = (np.hypot(X - column, Y - 64) < 24 for column in (34, 94))


def test_a_map_without_faults_is_the_mask_in_cells() -> None:
    """By hand: no bias, next to no blur and no noise leave each cell's share, times the signal's 0.85."""
    maps = simulated({"a": [LEFT]}, Kind(8, 0.05, 0, 0), np.random.default_rng(0))
    expected = 0.85 * cv2.resize(LEFT.astype(np.float32), (16, 16), interpolation=cv2.INTER_AREA)
    np.testing.assert_allclose(maps["a"], expected, atol=1e-5)


def test_the_faults_are_what_they_are_called() -> None:
    def heat(fault: str, **objects: list[np.ndarray]) -> dict[str, np.ndarray]:
        return simulated(objects, Kind(8, 0.4, 0, 0, fault), np.random.default_rng(0))  # type: ignore[arg-type]

    at = {"left": (8, 4), "right": (8, 11), "below": (12, 4)}
    faint = heat("faint", a=[LEFT, RIGHT])["a"]
    assert faint[at["right"]] == pytest.approx(faint[at["left"]] / 3, rel=0.05)
    mixed = heat("mixed", a=[LEFT], b=[RIGHT])["a"]
    assert mixed[at["right"]] == pytest.approx(mixed[at["left"]] / 3, rel=0.05)
    plain, leak = heat("", a=[LEFT])["a"], heat("leak", a=[LEFT])["a"]
    assert leak[at["below"]] > plain[at["below"]] + 0.2 and leak[at["left"]] == pytest.approx(
        plain[at["left"]], abs=0.02
    )
    wrong = heat("wrong", a=[LEFT])["a"]
    assert wrong.sum() == pytest.approx(plain.sum(), rel=0.2) and wrong[at["left"]] < 0.5


@pytest.mark.parametrize("kind", KINDS)
def test_maps_are_heat_and_the_same_for_the_same_seed(kind: str) -> None:
    first, again = (simulated({"a": [LEFT, RIGHT]}, KINDS[kind], np.random.default_rng(3)) for _ in range(2))
    assert first["a"].dtype == np.float32 and first["a"].min() >= 0 and first["a"].max() <= 1
    np.testing.assert_array_equal(first["a"], again["a"])


def test_photographs_are_there_in_colour() -> None:
    assert len(photographs()) == 12
    assert all(each.dtype == np.uint8 and each.ndim == 3 and each.shape[2] == 3 for each in photographs())


def test_compositions_have_the_size_and_covers_that_do_not_overlap() -> None:
    composer = Composer(np.random.default_rng(0))
    for make, (width, height) in itertools.product((composer.pasted, composer.areas), [(128, 96), (80, 128)]):
        for _ in range(5):
            image, objects = make((width, height))
            assert image.shape == (height, width, 3) and image.dtype == np.uint8
            for _, cover in objects:
                assert cover.shape == (height, width) and cover.min() >= 0 and cover.max() <= 1
            assert not objects or np.add.reduce([cover for _, cover in objects]).max() <= 1.001


def test_lessons_are_what_the_network_reads() -> None:
    rng = np.random.default_rng(0)
    scene = Lesson(
        np.where(LEFT[..., None], (200, 40, 30), (90, 95, 100)).astype(np.uint8),
        {"a": LEFT.astype(np.float32)},
        {"a": rng.random((16, 16), np.float32)},
    )
    for inputs, cover, counts in itertools.islice(Lessons([scene]), 60):
        assert inputs.shape == (mask_network.INPUTS, 128, 128) and cover.shape == counts.shape == (128, 128)
        assert np.isfinite(inputs).all() and cover.min() >= 0 and cover.max() <= 1.001
        assert counts.sum() >= 128 * 80 and set(np.unique(counts)) <= {0.0, 1.0}


@pytest.mark.slow
def test_training_goes_on_and_what_is_packed_is_what_was_learned(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene = Lesson(
        np.where(LEFT[..., None], (200, 40, 30), (90, 95, 100)).astype(np.uint8),
        {"a": LEFT.astype(np.float32)},
        {"a": cv2.GaussianBlur(cv2.resize(LEFT.astype(np.float32), (16, 16)), (0, 0), 0.8)},
    )
    monkeypatch.setattr(train_masks, "attended_scenes", lambda: [scene])
    monkeypatch.setattr(train_masks, "BATCH", 4)
    train_masks.train(tmp_path, 0.2, 4e-3, 0.6)
    steps = torch.load(tmp_path / "masks.pt", weights_only=True)["step"]
    network = train_masks.train(tmp_path, 0.02, 4e-4, 1.0)
    assert torch.load(tmp_path / "masks.pt", weights_only=True)["step"] > steps > 0
    pack(network, tmp_path / "packed.safetensors")
    inputs = torch.from_numpy(next(iter(Lessons([scene])))[0][None])
    monkeypatch.setattr(mask_network, "mask_network_path", lambda: tmp_path / "packed.safetensors")
    mask_network._trained.cache_clear()
    try:
        with torch.no_grad():
            torch.testing.assert_close(mask_network._trained()(inputs), network(inputs), atol=0.02, rtol=0.02)
    finally:
        mask_network._trained.cache_clear()
