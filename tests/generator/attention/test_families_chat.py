"""Flux.2, Qwen-Image and Z-Image against a plain reference, on untrained pipelines of the real classes."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from attention_reference import assert_same, recorded
from chat_families import (
    CLASSES,
    FAMILIES,
    LENGTHS,
    PROMPTS,
    QWEN_PREFIX,
    TOKENS,
    expected,
    mask_of,
    paint,
    placed,
    shares,
)

from diffucurate.generator.attention.families import family, family_of
from diffucurate.generator.attention.families.family import by_depth
from diffucurate.generator.attention.families.flux2 import Flux2
from diffucurate.generator.attention.families.qwen_image import QwenImage
from diffucurate.generator.attention.families.z_image import ZImage
from diffucurate.generator.attention.settings import TraceSettings
from diffucurate.generator.attention.trace.trace import AttentionTrace
from diffucurate.generator.errors import ModelError


@pytest.fixture(scope="module")
def made() -> Callable[[str], Any]:
    """The pipeline of a family, one for all tests that leave it as it was."""
    return cache(lambda name: FAMILIES[name].make())


@pytest.mark.parametrize("way", ["guided", "unguided", "embedded"])
@pytest.mark.parametrize("name", FAMILIES)
def test_maps_and_images(made: Callable[[str], Any], name: str, way: str) -> None:
    pipe, case = made(name), FAMILIES[name]
    guided = way == "guided"
    options = {**case.options, **(case.guided if guided else case.unguided)}
    prompts: Any = PROMPTS
    given = None
    if way == "unguided":
        options |= {"width": 96, "height": 128, "num_images_per_prompt": 2}
    if way == "embedded":
        prompts, given = None, PROMPTS
        options |= embeddings(pipe, name)
    plain = paint(pipe, prompts, **options)
    with recorded(pipe, case.layers) as calls, AttentionTrace(pipe, CLASSES, prompts=given) as trace:
        traced = paint(pipe, prompts, **options)
    assert torch.equal(traced, plain)
    calls = calls[:: case.every] if guided else calls
    assert len(calls) == 2
    assert_same(trace.maps(), expected(calls, case.rows(len(traced)), placed(name, TOKENS, LENGTHS)))
    assert {heat.shape for maps in trace.maps() for heat in maps.values()} == {
        (options.get("height", 96) // 16, options.get("width", 128) // 16)
    }
    assert [set(labels) for labels in trace.absent()][:: len(traced) - 1] == [
        {"bus", "object", "user"},
        {"piano", "object", "user"},
    ]


@torch.no_grad()
def embeddings(pipe: Any, name: str) -> dict[str, Any]:
    if name == "z-image":
        return {"prompt_embeds": pipe.encode_prompt(list(PROMPTS), do_classifier_free_guidance=False)[0]}
    if name == "qwen-image":
        return dict(zip(["prompt_embeds", "prompt_embeds_mask"], pipe.encode_prompt(PROMPTS), strict=True))
    return {"prompt_embeds": pipe.encode_prompt(PROMPTS, **FAMILIES[name].options)[0]}


@pytest.mark.parametrize("name", ["flux2", "klein"])
def test_blocks_with_one_stream(made: Callable[[str], Any], name: str) -> None:
    pipe, case = made(name), FAMILIES[name]
    settings = TraceSettings(single_stream=True, depth=(0.75, 1.0))
    layers = ("transformer_blocks.3.attn", "single_transformer_blocks.0.attn")
    with recorded(pipe, layers) as calls, AttentionTrace(pipe, CLASSES, settings=settings) as trace:
        paint(pipe, **case.options, guidance_scale=1.0)
    assert len(calls) == 4
    assert_same(trace.maps(), expected(calls, slice(2), placed(name, TOKENS, LENGTHS)))


#: Of 41 and 2 tokens, so that Z-Image fills them up to different lengths.
LONG = ["a car and a bus on a road at night in fog" + ", a tree and a tree" * 4 + " by a piano", "a bus"]
LONG_TOKENS = [{"car": [1], "piano": [38, 39, 40], "bus": [4]}, {"bus": [1]}]


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("qwen-image", {}),
        ("qwen-image", {"negative_prompt": ["fog", "a bus"], "true_cfg_scale": 3.0}),
        ("z-image", {"guidance_scale": 0.0}),
        ("z-image", {"guidance_scale": 4.0}),
        # The negative prompts are the longer ones, and have no rows in the second step.
        ("z-image", {"guidance_scale": 4.0, "cfg_truncation": 0.1, "negative_prompt": ["fog, " * 60, "a tree"]}),
    ],
)  # fmt: skip
def test_prompts_of_different_lengths(made: Callable[[str], Any], name: str, options: dict[str, Any]) -> None:
    pipe, case = made(name), FAMILIES[name]
    plain = paint(pipe, LONG, **options)
    with recorded(pipe, case.layers) as calls, AttentionTrace(pipe, CLASSES) as trace:
        traced = paint(pipe, LONG, **options)
    assert torch.equal(traced, plain)
    mask = mask_of(calls[0])
    assert mask is not None and not mask.all()
    calls = calls[::2] if "true_cfg_scale" in options else calls
    assert_same(trace.maps(), expected(calls, slice(2), placed(name, LONG_TOKENS, (0, 0))))


@pytest.mark.parametrize("name", ["qwen-image", "z-image"])
def test_only_the_prompts_words_compete(made: Callable[[str], Any], name: str) -> None:
    """Neither the template's tokens nor padding, but the image's own tokens as ever."""
    pipe, case = made(name), FAMILIES[name]
    with (
        recorded(pipe, case.layers) as calls,
        AttentionTrace(pipe, CLASSES, settings=TraceSettings(contest="content")) as trace,
    ):
        paint(pipe, LONG, **case.unguided)
    start, wanted = case.start(0), torch.zeros(())
    with torch.no_grad():
        for call in calls:
            share = shares(call, 48)[0]
            inside = share[..., start : start + 41].sum(dim=-1)
            barred = share.sum(dim=-1) - inside
            wanted = wanted + (share[..., start + 1] / (1 - barred)).mean(dim=0) / len(calls)
    np.testing.assert_allclose(trace.maps()[0]["car"].ravel(), wanted.numpy(), rtol=1e-3)


def test_a_prompt_that_is_cut_off(made: Callable[[str], Any]) -> None:
    """The last word may be the start of a longer one: "a car" of "a carpet"."""
    pipe = made("klein")
    found = {}
    for length, prompt in ((QWEN_PREFIX + 2, "a car pet"), (QWEN_PREFIX + 3, "a car and")):
        with AttentionTrace(pipe, CLASSES) as trace:
            paint(pipe, [prompt], max_sequence_length=length, guidance_scale=1.0)
        found[length] = list(trace.maps()[0])
    assert found == {QWEN_PREFIX + 2: [], QWEN_PREFIX + 3: ["car"]}


def test_a_prompt_that_the_language_model_wrote_itself(
    made: Callable[[str], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Flux.2 dev can have its prompt rewritten first; words are those of what came out."""
    pipe = made("flux2")
    encoder, tokenizer = pipe.text_encoder, pipe.tokenizer.tokenizer
    generate, written = encoder.generate, torch.tensor([tokenizer("a bus").input_ids])

    def shortened(**options: Any) -> torch.Tensor:
        generate(**{**options, "max_new_tokens": 2, "do_sample": False})
        return torch.cat([options["input_ids"], written], dim=1)

    monkeypatch.setattr(encoder, "generate", shortened)
    with AttentionTrace(pipe, CLASSES) as trace:
        paint(pipe, PROMPTS[:1], max_sequence_length=250, caption_upsample_temperature=0.1)
    assert [list(maps) for maps in trace.maps()] == [["bus"]]


