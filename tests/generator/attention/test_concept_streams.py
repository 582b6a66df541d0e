"""The concepts' stream of each family against the model's own blocks, which are given the concepts as their text.

A block lets its text attend to the text itself and to the image, so what it makes of concepts in the text's place is
what the stream has to be; what it makes of the image then is thrown away. Only positions, and in Stable Diffusion 3 and
Flux.1 the modulation, are put right for the concepts.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
from concept_reference import Pass, blocks_of, concepts_in_block, observed, only
from diffusers import StableDiffusion3Pipeline
from untrained import untrained_flux, untrained_sd3, untrained_tokenizer
from untrained_chat import untrained_flux2, untrained_klein, untrained_qwen_image, untrained_z_image

from diffucurate.generator.attention.concepts import ConceptTrace
from diffucurate.generator.attention.settings import TraceSettings
from diffucurate.generator.errors import ModelError

CONCEPTS = {"car": ["car", "sedan"], "sign": ["red piano"]}
BACKGROUND = ["a road"]
NAMES = ["car", "red piano", "a road"]
PROMPTS = ["a bus at night", "two trucks on a road in fog, and a tree" + " by a tree" * 8]


@dataclass(frozen=True)
class Case:
    """How a pipeline is made and called, which blocks are read by default, and how its concepts are embedded: (rows,
    concepts, channels) of the model's arguments."""

    make: Callable[[Any], Any]
    read: int
    embedded: Callable[[Any, Mapping[str, Any], int], torch.Tensor]
    options: Mapping[str, Any] = field(default_factory=dict)
    #: The first and the end of the images' rows among four.
    rows: tuple[int, int | None] = (0, None)
    every: int = 1


# --- concepts before the first block --------------------------------------------------------------------------------


def t5(pipe: Any, number: int) -> torch.Tensor:
    tokenizer, encoder = (getattr(pipe, f"{name}_{number}") for name in ("tokenizer", "text_encoder"))
    states = []
    for concept in NAMES:
        ids = tokenizer(concept).input_ids
        padded = torch.tensor([ids + [tokenizer.pad_token_id] * (64 - len(ids))])
        states.append(encoder(padded)[0][0, : len(ids) - 1].mean(dim=0))
    return torch.stack(states)


def clip(pipe: Any) -> torch.Tensor:
    """The states of both encoders side by side, of the tokens between start and end, and zeros up to T5's width."""
    states = []
    for concept in NAMES:
        ids = torch.tensor([pipe.tokenizer(concept, padding="max_length").input_ids])
        length = len(pipe.tokenizer(concept).input_ids)
        both = [
            encoder(ids, output_hidden_states=True).hidden_states[-2][0, 1 : length - 1]
            for encoder in (pipe.text_encoder, pipe.text_encoder_2)
        ]
        states.append(torch.cat([*both, torch.zeros(length - 2, 32 - 28)], dim=1).mean(dim=0))
    return torch.stack(states)


def conversations(pipe: Any, encode: Callable[[str], torch.Tensor], end: int) -> torch.Tensor:
    """Each concept encoded alone; its tokens come before the last ``end`` ones of the conversation."""
    tokenizer = getattr(pipe.tokenizer, "tokenizer", pipe.tokenizer)
    states = []
    for concept in NAMES:
        of_all = encode(concept)
        length = len(tokenizer(concept).input_ids)
        states.append(of_all[len(of_all) - end - length : len(of_all) - end].mean(dim=0))
    return torch.stack(states)


def klein(pipe: Any, concept: str) -> torch.Tensor:
    """Without the padding on the right."""
    text = pipe.tokenizer.apply_chat_template(
        [{"role": "user", "content": concept}], tokenize=False, add_generation_prompt=True, enable_thinking=False
    )
    return pipe.encode_prompt([concept])[0][0, : len(pipe.tokenizer(text).input_ids)]


def refined(pipe: Any, concept: str) -> torch.Tensor:
    """What the model's own forward makes of a caption before it joins the image."""
    caption = pipe.encode_prompt([concept], do_classifier_free_guidance=False)[0]
    seen = []
    handle = pipe.transformer.context_refiner[-1].register_forward_hook(lambda *call: seen.append(call[-1]))
    pipe.transformer([torch.zeros(4, 1, 4, 4)], torch.tensor([0.5]), caption)
    handle.remove()
    return seen[0][0, : len(caption[0])]


