"""A plain reference of GoCA's aggregation, and the untrained pipelines that it is compared on.

It takes what goes into each attention layer and does the rest itself, a pixel, a head, a layer at a time.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import UNet2DConditionModel
from scipy.ndimage import gaussian_filter
from untrained import untrained_flux, untrained_pipeline, untrained_pixart, untrained_xl

from diffucurate.generator.attention.settings import GOCA, GOCA_FLUX, GOCA_PIXART, TraceSettings

CLASSES = {"car": ["car", "sedan"], "piano": ["piano"], "bus": ["bus"]}
PROMPTS = ["a red car and a piano at night", "two sedans, a bus and a car!"]
STEPS = 4

#: Of each prompt the tokens of each class, and all words: "<start> a red car and a pi a no at night" and
#: "<start> two sedans , a bus and a car !".
CLIP = [({"car": [3], "piano": [6, 7, 8]}, range(1, 11)), ({"car": [2, 8], "bus": [5]}, range(1, 10))]
#: "_a _red _car _and _a _pi ano _at _night", "_two _sedans , _a _bus _and _a _car !"
T5 = [({"car": [2], "piano": [5, 6]}, range(9)), ({"car": [1, 7], "bus": [4]}, range(9))]

Tokens = Sequence[tuple[dict[str, list[int]], range]]
Calls = dict[str, list[dict[str, Any]]]


@dataclass(frozen=True)
class Family:
    """How a family is made and called, its settings, and what GoCA reads of it."""

    make: Callable[[Any, Any], Any]
    settings: TraceSettings
    tokens: Tokens
    reference: str
    refiners: tuple[str, ...]
    options: Mapping[str, Any] = field(default_factory=dict)


def four_levels(tokenizer: Any, **config: Any) -> Any:
    """Stable Diffusion with its own layout of blocks and their names, two transformers down and three up a level."""
    pipe = untrained_pipeline(tokenizer, prediction="v_prediction" if config else "epsilon")
    torch.manual_seed(1)
    pipe.unet = UNet2DConditionModel(
        sample_size=16,
        block_out_channels=(8, 8, 16, 16),
        layers_per_block=2,
        cross_attention_dim=32,
        attention_head_dim=4,
        norm_num_groups=4,
        down_block_types=("CrossAttnDownBlock2D",) * 3 + ("DownBlock2D",),
        up_block_types=("UpBlock2D",) + ("CrossAttnUpBlock2D",) * 3,
        **config,
    )
    return pipe


def distinct(pipe: Any) -> Any:
    """The pipeline with attention that is not flat, between pixels neither."""
    model = getattr(pipe, "unet", None) or pipe.transformer
    torch.manual_seed(2)
    for name, parameter in model.named_parameters():
        if name.endswith(("to_q.weight", "to_k.weight")):
            torch.nn.init.normal_(parameter, std=0.7)
        if name.endswith(("to_v.weight", "to_out.0.weight")):  # so that most heads contribute more than 0
            torch.nn.init.orthogonal_(parameter)
            parameter.data += torch.randn_like(parameter) * 0.1
    return pipe


UP = "up_blocks.{}.attentions.{}.transformer_blocks.0"
REFINERS = (UP.format(3, 0), UP.format(3, 1), "down_blocks.0.attentions.1.transformer_blocks.0")
PIXART = {"use_resolution_binning": False, "clean_caption": False, "max_sequence_length": 30}

FAMILIES = {
    "sd1": Family(lambda one, other: four_levels(one), GOCA, CLIP, f"{UP.format(2, 1)}.attn2", REFINERS),
    "sd2": Family(
        lambda one, other: four_levels(one, use_linear_projection=True),
        GOCA,
        CLIP,
        f"{UP.format(2, 1)}.attn2",
        REFINERS,
    ),
    "sd1-shallow": Family(
        lambda one, other: untrained_pipeline(one),
        GOCA,
        CLIP,
        f"{UP.format(1, 0)}.attn2",
        ("down_blocks.0.attentions.0.transformer_blocks.0", UP.format(1, 0), UP.format(1, 1)),
    ),
    "xl": Family(
        untrained_xl, GOCA, CLIP, f"{UP.format(1, 0)}.attn2", (UP.format(1, 0), UP.format(1, 1)),
    ),
    "pixart": Family(
        lambda one, other: untrained_pixart(layers=4),
        GOCA_PIXART,
        T5,
        "transformer_blocks.1.attn2",
        ("transformer_blocks.1", "transformer_blocks.2"),
        PIXART,
    ),
    "flux": Family(
        lambda one, other: untrained_flux(one, singles=3),
        GOCA_FLUX,
        T5,
        "transformer_blocks.3.attn",
        ("transformer_blocks.1", "transformer_blocks.2"),
        {"max_sequence_length": 30},
    ),
    "flux-mostly-single": Family(
        lambda one, other: untrained_flux(one, layers=2, singles=7),
        GOCA_FLUX,
        T5,
        "single_transformer_blocks.2.attn",
        ("single_transformer_blocks.0", "single_transformer_blocks.1"),
        {"max_sequence_length": 30},
    ),
}  # fmt: skip


def paint(pipe: Any, prompts: Sequence[str] = PROMPTS, **options: Any) -> torch.Tensor:
    """The latents; 12 x 16 unless told otherwise."""
    count = len(prompts) * options.get("num_images_per_prompt", 1)
    generators = [torch.Generator().manual_seed(7 + k) for k in range(count)]
    settings = {
        "num_inference_steps": STEPS,
        "width": 128,
        "height": 96,
        "guidance_scale": 4.0,
        "output_type": "latent",
    }
    images: torch.Tensor = pipe(list(prompts), generator=generators, **{**settings, **options}).images
    return images


# --- the reference -----------------------------------------------------------------------------------------------


@contextmanager
def recorded(pipe: Any) -> Iterator[Calls]:
    """What goes into each attention layer and what comes out, a call per pass, by the layer's name."""
    model = getattr(pipe, "unet", None) or pipe.transformer
    calls: Calls = {}

    def record(name: str) -> Callable[..., None]:
        def hook(attn: Any, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any) -> None:
            call = {"attn": attn, **dict(zip(["hidden_states"], args, strict=False)), **kwargs, "output": output}
            calls.setdefault(name, []).append(call)

        return hook

    names = [name.removesuffix(".processor") for name in model.attn_processors]
    handles = [model.get_submodule(n).register_forward_hook(record(n), with_kwargs=True) for n in names]
    yield calls
    for handle in handles:
        handle.remove()


