from __future__ import annotations

import numpy as np
import pytest

from diffucurate.generator.text.class_mentions import find_phrases
from diffucurate.generator.tiny.scenes import MIN_VISIBLE_PX, real_scenes, render_scene
from diffucurate.generator.tiny.shapes import CLASSES, RARE_CLASSES, SHAPES
from diffucurate.generator.tiny.words import SYNONYMS

PHRASES = {name: [name, *([SYNONYMS[name]] if name in SYNONYMS else [])] for name in CLASSES}


def test_the_same_seed_gives_the_same_scenes_and_another_seed_others() -> None:
    first, again, other = real_scenes(4, seed=3), real_scenes(4, seed=3), real_scenes(4, seed=4)
    for scene, twin in zip(first, again, strict=True):
        assert np.array_equal(scene.image, twin.image)
        assert scene.caption == twin.caption
    assert not any(np.array_equal(scene.image, twin.image) for scene, twin in zip(first, other, strict=True))


def test_masks_are_exact_disjoint_and_never_of_hidden_things() -> None:
    for scene in real_scenes(100, seed=5):
        assert 1 <= len(scene.objects) <= 4
        cover = sum(thing.mask.astype(int) for thing in scene.objects)
        assert cover.max() == 1
        assert min(thing.mask.sum() for thing in scene.objects) >= MIN_VISIBLE_PX
        semantic = scene.class_mask()
        for thing in scene.objects:
            assert (semantic[thing.mask] == 1 + CLASSES.index(thing.label)).all()
        assert np.array_equal(semantic > 0, cover > 0)


def test_a_mask_covers_what_an_object_changes_in_the_image() -> None:
    # The nearest object's pixels differ from the place around it, and almost nothing outside does.
    scene = render_scene(11, labels=["car"])
    (car,) = scene.objects
    inside, outside = scene.image[car.mask].astype(int), scene.image[~car.mask].astype(int)
    assert np.abs(inside.mean(axis=0) - outside.mean(axis=0)).max() > 10


def test_a_caption_names_exactly_the_classes_that_are_seen() -> None:
    for scene in real_scenes(200, seed=6):
        assert set(find_phrases(scene.caption, PHRASES)) == {thing.label for thing in scene.objects}, scene.caption


def test_the_rare_object_appears_only_when_it_is_named() -> None:
    assert RARE_CLASSES == ("piano",)
    for scene in real_scenes(500, seed=7):
        assert "piano" not in scene.caption
        assert all(thing.label in CLASSES for thing in scene.objects)
    scene = render_scene(1, labels=["piano"])
    assert [thing.label for thing in scene.objects] == ["piano"]
    assert "piano" in scene.caption


@pytest.mark.parametrize("label", list(SHAPES))
@pytest.mark.parametrize("size", [(128, 128), (192, 96), (64, 128)])
def test_every_class_can_be_drawn_at_any_size(label: str, size: tuple[int, int]) -> None:
    scene = render_scene(2, labels=[label], size=size)
    assert scene.image.shape == (size[1], size[0], 3)
    assert scene.objects[0].mask.shape == (size[1], size[0])
