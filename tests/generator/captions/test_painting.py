"""Class prompts while painting: in every family of models that has cross-attention, and refused where there is none."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from untrained import (
    untrained_flux,
    untrained_pipeline,
    untrained_pixart,
    untrained_sd3,
    untrained_tokenizer,
    untrained_xl,
)

from diffucurate.generator.errors import ModelError
from diffucurate.generator.jobs.jobs import jobs
from diffucurate.generator.painting.painter import paint
from diffucurate.generator.painting.prompt_length import read_whole
from diffucurate.generator.recipe.recipe import Recipe

LONG = "a car on a road " * 12  # more than the 40 tokens of these pipelines' CLIP, fewer than T5's


@pytest.fixture
def pipe(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    words = untrained_tokenizer(tmp_path)
    return {
        "sd": lambda: untrained_pipeline(words),
        "xl": lambda: untrained_xl(words, untrained_tokenizer(tmp_path / "b")),
        "sd3": lambda: untrained_sd3(words),
        "flux": lambda: untrained_flux(words),
        "pixart": untrained_pixart,
    }[request.param]()


def captioned(*captions: Any, **more: Any) -> list[Any]:
    content = {"dataset": "d", "classes": {"car": ["car"], "bus": ["bus"]}, "captions": list(captions), "steps": 1}
    return jobs(Recipe.from_mapping({**content, "size": [64, 64], **more}))


@pytest.mark.parametrize("pipe", ["sd", "xl", "pixart"], indirect=True)
def test_every_family_with_cross_attention(pipe: Any, caplog: pytest.LogCaptureFixture) -> None:
    made = captioned(
        {"caption": "a car", "classes": ["car", "bus"]}, {"caption": "a road", "classes": ["bus"]}, "a car"
    )
    # Two with class prompts share a batch, the third is traced by its own words.
    paintings = list(paint(made, pipe=pipe))
    assert [set(painting.heatmaps) for painting in paintings] == [{"car", "bus"}, {"bus"}, {"car"}]
    assert all(np.ptp(heat) > 0 for painting in paintings for heat in painting.heatmaps.values())
    assert [painting.conditions.batch_size for painting in paintings] == [2, 2, 1]
    assert "no map for" not in caplog.text


@pytest.mark.parametrize("pipe", ["sd"], indirect=True)
def test_the_class_prompt_changes_labels_and_no_pixel(pipe: Any) -> None:
    texts = [{"caption": "a car", "classes": ["car"]}, "a bus"]
    plain, apart = (captioned(captions={"texts": texts, "class_prompt": way})[0] for way in ("none", "separate"))
    images = [next(paint([job], pipe=pipe)) for job in (plain, apart)]
    assert plain.prompt == apart.prompt and plain.job_id != apart.job_id
    assert np.array_equal(images[0].image, images[1].image)
    assert not np.array_equal(images[0].heatmaps["car"], images[1].heatmaps["car"])


@pytest.mark.parametrize("pipe", ["sd3", "flux"], indirect=True)
def test_refused_without_cross_attention(pipe: Any) -> None:
    made = captioned({"caption": "a car", "classes": ["car", "bus"]})
    with pytest.raises(ModelError, match="cannot be attributed by another one"):
        next(paint(made, pipe=pipe))


@pytest.mark.parametrize("pipe", ["sd"], indirect=True)
def test_weights_only_where_they_are_asked_for(pipe: Any) -> None:
    caption = {"caption": "a car++ on a road", "classes": ["car", "bus"]}
    plain, weighted = (captioned(caption, prompt_weights=asked)[0] for asked in (False, True))
    images = [next(paint([job], pipe=pipe)) for job in (plain, weighted)]
    assert set(images[0].heatmaps) == set(images[1].heatmaps) == {"car", "bus"}
    assert not np.array_equal(images[0].image, images[1].image)


@pytest.mark.parametrize(
    ("pipe", "whole"),
    [("sd", False), ("xl", False), ("sd3", True), ("flux", True), ("pixart", True)],
    indirect=["pipe"],
)
def test_what_is_read_to_its_end(pipe: Any, whole: bool) -> None:
    assert read_whole(pipe, ["a car", LONG]) == [True, whole]
    assert not any(read_whole(pipe, [LONG * 20]))
