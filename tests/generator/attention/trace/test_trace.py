"""The trace against plain references, on untrained pipelines of the real classes."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import (
    DDIMScheduler,
    EulerAncestralDiscreteScheduler,
    HeunDiscreteScheduler,
    PNDMScheduler,
    StableDiffusionPipeline,
)
from diffusers.models.attention_processor import AttnProcessor, AttnProcessor2_0, SlicedAttnProcessor

from diffucurate.generator.attention.capture import maps
from diffucurate.generator.attention.settings import DAAM, TraceSettings
from diffucurate.generator.attention.trace.trace import AttentionTrace
from diffucurate.generator.errors import InvalidSetting, ModelError

CLASSES = {"car": ["car", "sedan"], "piano": ["piano"], "bus": ["bus"]}
PROMPTS = ["a red car and a piano at night", "two sedans, a bus and a CAR!"]
ALL = TraceSettings(contest="all", tau=0)


def paint(pipe: Any, prompts: str | Sequence[str] = PROMPTS, **options: Any) -> Any:
    """Latents (n, 4, h, w), or images with ``output_type="np"``."""
    prompts = prompts if isinstance(prompts, str) else list(prompts)
    count = (1 if isinstance(prompts, str) else len(prompts)) * options.get("num_images_per_prompt", 1)
    generators = [torch.Generator().manual_seed(7 + k) for k in range(count)]
    settings = {"num_inference_steps": 2, "width": 128, "height": 128, "guidance_scale": 4.0, "output_type": "latent"}
    return pipe(prompts, generator=generators, **{**settings, **options}).images


# --- the image stays what it was -------------------------------------------------------------------------------


class OwnProcessor(torch.nn.Module):
    """A stranger's processor: a module with weights, a keyword argument and an order of operations of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.gain = torch.nn.Parameter(torch.tensor(1.25))

    def __call__(
        self,
        attn: Any,
        hidden_states: Any,
        encoder_hidden_states: Any = None,
        attention_mask: Any = None,
        tint: float = 0.0,
    ) -> torch.Tensor:
        context = hidden_states if encoder_hidden_states is None else encoder_hidden_states
        value, key, query = attn.to_v(context), attn.to_k(context), attn.to_q(hidden_states)
        query, key, value = (attn.head_to_batch_dim(states) for states in (query, key, value))
        mixed = attn.batch_to_head_dim(attn.get_attention_scores(query, key) @ value)
        return attn.to_out[0](mixed) * self.gain + tint


def fuse(pipe: Any) -> None:
    pipe.unet.fuse_qkv_projections()


PROCESSORS: dict[str, Callable[[Any], Any]] = {
    "sdpa": lambda pipe: pipe.unet.set_attn_processor(AttnProcessor2_0()),
    "explicit": lambda pipe: pipe.unet.set_attn_processor(AttnProcessor()),
    "sliced": lambda pipe: pipe.unet.set_attn_processor(SlicedAttnProcessor(1)),
    "fused": fuse,
    "own": lambda pipe: pipe.unet.set_attn_processor({name: OwnProcessor() for name in pipe.unet.attn_processors}),
}


@pytest.mark.parametrize("processor", PROCESSORS)
def test_bit_identical_with_any_processor(pipe: StableDiffusionPipeline, processor: str) -> None:
    PROCESSORS[processor](pipe)
    options: dict[str, Any] = {"output_type": "np"}
    if processor == "own":
        options["cross_attention_kwargs"] = {"tint": 0.1}
    plain = paint(pipe, **options)
    with AttentionTrace(pipe, CLASSES) as trace:
        traced = paint(pipe, **options)
    assert np.array_equal(traced, plain)
    assert len(trace.maps()) == 2
    if processor == "own":
        assert not np.array_equal(paint(pipe, output_type="np"), plain)  # the keyword argument did reach the processor


