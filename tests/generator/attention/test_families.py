"""Every family of models against a plain reference, on untrained pipelines of the real classes."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
from attention_reference import assert_same, recorded, turned
from diffusers import (
    DDPMPipeline,
    StableDiffusionImg2ImgPipeline,
    StableDiffusionInpaintPipeline,
    StableDiffusionInstructPix2PixPipeline,
    UNet2DModel,
)
from PIL import Image
from untrained import (
    untrained_flux,
    untrained_pipeline,
    untrained_pixart,
    untrained_sd3,
    untrained_tokenizer,
    untrained_xl,
)

from diffucurate.generator.attention.families.family import by_depth
from diffucurate.generator.attention.settings import TraceSettings
from diffucurate.generator.attention.trace.trace import AttentionTrace
from diffucurate.generator.errors import ModelError

CLASSES = {"car": ["car", "sedan"], "piano": ["piano"], "bus": ["bus"]}
PROMPTS = ["a red car and a piano at night", "two sedans, a bus and a CAR!"]

#: "<start> a red car and a pi a no at night", "<start> two sedans , a bus and a car !"
CLIP = [{"car": [3], "piano": [6, 7, 8]}, {"car": [2, 8], "bus": [5]}]
#: "_a _red _car _and _a _pi ano _at _night", "_two _sedans , _a _bus _and _a _ C A R !"
T5 = [{"car": [2], "piano": [5, 6]}, {"car": [1, 8, 9, 10], "bus": [4]}]
#: PixArt's prompts are put in small letters.
SMALL = [T5[0], {"car": [1, 7], "bus": [4]}]
#: Stable Diffusion 3 reads CLIP's 40 tokens, then T5's.
BOTH = [
    {label: [*clip[label], *(40 + k for k in t5[label])] for label in clip} for clip, t5 in zip(CLIP, T5, strict=True)
]

Tokens = list[dict[str, list[int]]]


@dataclass(frozen=True)
class Family:
    """How a family is made and called, which of its layers are read by default, and the tokens of ``PROMPTS``."""

    make: Callable[[Any, Any], Any]
    layers: tuple[str, ...]
    tokens: Tokens
    embeddings: Callable[[Any], dict[str, Any]]
    options: Mapping[str, Any] = field(default_factory=dict)


def named(names: str) -> Callable[[Any], dict[str, Any]]:
    """The arguments that ``encode_prompt``'s results are given back as."""
    return lambda results: dict(zip(names.split(), results, strict=True))


FOUR = named("prompt_embeds negative_prompt_embeds pooled_prompt_embeds negative_pooled_prompt_embeds")

