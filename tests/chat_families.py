"""Flux.2, Qwen-Image and Z-Image: how untrained pipelines are called, and a plain reference of their attention."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from attention_reference import turned
from untrained_chat import untrained_flux2, untrained_klein, untrained_qwen_image, untrained_z_image

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


def paint(pipe: Any, prompts: Any = PROMPTS, **options: Any) -> torch.Tensor:
    """The latents; 12 x 16 unless told otherwise."""
    count = (len(prompts) if prompts is not None else 2) * options.get("num_images_per_prompt", 1)
    generators = [torch.Generator().manual_seed(7 + k) for k in range(count)]
    settings = {"num_inference_steps": 2, "width": 128, "height": 96, "output_type": "latent", **options}
    # Z-Image writes into the lists that it is given.
    return pipe(**copy.deepcopy({"prompt": prompts, **settings}), generator=generators).images


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
