"""Weighted and long prompts: painted as told, their words still found."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from untrained import untrained_sd3, untrained_tokenizer, untrained_xl

from diffucurate.generator.attention.capture.tokens import locate
from diffucurate.generator.errors import RecipeError
from diffucurate.generator.jobs.jobs import Job
from diffucurate.generator.models.prompt_weights import weighted
from diffucurate.generator.painting.painter import Painting, paint
from diffucurate.generator.recipe.model_options import ModelOptions, TextualInversion
from diffucurate.generator.text.class_mentions import find_phrases

CLASSES = {"car": ["car"], "bus": ["bus"], "piano": ["<piano>"]}
LONG = ", ".join(["a big tree at night in fog"] * 8)


def paintings(pipe: Any, prompts: list[str], setup: ModelOptions | None = None, negative: str = "") -> list[Painting]:
    jobs = [
        Job.of(
            task="txt2img",
            prompt=prompt,
            negative_prompt=negative,
            phrases=find_phrases(prompt, CLASSES),
            attributes={},
            seed=5,
            size=(128, 128),
            steps=2,
            guidance=4.0,
            model="tiny",
            model_options=ModelOptions(prompt_weights=True) if setup is None else setup,
        )
        for prompt in prompts
    ]
    return list(paint(jobs, pipe=pipe, batch_size=len(jobs)))


@pytest.fixture(params=["sd", "xl"])
def painter(request: pytest.FixtureRequest, make_pipe: Any, tmp_path: Path) -> Any:
    if request.param == "sd":
        return make_pipe()
    return untrained_xl(*(untrained_tokenizer(tmp_path / name) for name in "ab"))


def test_without_weights_nothing_changes(painter: Any) -> None:
    (plain,) = paintings(painter, ["a red car on a road"], ModelOptions(), negative="fog")
    (same,) = paintings(painter, ["a red car on a road"], negative="fog")
    assert np.array_equal(plain.image, same.image)
    assert np.allclose(plain.heatmaps["car"], same.heatmaps["car"], atol=1e-6)


def test_weights_change_the_image_and_heatmaps_stay_on_their_words(painter: Any) -> None:
    plain, weak = paintings(painter, ["a red car beside a bus", "a red (car)0.5 beside a bus"])
    assert not np.array_equal(plain.image, weak.image)
    assert list(weak.heatmaps) == ["car", "bus"]
    # Weights take no tokens, so the words stand where they stood, whatever is around them.
    ids = weighted(painter, ["a red car beside a bus", "a red (car)0.5 beside a bus++"], ["", ""]).ids
    assert all(first == second for first, second in ids)


def test_words_beyond_the_first_context_are_found(painter: Any) -> None:
    """A prompt of several contexts paints, and its last word has the map of that word's own tokens."""
    short, long = paintings(painter, ["a car", f"{LONG}, a car and a bus"])
    assert list(short.heatmaps) == ["car"] and list(long.heatmaps) == ["car", "bus"]
    context = painter.tokenizer.model_max_length
    (rows, *_) = weighted(painter, ["a car", f"{LONG}, a car and a bus"], ["", ""]).ids
    assert len(rows[1]) > context and len(rows[1]) % context == 0
    (cut,) = paintings(painter, [f"{LONG}, a car and a bus"], ModelOptions())
    assert list(cut.heatmaps) == []


def test_weights_with_a_colon_paint_the_same(make_pipe: Any) -> None:
    pipe = make_pipe()
    ours, theirs = paintings(pipe, ["a (car)0.5 and a bus", "a (car:0.5) and a bus"])
    assert np.array_equal(ours.image, theirs.image) and np.array_equal(ours.heatmaps["car"], theirs.heatmaps["car"])


def test_a_phrase_may_go_on_in_the_next_context(make_pipe: Any) -> None:
    pipe = make_pipe()
    context = pipe.tokenizer.model_max_length
    filler = " ".join(["a"] * (context - 3))  # start, end and one token are left of the context
    (ids, *_) = weighted(pipe, [f"{filler} car bus at night"], [""]).ids
    found = locate(pipe.tokenizer, ids[0], {"bus_car": ["car bus"]})
    # The last place before the first context's end token, and the one after the second's start token.
    assert found.classes["bus_car"] == (context - 2, context + 1)
    assert found.starts == (0, context)