#: "<|im_end|> \n <|im_start|> a s si st an t \n" and "<think> \n \n </think> \n \n".
ANSWER, THOUGHT = 10, 6


def linear(words: Callable[[Any], torch.Tensor]) -> Callable[[Any, Mapping[str, Any], int], torch.Tensor]:
    return lambda pipe, call, rows: pipe.transformer.context_embedder(words(pipe)).expand(rows, -1, -1)


def qwen(pipe: Any, call: Mapping[str, Any], rows: int) -> torch.Tensor:
    words = conversations(pipe, lambda concept: pipe.encode_prompt([concept])[0][0], ANSWER)
    return pipe.transformer.txt_in(pipe.transformer.txt_norm(words)).expand(rows, -1, -1)


CASES = {
    "sd3": Case(untrained_sd3, 1, linear(lambda pipe: t5(pipe, 3)), {"max_sequence_length": 30}, (2, None)),
    "sd3 unguided": Case(
        untrained_sd3, 1, linear(lambda pipe: t5(pipe, 3)), {"max_sequence_length": 30, "guidance_scale": 1.0}
    ),
    "sd3 without T5": Case(
        lambda tokenizer: StableDiffusion3Pipeline(**{**untrained_sd3(tokenizer).components, "text_encoder_3": None}),
        1,
        linear(clip),
        {"guidance_scale": 1.0},
    ),
    "sd3.5": Case(
        lambda tokenizer: untrained_sd3(tokenizer, layers=4, dual=(0, 1), norm="rms_norm"),
        1,
        linear(lambda pipe: t5(pipe, 3)),
        {"max_sequence_length": 30},
        (2, None),
    ),
    "flux": Case(untrained_flux, 3, linear(lambda pipe: t5(pipe, 2)), {"max_sequence_length": 30}),
    "flux2": Case(
        lambda _: untrained_flux2(),
        3,
        linear(lambda pipe: conversations(pipe, lambda concept: pipe.encode_prompt([concept])[0][0], 1)),
    ),
    "klein": Case(
        lambda _: untrained_klein(),
        3,
        linear(lambda pipe: conversations(pipe, lambda concept: klein(pipe, concept), ANSWER + THOUGHT)),
        {"guidance_scale": 4.0},
        every=2,
    ),
    "qwen-image": Case(
        lambda _: untrained_qwen_image(), 1, qwen, {"negative_prompt": "fog", "true_cfg_scale": 3.0}, every=2
    ),
    "z-image": Case(
        lambda _: untrained_z_image(),
        2,
        lambda pipe, call, rows: conversations(pipe, lambda concept: refined(pipe, concept), ANSWER).expand(
            rows, -1, -1
        ),
        {"guidance_scale": 4.0, "cfg_truncation": 0.1},
        (0, 2),
    ),
}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Any]:
    tokenizer = untrained_tokenizer(tmp_path_factory.mktemp("words"))

    def make(name: str) -> Any:
        pipe = CASES[name].make(tokenizer)
        pipe.set_progress_bar_config(disable=True)
        return pipe

    return cache(make)


def paint(pipe: Any, **options: Any) -> torch.Tensor:
    settings = {"num_inference_steps": 2, "width": 128, "height": 96, "output_type": "latent", **options}
    generators = [torch.Generator().manual_seed(k) for k in range(2)]
    return pipe(prompt=list(PROMPTS), generator=generators, **settings).images


# --- the reference ----------------------------------------------------------------------------------------------------


@torch.no_grad()
def expected(pipe: Any, case: Case, passes: Sequence[Pass], read: Sequence[int]) -> torch.Tensor:
    """(images, concepts, pixels), the mean over passes and blocks."""
    maps = []
    for one in passes:
        count = len(one.get("hidden_states", one.get("x")))
        rows = slice(*case.rows) if count == 4 else slice(None)
        states = case.embedded(pipe, one, 2)
        time = None
        if "pooled_projections" in one:  # without a prompt
            scale = 1000 if hasattr(pipe.transformer, "single_transformer_blocks") else 1
            times = [scale * one[name][rows] for name in ("timestep", "guidance") if one.get(name) is not None]
            time = pipe.transformer.time_text_embed(*times, 0 * one["pooled_projections"][rows])
        for number, (block, call) in enumerate(zip(blocks_of(pipe), one.blocks, strict=True)):
            if number > max(read):
                break
            of_images = {name: only(rows, value, count) for name, value in call.items()}
            states, output = concepts_in_block(pipe, block, of_images, states, time)
            if number in read:
                image = of_images["output"][:, :48]
                scores = torch.einsum("rcd,rpd->rcp", output, image)
                exponentials = (scores - scores.amax(dim=1, keepdim=True)).exp()
                maps.append(exponentials / exponentials.sum(dim=1, keepdim=True))
    return torch.stack(maps).mean(dim=0)