# Some of diffusers' schedulers hand tensors to numpy in a way that numpy 2 deprecates.
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
@pytest.mark.parametrize(
    ("scheduler", "options"),
    [
        (DDIMScheduler, {"guidance_scale": 1.0}),
        (DDIMScheduler, {"width": 96, "height": 160, "num_images_per_prompt": 2}),
        (DDIMScheduler, {"width": 104, "height": 72}),  # 13 x 9 latents, which the UNet halves to 7 x 5
        (HeunDiscreteScheduler, {}),  # calls the UNet twice a step
        (EulerAncestralDiscreteScheduler, {"negative_prompt": ["fog", "a tree"]}),
        (PNDMScheduler, {"guidance_rescale": 0.5, "num_inference_steps": 4}),
    ],
)
def test_bit_identical_with_any_call(pipe: StableDiffusionPipeline, scheduler: Any, options: dict[str, Any]) -> None:
    pipe.scheduler = scheduler.from_config({"num_train_timesteps": 1000})
    plain = paint(pipe, **options)
    with AttentionTrace(pipe, CLASSES) as trace:
        traced = paint(pipe, **options)
    assert torch.equal(traced, plain)
    heatmaps = trace.maps()
    assert len(heatmaps) == len(plain)
    assert all(heat.shape == plain.shape[2:] for each in heatmaps for heat in each.values())


# --- DAAM, from its formula ------------------------------------------------------------------------------------


