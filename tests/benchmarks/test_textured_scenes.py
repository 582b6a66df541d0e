"""The second model's scenes are exact: deterministic, with disjoint masks and captions that name what is seen."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from diffucurate.generator.tiny.scenes import real_scenes, render_scene
from diffucurate.generator.tiny.shapes import CLASSES
from diffucurate.generator.tiny.words import SYNONYMS, plural


def named(caption: str) -> set[str]:
    """The classes whose noun, or a synonym of it, a caption has."""
    nouns = {name: (name, SYNONYMS.get(name, name)) for name in CLASSES}
    words = set(caption.replace(",", " ").split())
    return {name for name in CLASSES if words & {form for noun in nouns[name] for form in (noun, plural(noun))}}


@pytest.fixture(scope="module")
def textured() -> Iterator[SimpleNamespace]:
    sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
    names = ("scenes", "textures")
    yield SimpleNamespace(**{name: importlib.import_module(f"textured.{name}") for name in names})
    sys.path.pop(0)


def test_the_same_seed_gives_the_same_scenes_and_another_seed_others(textured: SimpleNamespace) -> None:
    style = textured.scenes.TexturedStyle
    first, again, other = (real_scenes(4, seed=seed, style=style) for seed in (3, 3, 4))
    for scene, twin in zip(first, again, strict=True):
        assert np.array_equal(scene.image, twin.image)
        assert scene.caption == twin.caption
    assert not any(np.array_equal(scene.image, twin.image) for scene, twin in zip(first, other, strict=True))


def test_masks_are_disjoint_and_a_caption_names_exactly_the_classes_that_are_seen(textured: SimpleNamespace) -> None:
    for scene in real_scenes(20, seed=5, style=textured.scenes.TexturedStyle):
        assert sum(thing.mask.astype(int) for thing in scene.objects).max() == 1
        assert named(scene.caption) == {thing.label for thing in scene.objects}, scene.caption


def test_a_mask_covers_what_a_thing_changes_and_its_shadow_is_outside(textured: SimpleNamespace) -> None:
    class Calm(textured.scenes.TexturedStyle):  # type: ignore[name-defined, misc]
        def finished(self, image: np.ndarray) -> np.ndarray:
            return image

    class Bare(Calm):
        def thing(self, canvas: np.ndarray, *args: Any) -> None:
            super().thing(canvas.copy(), *args)

    painted, bare = (render_scene(11, labels=["house"], style=style) for style in (Calm, Bare))
    (house,) = painted.objects
    changed = (painted.image != bare.image).any(axis=2)
    assert changed[house.mask].mean() > 0.95
    assert 0 < changed[~house.mask].mean() < 0.5


def test_textures_tile_without_a_seam_and_leave_the_mean_brightness(textured: SimpleNamespace) -> None:
    for name in textured.textures.NAMES:
        tile = textured.textures.tile(name).astype(float)
        inner = np.abs(np.diff(tile, axis=1)).mean(axis=0).max()
        assert np.abs(tile[:, 0] - tile[:, -1]).mean() <= 1.05 * inner + 0.5, name
        assert abs(tile.mean() - textured.textures.NEUTRAL) < 5, name
