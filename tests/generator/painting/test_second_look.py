"""Maps of a second look: the finished image is looked at as any image is, and stays as it was painted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from untrained import untrained_flux, untrained_tokenizer, untrained_xl

from diffucurate.generator.errors import ModelError
from diffucurate.generator.jobs.jobs import Job
from diffucurate.generator.models.load import load_pipeline
from diffucurate.generator.painting import painter
from diffucurate.generator.painting.painter import paint
from diffucurate.generator.sources.attention_source import AttentionSource
from diffucurate.generator.text.class_mentions import find_phrases

CLASSES = {"car": ["car", "sedan"], "bus": ["bus"]}


def job(prompt: str, seed: int, model: str = "tiny") -> Job:
    return Job.of(
        task="txt2img",
        prompt=prompt,
        negative_prompt="",
        phrases=find_phrases(prompt, CLASSES),
        attributes={},
        seed=seed,
        size=(128, 128),
        steps=3,
        guidance=4.0,
        model=model,
    )


JOBS = [job("a red car", 1), job("a bus and two sedans", 2), job("a tree", 3)]


def test_images_are_the_same_and_maps_are_those_of_looking_at_them() -> None:
    pipe = load_pipeline("tiny")
    plain = list(paint(JOBS, pipe=pipe, batch_size=3))
    again = list(paint(JOBS, pipe=pipe, batch_size=3, look_again=True))
    for one, other in zip(plain, again, strict=True):
        assert np.array_equal(one.image, other.image)
        assert one.heatmaps.keys() == other.heatmaps.keys()
    assert not np.allclose(plain[0].heatmaps["car"], again[0].heatmaps["car"])
    source = AttentionSource(CLASSES, timesteps=[100], contrast=False)
    looked = source.heatmaps([each.image for each in plain], [each.prompt for each in JOBS])
    for painting, maps in zip(again, looked, strict=True):
        assert painting.heatmaps.keys() == maps.keys()
        for label, heat in maps.items():
            np.testing.assert_allclose(painting.heatmaps[label], heat, rtol=1e-4, atol=1e-6)


def test_what_is_not_found_again_keeps_its_map(pipe: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    (plain,) = paint(JOBS[:1], pipe=pipe)
    monkeypatch.setattr(painter, "second_look", lambda *_: [{"car": np.zeros((4, 4), np.float32)}])
    (again,) = paint(JOBS[:1], pipe=pipe, look_again=True)
    assert np.array_equal(plain.heatmaps["car"], again.heatmaps["car"])


def test_a_rectified_flow_transformer_looks_again(tmp_path: Path) -> None:
    untrained_flux(untrained_tokenizer(tmp_path / "words")).save_pretrained(tmp_path / "flux")
    model = str(tmp_path / "flux")
    pipe = load_pipeline(model, "cpu")
    pipe.default_sample_size = 16
    jobs = [job("a red car", 1, model), job("a tree", 3, model)]
    plain, again = (list(paint(jobs, pipe=pipe, look_again=again)) for again in (False, True))
    looked = AttentionSource(CLASSES, model, "cpu").heatmaps([each.image for each in plain], ["a red car", "a tree"])
    for one, other, maps in zip(plain, again, looked, strict=True):
        assert np.array_equal(one.image, other.image)
        assert other.heatmaps.keys() == maps.keys()
    assert not np.allclose(plain[0].heatmaps["car"], again[0].heatmaps["car"])
    np.testing.assert_allclose(again[0].heatmaps["car"], looked[0]["car"], rtol=1e-3, atol=1e-6)


def test_models_that_cannot_look_are_refused_before_they_paint(tmp_path: Path) -> None:
    one = untrained_tokenizer(tmp_path)
    other = untrained_xl(one, one)
    with pytest.raises(ModelError, match="look"):
        next(iter(paint([job("a red car", 1)], pipe=other, look_again=True)))
