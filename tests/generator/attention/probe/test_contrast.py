"""The change of a model's prediction when it is not told of a class, by definition and on renders with exact masks."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from diffusers import DDPMScheduler

from diffucurate.generator.attention.probe.contrast import contrasted, contrasts, smoothed, without
from diffucurate.generator.attention.probe.image_latents import denoise_once, encode
from diffucurate.generator.attention.settings import TraceSettings
from diffucurate.generator.sources.attention_source import AttentionSource
from diffucurate.generator.text.class_mentions import find_phrases
from diffucurate.generator.tiny import real_scenes
from diffucurate.generator.tiny.shapes import CLASSES
from diffucurate.generator.tiny.words import SYNONYMS

PEOPLE = {"person": ["person", SYNONYMS["person"]]}
PHRASES = {"car": ["car", "sedan"], "truck": ["truck"], "fire engine": ["fire truck"], "person": ["person"]}


@pytest.mark.parametrize(
    ("label", "said"),
    [
        (
            "car",
            "A red thing, two thing, a fire truck and people on a road",
        ),  # one word for all: it only has to say nothing
        ("truck", "A red Car, two sedans, a fire truck and people on a road"),
        ("fire engine", "A red Car, two sedans, a thing and people on a road"),
        ("person", "A red Car, two sedans, a fire truck and thing on a road"),
    ],
)
def test_leaves_out_one_class(label: str, said: str) -> None:
    prompt = "A red Car, two sedans, a fire truck and people on a road"
    assert without(prompt, PHRASES, label) == said


def test_as_it_is_defined(pipe: Any) -> None:
    """Row by row, whatever shares a batch: three images, two of them with more classes than one."""
    classes = {"car": ["car"], "bus": ["bus"]}
    prompts = ["a car and a bus", "a tree", "a bus at night"]
    steps, seed = (100, 500), 3
    images = [scene.image for scene in real_scenes(3, seed=5)]
    latents = encode(pipe, images, (128, 128)).detach()
    with torch.no_grad():
        predicted = denoise_once(pipe, latents, prompts, steps, seed)
        found = contrasts(pipe, latents, prompts, predicted, classes, steps, seed)
    assert [list(maps) for maps in found] == [["car", "bus"], [], ["bus"]]

    schedule = DDPMScheduler.from_config(pipe.scheduler.config)
    for index, label, other in (
        (0, "car", "a thing and a bus"),
        (0, "bus", "a car and a thing"),
        (2, "bus", "a thing at night"),
    ):
        generator, expected = torch.Generator().manual_seed(seed), np.zeros((16, 16))
        for step in steps:
            noise = torch.randn(latents.shape[1:], generator=generator)[None]
            noisy = schedule.add_noise(latents[index : index + 1], noise, torch.tensor([step]))
            with torch.no_grad():
                one, two = (
                    pipe.unet(noisy, step, pipe.encode_prompt([text], "cpu", 1, False)[0]).sample[0]
                    for text in (prompts[index], other)
                )
            length = (one - two).square().sum(dim=0).sqrt()
            expected += (length / length.mean()).numpy() / len(steps)
        np.testing.assert_allclose(found[index][label], expected, rtol=2e-3)
        assert found[index][label].dtype == np.float32


def test_a_class_that_the_model_is_not_told_of_changes_nothing(pipe: Any) -> None:
    classes = {"object": ["thing"]}
    latents = encode(pipe, [real_scenes(1, seed=5)[0].image], (128, 128)).detach()
    with torch.no_grad():
        predicted = denoise_once(pipe, latents, ["a thing"], (100,), 0)
        (maps,) = contrasts(pipe, latents, ["a thing"], predicted, classes, (100,), 0)
    assert not maps["object"].any()
    heat = np.random.default_rng(0).random((16, 16), np.float32)
    np.testing.assert_array_equal(contrasted(heat, maps["object"]), heat)


def test_is_hot_where_both_are() -> None:
    rng = np.random.default_rng(0)
    heat, contrast = 3e-3 * rng.random((8, 8), np.float32), rng.random((16, 16), np.float32)
    both = contrasted(heat, contrast)
    assert both.shape == (8, 8) and both.dtype == np.float32 and both.min() >= 0 and both.max() <= heat.max()
    np.testing.assert_allclose(contrasted(100 * heat, 7 * contrast), 100 * both, rtol=1e-4)
    contrast[:, 8:] = 0
    assert not contrasted(heat, contrast)[:, 5:].any() and contrasted(heat, contrast)[:, :3].all()
    plane = rng.random((4, 4), np.float32)
    np.testing.assert_allclose(smoothed(plane, plane), plane, rtol=1e-5)
    assert smoothed(contrast, plane).shape == (4, 4)


@pytest.mark.slow
def test_finds_more_of_people() -> None:
    """With the built-in model, which never saw a mask: attention alone often leaves out legs."""
    scenes = [scene for scene in real_scenes(150, seed=505) if "person" in find_phrases(scene.caption, PEOPLE)]
    images, prompts = [scene.image for scene in scenes], [scene.caption for scene in scenes]
    truths = [scene.class_mask() == 1 + CLASSES.index("person") for scene in scenes]
    reached = {}
    for contrast in (True, False):
        labels = AttentionSource(PEOPLE, "tiny", "cpu", contrast=contrast).label(images, prompts)
        found = [made.semantic == 1 for made in labels]
        ious = [(one & true).sum() / (one | true).sum() for one, true in zip(found, truths, strict=True)]
        reached[contrast] = np.mean(ious)
    assert len(scenes) > 20
    assert reached[True] > reached[False] + 0.01


def test_where_the_prompt_is_known_unless_asked_otherwise(make_pipe: Any, tmp_path: Any) -> None:
    make_pipe().save_pretrained(tmp_path)
    images = [scene.image for scene in real_scenes(2, seed=5)]
    classes, prompts = {"car": ["car"], "bus": ["bus"]}, ["a car", None]
    usual, always, never = (
        AttentionSource(classes, str(tmp_path), "cpu", trace=TraceSettings(), contrast=contrast).heatmaps(
            images, prompts
        )
        for contrast in (None, True, False)
    )

    def same(one: dict[str, np.ndarray], other: dict[str, np.ndarray]) -> bool:
        return all(np.allclose(one[label], other[label], rtol=1e-4) for label in one)

    assert same(usual[0], always[0]) and not same(usual[0], never[0])
    assert same(usual[1], never[1]) and not same(usual[1], always[1])
