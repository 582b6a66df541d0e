"""Attribution by other texts and by learned tokens, against plain references on untrained pipelines."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
from diffusers.models.attention_processor import Attention
from untrained import (
    untrained_flux,
    untrained_pipeline,
    untrained_pixart,
    untrained_sd3,
    untrained_tokenizer,
    untrained_xl,
)

from diffucurate.generator.attention.capture.processor import text_keys
from diffucurate.generator.attention.settings import TraceSettings
from diffucurate.generator.attention.trace.attribution import Attribution
from diffucurate.generator.attention.trace.trace import AttentionTrace
from diffucurate.generator.errors import InvalidSetting, ModelError

CLASSES = {"car": ["car", "sedan"], "piano": ["piano"], "bus": ["bus"]}
PROMPTS = ["a red car and a piano at night", "two sedans, a bus and a CAR!"]
#: "<start> a d o g , a pi a no and a bus": what no prompt says, and what one of them does.
TEXT = "a dog, a piano and a bus"
ASKED = {"dog": ["dog"], "piano": ["piano"], "bus": ["bus"], "tree": ["tree"]}
TOKENS = {"dog": [2, 3, 4], "piano": [7, 8, 9], "bus": [12]}
CONTENT = range(1, 13)

#: How a pipeline is made, and its layers that are read by default, at the latent's own size.
KINDS: dict[str, tuple[Callable[[Any, Any], Any], dict[str, Any]]] = {
    "sd": (lambda one, other: untrained_pipeline(one), {}),
    "xl": (untrained_xl, {}),
    "pixart": (lambda one, other: untrained_pixart(), {"use_resolution_binning": False, "clean_caption": False}),
}
FINEST = TraceSettings(coarsest=1, tau=0)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Any]:
    """One pipeline of each kind, for all tests that leave it as it was."""
    one, other = (untrained_tokenizer(tmp_path_factory.mktemp("words")) for _ in range(2))
    return cache(lambda name: KINDS[name][0](one, other))


def paint(pipe: Any, prompts: Any = PROMPTS, **options: Any) -> torch.Tensor:
    """The latents; 12 x 16 unless told otherwise."""
    count = (len(prompts) if prompts is not None else 2) * options.get("num_images_per_prompt", 1)
    generators = [torch.Generator().manual_seed(7 + k) for k in range(count)]
    settings = {"num_inference_steps": 2, "width": 128, "height": 96, "guidance_scale": 4.0, "output_type": "latent"}
    return pipe(prompts, generator=generators, **{**settings, **options}).images


@contextmanager
def recorded(pipe: Any) -> Iterator[list[tuple[Any, torch.Tensor]]]:
    """Each of the finest cross-attention layers of the last up block with its pixels' states, one entry per call."""
    calls: list[tuple[Any, torch.Tensor]] = []

    def record(attn: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        calls.append((attn, args[0].clone()))

    names = [f"up_blocks.1.attentions.{k}.transformer_blocks.0.attn2" for k in range(2)]
    handles = [pipe.unet.get_submodule(name).register_forward_pre_hook(record, with_kwargs=True) for name in names]
    yield calls
    for handle in handles:
        handle.remove()


@torch.no_grad()
def share(calls: Any, image: int, images: int, states: torch.Tensor, allowed: Sequence[int], of: Sequence[int]) -> Any:
    """Mean over calls, heads and the tokens ``of``: softmax(q k / sqrt(d)) over ``allowed`` tokens of ``states``."""
    found = []
    for attn, pixels in calls:
        query = attn.to_q(pixels[-images:][image]).unflatten(-1, (attn.heads, -1))
        key = attn.to_k(states[list(allowed)]).unflatten(-1, (attn.heads, -1))
        scores = torch.einsum("phd,thd->hpt", query, key) / math.sqrt(query.shape[-1])
        found.append(scores.softmax(dim=-1)[..., [list(allowed).index(position) for position in of]].mean(dim=(0, 2)))
    return torch.stack(found).mean(dim=0).numpy()


def encoded(pipe: Any, text: str) -> torch.Tensor:
    return pipe.encode_prompt(text, device="cpu", num_images_per_prompt=1, do_classifier_free_guidance=False)[0][0]


@pytest.mark.parametrize(
    ("options", "images"),
    [
        ({}, 2),
        ({"guidance_scale": 1.0, "width": 104, "height": 72}, 2),
        ({"num_images_per_prompt": 2, "negative_prompt": ["fog", "a car"]}, 4),
    ],
    ids=["guided", "unguided", "several"],
)
@pytest.mark.parametrize("name", ["sd", "xl"])
def test_text_and_tokens(made: Callable[[str], Any], name: str, options: dict[str, Any], images: int) -> None:
    pipe = made(name)
    states = encoded(pipe, TEXT)
    learned = torch.randn(3, states.shape[1], generator=torch.Generator().manual_seed(3))
    attribution = Attribution.from_text(pipe, TEXT, ASKED) + Attribution.from_embeddings(
        {"cat": learned, "cow": learned[:2]}
    )
    plain = paint(pipe, **options)
    with recorded(pipe) as calls, AttentionTrace(pipe, attribution=attribution, settings=FINEST) as trace:
        traced = paint(pipe, **options)
    assert torch.equal(traced, plain)
    assert len(trace.maps()) == images
    assert trace.absent() == [("tree",)] * images
    for image, maps in enumerate(trace.maps()):
        wanted = {label: share(calls, image, images, states, CONTENT, of) for label, of in TOKENS.items()}
        wanted["cat"] = share(calls, image, images, learned, range(3), [1, 2])
        wanted["cow"] = share(calls, image, images, learned, range(2), [1])
        assert list(maps) == list(wanted)
        for label, heat in maps.items():
            assert heat.shape == tuple(plain.shape[2:])
            np.testing.assert_allclose(heat.ravel(), wanted[label], rtol=1e-4, atol=1e-7)
            assert np.ptp(heat) > 0.05 * heat.mean()  # there is something to compare


@pytest.mark.parametrize(("contest", "allowed"), [("all", range(40)), ("no-start", range(1, 40))])
def test_contest(made: Callable[[str], Any], contest: Any, allowed: Sequence[int]) -> None:
    pipe, settings = made("sd"), TraceSettings(coarsest=1, contest=contest, tau=0)
    attribution = Attribution.from_text(pipe, TEXT, ASKED)
    with recorded(pipe) as calls, AttentionTrace(pipe, attribution=attribution, settings=settings) as trace:
        paint(pipe)
    for image, maps in enumerate(trace.maps()):
        wanted = share(calls, image, 2, encoded(pipe, TEXT), allowed, TOKENS["piano"])
        np.testing.assert_allclose(maps["piano"].ravel(), wanted, rtol=1e-4)


@pytest.mark.parametrize("settings", [TraceSettings(contest="all"), None], ids=["all", "default"])
@pytest.mark.parametrize("name", KINDS)
def test_the_caption_itself(made: Callable[[str], Any], name: str, settings: TraceSettings | None) -> None:
    """One text per prompt: what the caption gives, as an attribution gives the same."""
    pipe, found = made(name), []
    attribution = Attribution.from_text(pipe, PROMPTS, CLASSES)
    for given in ({"phrases": CLASSES}, {"attribution": attribution}):
        with AttentionTrace(pipe, settings=settings, **given) as trace:
            paint(pipe, num_images_per_prompt=2, **KINDS[name][1])
        found.append((trace.maps(), trace.absent()))
    assert found[0][1] == found[1][1] == [("bus",)] * 2 + [("piano",)] * 2
    for maps, wanted in zip(found[1][0], found[0][0], strict=True):
        assert list(maps) == list(wanted)
        for label, heat in maps.items():
            np.testing.assert_allclose(heat, wanted[label], rtol=1e-4, atol=1e-7)


def test_a_class_in_two_groups_has_the_mean_over_its_tokens(made: Callable[[str], Any]) -> None:
    pipe, found = made("sd"), []
    one, other = torch.randn(2, 2, 32, generator=torch.Generator().manual_seed(3)).unbind()
    first, second = (Attribution.from_embeddings({"cat": states}) for states in (one, other))
    for attribution in (first, second, first + second):
        with AttentionTrace(pipe, attribution=attribution, settings=TraceSettings()) as trace:
            paint(pipe)
        found.append(trace.maps()[1]["cat"])
    np.testing.assert_allclose((found[0] + found[1]) / 2, found[2], rtol=1e-5)
    assert not np.allclose(found[0], found[1], rtol=1e-2)


def test_prompts_need_not_be_known(made: Callable[[str], Any]) -> None:
    pipe = made("sd")
    states, negative = pipe.encode_prompt(PROMPTS, "cpu", 1, True)
    with AttentionTrace(pipe, attribution=Attribution.from_text(pipe, TEXT, ASKED)) as trace:
        paint(pipe, None, prompt_embeds=states, negative_prompt_embeds=negative)
    assert [list(maps) for maps in trace.maps()] == [list(TOKENS)] * 2


def test_keys_are_made_as_the_layer_makes_them() -> None:
    torch.manual_seed(0)
    attn = Attention(16, 12, heads=2, dim_head=8, cross_attention_norm="layer_norm", qk_norm="layer_norm")
    attn.norm_cross.weight.data.uniform_(0.5, 2.0)
    attn.norm_k.weight.data.uniform_(0.5, 2.0)
    seen: list[torch.Tensor] = []
    attn.norm_k.register_forward_hook(lambda module, args, output: seen.append(output))
    text = torch.randn(3, 5, 12)
    attn(torch.randn(3, 4, 16), text)
    torch.testing.assert_close(text_keys(attn, text), seen[0])


# --- what cannot be done -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("make", [untrained_sd3, untrained_flux])
def test_text_that_changes_with_the_image(tokenizer: Any, make: Callable[..., Any]) -> None:
    pipe = make(tokenizer)
    attribution = Attribution.from_embeddings({"cat": torch.ones(2, 32)})
    for attempt in (
        lambda: Attribution.from_text(pipe, TEXT, ASKED),
        lambda: AttentionTrace(pipe, attribution=attribution),
    ):
        with pytest.raises(ModelError, match=r"changes its text along with the image.*ConceptTrace"):
            attempt()


def test_states_of_another_model(made: Callable[[str], Any]) -> None:
    attribution = Attribution.from_text(made("xl"), TEXT, ASKED)
    with (
        pytest.raises(ModelError, match="have 64 channels and StableDiffusionPipeline reads 32"),
        AttentionTrace(made("sd"), attribution=attribution),
    ):
        paint(made("sd"))


def test_another_number_of_texts_than_of_prompts(made: Callable[[str], Any]) -> None:
    pipe = made("sd")
    attribution = Attribution.from_text(pipe, [TEXT] * 3, ASKED)
    with (
        pytest.raises(ModelError, match="for 3 prompts, which 2 images"),
        AttentionTrace(pipe, attribution=attribution),
    ):
        paint(pipe)


def test_without_an_encoder(tokenizer: Any) -> None:
    pipe = untrained_xl(tokenizer, tokenizer)
    pipe.text_encoder_2 = None
    with pytest.raises(ModelError, match="without a text encoder"):
        Attribution.from_text(pipe, TEXT, ASKED)


def test_what_does_not_fit_together(made: Callable[[str], Any]) -> None:
    pipe, two = made("sd"), Attribution.from_embeddings({"cat": torch.ones(2, 32)})
    attempts: list[tuple[str, Callable[[], Any]]] = [
        ("phrases", lambda: AttentionTrace(pipe, CLASSES, attribution=two)),
        ("embeddings.cat", lambda: Attribution.from_embeddings({"cat": torch.ones(1, 32)})),
        ("embeddings.cat", lambda: Attribution.from_embeddings({"cat": torch.ones(32)})),
        ("attribution", lambda: Attribution.from_embeddings({})),
        ("attribution", lambda: two + Attribution.from_embeddings({"cow": torch.ones(2, 24)})),
        (
            "attribution",
            lambda: Attribution.from_text(pipe, [TEXT] * 2, ASKED) + Attribution.from_text(pipe, [TEXT] * 3, ASKED),
        ),
        ("text", lambda: Attribution.from_text(pipe, [], ASKED)),
        ("text", lambda: Attribution.from_text(pipe, [TEXT], [ASKED, ASKED])),
    ]
    for field, attempt in attempts:
        with pytest.raises(InvalidSetting) as raised:
            attempt()
        assert raised.value.field == field