FAMILIES = {
    "v-prediction": Family(
        lambda one, other: untrained_pipeline(one, prediction="v_prediction"),
        tuple(f"up_blocks.1.attentions.{k}.transformer_blocks.0.attn2" for k in range(2)),
        CLIP,
        lambda pipe: named("prompt_embeds negative_prompt_embeds")(pipe.encode_prompt(PROMPTS, "cpu", 1, True)),
    ),
    "xl": Family(
        untrained_xl,
        tuple(f"up_blocks.1.attentions.{k}.transformer_blocks.0.attn2" for k in range(2)),
        CLIP,
        lambda pipe: FOUR(pipe.encode_prompt(PROMPTS)),
    ),
    "pixart": Family(
        lambda one, other: untrained_pixart(),
        tuple(f"transformer_blocks.{k}.attn2" for k in range(2)),
        SMALL,
        lambda pipe: {
            **named("prompt_embeds prompt_attention_mask negative_prompt_embeds negative_prompt_attention_mask")(
                pipe.encode_prompt(PROMPTS, max_sequence_length=30)
            ),
            "negative_prompt": None,
        },
        {"use_resolution_binning": False, "clean_caption": False, "max_sequence_length": 30},
    ),
    "sd3": Family(
        lambda one, other: untrained_sd3(one),
        ("transformer_blocks.1.attn",),
        BOTH,
        lambda pipe: FOUR(pipe.encode_prompt(PROMPTS, None, None, max_sequence_length=30)),
        {"max_sequence_length": 30},
    ),
    "sd3.5": Family(
        lambda one, other: untrained_sd3(one, layers=4, dual=(0, 1), norm="rms_norm"),
        ("transformer_blocks.1.attn",),
        BOTH,
        lambda pipe: FOUR(pipe.encode_prompt(PROMPTS, None, None, max_sequence_length=30)),
        {"max_sequence_length": 30},
    ),
    "flux": Family(
        lambda one, other: untrained_flux(one),
        ("transformer_blocks.3.attn",),
        T5,
        lambda pipe: named("prompt_embeds pooled_prompt_embeds")(
            pipe.encode_prompt(PROMPTS, None, max_sequence_length=30)[:2]
        ),
        {"max_sequence_length": 30},
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Any]:
    """The pipeline of a family, one for all tests that leave it as it was."""
    one, other = (untrained_tokenizer(tmp_path_factory.mktemp("words")) for _ in range(2))
    return cache(lambda name: FAMILIES[name].make(one, other))


def paint(pipe: Any, prompts: Any = PROMPTS, **options: Any) -> torch.Tensor:
    """The latents; 12 x 16 unless told otherwise."""
    count = (len(prompts) if prompts is not None else 2) * options.get("num_images_per_prompt", 1)
    generators = [torch.Generator().manual_seed(7 + k) for k in range(count)]
    settings = {"num_inference_steps": 2, "width": 128, "height": 96, "guidance_scale": 4.0, "output_type": "latent"}
    return pipe(prompts, generator=generators, **{**settings, **options}).images


# --- the reference -----------------------------------------------------------------------------------------------


def shares(call: dict[str, Any]) -> torch.Tensor:
    """(rows, heads, pixels, text tokens) of one call: softmax(q k / sqrt(d)) over all a pixel can look at."""
    attn, image, text = call["attn"], call["hidden_states"], call["encoder_hidden_states"]

    def heads(projection: Any, states: torch.Tensor, norm: Any) -> torch.Tensor:
        projected = projection(states).reshape(*states.shape[:2], attn.heads, -1).permute(0, 2, 1, 3)
        return projected if norm is None else norm(projected)

    query = heads(attn.to_q, image, attn.norm_q)
    joint = getattr(attn, "add_k_proj", None) is not None
    key = heads(attn.add_k_proj, text, attn.norm_added_k) if joint else heads(attn.to_k, text, None)
    tokens = key.shape[2]
    if joint:
        key = torch.cat([key, heads(attn.to_k, image, attn.norm_k)], dim=2)
    if call.get("image_rotary_emb") is not None:
        cosines, sines = call["image_rotary_emb"]
        angles = torch.atan2(sines, cosines)[:, ::2]
        query, key = turned(query, angles[tokens:]), turned(key, angles)
    scores = torch.einsum("bhpd,bhtd->bhpt", query, key) / math.sqrt(query.shape[-1])
    if call.get("attention_mask") is not None:
        scores = scores + call["attention_mask"][:, None]
    exponentials = (scores - scores.amax(dim=-1, keepdim=True)).exp()
    return (exponentials / exponentials.sum(dim=-1, keepdim=True))[..., :tokens]


@torch.no_grad()
def expected(calls: Sequence[dict[str, Any]], images: int, tokens: Tokens) -> list[dict[str, np.ndarray]]:
    """Mean over passes, layers, heads and a class's tokens, of the last rows: one map per class and image, flat."""
    mean = torch.stack([shares(call)[-images:].mean(dim=1) for call in calls]).mean(dim=0)
    each = images // len(tokens)
    return [
        {label: mean[row][:, positions].mean(dim=1).numpy() for label, positions in tokens[row // each].items()}
        for row in range(images)
    ]


#: The whole softmax, at the finest size only.
PLAIN = TraceSettings(contest="all", coarsest=2, tau=0)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"guidance_scale": 1.0, "width": 96, "height": 128, "num_images_per_prompt": 2},
        {"negative_prompt": ["fog", "a car"]},
        {"embedded": True},
    ],
    ids=["guided", "unguided", "negative", "embedded"],
)
@pytest.mark.parametrize("name", FAMILIES)
def test_maps_and_images(made: Callable[[str], Any], name: str, options: dict[str, Any]) -> None:
    pipe, family = made(name), FAMILIES[name]
    settings = PLAIN if family.options or name == "sd3" else TraceSettings(contest="all", coarsest=1, tau=0)
    options = {**family.options, **options}
    prompts, given = PROMPTS, None
    if options.pop("embedded", False):
        prompts, given = None, PROMPTS
        options |= family.embeddings(pipe)
    plain = paint(pipe, prompts, **options)
    with (
        recorded(pipe, family.layers) as calls,
        AttentionTrace(pipe, CLASSES, prompts=given, settings=settings) as trace,
    ):
        traced = paint(pipe, prompts, **options)
    assert torch.equal(traced, plain)
    assert_same(trace.maps(), expected(calls, len(traced), family.tokens))
    shape = (options.get("height", 96) // 8, options.get("width", 128) // 8)
    halved = tuple(side // 2 for side in shape)
    assert {heat.shape for maps in trace.maps() for heat in maps.values()} == {
        shape if "up" in family.layers[0] else halved
    }


# --- Stable Diffusion: other calls of the same UNets -------------------------------------------------------------


def test_two_prompts_for_two_encoders(made: Callable[[str], Any]) -> None:
    pipe, family = made("xl"), FAMILIES["xl"]
    settings = TraceSettings(contest="all", coarsest=1, tau=0)
    # "<start> a bus", "<start> a car": the class that only the second encoder reads is found at its position.
    with recorded(pipe, family.layers) as calls, AttentionTrace(pipe, CLASSES, settings=settings) as trace:
        traced = paint(pipe, ["a bus", "a road"], prompt_2=["a red bus", "a car"])
    assert_same(trace.maps(), expected(calls, len(traced), [{"bus": [2, 3]}, {"car": [2]}]))


def test_only_content_takes_part_whichever_encoder_reads_it(made: Callable[[str], Any]) -> None:
    pipe, family = made("xl"), FAMILIES["xl"]
    with (
        recorded(pipe, family.layers) as calls,
        AttentionTrace(pipe, CLASSES, settings=TraceSettings(coarsest=1, tau=0)) as trace,
    ):
        paint(pipe, ["a bus"], prompt_2=["a bus at night"])
    with torch.no_grad():
        content = torch.cat([shares(call)[-1] for call in calls])[..., 1:5]
    wanted = (content / content.sum(dim=-1, keepdim=True)).mean(dim=0)[:, 1]
    np.testing.assert_allclose(trace.maps()[0]["bus"].ravel(), wanted.numpy(), rtol=1e-4)


@pytest.mark.parametrize(("name", "others"), [("xl", ()), ("sd3", (None, None))])
def test_negative_prompts_encoded_first(made: Callable[[str], Any], name: str, others: tuple[None, ...]) -> None:
    pipe, found = made(name), []
    for order in (["a bus", "a car"], ["a car", "a bus"]):
        with AttentionTrace(pipe, CLASSES) as trace:
            encoded = {text: pipe.encode_prompt([text], *others) for text in order}
            car, bus = encoded["a car"], encoded["a bus"]
            pipe(
                prompt_embeds=car[0],
                pooled_prompt_embeds=car[2],
                negative_prompt_embeds=bus[0],
                negative_pooled_prompt_embeds=bus[2],
                num_inference_steps=1,
                width=128,
                height=96,
                generator=torch.Generator().manual_seed(1),
            )
        found.append(trace.maps()[0])
    assert [list(maps) for maps in found] == [["car"], ["car"]]
    assert np.array_equal(found[0]["car"], found[1]["car"])


def test_states_that_were_changed_on_the_way(made: Callable[[str], Any]) -> None:
    """Weighted words, for example: of two calls of the encoder the first is taken for the prompts'."""
    pipe = made("v-prediction")
    with AttentionTrace(pipe, CLASSES) as trace:
        states, negative = pipe.encode_prompt(PROMPTS, "cpu", 1, True, ["a car", "a bus"])
        paint(pipe, None, prompt_embeds=1.1 * states, negative_prompt_embeds=1.1 * negative)
    assert [list(maps) for maps in trace.maps()] == [["car", "piano"], ["car", "bus"]]


PICTURE = Image.fromarray(np.random.default_rng(0).integers(0, 255, (96, 128, 3), np.uint8))
HOLE = Image.fromarray(np.kron([[0, 255], [255, 0]], np.ones((48, 64))).astype(np.uint8))


@pytest.mark.parametrize(
    ("kind", "inputs", "options", "passes"),
    [
        (StableDiffusionImg2ImgPipeline, 4, {"strength": 0.25}, 1),
        (StableDiffusionImg2ImgPipeline, 4, {"strength": 0.8, "guidance_scale": 1.0}, 3),
        (StableDiffusionInpaintPipeline, 9, {"mask_image": HOLE, "width": 128, "height": 96}, 4),
        (StableDiffusionInpaintPipeline, 4, {"mask_image": HOLE, "width": 128, "height": 96, "strength": 0.5}, 2),
    ],
)
def test_from_pictures(tokenizer: Any, kind: type, inputs: int, options: dict[str, Any], passes: int) -> None:
    pipe = untrained_pipeline(tokenizer, kind=kind, inputs=inputs)

    def run() -> torch.Tensor:
        settings = {"guidance_scale": 4.0, "output_type": "latent", "num_inference_steps": 4, **options}
        generators = [torch.Generator().manual_seed(k) for k in range(2)]
        return pipe(PROMPTS, image=[PICTURE, PICTURE], generator=generators, **settings).images

    layers = [f"up_blocks.1.attentions.{k}.transformer_blocks.0.attn2" for k in range(2)]
    plain = run()
    with (
        recorded(pipe, layers) as calls,
        AttentionTrace(pipe, CLASSES, settings=TraceSettings(contest="all", coarsest=1, tau=0)) as trace,
    ):
        traced = run()
    assert torch.equal(traced, plain)
    assert len(calls) == 2 * passes
    assert_same(trace.maps(), expected(calls, 2, CLIP))


# --- transformers: which blocks and passes, and what else is in the sequence --------------------------------------


@pytest.mark.parametrize(
    ("name", "depth", "blocks"),
    [
        ("sd3", (0.0, 0.0), [0]),
        ("sd3", (0.0, 0.5), [0, 1]),
        ("flux", (0.5, 1.0), [2, 3]),
        ("pixart", (1.0, 1.0), [1]),
    ],
)
def test_blocks_by_depth(made: Callable[[str], Any], name: str, depth: tuple[float, float], blocks: list[int]) -> None:
    pipe, family = made(name), FAMILIES[name]
    layer = family.layers[0].rsplit(".", 1)[1]
    with (
        recorded(pipe, [f"transformer_blocks.{k}.{layer}" for k in blocks]) as calls,
        AttentionTrace(pipe, CLASSES, settings=TraceSettings(contest="all", depth=depth)) as trace,
    ):
        paint(pipe, **family.options)
    assert_same(trace.maps(), expected(calls, 2, family.tokens))


@pytest.mark.parametrize(
    ("count", "depth", "blocks"),
    [(24, (9 / 23, 9 / 23), [9]), (38, (9 / 23, 9 / 23), [14]), (19, (15 / 18, 1.0), [15, 16, 17, 18]),
     (8, (15 / 18, 1.0), [6, 7]), (1, (0.3, 0.4), [0])],
)  # fmt: skip
def test_depth_is_a_share(count: int, depth: tuple[float, float], blocks: list[int]) -> None:
    assert by_depth([str(k) for k in range(count)], depth) == [str(k) for k in blocks]


def test_settings_say_what_was_left_to_the_family(made: Callable[[str], Any]) -> None:
    plain = TraceSettings()
    flux = AttentionTrace(made("flux"), CLASSES, settings=plain).settings
    assert flux == TraceSettings(contest="all", depth=(15 / 18, 1.0), tau=0)
    xl = AttentionTrace(made("xl"), CLASSES, settings=plain).settings
    assert xl == TraceSettings(contest="content", tau=1)
    own = TraceSettings(contest="no-start", depth=(0.0, 0.5), tau=2)
    assert AttentionTrace(made("sd3"), CLASSES, settings=own).settings == own


def test_words_alone_compete_in_a_joint_sequence_too(made: Callable[[str], Any]) -> None:
    pipe, family = made("flux"), FAMILIES["flux"]
    with (
        recorded(pipe, family.layers) as calls,
        AttentionTrace(pipe, CLASSES, settings=TraceSettings(contest="content")) as trace,
    ):
        paint(pipe, ["a car"], **family.options)
    (attn,) = {call["attn"] for call in calls}
    with torch.no_grad():
        wanted = torch.zeros(())
        for call in calls:
            share = shares(call)[-1]
            # All but T5's end and padding tokens: two words, and the image's own tokens.
            barred = share[..., 2:].sum(dim=-1)
            wanted = wanted + (share[..., 1] / (1 - barred)).mean(dim=0) / len(calls)
    assert attn is pipe.transformer.transformer_blocks[3].attn
    np.testing.assert_allclose(trace.maps()[0]["car"].ravel(), wanted.numpy(), rtol=1e-3)


def test_each_head_apart_in_a_joint_sequence(made: Callable[[str], Any]) -> None:
    """DAAM's recipe, which enlarges each head's map by itself, and more classes than a head has channels."""
    pipe, options = made("flux"), FAMILIES["flux"].options
    words = ["a", "red", "car", "and", "a", "bus", "by", "a", "tree", "at", "night", "in", "fog"]
    many = {**{word: [word] for word in words}, "car and": ["car and"]}
    found = []
    for classes, settings in (
        (CLASSES, TraceSettings(upsampling="bicubic")),
        (CLASSES, TraceSettings()),
        (many, TraceSettings()),
    ):
        with AttentionTrace(pipe, classes, settings=settings) as trace:
            paint(pipe, [" ".join(words)], **options)
        found.append(trace.maps()[0])
    assert len(found[2]) > 8
    for others in found[:2]:
        np.testing.assert_allclose(others["bus"], found[2]["bus"], rtol=1e-4)


def test_noise_is_a_share_of_the_schedule(made: Callable[[str], Any]) -> None:
    for name in ("sd3", "flux"):
        pipe, options, found = made(name), {**FAMILIES[name].options, "num_inference_steps": 4}, []
        for noise in ((0, 0.7), (0.7, 1), (0, 1)):
            with AttentionTrace(pipe, CLASSES, settings=TraceSettings(noise=noise, average_steps=False)) as trace:
                paint(pipe, **options)
            found.append(trace.maps()[0]["car"])
        np.testing.assert_allclose(found[0] + found[1], found[2], rtol=1e-5)
        assert all(heat.min() > 0 for heat in found)


def test_flux_against_a_negative_prompt_in_passes_of_its_own(made: Callable[[str], Any]) -> None:
    pipe, family = made("flux"), FAMILIES["flux"]
    options = {**family.options, "true_cfg_scale": 3.0, "negative_prompt": ["a bus", "fog"]}
    plain = paint(pipe, **options)
    with recorded(pipe, family.layers) as calls, AttentionTrace(pipe, CLASSES, settings=PLAIN) as trace:
        traced = paint(pipe, **options)
    assert torch.equal(traced, plain)
    assert len(calls) == 4
    assert_same(trace.maps(), expected(calls[::2], 2, family.tokens))


def test_flux_with_a_picture_to_go_by(made: Callable[[str], Any]) -> None:
    """As Kontext does it: the picture's tokens come after the image's and take part in the softmax."""
    pipe, family = made("flux"), FAMILIES["flux"]
    states, pooled, places = pipe.encode_prompt(PROMPTS, None, max_sequence_length=30)
    image, picture = (
        torch.stack(
            torch.meshgrid(torch.tensor([0.0 + which]), torch.arange(6.0), torch.arange(8.0), indexing="ij"), -1
        )
        for which in range(2)
    )
    where = torch.cat([image.reshape(-1, 3), picture.reshape(-1, 3)])
    latents = torch.randn(2, 96, 16, generator=torch.Generator().manual_seed(0))
    with (
        recorded(pipe, family.layers) as calls,
        torch.no_grad(),
        AttentionTrace(pipe, CLASSES, prompts=PROMPTS, settings=PLAIN) as trace,
    ):
        pipe.transformer(latents, states, pooled, torch.tensor([0.5, 0.5]), where, places, torch.tensor([3.5, 3.5]))
    wanted = expected(calls, 2, family.tokens)
    assert_same(trace.maps(), [{label: heat[:48] for label, heat in maps.items()} for maps in wanted])


def test_sd3_guided_by_what_lacks_some_layers(made: Callable[[str], Any]) -> None:
    pipe, family = made("sd3"), FAMILIES["sd3"]
    options = {**family.options, "num_inference_steps": 3, "skip_guidance_layers": [0], "skip_layer_guidance_stop": 1.0}
    with recorded(pipe, family.layers) as calls, AttentionTrace(pipe, CLASSES, settings=PLAIN) as trace:
        paint(pipe, **options)
    rows = [len(call["hidden_states"]) for call in calls]
    assert 2 in rows  # the passes that do not count
    assert_same(trace.maps(), expected([call for call, n in zip(calls, rows, strict=True) if n == 4], 2, family.tokens))


def test_sd3_without_t5(tokenizer: Any) -> None:
    pipe = untrained_sd3(tokenizer)
    pipe.text_encoder_3 = None
    family = FAMILIES["sd3"]
    with recorded(pipe, family.layers) as calls, AttentionTrace(pipe, CLASSES, settings=PLAIN) as trace:
        paint(pipe, **family.options)
    assert_same(trace.maps(), expected(calls, 2, CLIP))


@pytest.mark.parametrize("name", ["sd3", "flux"])
def test_fused_projections(tokenizer: Any, name: str) -> None:
    family = FAMILIES[name]
    pipe = family.make(tokenizer, tokenizer)
    pipe.transformer.fuse_qkv_projections()
    plain = paint(pipe, **family.options)
    with recorded(pipe, family.layers) as calls, AttentionTrace(pipe, CLASSES, settings=PLAIN) as trace:
        traced = paint(pipe, **family.options)
    assert torch.equal(traced, plain)
    assert_same(trace.maps(), expected(calls, 2, family.tokens))


def hooks_of(pipe: Any) -> int:
    models = [value for value in pipe.components.values() if isinstance(value, torch.nn.Module)]
    modules = [module for model in models for module in model.modules()]
    return sum(len(module._forward_hooks) + len(module._forward_pre_hooks) for module in modules)


@pytest.mark.parametrize("name", ["sd3", "flux", "pixart"])
def test_everything_is_put_back(made: Callable[[str], Any], name: str) -> None:
    pipe = made(name)
    before, hooks = pipe.transformer.attn_processors, hooks_of(pipe)

    def stop(*_: Any) -> None:
        raise KeyboardInterrupt

    handle = pipe.transformer.transformer_blocks[1].register_forward_hook(stop)
    with pytest.raises(KeyboardInterrupt), AttentionTrace(pipe, CLASSES):
        assert pipe.transformer.attn_processors != before
        paint(pipe, **FAMILIES[name].options)
    handle.remove()
    assert pipe.transformer.attn_processors == before
    assert hooks_of(pipe) == hooks


def test_models_of_another_kind() -> None:
    pipe = DDPMPipeline(
        UNet2DModel(
            sample_size=8,
            block_out_channels=(8, 8),
            norm_num_groups=4,
            down_block_types=("DownBlock2D",) * 2,
            up_block_types=("UpBlock2D",) * 2,
        ),
        None,
    )
    with pytest.raises(ModelError) as raised:
        AttentionTrace(pipe, CLASSES)
    assert str(raised.value) == (
        "DDPMPipeline has no attention between image and text that can be traced; "
        "use a Stable Diffusion 1.x, 2.x, XL, 3 or 3.5, PixArt, Flux.1, Flux.2, Qwen-Image or Z-Image model, or one "
        "laid out like them"
    )


def test_instructions_for_pictures(tokenizer: Any) -> None:
    """Three copies of each image, of which only the first reads the text; the last would be read."""
    pipe = untrained_pipeline(tokenizer, kind=StableDiffusionInstructPix2PixPipeline, inputs=8)
    with pytest.raises(ModelError, match="denoises three copies of each image"):
        AttentionTrace(pipe, CLASSES)