def test_a_learned_word_of_several_vectors(make_pipe: Any, tmp_path: Path) -> None:
    pipe = make_pipe()
    vectors = torch.randn((3, pipe.text_encoder.config.hidden_size), generator=torch.Generator().manual_seed(1))
    save_file({"emb_params": vectors}, tmp_path / "piano.safetensors")
    word = TextualInversion(path=str(tmp_path / "piano.safetensors"), placeholder="<piano>")
    plain, weighted_ = (
        paintings(pipe, ["a <piano> and a car"], ModelOptions(tokens=(word,), prompt_weights=weights))[0]
        for weights in (False, True)
    )
    assert np.array_equal(plain.image, weighted_.image)
    assert np.allclose(plain.heatmaps["piano"], weighted_.heatmaps["piano"], atol=1e-6)


def test_other_text_encoders_are_refused(tokenizer: Any) -> None:
    with pytest.raises(RecipeError, match=r"prompt_weights: .*words cannot be weighted"):
        paintings(untrained_sd3(tokenizer), ["a car++"])


def test_every_prompt_that_passes_is_parsed_within_a_bound(make_pipe: Any) -> None:
    import time

    from diffucurate.generator.text.weighted_prompts import MOST_NESTED, weights_problem

    nested = "a " + "(red " * MOST_NESTED + "car" + ")1.1" * MOST_NESTED + " beside a bus"
    pipe = make_pipe()
    weighted(pipe, ["a car"], [""])
    started = time.process_time()
    assert weights_problem(nested) is None and weighted(pipe, [nested], [""]).ids
    assert time.process_time() - started < 10


@pytest.mark.parametrize("prompt", ["a ((car", "(" * 20 + "car" + ")" * 20, "a car.swap(bus)"])
def test_what_would_take_forever_is_refused_at_once(make_pipe: Any, prompt: str) -> None:
    for prompts, negative in (([prompt], ""), (["a car"], prompt)):
        with pytest.raises(RecipeError, match="prompt_weights: "):
            paintings(make_pipe(), prompts, negative=negative)


@pytest.mark.parametrize("zeros", [True, False], ids=["zeros", "the encoded empty text"])
def test_xl_without_a_negative_prompt_is_guided_as_its_config_says(tmp_path: Path, zeros: bool) -> None:
    """The pipeline itself, called without a negative prompt, is the reference; weights change nothing about it."""
    pipe = untrained_xl(*(untrained_tokenizer(tmp_path / name) for name in "ab"))
    pipe.register_to_config(force_zeros_for_empty_prompt=zeros)
    images = [
        pipe(
            prompt=["a red car"],
            negative_prompt=negative,
            width=128,
            height=128,
            num_inference_steps=2,
            guidance_scale=4.0,
            generator=[torch.Generator("cpu").manual_seed(5)],
            output_type="np",
        ).images
        for negative in (None, [""])
    ]
    expected, encoded = ((image[0] * 255).round().astype(np.uint8) for image in images)
    assert np.array_equal(expected, encoded) != zeros
    for setup in (ModelOptions(), ModelOptions(prompt_weights=True)):
        (painting,) = paintings(pipe, ["a red car"], setup)
        assert np.array_equal(painting.image, expected) and list(painting.heatmaps) == ["car"]


def test_prompts_with_and_without_a_negative_one_share_no_batch() -> None:
    from diffucurate.generator.painting.painter import together

    common = {"task": "txt2img", "prompt": "a", "phrases": {}, "attributes": {}, "seed": 1, "size": (8, 8), "steps": 1}
    plain, fog, rain = (
        together(Job.of(**common, guidance=2.0, model="m", negative_prompt=text)) for text in ("", "fog", "rain")
    )
    assert plain != fog == rain