@pytest.mark.parametrize("depth", [None, (0.0, 0.75)], ids=["default", "many blocks"])
@pytest.mark.parametrize("name", CASES)
def test_concepts(made: Callable[[str], Any], name: str, depth: Any) -> None:
    pipe, case = made(name), CASES[name]
    with observed(pipe) as passes:
        plain = paint(pipe, **case.options)
    with ConceptTrace(pipe, CONCEPTS, background=BACKGROUND, settings=TraceSettings(depth=depth)) as trace:
        traced = paint(pipe, **case.options)
    assert torch.equal(traced, plain)  # the image never sees the concepts
    blocks = len(blocks_of(pipe))
    read = [case.read] if depth is None else list(range(int(0.75 * (blocks - 1) + 0.5) + 1))
    wanted = expected(pipe, case, passes[:: case.every], read)
    found = trace.maps()
    assert [list(maps) for maps in found] == [["car", "sign"]] * 2
    for image, maps in enumerate(found):
        for number, heat in enumerate(maps.values()):
            assert heat.shape == (6, 8)
            np.testing.assert_allclose(heat.ravel(), wanted[image, number].numpy(), rtol=2e-4, atol=1e-7)
            assert np.ptp(heat) > 1e-3  # there is something to compare


@pytest.mark.parametrize("name", ["sd3", "z-image"])
def test_the_last_block_and_passes_that_do_not_count(made: Callable[[str], Any], name: str) -> None:
    """The last block of Stable Diffusion 3 has no text after it."""
    pipe, case = made(name), CASES[name]
    options = {**case.options, "num_inference_steps": 3}
    found = []
    for noise in ((0, 0.7), (0.7, 1), (0, 1)):
        settings = TraceSettings(depth=(1.0, 1.0), noise=noise)
        with ConceptTrace(pipe, CONCEPTS, background=BACKGROUND, settings=settings) as trace:
            paint(pipe, **options)
        found.append(trace.maps()[0]["car"])
    np.testing.assert_allclose((2 * found[0] + found[1]) / 3, found[2], rtol=1e-4)  # levels 1, 2/3 and 1/3
    assert np.ptp(found[2]) > 1e-3


@pytest.mark.parametrize("name", ["sd3", "flux2", "qwen-image", "z-image"])
def test_everything_is_put_back(made: Callable[[str], Any], name: str) -> None:
    pipe = made(name)

    def hooks() -> int:
        models = [value for value in pipe.components.values() if isinstance(value, torch.nn.Module)]
        modules = [module for model in models for module in model.modules()]
        return sum(len(module._forward_hooks) + len(module._forward_pre_hooks) for module in modules)

    before = hooks()
    with pytest.raises(RuntimeError, match="stop"), ConceptTrace(pipe, CONCEPTS):
        assert hooks() > before
        raise RuntimeError("stop")
    assert hooks() == before


@pytest.mark.parametrize("name", ["sd3", "flux2"])
def test_fused_projections(made: Callable[[str], Any], name: str, tokenizer: Any) -> None:
    pipe, found = CASES[name].make(tokenizer), []
    for _ in range(2):
        with ConceptTrace(pipe, CONCEPTS) as trace:
            paint(pipe, **CASES[name].options)
        found.append(trace.maps()[0]["sign"])
        pipe.transformer.fuse_qkv_projections()
    np.testing.assert_allclose(*found, rtol=1e-3)


def test_pipelines_that_cannot_encode_concepts(tokenizer: Any) -> None:
    for make, encoder in ((untrained_flux2, "text_encoder"), (untrained_z_image, "text_encoder")):
        pipe = make()
        setattr(pipe, encoder, None)
        with pytest.raises(ModelError, match="which it was left without"), ConceptTrace(pipe, CONCEPTS):
            pass
    pipe = untrained_qwen_image()
    pipe.processor = object()
    with pytest.raises(ModelError, match="encodes texts together with images"):
        ConceptTrace(pipe, CONCEPTS)
