"""Flux.2, Qwen-Image and Z-Image against a plain reference, on untrained pipelines of the real classes."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from attention_reference import assert_same, recorded, turned
from diffusers import Flux2KleinKVPipeline, QwenImageEditPlusPipeline
from diffusers.pipelines.qwenimage import pipeline_qwenimage_edit_plus
from PIL import Image
from transformers import Qwen2VLImageProcessor, Qwen2VLProcessor, Qwen2VLVideoProcessor
from untrained_chat import (
    untrained_flux2,
    untrained_klein,
    untrained_qwen_image,
    untrained_qwen_tokenizer,
    untrained_z_image,
)

from diffucurate.generator.attention.families import family, family_of
from diffucurate.generator.attention.families.flux2 import Flux2
from diffucurate.generator.attention.families.qwen_image import QwenImage
from diffucurate.generator.attention.families.z_image import ZImage
from diffucurate.generator.attention.settings import TraceSettings
from diffucurate.generator.attention.trace.trace import AttentionTrace
from diffucurate.generator.errors import ModelError

#: What the templates have the system say names objects, and who speaks is a "user".
CLASSES = {"car": ["car", "sedan"], "piano": ["piano"], "bus": ["bus"], "object": ["object"], "user": ["user"]}
PROMPTS = ["a red car and a piano at night", "two sedans, a bus and a CAR!"]
#: "a _red _car _and _a _pi a no _at _night", "two _sedans , _a _bus _and _a _ C A R !".
TOKENS = [{"car": [2], "piano": [5, 6, 7]}, {"car": [1, 8, 9, 10], "bus": [4]}]
#: How many tokens that makes.
LENGTHS = [10, 12]

#: "<|im_start|> u se r \n": what comes before the prompt.
QWEN_PREFIX = 5


@dataclass(frozen=True)
class Case:
    """How a family is made and called, the layers that are read by default, where prompts begin in the context, and the
    options by which it is guided and not guided."""

    make: Callable[[], Any]
    layers: tuple[str, ...]
    start: Callable[[int], int]
    guided: Mapping[str, Any]
    unguided: Mapping[str, Any]
    options: Mapping[str, Any] = field(default_factory=dict)
    #: Which calls and rows are those of the prompts where it is guided.
    every: int = 1
    rows: Callable[[int], slice] = lambda images: slice(images)


FAMILIES = {
    # Padded on the left, and followed by one token that closes the prompt.
    "flux2": Case(
        untrained_flux2,
        ("transformer_blocks.3.attn",),
        lambda length: 250 - length - 1,
        {"guidance_scale": 4.0},
        {"guidance_scale": 1.0},
        {"max_sequence_length": 250},
    ),
    "klein": Case(
        untrained_klein,
        ("transformer_blocks.3.attn",),
        lambda length: QWEN_PREFIX,
        {"guidance_scale": 4.0},
        {"guidance_scale": 1.0},
        {"max_sequence_length": 40},
        every=2,
    ),
    "qwen-image": Case(
        untrained_qwen_image,
        ("transformer_blocks.1.attn",),
        lambda length: 0,
        {"negative_prompt": ["fog", "a bus and a tree at night on a road"], "true_cfg_scale": 3.0},
        {},
        every=2,
    ),
    "z-image": Case(
        untrained_z_image,
        ("layers.2.attention",),
        lambda length: QWEN_PREFIX,
        {"guidance_scale": 4.0, "negative_prompt": ["fog", "a bus"]},
        {"guidance_scale": 0.0},
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def made() -> Callable[[str], Any]:
    """The pipeline of a family, one for all tests that leave it as it was."""
    return cache(lambda name: FAMILIES[name].make())


def paint(pipe: Any, prompts: Any = PROMPTS, **options: Any) -> torch.Tensor:
    """The latents; 12 x 16 unless told otherwise."""
    count = (len(prompts) if prompts is not None else 2) * options.get("num_images_per_prompt", 1)
    generators = [torch.Generator().manual_seed(7 + k) for k in range(count)]
    settings = {"num_inference_steps": 2, "width": 128, "height": 96, "output_type": "latent", **options}
    # Z-Image writes into the lists that it is given.
    return pipe(**copy.deepcopy({"prompt": prompts, **settings}), generator=generators).images


# --- the reference -----------------------------------------------------------------------------------------------


def heads(attn: Any, projected: torch.Tensor, norm: Any) -> torch.Tensor:
    return norm(projected.reshape(*projected.shape[:2], attn.heads, -1)).permute(0, 2, 1, 3)


def streams(call: dict[str, Any], pixels: int) -> tuple[torch.Tensor, torch.Tensor, slice, torch.Tensor | None]:
    """The queries of the painted image's pixels, the keys of all tokens, which of these are the text's, and which may
    be attended to, (rows, tokens)."""
    attn, image, text = call["attn"], call["hidden_states"], call.get("encoder_hidden_states")
    if text is not None:
        query, key = heads(attn, attn.to_q(image), attn.norm_q), heads(attn, attn.to_k(image), attn.norm_k)
        of_text = heads(attn, attn.add_k_proj(text), attn.norm_added_k)
        first, second = call["image_rotary_emb"]
        tokens = text.shape[1]
        if first.is_complex():
            image_angles, text_angles = first.angle(), second.angle()
        else:
            angles = torch.atan2(second, first)[:, ::2]
            text_angles, image_angles = angles[:tokens], angles[tokens:]
        query, key = turned(query, image_angles), turned(key, image_angles)
        mask = mask_of(call)
        if mask is not None:
            mask = torch.cat([mask[:, :tokens], torch.ones(len(mask), key.shape[2], dtype=torch.bool)], dim=1)
        return query[:, :, :pixels], torch.cat([turned(of_text, text_angles), key], dim=2), slice(tokens), mask
    if getattr(attn, "to_qkv_mlp_proj", None) is not None:
        weight = attn.to_qkv_mlp_proj.weight
        width = attn.inner_dim
        query = heads(attn, image @ weight[:width].T, attn.norm_q)
        key = heads(attn, image @ weight[width : 2 * width].T, attn.norm_k)
        cosines, sines = call["image_rotary_emb"]
        angles = torch.atan2(sines, cosines)[:, ::2]
        tokens = image.shape[1] - pixels
        return turned(query, angles)[:, :, tokens:], turned(key, angles), slice(tokens), None
    query, key = heads(attn, attn.to_q(image), attn.norm_q), heads(attn, attn.to_k(image), attn.norm_k)
    angles = call["freqs_cis"].angle()[:, None]
    filled = math.ceil(pixels / 32) * 32
    return turned(query, angles)[:, :, :pixels], turned(key, angles), slice(filled, None), mask_of(call)


def mask_of(call: dict[str, Any]) -> torch.Tensor | None:
    """(rows, tokens), by either of the names that versions of diffusers give it."""
    masks = [call.get(name) for name in ("encoder_hidden_states_mask", "attention_mask")]
    return next((mask.flatten(1) for mask in masks if mask is not None), None)


def shares(call: dict[str, Any], pixels: int) -> torch.Tensor:
    """(rows, heads, pixels, text tokens): softmax(q k / sqrt(d)) over all that a pixel can look at."""
    query, key, text, mask = streams(call, pixels)
    scores = torch.einsum("bhpd,bhtd->bhpt", query, key) / math.sqrt(query.shape[-1])
    if mask is not None:
        scores = scores.masked_fill(~mask[:, None, None], -math.inf)
    exponentials = (scores - scores.amax(dim=-1, keepdim=True)).exp()
    return (exponentials / exponentials.sum(dim=-1, keepdim=True))[..., text]


@torch.no_grad()
def expected(
    calls: Sequence[dict[str, Any]], rows: slice, tokens: Sequence[Mapping[str, Sequence[int]]], pixels: int = 48
) -> list[dict[str, np.ndarray]]:
    """Mean over passes, layers, heads and a class's tokens: one map per class and image, flat."""
    means = [shares(call, pixels)[rows].mean(dim=1) for call in calls]
    each = len(means[0]) // len(tokens)
    return [
        {
            label: torch.stack([mean[row][:, positions].mean(dim=1) for mean in means]).mean(dim=0).numpy()
            for label, positions in tokens[row // each].items()
        }
        for row in range(len(means[0]))
    ]


def placed(name: str, tokens: Sequence[Mapping[str, Sequence[int]]], lengths: Sequence[int]) -> list[dict[str, list]]:
    """The tokens of prompts of these lengths as the model counts them."""
    starts = [FAMILIES[name].start(length) for length in lengths]
    return [
        {label: [start + k for k in positions] for label, positions in of_prompt.items()}
        for start, of_prompt in zip(starts, tokens, strict=True)
    ]


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


PICTURE = Image.fromarray(np.random.default_rng(0).integers(0, 255, (96, 64, 3), np.uint8))


@pytest.mark.parametrize("name", ["flux2", "klein"])
def test_reference_images(made: Callable[[str], Any], name: str) -> None:
    """Their tokens come after the image's and take part in the softmax; maps are those of the image alone."""
    pipe, case = made(name), FAMILIES[name]
    options = {**case.options, "guidance_scale": 1.0, "image": [PICTURE, PICTURE]}
    plain = paint(pipe, **options)
    with recorded(pipe, case.layers) as calls, AttentionTrace(pipe, CLASSES) as trace:
        traced = paint(pipe, **options)
    assert torch.equal(traced, plain)
    assert calls[0]["hidden_states"].shape[1] == 48 + 2 * 24
    assert_same(trace.maps(), expected(calls, slice(2), placed(name, TOKENS, LENGTHS)))


def test_images_that_are_edited(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of Qwen-Image-Edit the prompt comes after its pictures, and their tokens after those of the image."""
    for size in ("CONDITION_IMAGE_SIZE", "VAE_IMAGE_SIZE"):  # what images are brought to
        monkeypatch.setattr(pipeline_qwenimage_edit_plus, size, 64 * 96)
    tokenizer = untrained_qwen_tokenizer()
    processor = Qwen2VLProcessor(
        Qwen2VLImageProcessor(patch_size=14, merge_size=2, min_pixels=28**2, max_pixels=56**2),
        tokenizer,
        Qwen2VLVideoProcessor(),
    )
    pipe = untrained_qwen_image(kind=QwenImageEditPlusPipeline, processor=processor)
    options = {"image": [PICTURE], "num_inference_steps": 1}
    prompt = PROMPTS[:1]
    plain = paint(pipe, prompt, **options)
    with recorded(pipe, ("transformer_blocks.1.attn",)) as calls, AttentionTrace(pipe, CLASSES) as trace:
        traced = paint(pipe, prompt, **options)
    assert torch.equal(traced, plain)
    text, image = calls[0]["encoder_hidden_states"].shape[1], calls[0]["hidden_states"].shape[1]
    assert image > 48
    start = text - len(tokenizer("<|im_end|>\n<|im_start|>assistant\n").input_ids) - LENGTHS[0]
    wanted = [{label: [start + k for k in positions] for label, positions in TOKENS[0].items()}]
    assert_same(trace.maps(), expected(calls, slice(1), wanted))
    with (
        pytest.raises(ModelError, match="writes images into its prompts"),
        AttentionTrace(pipe, CLASSES, prompts=prompt),
    ):
        paint(pipe, prompt, **options)


def test_what_cannot_be_traced_is_refused(made: Callable[[str], Any]) -> None:
    pipe = untrained_klein(kind=Flux2KleinKVPipeline)
    with pytest.raises(ModelError, match="keeps the keys of its reference images"), AttentionTrace(pipe, CLASSES):
        paint(pipe, **FAMILIES["klein"].options, image=[PICTURE])
    layered = untrained_qwen_image()
    layered.transformer.register_to_config(use_layer3d_rope=True)
    with pytest.raises(ModelError, match="several layers of one image"):
        AttentionTrace(layered, CLASSES)
    omni = untrained_z_image()
    omni.siglip = object()
    with pytest.raises(ModelError, match="puts images between the words"):
        AttentionTrace(omni, CLASSES)


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
