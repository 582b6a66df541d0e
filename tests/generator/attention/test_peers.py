"""The peers of the benchmarks read what they are said to read, and DAAM's maps are the trace's."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from untrained import untrained_pipeline, untrained_tokenizer

from diffucurate.generator.attention.capture.tokens import locate
from diffucurate.generator.attention.settings import DAAM
from diffucurate.generator.attention.trace.trace import AttentionTrace

CLASSES = {"car": ["car"], "bus": ["bus"]}
PROMPTS = ["a red car and a bus on a road", "two buses at night"]
STEPS = (100, 300)


@pytest.fixture(scope="module")
def peers() -> Iterator[SimpleNamespace]:
    sys.path.insert(0, str(Path(__file__).parents[3] / "benchmarks"))
    names = ("explicit_attention", "daam", "ovam", "dataset_diffusion", "passes")
    yield SimpleNamespace(**{name: importlib.import_module(f"peers.{name}") for name in names})
    sys.path.pop(0)


@pytest.fixture(scope="module")
def pipe(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return untrained_pipeline(untrained_tokenizer(tmp_path_factory.mktemp("tokenizer")))


@pytest.fixture(scope="module")
def latents(pipe: Any, peers: SimpleNamespace) -> list[torch.Tensor]:
    images = np.random.default_rng(0).integers(0, 256, (2, 128, 128, 3), np.uint8)
    return peers.passes.noised(pipe, list(images), STEPS)


def positions(pipe: Any, text: str) -> dict[str, tuple[int, ...]]:
    ids = pipe.tokenizer(text, padding="max_length", max_length=pipe.tokenizer.model_max_length).input_ids
    return locate(pipe.tokenizer, ids, CLASSES).classes


def test_daam_finds_what_the_trace_finds(peers: SimpleNamespace, pipe: Any, latents: list[torch.Tensor]) -> None:
    context = peers.passes.encoded(pipe, PROMPTS)
    peer = peers.daam.Daam(2, latents[0].shape[-1])
    peers.passes.denoise_once(pipe, latents, STEPS, context, [peer])
    with torch.inference_mode(), AttentionTrace(pipe, CLASSES, prompts=PROMPTS, settings=DAAM) as trace:
        for noisy, step in zip(latents, STEPS, strict=True):
            pipe.unet(noisy, step, encoder_hidden_states=context)
        ours = trace.maps()
    found = peer.maps([positions(pipe, prompt) for prompt in PROMPTS])
    assert [set(maps) for maps in found] == [set(maps) for maps in ours] == [{"car", "bus"}, {"bus"}]
    for own, other in zip(ours, found, strict=True):
        for label, heat in own.items():
            np.testing.assert_allclose(other[label], heat, rtol=1e-4, atol=1e-6)


def test_attention_in_the_open_gives_the_same_output(
    peers: SimpleNamespace, pipe: Any, latents: list[torch.Tensor]
) -> None:
    context, before = peers.passes.encoded(pipe, PROMPTS), dict(pipe.unet.attn_processors)
    layers = [*peers.explicit_attention.cross_attention(pipe.unet), *peers.explicit_attention.self_attention(pipe.unet)]
    seen: dict[str, tuple[torch.Tensor, torch.Tensor]] = {}
    with torch.inference_mode():
        plain = pipe.unet(latents[0], STEPS[0], encoder_hidden_states=context).sample
        with peers.explicit_attention.watched(pipe.unet, layers, lambda name, *both: seen.update({name: both})):
            opened = pipe.unet(latents[0], STEPS[0], encoder_hidden_states=context).sample
        torch.testing.assert_close(opened, plain, rtol=1e-4, atol=1e-5)
        assert pipe.unet.attn_processors == before and set(seen) == set(layers)
        for name, (query, shares) in seen.items():
            torch.testing.assert_close(shares.sum(dim=-1), torch.ones(shares.shape[:-1]))
            if "attn2" in name:
                again = peers.explicit_attention.attended(pipe.unet, name, query, context)
                torch.testing.assert_close(again, shares)


def test_open_vocabulary_maps_need_no_mention(peers: SimpleNamespace, pipe: Any, latents: list[torch.Tensor]) -> None:
    peer = peers.ovam.Ovam(2, latents[0].shape[-1])
    peers.passes.denoise_once(pipe, latents, STEPS, peers.passes.encoded(pipe, ["at night", "a tree"]), [peer])
    text = peers.passes.encoded(pipe, ["car bus"])[0]
    found = peer.maps(pipe.unet, text, positions(pipe, "car bus"))
    whole = peer.maps(pipe.unet, text, {"all": range(len(text))})
    assert [list(maps) for maps in found] == [["car", "bus"]] * 2
    layers = peers.explicit_attention.cross_attention(pipe.unet)
    heads = sum(pipe.unet.get_submodule(name.removesuffix(".processor")).heads for name in layers)
    for maps in whole:  # every pixel's shares of all tokens sum to 1, for each step, layer and head
        np.testing.assert_allclose(maps["all"] * len(text), len(STEPS) * heads, rtol=1e-4)


def test_dataset_diffusion_mixes_within_the_image(
    peers: SimpleNamespace, pipe: Any, latents: list[torch.Tensor]
) -> None:
    side = latents[0].shape[-1]
    peer = peers.dataset_diffusion.DatasetDiffusion(2, side // 2, side)
    peers.passes.denoise_once(pipe, latents, STEPS, peers.passes.encoded(pipe, PROMPTS), [peer], among_pixels=True)
    texts, places = peers.passes.encoded(pipe, ["car bus", "bus"]), [positions(pipe, t) for t in ("car bus", "bus")]
    by_power = {power: peer.maps(pipe.unet, texts, places, power=power) for power in (0, 1, 4)}
    for image, label in ((0, "car"), (0, "bus"), (1, "bus")):
        spreads = [float(np.ptp(by_power[power][image][label])) for power in (0, 1, 4)]
        assert spreads[0] > spreads[1] > spreads[2] > 0  # rows that sum to 1 take means, and means of means
    heat = np.array([[0, 0.52, 1]], np.float32)
    semantic = peers.dataset_diffusion.semantic({"car": heat, "bus": heat[:, ::-1] / 2}, (1, 3))
    assert semantic.tolist() == [[2, 255, 1]]


@pytest.mark.parametrize(("threshold", "expected"), [(0.4, [[0, 1, 1]]), (0.6, [[0, 0, 1]])])
def test_daam_cuts_the_min_max_map(peers: SimpleNamespace, threshold: float, expected: list[list[int]]) -> None:
    heat = np.array([[3, 4, 5]], np.float32)
    assert peers.daam.masks({"car": heat}, (1, 3), threshold)["car"].astype(int).tolist() == expected
    assert not peers.daam.masks({"car": np.full((2, 2), 0.3, np.float32)}, (4, 4))["car"].any()