def softmax(scores: torch.Tensor) -> torch.Tensor:
    exponentials = (scores - scores.amax(dim=-1, keepdim=True)).exp()
    return exponentials / exponentials.sum(dim=-1, keepdim=True)


def turned(states: torch.Tensor, call: dict[str, Any]) -> torch.Tensor:
    """Rotary embedding written with complex numbers."""
    if call.get("image_rotary_emb") is None:
        return states
    cosines, sines = call["image_rotary_emb"]
    angles = torch.atan2(sines, cosines)[:, ::2]
    pairs = torch.view_as_complex(states.unflatten(-1, (-1, 2)).contiguous())
    return torch.view_as_real(pairs * torch.polar(torch.ones_like(angles), angles)).flatten(-2)


class InFloat:
    """An attention layer in half precision, whose projections are used in float32."""

    def __init__(self, attn: torch.nn.Module) -> None:
        self._attn = copy.deepcopy(attn).float()

    def float(self) -> torch.nn.Module:
        return self._attn

    def __getattr__(self, name: str) -> Any:
        return getattr(self._attn, name)


def shares(call: dict[str, Any], row: int, tokens: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor | None]:
    """Of one image the attention of its pixels to text and to each other, (heads, pixels, ...) each, as far as this
    layer has them, and the values, (heads, tokens, width)."""
    attn = call["attn"].float()
    image = call["hidden_states"][row][None].float()
    text = call.get("encoder_hidden_states")
    text = None if text is None else text[row][None].float()

    def heads(projection: Any, states: torch.Tensor, norm: Any = None) -> torch.Tensor:
        projected = projection(states).reshape(1, states.shape[1], attn.heads, -1).permute(0, 2, 1, 3)
        return projected if norm is None else norm(projected)

    joint = getattr(attn, "add_k_proj", None) is not None
    norms = [getattr(attn, name, None) for name in ("norm_q", "norm_k", "norm_added_q", "norm_added_k")]
    value = None
    if joint and text is not None:
        query = torch.cat([heads(attn.add_q_proj, text, norms[2]), heads(attn.to_q, image, norms[0])], dim=2)
        key = torch.cat([heads(attn.add_k_proj, text, norms[3]), heads(attn.to_k, image, norms[1])], dim=2)
    elif text is not None:
        query, key, value = heads(attn.to_q, image), heads(attn.to_k, text), heads(attn.to_v, text)[0]
    else:
        query, key = heads(attn.to_q, image, norms[0]), heads(attn.to_k, image, norms[1])
    query, key = turned(query, call)[0], turned(key, call)[0]
    scores = query @ key.transpose(1, 2) / math.sqrt(query.shape[-1])
    if call.get("attention_mask") is not None:
        scores = scores + call["attention_mask"][row].float()
    every = softmax(scores)
    if tokens and text is not None and not joint:
        return every, torch.empty(0), value
    if tokens:  # one sequence, text first
        return every[:, tokens:, :tokens], every[:, tokens:, tokens:], None
    return torch.empty(0), every, None


