"""Concept attention against a plain reference, on an untrained Flux of the real classes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from untrained import untrained_flux, untrained_pixart

from diffucurate.generator.attention.concepts import ConceptTrace
from diffucurate.generator.attention.settings import TraceSettings
from diffucurate.generator.errors import InvalidSetting, ModelError

CONCEPTS = {"car": ["car", "sedan"], "sign": ["red piano"]}
BACKGROUND = ["road", "a tree"]
PROMPTS = ["a bus at night", "two trucks"]


@pytest.fixture(scope="module")
def flux(tokenizer: Any) -> Any:
    return untrained_flux(tokenizer)


def paint(pipe: Any, **options: Any) -> torch.Tensor:
    settings = {
        "num_inference_steps": 2,
        "width": 128,
        "height": 96,
        "output_type": "latent",
        "max_sequence_length": 30,
    }
    generators = [torch.Generator().manual_seed(k) for k in range(2)]
    return pipe(PROMPTS, generator=generators, **{**settings, **options}).images


def softmax(scores: torch.Tensor, dim: int) -> torch.Tensor:
    exponentials = (scores - scores.amax(dim=dim, keepdim=True)).exp()
    return exponentials / exponentials.sum(dim=dim, keepdim=True)


@torch.no_grad()
def reference(pipe: Any, concepts: list[str], read: list[int], call: dict[str, Any]) -> torch.Tensor:
    """(rows, concepts, pixels): the method step by step, the image's states taken from a run of the model alone."""
    model = pipe.transformer
    states = []
    for concept in concepts:
        ids = pipe.tokenizer_2(concept).input_ids
        padded = torch.tensor([ids + [pipe.tokenizer_2.pad_token_id] * (64 - len(ids))])
        states.append(pipe.text_encoder_2(padded)[0][0, : len(ids) - 1].mean(dim=0))
    rows = len(call["hidden_states"])
    concept = model.context_embedder(torch.stack(states)).repeat(rows, 1, 1)
    modulation = model.time_text_embed(1000 * call["timestep"], 1000 * call["guidance"], 0 * call["pooled_projections"])
    blocks: list[dict[str, Any]] = [{} for _ in model.transformer_blocks]
    handles = []
    for block, seen in zip(model.transformer_blocks, blocks, strict=True):
        handles += [
            block.register_forward_pre_hook(lambda m, a, k, seen=seen: seen.update(k), with_kwargs=True),
            block.attn.to_out[0].register_forward_pre_hook(lambda m, a, seen=seen: seen.update(output=a[0])),
        ]
    model(**call)
    for handle in handles:
        handle.remove()

    maps = []
    for number, (block, seen) in enumerate(zip(model.transformer_blocks, blocks, strict=True)):
        attn = block.attn

        def heads(tensor: torch.Tensor, norm: Any = None, attn: Any = attn) -> torch.Tensor:
            split = tensor.reshape(*tensor.shape[:2], attn.heads, -1).permute(0, 2, 1, 3)
            return split if norm is None else norm(split)

        image = block.norm1(seen["hidden_states"], emb=seen["temb"])[0]
        cosines, sines = (part[-image.shape[1] :, ::2] for part in seen["image_rotary_emb"])
        pairs = torch.view_as_complex(heads(attn.to_k(image), attn.norm_k).unflatten(-1, (-1, 2)).contiguous())
        image_key = torch.view_as_real(pairs * torch.complex(cosines, sines)).flatten(-2)
        normed, gate, shift, scale, gate_after = block.norm1_context(concept, emb=modulation)
        key = torch.cat([heads(attn.add_k_proj(normed), attn.norm_added_k), image_key], dim=2)
        value = torch.cat([heads(attn.add_v_proj(normed)), heads(attn.to_v(image))], dim=2)
        query = heads(attn.add_q_proj(normed), attn.norm_added_q)
        weights = softmax(query @ key.transpose(2, 3) / query.shape[-1] ** 0.5, dim=-1)
        found = (weights @ value).permute(0, 2, 1, 3).flatten(2)
        if number in read:
            maps.append(softmax(torch.einsum("rcd,rpd->rcp", found, seen["output"]), dim=1))
        concept = concept + gate[:, None] * attn.to_add_out(found)
        after = block.norm2_context(concept) * (1 + scale[:, None]) + shift[:, None]
        concept = concept + gate_after[:, None] * block.ff_context(after)
    return torch.stack(maps).mean(dim=0)


@pytest.mark.parametrize(("depth", "read"), [(None, [3]), ((0.0, 0.7), [0, 1, 2])])
def test_concepts(flux: Any, depth: Any, read: list[int]) -> None:
    calls: list[dict[str, Any]] = []
    plain = paint(flux)
    record = lambda module, args, kwargs: calls.append(dict(kwargs))  # noqa: E731
    handle = flux.transformer.register_forward_pre_hook(record, with_kwargs=True)
    with ConceptTrace(flux, CONCEPTS, background=BACKGROUND, settings=TraceSettings(depth=depth)) as trace:
        traced = paint(flux)
    handle.remove()
    assert torch.equal(traced, plain)  # the image never sees the concepts
    names = ["car", "red piano", *BACKGROUND]
    wanted = torch.stack([reference(flux, names, read, call) for call in calls]).mean(dim=0)
    found = trace.maps()
    assert [list(maps) for maps in found] == [["car", "sign"]] * 2
    for image, maps in enumerate(found):
        for number, heat in enumerate(maps.values()):
            assert heat.shape == (6, 8)
            np.testing.assert_allclose(heat.ravel(), wanted[image, number].numpy(), rtol=1e-4)
            assert np.ptp(heat) > 1e-3  # there is something to compare


def test_only_the_prompts_passes_count(flux: Any) -> None:
    options = {"num_inference_steps": 1, "true_cfg_scale": 3.0}
    found = []
    for negative in (None, ["fog", "a bus"]):
        with ConceptTrace(flux, CONCEPTS) as trace:
            paint(flux, negative_prompt=negative, **options)
        found.append(trace.maps()[1]["car"])
    assert np.array_equal(*found)  # the first pass, whatever comes after it


def test_fused_projections(tokenizer: Any) -> None:
    pipe, found = untrained_flux(tokenizer), []
    for _ in range(2):
        with ConceptTrace(pipe, CONCEPTS) as trace:
            paint(pipe)
        found.append(trace.maps()[0]["sign"])
        pipe.transformer.fuse_qkv_projections()
    np.testing.assert_allclose(*found, rtol=1e-3)


def test_everything_is_put_back(flux: Any) -> None:
    def hooks() -> int:
        modules = [*flux.transformer.modules(), *flux.text_encoder_2.modules()]
        return sum(len(module._forward_hooks) + len(module._forward_pre_hooks) for module in modules)

    before = hooks()
    with pytest.raises(RuntimeError, match="stop"), ConceptTrace(flux, CONCEPTS):
        assert hooks() > before
        raise RuntimeError("stop")
    assert hooks() == before


def test_wrong_input(flux: Any) -> None:
    with pytest.raises(ModelError, match="PixArtAlphaPipeline reads words without changing them"):
        ConceptTrace(untrained_pixart(), CONCEPTS)
    for phrases, background in (({}, ["road", "tree"]), ({"car": ["car"]}, [])):
        with pytest.raises(InvalidSetting, match="two concepts"):
            ConceptTrace(flux, phrases, background=background)
    with ConceptTrace(flux, CONCEPTS) as trace:
        pass
    with pytest.raises(ModelError, match="nothing was traced"):
        trace.maps()
