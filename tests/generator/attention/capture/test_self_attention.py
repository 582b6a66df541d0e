"""Self-attention refinement against a plain reference, on untrained pipelines of the real classes."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
import torch
from diffusers.models.attention_processor import AttnProcessor
from torch.utils._python_dispatch import TorchDispatchMode
from untrained import untrained_flux, untrained_pixart, untrained_sd3, untrained_xl

from diffucurate.generator.attention.capture import self_attention
from diffucurate.generator.attention.capture.maps import MapGrid
from diffucurate.generator.attention.capture.self_attention import SelfAttention
from diffucurate.generator.attention.settings import DATASET_DIFFUSION, TraceSettings
from diffucurate.generator.attention.trace.trace import AttentionTrace
from diffucurate.generator.errors import InvalidSetting, ModelError

CLASSES = {"car": ["car", "sedan"], "piano": ["piano"], "bus": ["bus"]}
PROMPTS = ["a red car and a piano at night", "two sedans, a bus and a CAR!"]
PLAIN = TraceSettings(tau=0)


def paint(pipe: Any, prompts: Sequence[str] = PROMPTS, **options: Any) -> torch.Tensor:
    """Latents."""
    count = len(prompts) * options.get("num_images_per_prompt", 1)
    generators = [torch.Generator().manual_seed(7 + k) for k in range(count)]
    settings = {"num_inference_steps": 1, "width": 128, "height": 128, "guidance_scale": 4.0, "output_type": "latent"}
    images: torch.Tensor = pipe(list(prompts), generator=generators, **{**settings, **options}).images
    return images


def sharpened(pipe: Any) -> Any:
    """The pipeline with self-attention that is not flat."""
    for name, parameter in (pipe.unet if hasattr(pipe, "unet") else pipe.transformer).named_parameters():
        if name.endswith(("attn1.to_q.weight", "attn1.to_k.weight")):
            torch.nn.init.normal_(parameter, std=0.4)
    return pipe


@pytest.fixture
def pipe(make_pipe: Callable[..., Any]) -> Any:
    return sharpened(make_pipe())


def maps(pipe: Any, settings: TraceSettings, **options: Any) -> list[dict[str, np.ndarray]]:
    with AttentionTrace(pipe, CLASSES, settings=settings) as trace:
        paint(pipe, **options)
    return trace.maps()


# --- S^tau C, written out ----------------------------------------------------------------------------------------


@contextmanager
def recorded(pipe: Any, layers: tuple[str, ...], pixels: int) -> Iterator[list[torch.Tensor]]:
    """The self-attention of each call of these layers with so many pixels, (rows, heads, pixels, pixels)."""
    model = pipe.unet if hasattr(pipe, "unet") else pipe.transformer
    calls: list[torch.Tensor] = []

    def record(attn: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        states = args[0].detach()
        if states.shape[1] == pixels:
            query, key = (
                projection(states).reshape(*states.shape[:2], attn.heads, -1).permute(0, 2, 1, 3)
                for projection in (attn.to_q, attn.to_k)
            )
            scores = torch.einsum("bhid,bhjd->bhij", query, key) / math.sqrt(query.shape[-1])
            exponentials = (scores - scores.amax(dim=-1, keepdim=True)).exp()
            calls.append((exponentials / exponentials.sum(dim=-1, keepdim=True)).detach())

    modules = {name: module for name, module in model.named_modules() if name.endswith("attn1")}
    handles = [
        module.register_forward_pre_hook(record, with_kwargs=True)
        for name, module in modules.items()
        if name.startswith(layers)
    ]
    yield calls
    for handle in handles:
        handle.remove()


def reference(
    calls: Sequence[torch.Tensor], image: int, images: int, tau: int, inflation: float, heat: np.ndarray
) -> np.ndarray:
    """S^tau C: S the mean over heads, layers and passes of the row that is painted, C already of its size."""
    mean = torch.stack([shares[-images:][image].mean(dim=0) for shares in calls]).mean(dim=0) ** inflation
    power = torch.matrix_power(mean / mean.sum(dim=1, keepdim=True), tau)
    return (power @ torch.from_numpy(heat).flatten()).reshape(heat.shape).numpy()


@pytest.mark.parametrize(
    ("settings", "options", "size"),
    [
        ({"tau": 1, "inflation": 1.0, "refine_noise": None}, {"num_inference_steps": 2}, (16, 16)),
        ({"tau": 1, "inflation": 1.0}, {"num_inference_steps": 2}, (16, 16)),  # the second pass alone
        ({"tau": 4, "inflation": 1.0, "refine_at": 1}, {"guidance_scale": 1.0}, (16, 16)),
        ({}, {}, (16, 16)),  # what is the default in UNets: tau 1, inflation 4
        ({"tau": 2, "blocks": ("down", "mid", "up")}, {"num_images_per_prompt": 2}, (16, 16)),
        ({"tau": 3, "inflation": 2.5, "refine_at": 2, "finest": 2}, {"width": 96, "height": 160}, (10, 6)),
        ({"tau": 2, "refine_at": 2, "finest": 2}, {"width": 104, "height": 72}, (5, 7)),  # latents of 9 x 13
        ({"tau": 2, "noise": (0.0, 0.4)}, {"num_inference_steps": 2}, (16, 16)),
        ({"tau": 2, "noise": (0.4, 1.0)}, {"num_inference_steps": 2}, (16, 16)),  # words by the first pass
        ({"tau": 2, "refine_noise": (0.8, 0.9)}, {"num_inference_steps": 2}, (16, 16)),  # the schedule has none
    ],
)
def test_refined_maps(pipe: Any, settings: dict[str, Any], options: dict[str, Any], size: tuple[int, int]) -> None:
    found_settings = TraceSettings(**settings)
    blocks = tuple(f"{block}_block" for block in found_settings.blocks)
    with recorded(pipe, blocks, size[0] * size[1]) as calls:
        found = maps(pipe, found_settings, **options)
    raw = maps(pipe, TraceSettings(**{**settings, "tau": 0}), **options)
    if options.get("num_inference_steps") == 2 and "refine_noise" not in settings:  # the schedule's 0.5 and 0
        calls = calls[len(calls) // 2 :]  # of the second pass, of less noise
    tau = settings.get("tau", 1)
    for image, classes in enumerate(found):
        assert list(classes) == list(raw[image])
        for label, heat in classes.items():
            expected = reference(calls, image, len(found), tau, found_settings.inflation, raw[image][label])
            np.testing.assert_allclose(heat, expected, rtol=1e-4)
            assert heat.dtype == np.float32 and heat.shape == size
    assert np.abs(found[0]["car"] - raw[0]["car"]).max() > 0.01 * raw[0]["car"].max()  # something was done


@pytest.mark.parametrize(
    ("levels", "read"),
    [
        ([0.95, 0.75, 0.55, 0.45, 0.3, 0.15, 0.1, 0.0], [0.45, 0.15]),
        ([0.3, 0.2, 0.1], [0.3, 0.2]),
        ([0.5, 0.0], [0.5, 0.0]),
        ([0.9, 0.6], []),
    ],
)
def test_which_passes_are_due(levels: list[float], read: list[float]) -> None:
    summed = SelfAttention(noise=(0.0, 0.5))
    assert [level for level in levels if summed.due(level)] == read


def test_maps_of_another_size_are_brought_to_it(pipe: Any) -> None:
    with recorded(pipe, ("up_block",), 64) as calls:
        coarser = maps(pipe, TraceSettings(tau=1, inflation=1.0, refine_at=2, coarsest=1))
    fine = maps(pipe, TraceSettings(tau=0, coarsest=1))[0]["car"]
    averaged = fine.reshape(8, 2, 8, 2).mean(axis=(1, 3))
    np.testing.assert_allclose(coarser[0]["car"], reference(calls, 0, 2, 1, 1.0, averaged), rtol=1e-4)
    with recorded(pipe, ("up_block",), 256) as calls:
        finer = maps(pipe, TraceSettings(tau=1, inflation=1.0, refine_at=1, finest=2))
    coarse = torch.from_numpy(maps(pipe, TraceSettings(tau=0, finest=2))[0]["car"])
    enlarged = torch.nn.functional.interpolate(coarse[None, None], (16, 16), mode="bilinear")[0, 0].numpy()
    np.testing.assert_allclose(finer[0]["car"], reference(calls, 0, 2, 1, 1.0, enlarged), rtol=1e-4)


def test_dataset_diffusion(make_pipe: Callable[..., Any]) -> None:
    pipe = sharpened(make_pipe((16, 16, 16)))
    with recorded(pipe, ("down_block", "mid_block", "up_block"), 64) as calls:
        found = maps(pipe, DATASET_DIFFUSION)
    unrefined = TraceSettings(blocks=("down", "mid", "up"), finest=4, coarsest=4, contest="all", tau=0)
    raw = torch.from_numpy(maps(pipe, unrefined)[1]["bus"])
    assert raw.shape == (4, 4)
    enlarged = torch.nn.functional.interpolate(raw[None, None], (8, 8), mode="bilinear")[0, 0].numpy()
    np.testing.assert_allclose(found[1]["bus"], reference(calls, 1, 2, 4, 1.0, enlarged), rtol=1e-4)


def test_xl(tokenizer: Any) -> None:
    pipe = sharpened(untrained_xl(tokenizer, tokenizer))
    with recorded(pipe, ("up_block",), 256) as calls:
        found = maps(pipe, TraceSettings(tau=2))
    raw = maps(pipe, PLAIN)[0]["piano"]
    np.testing.assert_allclose(found[0]["piano"], reference(calls, 0, 2, 2, 4.0, raw), rtol=1e-4)


def test_pixart() -> None:
    pipe = sharpened(untrained_pixart())
    options = {"use_resolution_binning": False, "clean_caption": False, "max_sequence_length": 30, "height": 160}
    with recorded(pipe, ("transformer_blocks",), 80) as calls:
        found = maps(pipe, TraceSettings(tau=2), **options)
    raw = maps(pipe, TraceSettings(), **options)[0]["piano"]  # by default transformers' maps are not refined
    assert raw.shape == (10, 8)
    np.testing.assert_allclose(found[0]["piano"], reference(calls, 0, 2, 2, 4.0, raw), rtol=1e-4)


@pytest.mark.parametrize("make", [untrained_sd3, untrained_flux])
def test_joint_attention(tokenizer: Any, make: Callable[..., Any]) -> None:
    """Where image and text are one sequence, S is the softmax over the image's own tokens, in the same blocks."""
    pipe = make(tokenizer)
    options = {"height": 160, "max_sequence_length": 30}
    plain = paint(pipe, **options)
    scores: list[torch.Tensor] = []
    attend = torch.nn.functional.scaled_dot_product_attention

    def record(query: Any, key: Any, value: Any, *args: Any, **kwargs: Any) -> Any:
        if query.shape[2] > 80:  # not a text encoder's
            scores.append((query @ key.transpose(2, 3) / math.sqrt(query.shape[-1])).detach())
        return attend(query, key, value, *args, **kwargs)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.nn.functional, "scaled_dot_product_attention", record)
        paint(pipe, **options)
    with AttentionTrace(pipe, CLASSES, settings=TraceSettings(tau=2)) as trace:
        assert torch.equal(paint(pipe, **options), plain)
    # SD3 reads the second of three blocks and puts the image first, Flux the last of four with streams of their own
    # and one with a single stream, and puts it last.
    joint = scores[1::3] if make is untrained_sd3 else scores[3::5]
    image = slice(0, 80) if make is untrained_sd3 else slice(-80, None)
    calls = [each[..., image, image].softmax(dim=-1) for each in joint]
    assert len(calls) == 1
    raw = maps(pipe, TraceSettings(), **options)[0]["piano"]
    np.testing.assert_allclose(trace.maps()[0]["piano"], reference(calls, 0, 2, 2, 4.0, raw), rtol=1e-4)