@contextmanager
def recorded_inputs(pipe: Any) -> Any:
    """What goes into each cross-attention layer of the down and up blocks, one entry per call."""
    calls: list[tuple[str, Any, torch.Tensor, torch.Tensor]] = []

    def record(name: str) -> Any:
        def hook(attn: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
            calls.append((name, attn, args[0].clone(), kwargs["encoder_hidden_states"].clone()))

        return hook

    modules = dict(pipe.unet.named_modules())
    handles = [
        modules[name].register_forward_pre_hook(record(name), with_kwargs=True)
        for name in modules
        if name.endswith("attn2") and name.startswith(("down_blocks", "up_blocks"))
    ]
    yield calls
    for handle in handles:
        handle.remove()


def attention_of(attn: Any, hidden: torch.Tensor, context: torch.Tensor) -> torch.Tensor:
    """(rows, heads, pixels, tokens): softmax(q k / sqrt(d)), written out."""
    heads = attn.heads
    query = hidden @ attn.to_q.weight.T
    key = context @ attn.to_k.weight.T
    query = query.reshape(*query.shape[:2], heads, -1).permute(0, 2, 1, 3)
    key = key.reshape(*key.shape[:2], heads, -1).permute(0, 2, 1, 3)
    scores = torch.einsum("bhpd,bhtd->bhpt", query, key) / math.sqrt(query.shape[-1])
    exponentials = (scores - scores.amax(dim=-1, keepdim=True)).exp()
    return exponentials / exponentials.sum(dim=-1, keepdim=True)


def daam_reference(
    calls: Any, image: int, images: int, latent: tuple[int, int], positions: Sequence[int]
) -> np.ndarray:
    """Tang et al. 2022, section 3: sum over steps, per layer and head; bicubic; clamp; mean; mean over tokens."""
    per_layer: dict[str, torch.Tensor] = {}
    for name, attn, hidden, context in calls:
        shares = attention_of(attn, hidden, context)[-images:][image]  # guidance: the conditional half comes last
        per_layer[name] = per_layer.get(name, torch.zeros(())) + shares
    enlarged = []
    for shares in per_layer.values():
        factor = round(math.sqrt(latent[0] * latent[1] / shares.shape[1]))
        if factor >= 8:
            continue
        size = latent
        while size[0] * size[1] != shares.shape[1]:
            size = (math.ceil(size[0] / 2), math.ceil(size[1] / 2))
        for head in shares:
            per_token = head.T.reshape(-1, 1, *size)
            enlarged.append(torch.nn.functional.interpolate(per_token, latent, mode="bicubic")[:, 0].clamp(min=0))
    return torch.stack(enlarged).mean(dim=0)[list(positions)].mean(dim=0).numpy()


@pytest.mark.parametrize(
    ("channels", "options"),
    [
        ((32, 64), {}),
        ((32, 64), {"guidance_scale": 1.0}),
        ((32, 64), {"width": 96, "height": 160, "num_images_per_prompt": 2}),
        ((32, 64), {"width": 104, "height": 72}),
        ((16, 16, 16, 16), {}),  # four levels: the coarsest is left out
    ],
)
def test_daam(make_pipe: Callable[..., Any], channels: tuple[int, ...], options: dict[str, Any]) -> None:
    pipe = make_pipe(channels)
    with recorded_inputs(pipe) as calls, AttentionTrace(pipe, CLASSES, settings=DAAM) as trace:
        painted = paint(pipe, **options)
    latent = (painted.shape[2], painted.shape[3])
    # "<start> a red car and a pi a no at night", "<start> two sedans , a bus and a car !"
    tokens: list[Mapping[str, Sequence[int]]] = [{"car": [3], "piano": [6, 7, 8]}, {"car": [2, 8], "bus": [5]}]
    found = trace.maps()
    for index, classes in enumerate(found):
        expected = tokens[index // options.get("num_images_per_prompt", 1)]
        assert list(classes) == list(expected)
        for label, positions in expected.items():
            with torch.no_grad():
                reference = daam_reference(calls, index, len(painted), latent, positions)
            np.testing.assert_allclose(classes[label], reference, rtol=1e-4, atol=1e-7)
    assert np.ptp(found[0]["car"]) > 0.01  # there is something to compare


# --- other settings ----------------------------------------------------------------------------------------------


def mean_attention(calls: Any, pixels: int, allowed: Sequence[int], positions: Sequence[int]) -> np.ndarray:
    """Mean over layers of one size, heads and calls for the last row, the softmax taken over ``allowed`` tokens."""
    shares = torch.cat([attention_of(attn, *states)[-1] for _, attn, *states in calls if states[0].shape[1] == pixels])
    shares = shares[..., list(allowed)] / shares[..., list(allowed)].sum(dim=-1, keepdim=True)
    chosen = [list(allowed).index(position) for position in positions]
    return shares.mean(dim=0)[:, chosen].mean(dim=1).numpy()


@pytest.mark.parametrize(
    ("contest", "allowed"), [("all", range(40)), ("no-start", range(1, 40)), ("content", range(1, 9))]
)
def test_contest(pipe: Any, contest: Any, allowed: Sequence[int]) -> None:
    settings = TraceSettings(contest=contest, coarsest=1, blocks=("down", "up"), tau=0)
    with recorded_inputs(pipe) as calls, AttentionTrace(pipe, CLASSES, settings=settings) as trace:
        paint(pipe, "two sedans, a bus and a CAR")
    with torch.no_grad():
        expected = mean_attention(calls, 256, allowed, [2, 8])
    np.testing.assert_allclose(trace.maps()[0]["car"].ravel(), expected, rtol=1e-4)


def test_a_prompt_that_is_only_the_class_still_has_a_map(pipe: Any) -> None:
    # Alone among the content tokens, "car" would get all attention of every pixel.
    with AttentionTrace(pipe, CLASSES) as trace:
        paint(pipe, "car")
    assert np.ptp(trace.maps()[0]["car"]) > 0.01


def test_values_do_not_depend_on_the_number_of_passes(pipe: Any) -> None:
    latents, states = torch.randn(1, 4, 16, 16), pipe.encode_prompt(["a car"], "cpu", 1, False)[0]
    found = []
    for passes in (1, 3):
        with torch.no_grad(), AttentionTrace(pipe, CLASSES, prompts="a car") as trace:
            for _ in range(passes):
                pipe.unet(latents, 10, states)
        found.append(trace.maps()[0]["car"])
    np.testing.assert_allclose(*found, rtol=1e-5)


def test_noise_range_splits_the_sum(pipe: Any) -> None:
    def total(noise: tuple[float, float]) -> np.ndarray:
        with AttentionTrace(pipe, CLASSES, settings=TraceSettings(noise=noise, average_steps=False, tau=0)) as trace:
            paint(pipe, num_inference_steps=4)
        return trace.maps()[0]["car"]

    low, high = total((0, 0.5)), total((0.5, 1))
    np.testing.assert_allclose(low + high, total((0, 1)), rtol=1e-5)
    assert not np.allclose(low, high)


def test_weights_count_sizes_as_wholes(pipe: Any) -> None:
    def heat(**settings: Any) -> np.ndarray:
        with AttentionTrace(pipe, CLASSES, settings=TraceSettings(**settings, tau=0)) as trace:
            paint(pipe)
        return trace.maps()[0]["car"]

    fine, coarse = heat(coarsest=1), heat(finest=2)
    assert (fine.shape, coarse.shape) == ((16, 16), (8, 8))
    enlarged = torch.nn.functional.interpolate(torch.tensor(coarse)[None, None], (16, 16), mode="bilinear")[0, 0]
    np.testing.assert_allclose(heat(weights={1: 0.25, 2: 0.75}), 0.25 * fine + 0.75 * enlarged.numpy(), rtol=1e-4)
    np.testing.assert_allclose(heat(weights={1: 0, 2: 0.75}), coarse, rtol=1e-5)


def test_chunks_change_nothing(pipe: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for settings in (ALL, DAAM):
        found = []
        for numbers in (2**24, 50_000):
            monkeypatch.setattr(maps, "_CHUNK", numbers)
            with AttentionTrace(pipe, CLASSES, settings=settings) as trace:
                paint(pipe)
            found.append(trace.maps()[1]["bus"])
        np.testing.assert_allclose(*found, rtol=1e-5)


@pytest.mark.parametrize("processor", ["explicit", "sliced", "fused"])
def test_maps_do_not_depend_on_the_processor(pipe: Any, processor: str) -> None:
    found = []
    for name in ("sdpa", processor):
        PROCESSORS[name](pipe)
        with AttentionTrace(pipe, CLASSES, settings=TraceSettings()) as trace:
            paint(pipe)
        found.append(trace.maps()[0]["piano"])
    np.testing.assert_allclose(*found, rtol=1e-3)


@pytest.mark.parametrize(("dtype", "error"), [(torch.bfloat16, 0.1), (torch.float16, 0.02)])
def test_half_precision(make_pipe: Callable[..., Any], dtype: torch.dtype, error: float) -> None:
    found = []
    for kind in (torch.float32, dtype):
        pipe = make_pipe().to(kind)
        latents = torch.randn(1, 4, 16, 16, generator=torch.Generator().manual_seed(1)).to(kind)
        with torch.no_grad(), AttentionTrace(pipe, CLASSES, prompts="a car by a bus") as trace:
            pipe.unet(latents, 10, pipe.encode_prompt(["a car by a bus"], "cpu", 1, False)[0])
        found.append(trace.maps()[0]["car"])
    assert found[1].dtype == np.float32
    assert np.abs(found[0] - found[1]).max() < error * found[0].max()


def test_any_context_length(make_pipe: Callable[..., Any]) -> None:
    pipe = make_pipe(context=77)
    with AttentionTrace(pipe, CLASSES) as trace:
        paint(pipe, "a " * 50 + "car")  # beyond the 40 tokens of the other tests
    assert list(trace.maps()[0]) == ["car"]


# --- who is traced -------------------------------------------------------------------------------------------------


def test_each_image_is_traced_as_if_alone(pipe: Any) -> None:
    with AttentionTrace(pipe, CLASSES, settings=TraceSettings()) as trace:
        paint(pipe, num_images_per_prompt=2)
    together = trace.maps()
    for index, prompt in enumerate([PROMPTS[0], PROMPTS[0], PROMPTS[1], PROMPTS[1]]):
        with AttentionTrace(pipe, CLASSES, settings=TraceSettings()) as trace:
            pipe(
                prompt,
                generator=torch.Generator().manual_seed(7 + index),
                num_inference_steps=2,
                width=128,
                height=128,
                guidance_scale=4.0,
                output_type="latent",
            )
        for label, heat in trace.maps()[0].items():
            np.testing.assert_allclose(together[index][label], heat, rtol=1e-3)


def test_phrases_of_each_prompt(pipe: Any) -> None:
    with AttentionTrace(pipe, [{"car": ["car"]}, {"bus": ["bus"], "dog": ["dog"]}]) as trace:
        paint(pipe)
    assert [list(each) for each in trace.maps()] == [["car"], ["bus"]]
    assert trace.absent() == [(), ("dog",)]


def test_prompts_without_classes(pipe: Any) -> None:
    with AttentionTrace(pipe, CLASSES) as trace:
        paint(pipe, ["a tree", "", "a car"])
    assert [list(each) for each in trace.maps()] == [[], [], ["car"]]
    with AttentionTrace(pipe, {}) as trace:
        paint(pipe)
    assert trace.maps() == [{}, {}]


def test_direct_calls_after_a_guided_run(pipe: Any) -> None:
    paint(pipe)  # leaves the pipeline's guidance flag on
    states = pipe.encode_prompt(PROMPTS, "cpu", 1, False)[0]
    with torch.no_grad(), AttentionTrace(pipe, CLASSES, prompts=PROMPTS) as trace:
        pipe.unet(torch.randn(2, 4, 16, 16), torch.tensor([100, 100]), encoder_hidden_states=states)
    assert [list(each) for each in trace.maps()] == [["car", "piano"], ["car", "bus"]]


def test_masked_tokens_get_nothing(pipe: Any) -> None:
    states = pipe.encode_prompt(["a car and a bus"], "cpu", 1, False)[0]
    mask = torch.ones(1, 40)
    mask[:, 2] = 0  # "car"
    with torch.no_grad(), AttentionTrace(pipe, CLASSES, prompts="a car and a bus", settings=ALL) as trace:
        pipe.unet(torch.randn(1, 4, 16, 16), 10, states, encoder_attention_mask=mask)
    found = trace.maps()[0]
    assert found["car"].max() == 0 < found["bus"].max()


def test_embeddings_made_before(pipe: Any) -> None:
    states, negative = pipe.encode_prompt(PROMPTS, "cpu", 1, True)
    embeddings = {"prompt_embeds": states, "negative_prompt_embeds": negative}

    def run() -> None:
        pipe(**embeddings, num_inference_steps=1, output_type="latent", width=128, height=128)

    with AttentionTrace(pipe, CLASSES, prompts=PROMPTS) as trace:
        run()
    assert [list(each) for each in trace.maps()] == [["car", "piano"], ["car", "bus"]]
    with pytest.raises(ModelError, match="prompts="), AttentionTrace(pipe, CLASSES):
        run()
    # Only the negative prompt encoded inside, or only the prompts.
    with pytest.raises(ModelError, match="prompts="), AttentionTrace(pipe, CLASSES):
        pipe(prompt_embeds=states, negative_prompt=["a car"] * 2, num_inference_steps=1, width=128, height=128)
    with AttentionTrace(pipe, CLASSES) as trace:
        pipe(PROMPTS, negative_prompt_embeds=negative, num_inference_steps=1, width=128, height=128)
    assert [list(each) for each in trace.maps()] == [["car", "piano"], ["car", "bus"]]


# --- what is left behind ---------------------------------------------------------------------------------------------


def hooks_of(pipe: Any) -> int:
    modules = [*pipe.unet.modules(), *pipe.text_encoder.modules()]
    return sum(len(module._forward_hooks) + len(module._forward_pre_hooks) for module in modules)


@pytest.mark.parametrize("error", [None, RuntimeError, KeyboardInterrupt])
@pytest.mark.parametrize("processor", ["sdpa", "own"])
def test_processors_are_restored(pipe: Any, processor: str, error: type[BaseException] | None) -> None:
    PROCESSORS[processor](pipe)
    before, parameters = pipe.unet.attn_processors, len(list(pipe.unet.parameters()))

    def stop(attn: Any, args: Any, output: Any) -> None:
        if error is not None:
            raise error("stop")

    layer = pipe.unet.up_blocks[0].attentions[0].transformer_blocks[0].attn2.to_v
    handle = layer.register_forward_hook(stop)  # in the middle of a traced layer
    try:
        with AttentionTrace(pipe, CLASSES):
            assert pipe.unet.attn_processors != before
            paint(pipe)
    except (RuntimeError, KeyboardInterrupt) as raised:
        assert type(raised) is error
    handle.remove()
    assert pipe.unet.attn_processors == before
    assert len(list(pipe.unet.parameters())) == parameters
    assert hooks_of(pipe) == 0


def test_one_run_per_trace(pipe: Any) -> None:
    with pytest.raises(ModelError, match="one run"), AttentionTrace(pipe, CLASSES):
        paint(pipe)
        paint(pipe)


def test_nothing_traced(pipe: Any) -> None:
    with AttentionTrace(pipe, CLASSES) as trace:
        pass
    with pytest.raises(ModelError, match="nothing was traced"):
        trace.maps()
    with AttentionTrace(pipe, CLASSES, settings=TraceSettings(finest=4)) as trace:
        paint(pipe)
    with pytest.raises(ModelError, match="finest=4"):
        trace.maps()


def test_wrong_number_of_prompts(pipe: Any) -> None:
    with pytest.raises(ModelError, match="3 prompts, but 2"), AttentionTrace(pipe, [CLASSES] * 3):
        paint(pipe)


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"contest": "some"}, "trace.contest"),
        ({"upsampling": "nearest"}, "trace.upsampling"),
        ({"blocks": ("side",)}, "trace.blocks[0]"),
        ({"blocks": ()}, "trace.blocks"),
        ({"depth": (0.9, 0.1)}, "trace.depth"),
        ({"depth": (0, 12)}, "trace.depth"),
        ({"finest": 4, "coarsest": 2}, "trace.coarsest"),
        ({"finest": 0}, "trace.finest"),
        ({"noise": (0.5, 0.2)}, "trace.noise"),
        ({"noise": (0, 300)}, "trace.noise"),
        ({"weights": {1: -1.0}}, "trace.weights"),
        ({"weights": {}}, "trace.weights"),
    ],
)
def test_settings_are_checked(values: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidSetting) as raised:
        TraceSettings(**values)
    assert raised.value.field == field
