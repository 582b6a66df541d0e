"""Tokens that are learned, and their contest, on untrained pipelines of the real classes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional
from untrained import untrained_flux, untrained_pipeline, untrained_tokenizer

from diffucurate.generator.attention.capture.processor import text_keys
from diffucurate.generator.attention.class_tokens.class_tokens import embeddings
from diffucurate.generator.attention.class_tokens.token_training import learn_token, learn_tokens
from diffucurate.generator.attention.probe.image_latents import denoise_once, encode
from diffucurate.generator.attention.settings import QuerySettings, TraceSettings
from diffucurate.generator.attention.trace.token_contest import TokenContest
from diffucurate.generator.attention.trace.trace import AttentionTrace
from diffucurate.generator.errors import InvalidSetting, LabelError, ModelError
from diffucurate.generator.tiny import real_scenes

EVERY = QuerySettings(noise=(0, 1), every=1)
PLAIN = TraceSettings(tau=0)  # as the contest leaves them, not refined


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return untrained_tokenizer(tmp_path_factory.mktemp("words"))


@pytest.fixture(scope="module")
def pipe(tokenizer: Any) -> Any:
    return untrained_pipeline(tokenizer)


@pytest.fixture(scope="module")
def scenes() -> list[Any]:
    return real_scenes(2, seed=5)


def halves(image: np.ndarray) -> dict[str, np.ndarray]:
    """The upper half is a car, the lower left a bus."""
    upper, left = np.zeros((2, *image.shape[:2]), np.bool_)
    upper[: image.shape[0] // 2] = True
    left[image.shape[0] // 2 :, : image.shape[1] // 2] = True
    return {"car": upper, "bus": left}


def test_contest_as_it_is_defined(pipe: Any, scenes: list[Any]) -> None:
    """Products summed over heads and layers, the mean over passes, start tokens off, one softmax with 0."""
    generator = torch.Generator().manual_seed(1)
    pairs = {label: torch.randn(2, 32, generator=generator) for label in ("car", "bus", "tree")}
    contest = TokenContest.of(pairs, [("car", "tree"), ("car", "bus", "tree")])
    images = [scene.image for scene in scenes]
    with torch.no_grad(), AttentionTrace(pipe, attribution=contest, settings=PLAIN, keep=EVERY) as trace:
        denoise_once(pipe, encode(pipe, images, (128, 128)), ["a car", "a bus"], (100, 500), 0)

    scores = torch.zeros(2, 3, 16, 16)
    for name, layer in trace.queries().layers.items():
        attn = pipe.unet.get_submodule(name.removesuffix(".processor"))
        with torch.no_grad():
            keys = torch.stack([text_keys(attn, pair[None])[0] for pair in pairs.values()])  # classes, heads, 2, width
        query = torch.stack(layer.passes).float().mean(dim=0)
        raw = torch.einsum("nhpw,chkw->nckp", query, keys) * layer.scale
        sized = functional.interpolate(
            (raw[:, :, 1] - raw[:, :, 0]).unflatten(-1, layer.grid.size), (16, 16), mode="bilinear"
        )
        scores += sized
    for found, row, named in zip(trace.maps(), scores, ([0, 2], [0, 1, 2]), strict=True):
        shares = torch.cat([torch.zeros(1, 16, 16), row[named]]).softmax(dim=0)[1:]
        assert list(found) == [list(pairs)[index] for index in named]
        for heat, share in zip(found.values(), shares, strict=True):
            np.testing.assert_allclose(heat, share, atol=5e-3)  # queries are kept in half precision
    assert trace.absent() == [("bus",), ()]


def test_learns_what_the_words_do_not_know(pipe: Any, scenes: list[Any]) -> None:
    images = [scene.image for scene in scenes]
    masks = [halves(image) for image in images]
    before = {name: value.clone() for name, value in pipe.unet.named_parameters()}
    learned = learn_tokens(pipe, images, masks, pull=1e-6, timesteps=(100,), samples=("one", "two"))
    held = learn_tokens(pipe, images, masks, pull=1e6, timesteps=(100,))
    assert list(learned) == ["car", "bus"]
    for label, other in (("car", "bus"), ("bus", "car")):
        about = learned[label].provenance
        assert (about.rivals, about.samples, about.timesteps) == ((other,), ("one", "two"), (100,))
        assert about.iou > held[label].provenance.iou + 0.1
        assert about.loss < 0.8 * held[label].provenance.loss
        read = learned[label].calibration
        assert read is not None and read.masks == 2 and read != held[label].calibration
        with_contrast = learned[label].contrasted
        assert with_contrast is not None and with_contrast.contrast != 0 == read.contrast
        assert learned[label].reading(True) == with_contrast and learned[label].reading(False) == read
    contest = TokenContest.of(embeddings(learned))
    with torch.no_grad(), AttentionTrace(pipe, attribution=contest, settings=PLAIN) as trace:
        denoise_once(pipe, encode(pipe, images, (128, 128)), ["a photo of a car and a bus"] * 2, (100,), 0)
    for heat, mask in zip((maps["car"] for maps in trace.maps()), (mask["car"] for mask in masks), strict=True):
        inside = mask[4::8, 4::8]
        assert heat[inside].mean() > heat[~inside].mean() + 0.1
    assert all(value.grad is None for value in pipe.unet.parameters())
    assert all(torch.equal(before[name], value) for name, value in pipe.unet.named_parameters())


def test_tokens_start_from_their_words(pipe: Any, scenes: list[Any]) -> None:
    image = scenes[0].image
    token = learn_token(pipe, [image], [halves(image)["car"]], "vehicle", phrases={"vehicle": ("car", "bus")}, pull=1e9)
    ids = pipe.tokenizer("a photo of a car").input_ids
    with torch.no_grad():
        states = pipe.encode_prompt(["a photo of a car"], "cpu", 1, False)[0][0]
    assert token.calibration is not None and token.calibration.masks == 1
    torch.testing.assert_close(token.embedding, states[[0, len(ids) - 2]], atol=1e-3, rtol=0)


def test_same_input_gives_the_same_token(pipe: Any, scenes: list[Any]) -> None:
    image = scenes[0].image
    one, two, other = (
        learn_token(pipe, [image, image[:90]], [halves(image)["car"], halves(image[:90])["car"]], "car", seed=seed)
        for seed in (0, 0, 1)
    )
    assert torch.equal(one.embedding, two.embedding) and one.provenance.loss == two.provenance.loss
    assert not torch.allclose(one.embedding, other.embedding, rtol=1e-3)


def test_wrong_input(pipe: Any, tokenizer: Any, scenes: list[Any]) -> None:
    image = scenes[0].image
    mask = halves(image)["car"]
    for images, masks, words in (
        ([], [], "0 masks were given for 0 images"),
        ([image], [], "0 masks were given for 1 images"),
        ([image], [{"car": mask[:50]}], "mask of 'car' in image 0 is bool"),
        ([image], [{"car": np.uint8(mask)}], "is uint8"),
        ([image], [{"car": mask & False}], "no mask of 'car' holds a pixel"),
        ([image], [{}], "name no class"),
        ([image[..., 0]], [{"car": mask}], "expected uint8"),
    ):
        with pytest.raises(LabelError, match=words):
            learn_tokens(pipe, images, masks)
    with pytest.raises(InvalidSetting, match="pull"):
        learn_tokens(pipe, [image], [{"car": mask}], pull=0)
    with pytest.raises(InvalidSetting, match="noise steps go from 0 to 999"):
        learn_tokens(pipe, [image], [{"car": mask}], timesteps=(1000,))
    with pytest.raises(ModelError, match="FluxPipeline needs more than a prompt"):
        learn_tokens(untrained_flux(tokenizer), [image], [{"car": mask}])
    with pytest.raises(InvalidSetting, match="start token and class token"):
        TokenContest.of({"car": torch.zeros(3, 32)})


def test_a_contest_reads_what_its_trace_is_set_to(pipe: Any, scenes: list[Any]) -> None:
    contest = TokenContest.of({"car": torch.ones(2, 32) * torch.tensor([[-1.0], [1.0]])})
    maps = []
    for settings in (PLAIN, PLAIN.changed(blocks=("down",)), PLAIN.changed(finest=2)):
        with torch.no_grad(), AttentionTrace(pipe, attribution=contest, settings=settings) as trace:
            denoise_once(pipe, encode(pipe, [scenes[0].image], (128, 128)), ["a car"], (100,), 0)
        maps.append(trace.maps()[0]["car"])
    assert maps[2].shape == (8, 8)
    assert not np.allclose(maps[0], maps[1])