# --- the image stays what it was -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("processor", "options"),
    [
        ("sdpa", {"num_inference_steps": 2}),
        ("explicit", {"guidance_scale": 1.0}),
        ("fused", {"width": 104, "height": 72}),
    ],
)
def test_bit_identical(pipe: Any, processor: str, options: dict[str, Any]) -> None:
    expected = maps(pipe, TraceSettings(tau=4), **options)
    if processor == "explicit":
        pipe.unet.set_attn_processor(AttnProcessor())
    if processor == "fused":
        pipe.unet.fuse_qkv_projections()
    plain = paint(pipe, **options)
    with AttentionTrace(pipe, CLASSES, settings=TraceSettings(tau=4)) as trace:
        assert torch.equal(paint(pipe, **options), plain)
    for found, each in zip(trace.maps(), expected, strict=True):
        for label in each:
            np.testing.assert_allclose(found[label], each[label], rtol=1e-3)


def test_nothing_is_watched_when_off(pipe: Any) -> None:
    before = pipe.unet.attn_processors
    for settings, watched in ((PLAIN, {"attn2"}), (TraceSettings(), {"attn1", "attn2"})):
        with AttentionTrace(pipe, CLASSES, settings=settings):
            changed = {name for name, own in pipe.unet.attn_processors.items() if own is not before[name]}
        assert {name.split(".")[-2] for name in changed} == watched
        assert all(name.startswith("up_blocks") for name in changed)
    assert pipe.unet.attn_processors == before


