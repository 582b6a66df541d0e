"""Painting by masks, on untrained pipelines of the real classes: what each pixel attends to, worked out apart."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import PixArtAlphaPipeline
from untrained import untrained_flux, untrained_pixart, untrained_sd3, untrained_xl
from untrained_chat import untrained_qwen_image

from diffucurate.generator.attention.control.layout import Layout
from diffucurate.generator.attention.control.layout_control import LayoutControl, LayoutStrength
from diffucurate.generator.attention.control.processor import AttentionCall
from diffucurate.generator.attention.trace.trace import AttentionTrace
from diffucurate.generator.errors import ModelError

#: <start> a red car on a road and a bus <end> ...: the words' places, each one token.
PROMPT = "a red car on a road and a bus"
CAR, BUS, WORDS = 3, 9, list(range(1, 10))
PHRASES = {"car": ("car",), "bus": ("bus",)}


def layout(side: int = 128) -> Layout:
    """A car to the left, a bus to the right, none of them below."""
    ids = np.zeros((side, side), np.uint8)
    ids[: side // 2, : side // 2], ids[: side // 2, side // 2 :] = 1, 2
    return Layout(ids, ("car", "bus"))


def paint(pipe: Any, steps: int = 2, **options: Any) -> Any:
    settings = {"num_inference_steps": steps, "width": 128, "height": 128, "guidance_scale": 4.0}
    generator = torch.Generator().manual_seed(3)
    return pipe(PROMPT, generator=generator, output_type="np", **{**settings, **options}).images


def steered(pipe: Any, **strength: Any) -> LayoutControl:
    return LayoutControl(pipe, [layout()], [PROMPT], [PHRASES], LayoutStrength(**strength))


def expected_bias(strength: LayoutStrength, length: int, side: int) -> np.ndarray:
    """(pixels, tokens): what is to be added to the scores of CLIP's tokens."""
    bias = np.zeros((side, side, length))
    for rows, columns, own, other in (
        (slice(0, side // 2), slice(0, side // 2), CAR, BUS),
        (slice(0, side // 2), slice(side // 2, side), BUS, CAR),
        (slice(side // 2, side), slice(0, side), None, None),
    ):
        if own is None:
            bias[rows, columns, [CAR]] = bias[rows, columns, [BUS]] = -np.inf
            continue
        if not strength.shared:
            for word in WORDS:
                bias[rows, columns, word] = -np.inf
        bias[rows, columns, other] = -np.inf
        bias[rows, columns, own] = np.log(strength.boost)
    return bias.reshape(-1, length)


@pytest.mark.parametrize("strength", [LayoutStrength(), LayoutStrength(boost=5.0, shared=False)])
def test_cross_attention_is_masked_as_worked_out_by_hand(pipe: Any, strength: LayoutStrength) -> None:
    """Layer by layer, with a plain softmax; the rows of guidance are left alone."""
    layers = {name: module for name, module in pipe.unet.named_modules() if name.endswith("attn2")}
    seen: list[tuple[Any, torch.Tensor, torch.Tensor, torch.Tensor]] = []

    def record(module: Any, args: Any, kwargs: Any, output: torch.Tensor) -> None:
        seen.append((module, args[0], kwargs["encoder_hidden_states"], output))

    handles = [layer.register_forward_hook(record, with_kwargs=True) for layer in layers.values()]
    with LayoutControl(pipe, [layout()], [PROMPT], [PHRASES], strength):
        paint(pipe, steps=1)
    for handle in handles:
        handle.remove()
    assert len(seen) == len(layers)
    for attn, image, text, output in seen:
        side = int(image.shape[1] ** 0.5)
        bias = torch.from_numpy(expected_bias(strength, text.shape[1], side)).float()
        query, key, value = (
            states.unflatten(-1, (attn.heads, -1)).transpose(1, 2)
            for states in (attn.to_q(image), attn.to_k(text), attn.to_v(text))
        )
        scores = query @ key.transpose(2, 3) * attn.scale
        scores[1] += bias  # the first row is guidance
        mixed = (scores.softmax(dim=-1) @ value).transpose(1, 2).flatten(2)
        wanted = attn.to_out[0](mixed)
        assert torch.allclose(output, wanted, atol=1e-4)


def test_masks_hold_for_a_share_of_the_steps(pipe: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    changed: list[int] = []
    biased = AttentionCall.biased
    monkeypatch.setattr(AttentionCall, "biased", lambda self, bias: (changed.append(1), biased(self, bias))[1])
    layers = sum(name.endswith("attn2.processor") for name in pipe.unet.attn_processors)
    for until, steps in ((1.0, 4), (0.5, 2), (0.25, 1)):
        changed.clear()
        with steered(pipe, until=until):
            paint(pipe, steps=4)
        assert len(changed) == steps * layers


def test_the_pipeline_is_as_it_was_and_a_trace_inside_reads_what_it_would_attend_to(pipe: Any) -> None:
    free, before = paint(pipe), dict(pipe.unet.attn_processors)
    with steered(pipe), AttentionTrace(pipe, PHRASES) as trace:
        image = paint(pipe)
    maps = trace.maps()[0]
    assert pipe.unet.attn_processors == before and np.array_equal(paint(pipe), free)
    assert set(maps) == {"car", "bus"} and not np.array_equal(image, free)
    with steered(pipe):
        assert np.array_equal(paint(pipe), image)  # the trace changes no pixel
    # It is not the mask: the car's map has heat where no pixel may attend to the car.
    assert maps["car"][:, -1].max() > 0


@pytest.mark.parametrize(
    ("make", "joint", "text_first"),
    [
        (lambda one: untrained_xl(one, one), False, False),
        (lambda one: untrained_pixart(), False, False),
        (lambda one: untrained_sd3(one, dual=(0,), norm="rms_norm"), True, False),
        (lambda one: untrained_flux(one), True, True),
    ],
    ids=["xl", "pixart", "sd3", "flux"],
)
def test_other_families(
    pipe: Any, monkeypatch: pytest.MonkeyPatch, make: Callable[[Any], Any], joint: bool, text_first: bool
) -> None:
    """Pixels to the right see the bus and not the car, those below none of them; the text sees all."""
    other = make(pipe.tokenizer)
    binned = {"use_resolution_binning": False} if isinstance(other, PixArtAlphaPipeline) else {}
    free = paint(other, **binned)
    calls: list[AttentionCall] = []
    attend = AttentionCall.attend
    monkeypatch.setattr(AttentionCall, "attend", lambda self: (calls.append(self), attend(self))[1])
    with steered(other), AttentionTrace(other, PHRASES) as trace:
        image = paint(other, **binned)
    assert set(trace.maps()[0]) == {"car", "bus"} and not np.array_equal(image, free)
    assert image.shape == free.shape and np.isfinite(image).all()
    for call in calls:
        assert call.mask is not None
        mask = call.mask[-1, 0].expand(call.query.shape[2], call.key.shape[2])
        tokens = call.key.shape[2] - 64 if joint else call.key.shape[2]  # 8 x 8 patches
        pixels = mask.shape[0] - tokens if joint else mask.shape[0]
        text, shown = (mask[:, :tokens], slice(tokens, None)) if text_first else (mask[:, -tokens:], slice(0, pixels))
        if joint:
            others = mask[:tokens] if text_first else mask[pixels:]
            between = mask[shown, tokens:] if text_first else mask[shown, :pixels]
            assert (others == 0).all() and (between == 0).all()
        hidden = torch.isneginf(text[shown])
        side = int(pixels**0.5)
        hidden = hidden.reshape(side, side, tokens)
        left, right, below = hidden[0, 0], hidden[0, -1], hidden[-1, 0]
        assert left.any() and right.any() and not (left & right).any()
        assert torch.equal(below, left | right) and not below.all()


def test_borders_among_pixels(pipe: Any) -> None:
    """Of every row, guidance's too: what is to the left is the same whatever the right and what is below show."""
    layers = [module for name, module in pipe.unet.named_modules() if name.endswith("attn1")]
    seen: list[tuple[Any, torch.Tensor, torch.Tensor]] = []

    def record(module: Any, args: Any, kwargs: Any, output: torch.Tensor) -> None:
        seen.append((module, args[0], output))

    handles = [layer.register_forward_hook(record, with_kwargs=True) for layer in layers]
    with steered(pipe, border=True):
        paint(pipe, steps=1)
    for handle in handles:
        handle.remove()
    assert len(seen) == len(layers)
    for attn, image, output in seen:
        side = int(image.shape[1] ** 0.5)
        areas = torch.zeros(side, side)
        areas[: side // 2, : side // 2], areas[: side // 2, side // 2 :] = 1, 2
        areas = areas.flatten()
        query, key, value = (
            states.unflatten(-1, (attn.heads, -1)).transpose(1, 2)
            for states in (attn.to_q(image), attn.to_k(image), attn.to_v(image))
        )
        scores = query @ key.transpose(2, 3) * attn.scale
        scores = scores.masked_fill(areas[:, None] != areas[None, :], -torch.inf)
        wanted = attn.to_out[0]((scores.softmax(dim=-1) @ value).transpose(1, 2).flatten(2))
        assert torch.allclose(output, wanted, atol=1e-4)


@pytest.mark.parametrize("make", [lambda one: untrained_sd3(one, dual=(0,), norm="rms_norm"), untrained_flux])
def test_borders_where_image_and_text_are_one_sequence(
    pipe: Any, monkeypatch: pytest.MonkeyPatch, make: Callable[[Any], Any]
) -> None:
    other = make(pipe.tokenizer)
    masks: list[torch.Tensor] = []
    attend = AttentionCall.attend
    monkeypatch.setattr(AttentionCall, "attend", lambda self: (masks.append(self.mask), attend(self))[1])
    with steered(other, border=True):
        image = paint(other, steps=1)
    assert np.isfinite(image).all()
    for mask in masks:
        between = mask[-1, 0, -64:, -64:] if "Flux" in type(other).__name__ else mask[-1, 0, :64, :64]
        hidden = torch.isneginf(between).reshape(8, 8, 8, 8)
        assert hidden[0, 0, 0, 7] and hidden[0, 0, 7, 0] and not hidden[0, 0, 3, 3] and not hidden[7, 0, 7, 7]


def test_models_that_cannot_be_masked_are_refused(pipe: Any) -> None:
    with pytest.raises(ModelError, match="QwenImagePipeline's attention to words cannot be masked; use a Stable"):
        steered(untrained_qwen_image())
    pipe.enable_attention_slicing()
    with pytest.raises(ModelError, match="SlicedAttnProcessor does not use PyTorch's own attention"), steered(pipe):
        paint(pipe)
