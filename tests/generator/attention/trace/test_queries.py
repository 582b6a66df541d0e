"""Queries that are kept and attributed after painting, on untrained pipelines of the real classes."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import DDIMScheduler, HeunDiscreteScheduler, StableDiffusionPipeline, UNet2DConditionModel
from safetensors.torch import save_file
from untrained import untrained_flux, untrained_pipeline, untrained_pixart, untrained_tokenizer, untrained_xl

from diffucurate.generator.attention.settings import DAAM, QuerySettings, TraceSettings
from diffucurate.generator.attention.trace.attribution import Attribution
from diffucurate.generator.attention.trace.queries import StoredQueries
from diffucurate.generator.attention.trace.query_keeper import expected_megabytes
from diffucurate.generator.attention.trace.trace import AttentionTrace
from diffucurate.generator.errors import InvalidSetting, ModelError

CLASSES = {"car": ["car", "sedan"], "piano": ["piano"], "bus": ["bus"]}
PROMPTS = ["a red car and a piano at night", "two sedans, a bus and a CAR!"]
EVERY = QuerySettings(noise=(0, 1), every=1)

KINDS: dict[str, tuple[Callable[[Any, Any], Any], dict[str, Any]]] = {
    "sd": (lambda one, other: untrained_pipeline(one), {}),
    "xl": (untrained_xl, {}),
    "pixart": (lambda one, other: untrained_pixart(), {"use_resolution_binning": False, "clean_caption": False}),
}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Any]:
    """One pipeline of each kind, for all tests that leave it as it was."""
    one, other = (untrained_tokenizer(tmp_path_factory.mktemp("words")) for _ in range(2))
    return cache(lambda name: KINDS[name][0](one, other))


def paint(pipe: Any, **options: Any) -> torch.Tensor:
    count = len(PROMPTS) * options.get("num_images_per_prompt", 1)
    generators = [torch.Generator().manual_seed(7 + k) for k in range(count)]
    settings = {"num_inference_steps": 2, "width": 128, "height": 96, "guidance_scale": 4.0, "output_type": "latent"}
    return pipe(PROMPTS, generator=generators, **{**settings, **options}).images


def assert_same(found: Any, wanted: Any) -> None:
    """Up to half precision, in which the queries are kept."""
    assert [list(maps) for maps in found] == [list(maps) for maps in wanted]
    for maps, others in zip(found, wanted, strict=True):
        for label, heat in maps.items():
            assert heat.shape == others[label].shape
            assert np.abs(heat - others[label]).max() < 2e-3 * np.ptp(others[label])


@pytest.mark.parametrize(
    "settings",
    [
        TraceSettings(),
        TraceSettings(contest="all", noise=(0, 0.6), coarsest=1),
        TraceSettings(heads="sharp", weights={1: 1, 2: 3}),
        TraceSettings(linear=True, tau=0),
        DAAM,
    ],
    ids=["default", "late", "sharp", "linear", "daam"],
)
def test_the_caption_gives_what_the_trace_gives(made: Callable[[str], Any], settings: TraceSettings) -> None:
    pipe = made("sd")
    plain = paint(pipe, num_images_per_prompt=2)
    with AttentionTrace(pipe, CLASSES, settings=settings, keep=EVERY) as trace:
        traced = paint(pipe, num_images_per_prompt=2)
    assert torch.equal(traced, plain)
    stored = trace.queries()
    assert (stored.images, len(stored.levels)) == (4, 2)
    assert_same(stored.maps(pipe, Attribution.from_text(pipe, PROMPTS, CLASSES), settings), trace.maps())


@pytest.mark.parametrize("name", ["xl", "pixart"])
def test_other_families(made: Callable[[str], Any], name: str) -> None:
    pipe = made(name)
    with AttentionTrace(pipe, CLASSES, keep=EVERY) as trace:
        paint(pipe, **KINDS[name][1])
    assert_same(trace.queries().maps(pipe, Attribution.from_text(pipe, PROMPTS, CLASSES)), trace.maps())


def test_words_that_no_prompt_holds(made: Callable[[str], Any], tmp_path: Path) -> None:
    """Asked after painting, in another process even, as while painting; of the passes that were kept."""
    pipe = made("sd")
    words = Attribution.from_text(pipe, "a dog by a tree", {"dog": ["dog"], "tree": ["tree"]})
    learned = Attribution.from_embeddings({"cat": torch.randn(2, 32, generator=torch.Generator().manual_seed(0))})
    keep = QuerySettings(noise=(0, 0.8), every=2)
    with AttentionTrace(pipe, keep=keep) as trace:
        paint(pipe, num_inference_steps=4)
    assert trace.maps() == [{}, {}]
    stored = trace.queries()
    assert stored.levels == pytest.approx([0.751, 0.251])
    stored.save(tmp_path / "queries.safetensors")
    loaded = StoredQueries.load(tmp_path / "queries.safetensors")
    assert loaded.megabytes == stored.megabytes
    for low, high in ((0.7, 0.8), (0.2, 0.3)):
        settings = TraceSettings(noise=(low, high), tau=0)
        with AttentionTrace(pipe, attribution=words + learned, settings=settings) as trace:
            paint(pipe, num_inference_steps=4)
        found = loaded.maps(pipe, words + learned, settings)
        assert_same(found, trace.maps())
        assert list(found[0]) == ["dog", "tree", "cat"]
    for maps, others in zip(loaded.maps(pipe, words), stored.maps(pipe, words), strict=True):
        assert all(np.array_equal(maps[label], others[label]) for label in others)


def test_gradients_reach_learned_tokens(made: Callable[[str], Any]) -> None:
    pipe = made("sd")
    with AttentionTrace(pipe, keep=EVERY) as trace:
        paint(pipe)
    states = torch.randn(2, 32, generator=torch.Generator().manual_seed(0), requires_grad=True)
    sums, passes = trace.queries().sums(pipe, Attribution.from_embeddings({"cat": states}))
    heat = sums.mean(passes)
    assert heat.shape == (2, 1, 12, 16)
    np.testing.assert_array_equal(sums.combine(passes)[1]["cat"], heat[1, 0].detach().numpy())
    heat[0, 0, 3, 5].backward()
    assert states.grad is not None
    assert (states.grad.abs().sum(dim=1) > 0).all()


# --- how much it is --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "size", "steps", "keep"),
    [
        ("sd", (128, 96), 4, EVERY),
        ("sd", (104, 72), 3, EVERY),  # 13 x 9 latents, which the UNet halves to 7 x 5
        ("sd", (128, 96), 12, QuerySettings(coarsest=1)),
        ("xl", (64, 128), 7, QuerySettings(noise=(0.2, 0.9), every=2, finest=2)),
        ("pixart", (128, 96), 4, EVERY),
    ],
)
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
def test_megabytes_are_known_beforehand(
    made: Callable[[str], Any], name: str, size: tuple[int, int], steps: int, keep: QuerySettings
) -> None:
    pipe = made(name)
    known = expected_megabytes(pipe, size, steps, 2, keep)
    with AttentionTrace(pipe, keep=keep) as trace:
        paint(pipe, width=size[0], height=size[1], num_inference_steps=steps, **KINDS[name][1])
    assert trace.queries().megabytes == pytest.approx(known)
    assert known > 0


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
def test_megabytes_of_steps_that_take_two_passes(tokenizer: Any) -> None:
    pipe = untrained_pipeline(tokenizer)
    pipe.scheduler = HeunDiscreteScheduler.from_config({"num_train_timesteps": 1000})
    settings = TraceSettings(blocks=("down", "mid", "up"))
    with AttentionTrace(pipe, settings=settings, keep=EVERY) as trace:
        paint(pipe)
    assert trace.queries().megabytes == pytest.approx(expected_megabytes(pipe, (128, 96), 2, 2, EVERY, settings))
    assert len(trace.queries().levels) == 3


def test_megabytes_of_stable_diffusion(tokenizer: Any) -> None:
    """As laid out in 1.5, without weights: 3 layers each of 64 x 64 x 320, 32 x 32 x 640, 16 x 16 x 1280."""
    with torch.device("meta"):
        unet = UNet2DConditionModel(sample_size=64, cross_attention_dim=768)
    tiny = untrained_pipeline(tokenizer)
    pipe = StableDiffusionPipeline(
        tiny.vae,
        tiny.text_encoder,
        tokenizer,
        unet,
        DDIMScheduler(steps_offset=1, clip_sample=False),
        None,
        None,
        requires_safety_checker=False,
    )
    a_pass = 3 * (64 * 64 * 320 + 32 * 32 * 640 + 16 * 16 * 1280) * 2 / 1e6
    refinement = 4 * (32 * 32) ** 2 / 1e6
    assert expected_megabytes(pipe, (512, 512), 50) == pytest.approx(5 * a_pass + refinement)
    plain = TraceSettings(tau=0)
    assert expected_megabytes(pipe, (512, 512), 50, 4, EVERY, plain) == pytest.approx(4 * 50 * a_pass)


# --- what cannot be done ---------------------------------------------------------------------------------------------


def test_another_model(made: Callable[[str], Any], tokenizer: Any) -> None:
    with AttentionTrace(made("sd"), keep=EVERY) as trace:
        paint(made("sd"))
    stored, other = trace.queries(), untrained_pipeline(tokenizer)
    words = Attribution.from_text(other, "a dog", {"dog": ["dog"]})
    assert list(stored.maps(other, words)[0]) == ["dog"]  # the same model, loaded again
    for parameter in other.unet.parameters():
        parameter.data *= 1 + 0.05 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(0))
    with pytest.raises(ModelError, match=r"were kept of 'StableDiffusionPipeline', and .* makes other keys"):
        stored.maps(other, words)
    with pytest.raises(ModelError, match="makes other keys"):
        stored.maps(made("pixart"), words)


def test_half_precision_is_the_same_model(tokenizer: Any) -> None:
    pipe = untrained_pipeline(tokenizer)
    with AttentionTrace(pipe, keep=EVERY) as trace:
        paint(pipe)
    words = Attribution.from_text(pipe, "a dog", {"dog": ["dog"]})
    wanted, found = trace.queries().maps(pipe, words), trace.queries().maps(pipe.to(torch.bfloat16), words)
    assert np.abs(found[0]["dog"] - wanted[0]["dog"]).max() < 0.1 * wanted[0]["dog"].max()


def test_files_of_another_kind(tmp_path: Path) -> None:
    (tmp_path / "text.safetensors").write_text("no tensors")
    save_file({"a": torch.ones(1)}, tmp_path / "other.safetensors")
    for name, message in (("text", "could not be read"), ("other", "holds no attention queries"), ("no", "be read")):
        with pytest.raises(ModelError, match=message):
            StoredQueries.load(tmp_path / f"{name}.safetensors")


def test_nothing_to_give(made: Callable[[str], Any], tokenizer: Any) -> None:
    pipe = made("sd")
    words = Attribution.from_text(pipe, "a dog", {"dog": ["dog"]})
    with AttentionTrace(pipe, CLASSES) as trace:
        paint(pipe)
    with pytest.raises(ModelError, match="kept no queries"):
        trace.queries()
    with AttentionTrace(pipe, keep=QuerySettings(finest=4)) as trace:
        paint(pipe)
    with pytest.raises(ModelError, match="no queries were kept"):
        trace.queries()
    with AttentionTrace(pipe, keep=QuerySettings(coarsest=1)) as trace:
        paint(pipe)
    with pytest.raises(ModelError, match="passes: 1, layers: 2"):
        trace.queries().maps(pipe, words, TraceSettings(finest=2))
    with pytest.raises(InvalidSetting, match=r"refine_at: 2 - use 1, which was kept"):
        trace.queries().maps(pipe, words, TraceSettings(refine_at=2))
    with AttentionTrace(pipe, keep=EVERY, settings=TraceSettings(tau=0)) as trace:
        paint(pipe)
    with pytest.raises(InvalidSetting, match=r"tau: 2 - use 0: the trace"):
        trace.queries().maps(pipe, words, TraceSettings(tau=2))
    with pytest.raises(ModelError, match="ConceptTrace"):
        AttentionTrace(untrained_flux(tokenizer), keep=EVERY)


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"noise": (0.5, 0.2)}, "keep.noise"),
        ({"every": 0}, "keep.every"),
        ({"finest": 4, "coarsest": 2}, "keep.coarsest"),
    ],
)
def test_settings_are_checked(values: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidSetting) as raised:
        QuerySettings(**values)
    assert raised.value.field == field