def test_prompts_without_classes(pipe: Any) -> None:
    with AttentionTrace(pipe, CLASSES, settings=TraceSettings(tau=1)) as trace:
        paint(pipe, ["a tree", "a car"])
    assert [list(each) for each in trace.maps()] == [[], ["car"]]


# --- bounded memory ----------------------------------------------------------------------------------------------


class _Largest(TorchDispatchMode):
    """The number of bytes of the largest tensor that any operation makes."""

    def __init__(self) -> None:
        super().__init__()
        self.bytes = 0

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = function(*args, **(kwargs or {}))
        if isinstance(made, torch.Tensor):
            self.bytes = max(self.bytes, made.untyped_storage().nbytes())
        return made


def added(size: tuple[int, int], limit_mib: float, images: int = 1, heads: int = 1) -> SelfAttention:
    generator = torch.Generator().manual_seed(3)
    query, key = torch.randn(2, images, heads, size[0] * size[1], 8, generator=generator).unbind()
    summed = SelfAttention(limit_mib=limit_mib)
    summed.add(MapGrid(1, size), query, key, 0.35)
    return summed


def test_memory_stays_within_the_limit() -> None:
    with _Largest() as largest:
        summed = added((64, 64), self_attention.LIMIT_MIB)
        (refined,) = summed.refine([{"car": np.eye(64, dtype=np.float32)}], tau=2, inflation=4.0)
    assert largest.bytes <= 16 * 2**20  # not the 64 MiB of all pairs
    assert summed._total.shape == (1, 64 * 64, 32 * 32)
    assert refined["car"].shape == (64, 64)


