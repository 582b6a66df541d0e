"""Canvases of real pipelines, untrained: regions share one field of noise, and bad ones are painted again alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from untrained import untrained_flux, untrained_pixart, untrained_sd3, untrained_xl

from diffucurate.generator.errors import ModelError
from diffucurate.generator.jobs.jobs import Job
from diffucurate.generator.labels.maps.canvas_maps import owners, region_maps, whole_maps
from diffucurate.generator.painting.painter import Painting, paint
from diffucurate.generator.recipe.canvas import Canvas, CanvasRegion

Box = tuple[int, int, int, int]


def job(regions: dict[Box, str], background: str = "a road", **content: Any) -> Job:
    named = {"a car": {"car": ("car",)}, "a bus": {"bus": ("bus",)}}
    tries = {name: content.pop(name) for name in ("tries", "min_confidence") if name in content}
    canvas = Canvas(background, tuple(CanvasRegion(text, box, named[text]) for box, text in regions.items()), **tries)
    values = {
        "task": "canvas",
        "prompt": "a road. a car. a bus",
        "negative_prompt": "",
        "phrases": {"car": ("car",), "bus": ("bus",)},
        "attributes": {},
        "seed": 5,
        "size": (192, 128),
        "steps": 3,
        "guidance": 4.0,
        "model": "tiny",
        "canvas": canvas,
    }
    return Job.of(**{**values, **content})


def painted(pipe: Any, *jobs: Job) -> list[Painting]:
    return list(paint(jobs, pipe=pipe))


PAIR = {(0, 0, 128, 128): "a car", (64, 0, 128, 128): "a bus"}


def test_one_region_of_all_of_the_canvas_is_an_ordinary_image(pipe: Any) -> None:
    """Its tile has the same prompt, so that nothing is blended that differs."""
    whole = job({(0, 0, 128, 128): "a car"}, "a car", size=(128, 128), tries=1)
    plain = Job.of(**{**{k: v for k, v in vars(whole).items() if k != "job_id"}, "prompt": "a car", "canvas": None})
    (canvas,), (image,) = painted(pipe, whole), painted(pipe, plain)
    assert np.abs(canvas.image.astype(int) - image.image).max() <= 1
    (name,) = region_maps(canvas.heatmaps)
    assert np.allclose(canvas.heatmaps[name], image.heatmaps["car"], atol=2e-2)


def test_what_a_canvas_holds(pipe: Any) -> None:
    (painting,) = painted(pipe, job(PAIR, tries=1))
    assert painting.image.shape == (128, 192, 3) and painting.image.dtype == np.uint8
    regions = region_maps(painting.heatmaps)
    assert [(each.order, each.box, each.label) for each in regions.values()] == [
        (0, (0, 0, 128, 128), "car"),
        (1, (64, 0, 128, 128), "bus"),
    ]
    found = {each.label for each in regions.values() if not each.lost}
    assert painting.lost_regions == 2 - len(found) and set(whole_maps(painting.heatmaps)) == found


def test_the_same_seed_gives_the_same_canvas_and_each_is_its_own(pipe: Any) -> None:
    first, second, other = job(PAIR), job(PAIR, seed=6), job({(64, 0, 128, 128): "a bus"})
    alone = painted(pipe, first)[0]
    together = painted(pipe, second, other, first)[-1]
    assert together.job == first and np.array_equal(together.image, alone.image)


def test_noise_of_a_region_that_is_painted_again_changes_that_region_only(pipe: Any) -> None:
    """No confidence reaches 1, so that both regions are painted as often as may be, and the rest once."""
    boxes = {(0, 0, 128, 128): "a car", (256, 0, 128, 128): "a bus"}
    once, twice = (
        painted(pipe, job(boxes, size=(384, 128), tries=tries, min_confidence=1.0))[0].image.astype(int)
        for tries in (1, 2)
    )
    owner = owners({0: (0, 0, 128, 128), 1: (256, 0, 128, 128)}, (128, 384))
    changed = np.abs(once - twice).max(axis=2)
    assert changed[owner >= 0].mean() > 5 * changed[:, 176:208].mean() and changed[owner == 0].max() > 10


def test_a_region_without_its_object_is_lost(pipe: Any) -> None:
    (painting,) = painted(pipe, job(PAIR, min_confidence=1.0))
    assert painting.lost_regions == 2 and whole_maps(painting.heatmaps) == {}
    assert all(each.lost for each in region_maps(painting.heatmaps).values())


def test_overlapping_latents_are_one_field(pipe: Any) -> None:
    """What both regions hold of the overlap is the same after every step."""
    seen: list[torch.Tensor] = []

    def hook(module: Any, args: tuple[Any, ...]) -> None:
        seen.append(args[0].detach().clone())

    handle = pipe.unet.register_forward_pre_hook(hook)
    painted(pipe, job(PAIR, tries=1))
    handle.remove()
    assert len(seen) == 3
    for latents in seen:  # 16 cells a region, of which 8 overlap
        assert torch.allclose(latents[0, :, :, 8:], latents[1, :, :, :8], atol=1e-5)


@pytest.mark.parametrize(
    "make",
    [lambda one: untrained_xl(one, one), untrained_sd3, lambda _: untrained_pixart()],
    ids=["xl", "sd3", "pixart"],
)
def test_other_families(make: Callable[[Any], Any], pipe: Any) -> None:
    (painting,) = painted(make(pipe.tokenizer), job(PAIR, tries=1, steps=2))
    assert painting.image.shape == (128, 192, 3) and len(region_maps(painting.heatmaps)) == 2


def test_models_whose_latents_have_no_places_are_refused(pipe: Any) -> None:
    with pytest.raises(ModelError, match="canvases cannot be painted with FluxPipeline"):
        painted(untrained_flux(pipe.tokenizer), job(PAIR))