def test_noise_counts_from_the_clean_image(made: Callable[[str], Any]) -> None:
    for name in FAMILIES:
        pipe, case, found = made(name), FAMILIES[name], []
        options = {**case.options, **case.unguided, "num_inference_steps": 3}
        for noise in ((0, 0.7), (0.7, 1), (0, 1)):
            with AttentionTrace(pipe, CLASSES, settings=TraceSettings(noise=noise, average_steps=False)) as trace:
                paint(pipe, **options)
            found.append(trace.maps()[0]["car"])
        np.testing.assert_allclose(found[0] + found[1], found[2], rtol=1e-5)
        with recorded(pipe, case.layers) as calls, AttentionTrace(pipe, CLASSES, settings=TraceSettings(pass_at=0.0)):
            paint(pipe, **options)
        with AttentionTrace(pipe, CLASSES, settings=TraceSettings(pass_at=0.0)) as trace:
            paint(pipe, **options)
        assert_same(trace.maps(), expected(calls[-1:], slice(2), placed(name, TOKENS, LENGTHS)))


@pytest.mark.parametrize(
    ("kind", "blocks", "read"),
    [
        (Flux2, 8, [6, 7]),  # dev
        (Flux2, 5, [3, 4]),  # klein 4B
        (QwenImage, 60, [16, 17, 18, 19]),
        (ZImage, 30, [8, 9]),
    ],
)
def test_the_blocks_of_the_real_models(kind: Any, blocks: int, read: list[int]) -> None:
    assert by_depth([str(number) for number in range(blocks)], kind.depth) == [str(number) for number in read]


@pytest.mark.parametrize("name", FAMILIES)
def test_half_precision(made: Callable[[str], Any], name: str) -> None:
    """Also that a prompt is known by its states, which were rounded."""
    case, found = FAMILIES[name], []
    for dtype in (torch.float32, torch.bfloat16):
        pipe = case.make().to(dtype)
        options = {**case.options, **case.guided, "num_inference_steps": 1}
        plain = paint(pipe, **options)
        with AttentionTrace(pipe, CLASSES) as trace:
            traced = paint(pipe, **options)
        assert torch.equal(traced, plain)
        found.append(trace.maps())
    assert [list(maps) for maps in found[0]] == [list(maps) for maps in found[1]] == [["car", "piano"], ["car", "bus"]]
    for exact, rounded in zip(*found, strict=True):
        for label, heat in exact.items():
            assert np.corrcoef(heat.ravel(), rounded[label].ravel())[0, 1] > 0.98


@pytest.mark.parametrize("name", FAMILIES)
def test_a_diffusers_without_the_class(made: Callable[[str], Any], name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert type(family_of(made(name))) in (Flux2, QwenImage, ZImage)
    monkeypatch.setattr(family, "diffusers", SimpleNamespace())
    with pytest.raises(ModelError, match=r"Flux.2, Qwen-Image or Z-Image model"):
        family_of(made(name))


@pytest.mark.parametrize("name", FAMILIES)
def test_everything_is_put_back(made: Callable[[str], Any], name: str) -> None:
    pipe = made(name)

    def state() -> tuple[list[Any], int]:
        modules = [*pipe.transformer.modules(), *pipe.text_encoder.modules()]
        hooks = sum(len(module._forward_hooks) + len(module._forward_pre_hooks) for module in modules)
        return [module.processor for module in modules if hasattr(module, "processor")], hooks

    before = state()
    with pytest.raises(KeyboardInterrupt), AttentionTrace(pipe, CLASSES):
        assert state()[0] != before[0] and state()[1] > before[1]
        raise KeyboardInterrupt
    assert state() == before