@pytest.mark.parametrize(
    ("size", "side"),
    [((45, 45), 1), ((32, 64), 1), ((48, 48), 2), ((64, 64), 2), ((64, 96), 4), ((96, 96), 5), ((128, 128), 8)],
)
def test_cells_are_the_smallest_that_fit(size: tuple[int, int], side: int) -> None:
    def mib(side: int) -> float:
        return 4 * math.prod(size) * math.ceil(size[0] / side) * math.ceil(size[1] / side) / 2**20

    assert mib(side) <= 16 and (side == 1 or mib(side - 1) > 16)
    assert self_attention.cell_side(size, 16 * 2**20) == side


@pytest.mark.parametrize("size", [(12, 12), (13, 9), (4, 21)])
@pytest.mark.parametrize("inflation", [1.0, 3.0])
def test_cells(size: tuple[int, int], inflation: float) -> None:
    """The columns of cells are sums of the pixels' columns, and a map's value there their mean."""
    height, width = size
    side, pixels = 3, height * width
    across = -(-width // side)
    cell = torch.tensor([(row // side) * across + column // side for row in range(height) for column in range(width)])
    member = torch.nn.functional.one_hot(cell).float()
    limit = 4 * pixels * member.shape[1] / 2**20
    exact, coarse = added(size, 1.0, 2, 3), added(size, limit, 2, 3)
    assert coarse._total.shape[2] == member.shape[1] < exact._total.shape[2] == pixels
    columns = (exact._total / 3 @ member) ** inflation
    shares = columns / columns.sum(dim=-1, keepdim=True)
    heat = np.random.default_rng(1).random((2, *size), np.float32)
    expected = torch.from_numpy(heat).flatten(1)[..., None]
    for _ in range(3):
        expected = shares @ (member.T @ expected / member.sum(dim=0)[:, None])
    found = coarse.refine([{"car": each} for each in heat], 3, inflation)
    for image, each in enumerate(found):
        np.testing.assert_allclose(each["car"].ravel(), expected[image, :, 0], rtol=1e-4)


def test_cells_are_near_the_exact_result_where_neighbours_are_alike() -> None:
    size, places = (32, 32), torch.stack(torch.meshgrid(*[torch.linspace(-1, 1, 32)] * 2, indexing="ij"), dim=-1)
    query = torch.cat([places.sin(), places.cos()], dim=-1).reshape(1, 1, -1, 4) * 3
    found = []
    for limit in (4.0, 1.0):
        summed = SelfAttention(limit_mib=limit)
        summed.add(MapGrid(1, size), query, query, 1.0)
        heat = (places[..., 0] > 0.2).float().numpy()
        found.append(summed.refine([{"car": heat}], 2)[0]["car"])
    assert np.ptp(found[0]) > 0.5
    assert np.abs(found[0] - found[1]).max() < 0.02


def test_chunks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    found = []
    for numbers in (2**22, 1000):
        monkeypatch.setattr(self_attention, "_CHUNK", numbers)
        found.append(added((9, 8), 1.0, 2, 3)._total)
    torch.testing.assert_close(*found)
    torch.testing.assert_close(found[0].sum(dim=-1), torch.full((2, 72), 3.0))  # rows sum to 1, of each head


def test_a_constant_map_stays_constant_and_no_map_leaves_its_range() -> None:
    summed = added((10, 7), 0.005, 1, 2)
    heat = np.random.default_rng(2).random((10, 7), np.float32)
    (refined,) = summed.refine([{"flat": np.full((10, 7), 0.3, np.float32), "car": heat}], 4, 6.0)
    np.testing.assert_allclose(refined["flat"], 0.3, rtol=1e-5)
    assert heat.min() <= refined["car"].min() < refined["car"].max() <= heat.max()


# --- which self-attention is read --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sizes", "chosen"),
    [
        ([(8, 8), (16, 16), (32, 32), (64, 64)], (32, 32)),
        ([(24, 24), (48, 48), (96, 96)], (24, 24)),
        ([(16, 24), (32, 48), (64, 96)], (32, 48)),
        ([(16, 32), (32, 64)], (32, 64)),  # as far from it: the finer one
        ([(32, 64), (16, 32)], (32, 64)),
        ([(8, 8), (16, 16)], (16, 16)),
        ([(64, 64)], (64, 64)),
    ],
)
def test_the_size_nearest_to_32_pixels_a_side(sizes: Sequence[tuple[int, int]], chosen: tuple[int, int]) -> None:
    """Whatever the order in which layers come by, and from the first pass on."""
    finest = max(size[0] for size in sizes)
    summed = SelfAttention(limit_mib=1.0)
    for _ in range(2):
        for size in sizes:
            grid = MapGrid(finest // size[0], size)
            if summed.reads(grid):
                summed.add(grid, *torch.zeros(2, 1, 1, size[0] * size[1], 2).unbind(), 1.0)
    (refined,) = summed.refine([{"car": np.ones((4, 4), np.float32)}], 1)
    assert refined["car"].shape == chosen
    assert summed._heads == 2


def test_self_attention_that_is_not_there(pipe: Any) -> None:
    with pytest.raises(ModelError, match=r"no self-attention 4 times coarser.*trace\.refine_at"):
        maps(pipe, TraceSettings(tau=1, refine_at=4))
    with pytest.raises(ModelError, match="no self-attention 1 times"):
        maps(pipe, TraceSettings(tau=1, refine_at=1, blocks=("mid",)))


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"tau": -1}, "trace.tau"),
        ({"tau": 1.5}, "trace.tau"),
        ({"refine_at": 0}, "trace.refine_at"),
        ({"refine_noise": (0.6, 0.5)}, "trace.refine_noise"),
        ({"inflation": 0}, "trace.inflation"),
        ({"inflation": float("nan")}, "trace.inflation"),
    ],
)
def test_settings_are_checked(values: Mapping[str, Any], field: str) -> None:
    with pytest.raises(InvalidSetting) as raised:
        TraceSettings(**values)
    assert raised.value.field == field
