"""Traces of models that are compiled, offloaded, adapted or sliced."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from untrained import untrained_flux, untrained_pipeline, untrained_sd3

from diffucurate.generator.attention.trace.trace import AttentionTrace
from diffucurate.generator.errors import ModelError

CLASSES = {"car": ["car", "sedan"], "bus": ["bus"]}
PROMPTS = ["a red car at night", "two sedans and a bus"]


def paint(pipe: Any) -> np.ndarray:
    options = {} if hasattr(pipe, "unet") else {"max_sequence_length": 20}
    generators = [torch.Generator().manual_seed(k) for k in range(2)]
    settings = {"num_inference_steps": 2, "width": 64, "height": 96, "guidance_scale": 4.0, "output_type": "np"}
    return pipe(PROMPTS, generator=generators, **settings, **options).images


def traced(pipe: Any) -> tuple[np.ndarray, list[dict[str, np.ndarray]]]:
    with AttentionTrace(pipe, CLASSES) as trace:
        images = paint(pipe)
    return images, trace.maps()


def assert_same(found: list[dict[str, np.ndarray]], others: list[dict[str, np.ndarray]]) -> None:
    for maps, wanted in zip(found, others, strict=True):
        assert list(maps) == list(wanted)
        for label, heat in maps.items():
            np.testing.assert_allclose(heat, wanted[label], rtol=1e-5)


def wrapped(pipe: Any) -> None:
    pipe.transformer = torch.compile(pipe.transformer, backend="eager")


def by_block(pipe: Any) -> None:
    pipe.unet.compile_repeated_blocks(backend="eager")  # a whole UNet takes the compiler half a minute


@pytest.mark.filterwarnings("ignore")  # of torch's compiler, about itself
@pytest.mark.parametrize(
    ("make", "size", "compiled"),
    [(untrained_flux, {"layers": 1}, wrapped), (untrained_pipeline, {"channels": (16,)}, by_block)],
)
def test_compiled(tokenizer: Any, make: Callable[..., Any], size: Any, compiled: Callable[[Any], None]) -> None:
    torch._dynamo.reset()
    pipe = make(tokenizer, **size)
    _, maps = traced(pipe)
    compiled(pipe)
    plain = paint(pipe)
    for again in range(3):
        images, found = traced(pipe)
        assert np.array_equal(images, plain)
        assert_same(found, maps)
        graphs = torch._dynamo.utils.counters["stats"]["unique_graphs"]
        if again == 1:
            compiled_once = graphs
    assert graphs == compiled_once > 1  # a new trace finds what was compiled for the last


@pytest.mark.filterwarnings("ignore")
def test_compiled_as_one_graph(tokenizer: Any) -> None:
    torch._dynamo.reset()
    pipe = untrained_flux(tokenizer, layers=1)
    pipe.transformer = torch.compile(pipe.transformer, backend="eager", fullgraph=True)
    before = pipe.transformer.attn_processors
    with pytest.raises(ModelError, match="without fullgraph=True"):
        traced(pipe)
    assert pipe.transformer.attn_processors == before


@pytest.mark.parametrize("make", [untrained_pipeline, untrained_sd3, untrained_flux])
def test_offloaded(tokenizer: Any, make: Callable[..., Any]) -> None:
    pipe = make(tokenizer)
    plain, (_, maps) = paint(pipe), traced(pipe)
    pipe.enable_model_cpu_offload(device="cpu")
    images, found = traced(pipe)
    assert np.array_equal(images, plain)
    assert_same(found, maps)


def test_sliced_autoencoder(pipe: Any) -> None:
    pipe.vae.enable_slicing()
    plain = paint(pipe)
    images, found = traced(pipe)
    assert np.array_equal(images, plain)
    assert [list(maps) for maps in found] == [["car"], ["car", "bus"]]


class LowRank(torch.nn.Module):
    """A layer with a low-rank update beside it, as adapters are put into a model."""

    def __init__(self, layer: torch.nn.Linear) -> None:
        super().__init__()
        self.base_layer = layer
        generator = torch.Generator().manual_seed(0)
        self.down = torch.nn.Parameter(torch.randn(2, layer.in_features, generator=generator) / 4)
        self.up = torch.nn.Parameter(torch.randn(layer.out_features, 2, generator=generator) / 4)

    def forward(self, states: torch.Tensor, *args: Any, **kwargs: Any) -> torch.Tensor:
        return self.base_layer(states) + states @ self.down.T @ self.up.T

    def merged(self) -> torch.nn.Linear:
        layer = torch.nn.Linear(*self.base_layer.weight.shape[::-1], bias=self.base_layer.bias is not None)
        layer.weight.data, layer.bias = self.base_layer.weight + self.up @ self.down, self.base_layer.bias
        return layer


@pytest.mark.parametrize("make", [untrained_pipeline, untrained_flux])
def test_adapted(tokenizer: Any, make: Callable[..., Any]) -> None:
    pipe = make(tokenizer)
    model = getattr(pipe, "unet", None) or pipe.transformer
    layers = [module for module in model.modules() if hasattr(module, "to_q")]
    _, before = traced(pipe)
    for layer in layers:
        layer.to_q, layer.to_k = LowRank(layer.to_q), LowRank(layer.to_k)
    plain = paint(pipe)
    images, found = traced(pipe)
    assert np.array_equal(images, plain)
    assert not np.allclose(found[0]["car"], before[0]["car"], rtol=1e-2)
    for layer in layers:
        layer.to_q, layer.to_k = layer.to_q.merged(), layer.to_k.merged()
    for maps, merged in zip(found, traced(pipe)[1], strict=True):
        for label, heat in maps.items():
            np.testing.assert_allclose(heat, merged[label], rtol=1e-3)