def by_contribution(call: dict[str, Any], attention: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
    """(pixels, tokens): the mean over heads, each at each pixel by <o_h W_h, y> / |y|^2."""
    weight = call["attn"].to_out[0].weight.float()  # (channels, heads * width)
    width = value.shape[-1]
    parts = []
    for head in range(len(value)):
        parts.append((attention[head] @ value[head]) @ weight[:, head * width : (head + 1) * width].T)
    whole = torch.stack(parts).sum(dim=0)
    total = torch.zeros(attention.shape[1:])
    for head, part in enumerate(parts):
        for pixel in range(len(whole)):
            total[pixel] += attention[head, pixel] * (part[pixel] @ whole[pixel]) / (whole[pixel] @ whole[pixel])
    return total


def resized(matrix: torch.Tensor, size: tuple[int, int], target: tuple[int, int]) -> torch.Tensor:
    """(n, n) of pixels to pixels at another size: columns bilinearly, rows by the nearest."""
    planes = matrix.reshape(*size, *size)
    planes = torch.nn.functional.interpolate(planes, target, mode="bilinear")
    planes = torch.nn.functional.interpolate(planes.permute(2, 3, 0, 1), target, mode="nearest").permute(2, 3, 0, 1)
    return planes.reshape(target[0] * target[1], -1)


def min_to_max(heat: np.ndarray) -> np.ndarray:
    return (heat - heat.min()) / (heat.max() - heat.min())


@torch.no_grad()
def expected(
    pipe: Any,
    name: str,
    calls: Calls,
    number: int,
    row: int,
    tokens: tuple[dict[str, list[int]], range],
    latent: tuple[int, int],
) -> dict[str, np.ndarray]:
    """One image's maps of pass ``number``; ``row`` counts from the end."""
    family, settings = FAMILIES[name], FAMILIES[name].settings
    sizes = {}
    for factor in (1, 2, 4, 8):
        size = (-(-latent[0] // factor), -(-latent[1] // factor))
        sizes[size[0] * size[1]] = size
    flux = settings.single_stream
    length = 30 if flux else 0
    maps, affinities = {}, {}
    for layer, passes in calls.items():
        call = passes[number]
        if call.get("encoder_hidden_states") is None and not flux:
            _, affinity, _ = shares(call, row, 0)
            affinities[layer.removesuffix(".attn1")] = affinity.mean(dim=0)
            continue
        attention, affinity, value = shares(call, row, length or call["encoder_hidden_states"].shape[1])
        label = layer.removesuffix(".attn2").removesuffix(".attn")
        if flux:
            maps[label], affinities[label] = attention.mean(dim=0), affinity.mean(dim=0)
        else:
            assert value is not None
            maps[label] = by_contribution(call, attention, value)

    call = calls[family.reference][number]
    if flux:
        output = call["output"]
        features = output[0][row] if isinstance(output, tuple) else output[row, length:]
    else:
        features = call["attn"].to_q(call["hidden_states"][row].float())
    features = features.float()
    reference = softmax(features @ features.T / math.sqrt(features.shape[1]))
    target = sizes[len(reference)]
    weights = {}
    for label, affinity in affinities.items():
        weights[label] = (reference * resized(affinity, sizes[len(affinity)], target)).sum()
    finest = max((sizes[len(heat)] for heat in maps.values()), key=math.prod)

    total = torch.zeros(next(iter(maps.values())).shape[1], *finest)
    for label, heat in maps.items():
        planes = heat.T.reshape(1, -1, *sizes[len(heat)])
        enlarged = torch.nn.functional.interpolate(planes, finest, mode="bilinear")[0]
        total += enlarged * weights[label] / sum(weights.values())
    classes, words = tokens
    total = total.clamp(min=0)
    ratio = total / total[list(words)].sum(dim=0)
    refiners = torch.stack([affinities[refiner] for refiner in family.refiners]).mean(dim=0).numpy()
    found = {}
    for label, positions in classes.items():
        heat = ratio[positions].mean(dim=0).numpy()
        heat = min_to_max(gaussian_filter(heat, 1.1, mode="mirror", radius=2))
        for _ in range(settings.tau or 0):
            heat = (refiners @ heat.ravel()).reshape(finest)
        found[label] = min_to_max(heat)
    return found


def chosen_pass(pipe: Any, level: float) -> int:
    levels = [float(step) / 1000 for step in pipe.scheduler.timesteps]
    return min(range(len(levels)), key=lambda k: abs(levels[k] - level))


def assert_expected(
    pipe: Any, name: str, calls: Calls, found: Sequence[Mapping[str, np.ndarray]], latent: tuple[int, int], atol: float
) -> None:
    settings = FAMILIES[name].settings
    assert settings.pass_at is not None
    number, each = chosen_pass(pipe, settings.pass_at), len(found) // len(PROMPTS)
    for image, maps in enumerate(found):
        tokens = FAMILIES[name].tokens[image // each]
        wanted = expected(pipe, name, calls, number, image - len(found), tokens, latent)
        assert list(maps) == list(tokens[0])
        for label, heat in maps.items():
            assert heat.dtype == np.float32 and heat.shape == wanted[label].shape
            assert heat.min() == 0 and heat.max() == pytest.approx(1)
            np.testing.assert_allclose(heat, wanted[label], atol=atol)
