"""GoCA's aggregation against a plain reference, on untrained pipelines of the real classes."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
from goca_reference import (
    CLASSES,
    CLIP,
    FAMILIES,
    PROMPTS,
    STEPS,
    InFloat,
    assert_expected,
    chosen_pass,
    distinct,
    expected,
    paint,
    recorded,
)
from untrained import untrained_flux, untrained_sd3, untrained_tokenizer

from diffucurate.generator.attention.families.presets import is_built_in, preset_of
from diffucurate.generator.attention.settings import (
    BUILT_IN,
    GOCA,
    GOCA_FLUX,
    GOCA_PIXART,
    QuerySettings,
    TraceSettings,
)
from diffucurate.generator.attention.trace.attribution import Attribution
from diffucurate.generator.attention.trace.token_contest import TokenContest
from diffucurate.generator.attention.trace.trace import AttentionTrace
from diffucurate.generator.errors import InvalidSetting, ModelError
from diffucurate.generator.models.load import load_pipeline
from diffucurate.generator.painting.img2img import for_task


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Any]:
    """The pipeline of a family, one for all tests."""
    one, other = (untrained_tokenizer(tmp_path_factory.mktemp("words")) for _ in range(2))
    return cache(lambda name: distinct(FAMILIES[name].make(one, other)))


@pytest.mark.parametrize(
    "options",
    [{}, {"guidance_scale": 1.0, "width": 96, "height": 128, "num_images_per_prompt": 2}],
    ids=["guided", "unguided, tall, two of each"],
)
@pytest.mark.parametrize("name", FAMILIES)
def test_against_the_reference(made: Callable[[str], Any], name: str, options: dict[str, Any]) -> None:
    pipe, family = made(name), FAMILIES[name]
    options = {**family.options, **options}
    plain = paint(pipe, **options)
    with recorded(pipe) as calls, AttentionTrace(pipe, CLASSES, settings=family.settings) as trace:
        traced = paint(pipe, **options)
    assert torch.equal(traced, plain)
    latent = (options.get("height", 96) // 8, options.get("width", 128) // 8)
    if "unet" not in pipe.components:
        latent = (latent[0] // 2, latent[1] // 2)
    assert_expected(pipe, name, calls, trace.maps(), latent, 1e-4)


# --- other calls of the same models --------------------------------------------------------------------------------


def test_half_precision(made: Callable[[str], Any]) -> None:
    """What is read of a model in bfloat16 is worked on in float32: only what the layers were given is rounded."""
    pipe = made("sd1").to(torch.bfloat16)
    try:
        with recorded(pipe) as calls, AttentionTrace(pipe, CLASSES, settings=GOCA) as trace:
            paint(pipe)
        for passes in calls.values():
            for call in passes:
                call["attn"] = InFloat(call["attn"])
        wanted = expected(pipe, "sd1", calls, chosen_pass(pipe, 0.1), -1, CLIP[1], (12, 16))
    finally:
        pipe.to(torch.float32)
    for label, heat in trace.maps()[1].items():
        assert np.abs(heat - wanted[label]).max() < 0.1
        assert np.corrcoef(heat.ravel(), wanted[label].ravel())[0, 1] > 0.99


def test_fused_projections(tokenizer: Any) -> None:
    pipe, found = distinct(untrained_flux(tokenizer, singles=3)), []
    for _ in range(2):
        with AttentionTrace(pipe, CLASSES) as trace:
            paint(pipe, max_sequence_length=30)
        found.append(trace.maps()[0]["piano"])
        pipe.transformer.fuse_qkv_projections()
    np.testing.assert_allclose(*found, atol=1e-3)


@pytest.mark.parametrize("name", ["sd1", "pixart", "flux"])
def test_each_image_as_if_alone(made: Callable[[str], Any], name: str) -> None:
    pipe, options = made(name), FAMILIES[name].options
    with AttentionTrace(pipe, CLASSES) as trace:
        paint(pipe, **options)
    with AttentionTrace(pipe, CLASSES) as alone:
        paint(pipe, PROMPTS[:1], **options)
    for label, heat in alone.maps()[0].items():
        np.testing.assert_allclose(trace.maps()[0][label], heat, atol=2e-3)


def test_guidance_in_passes_of_its_own(made: Callable[[str], Any]) -> None:
    pipe = made("flux")
    options = {**FAMILIES["flux"].options, "true_cfg_scale": 3.0, "negative_prompt": ["a bus", "fog"]}
    with recorded(pipe) as calls, AttentionTrace(pipe, CLASSES) as trace:
        paint(pipe, **options)
    assert all(len(passes) == 2 * STEPS for passes in calls.values())
    calls = {name: passes[::2] for name, passes in calls.items()}
    assert_expected(pipe, "flux", calls, trace.maps(), (6, 8), 1e-4)


def test_words_of_another_text(made: Callable[[str], Any]) -> None:
    """The prompts' own words as an attribution: the same maps, each text's words rescaled among themselves."""
    pipe = made("sd1")
    own = Attribution.from_text(pipe, PROMPTS, CLASSES)
    other = Attribution.from_text(pipe, "a bus by a car", CLASSES)
    found = []
    for opened in (AttentionTrace(pipe, CLASSES), *(AttentionTrace(pipe, attribution=a) for a in (own, own + other))):
        with opened as trace:
            paint(pipe)
        found.append(trace.maps())
    for maps, others in zip(found[0], found[1], strict=True):
        for label, heat in maps.items():
            np.testing.assert_allclose(heat, others[label], atol=1e-4)
    assert [set(maps) for maps in found[2]] == [{"car", "piano", "bus"}, {"car", "bus"}]
    np.testing.assert_allclose(found[2][0]["piano"], found[0][0]["piano"], atol=1e-4)  # one text has it
    assert np.abs(found[2][0]["car"] - found[0][0]["car"]).max() > 0.01  # the mean over both texts


def test_a_prompt_of_the_class_alone(made: Callable[[str], Any]) -> None:
    """Its share of the words would be 1 in every pixel, so the end and padding tokens take part too."""
    pipe = made("sd1")
    with AttentionTrace(pipe, CLASSES) as trace:
        paint(pipe, ["car", "a tree"])
    assert [list(maps) for maps in trace.maps()] == [["car"], []]
    assert np.std(trace.maps()[0]["car"]) > 0.05


def test_several_passes_are_added_up(made: Callable[[str], Any]) -> None:
    pipe, found = made("sd1"), []
    for noise in ((0.7, 1.0), (0.0, 0.3), (0.0, 1.0)):
        with AttentionTrace(pipe, CLASSES, settings=GOCA.changed(pass_at=None, noise=noise)) as trace:
            paint(pipe)
        found.append(trace.maps()[0]["car"])
    assert all(heat.shape == (12, 16) and np.isfinite(heat).all() for heat in found)
    assert np.abs(found[0] - found[2]).max() > 0.01 and np.abs(found[1] - found[2]).max() > 0.01


def test_a_run_without_a_schedule(made: Callable[[str], Any]) -> None:
    """What is read is the nearest pass that came."""
    pipe = made("sd1")
    pipe.scheduler = type(pipe.scheduler).from_config(pipe.scheduler.config)
    latents = torch.randn(1, 4, 12, 16, generator=torch.Generator().manual_seed(0))
    states = pipe.encode_prompt(PROMPTS[:1], "cpu", 1, False)[0]
    found = []
    for steps in ([900], [900, 600, 90, 0], [90]):
        with torch.no_grad(), AttentionTrace(pipe, CLASSES, prompts=PROMPTS[:1]) as trace:
            for step in steps:
                pipe.unet(latents, step, states)
        found.append(trace.maps()[0]["car"])
    np.testing.assert_allclose(found[1], found[2], atol=1e-5)
    assert np.abs(found[0] - found[2]).max() > 0.01


@pytest.mark.parametrize(
    "changed", [{"heads": None}, {"layers": None}, {"rescale": False}, {"tau": 0}, {"heads": "sharp"}]
)
def test_each_part_can_be_left_out(made: Callable[[str], Any], changed: dict[str, Any]) -> None:
    pipe, found = made("sd1"), []
    for settings in (GOCA, GOCA.changed(**changed)):
        with AttentionTrace(pipe, CLASSES, settings=settings) as trace:
            paint(pipe)
        found.append(trace.maps()[0]["car"])
    assert found[1].min() >= 0 and np.isfinite(found[1]).all()
    assert found[0].shape != found[1].shape or np.abs(found[0] - found[1]).max() > 1e-3


# --- which settings a model is traced with -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "preset"),
    [
        ("sd1", GOCA),
        ("sd1-shallow", BUILT_IN),  # the figures are for four levels
        ("sd2", BUILT_IN),  # nothing is published
        ("xl", GOCA),
        ("pixart", GOCA_PIXART),
        ("flux", GOCA_FLUX),
    ],
)
def test_presets(made: Callable[[str], Any], name: str, preset: TraceSettings) -> None:
    assert preset_of(made(name)) is preset
    assert AttentionTrace(made(name), CLASSES).settings.tau == (1 if preset is BUILT_IN else preset.tau)


def test_presets_of_other_models(tokenizer: Any) -> None:
    assert preset_of(untrained_sd3(tokenizer)) is BUILT_IN
    pipe = load_pipeline("tiny", "cpu")
    assert is_built_in(pipe) and preset_of(pipe) is BUILT_IN
    assert preset_of(for_task(pipe, "img2img", 0.5)) is BUILT_IN
    with pytest.raises(ModelError, match="no attention"):
        preset_of(object())


def test_where_nothing_can_be_aggregated(made: Callable[[str], Any], tokenizer: Any) -> None:
    pipe = made("sd1")
    with AttentionTrace(pipe, keep=QuerySettings(noise=(0.0, 1.0), every=1)) as trace:
        paint(pipe)
    assert trace.settings.layers is None
    words = Attribution.from_text(pipe, "a bus by a car", CLASSES)
    assert set(trace.queries().maps(pipe, words)[0]) == {"bus", "car"}
    with pytest.raises(InvalidSetting, match=r"trace\.layers: 'affinity' - queries alone do not say"):
        trace.queries().maps(pipe, words, GOCA)
    pairs = TokenContest.of({"car": torch.randn(2, 32)})
    assert AttentionTrace(pipe, attribution=pairs).settings.layers is None
    assert not AttentionTrace(pipe, attribution=pairs, settings=GOCA).settings.rescale
    with pytest.raises(ModelError, match=r"no reference layer is published for StableDiffusion3Pipeline.*layers=None"):
        AttentionTrace(untrained_sd3(tokenizer), CLASSES, settings=GOCA)


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"layers": "affinity", "upsampling": "bicubic"}, "trace.layers"),
        ({"rescale": True, "weights": {1: 1.0}}, "trace.rescale"),
        ({"rescale": True, "contest": "content"}, "trace.rescale"),
        ({"heads": "contribution", "upsampling": "bicubic"}, "trace.heads"),
        ({"layers": "affinity", "linear": True}, "trace.layers"),
        ({"pass_at": 1.5}, "trace.pass_at"),
    ],
)
def test_settings_are_checked(values: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidSetting) as raised:
        TraceSettings(**values)
    assert raised.value.field == field
