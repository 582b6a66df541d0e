"""Labels of photographs and of painted images by a rectified-flow transformer: by words, and by concepts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from untrained import untrained_flux, untrained_pipeline, untrained_sd3

from diffucurate.generator.attention.families.presets import preset_of
from diffucurate.generator.errors import InvalidSetting, ModelError
from diffucurate.generator.labels.settings import LabelSettings
from diffucurate.generator.models.load import load_pipeline, release_models
from diffucurate.generator.sources.attention import SPEC, WAYS
from diffucurate.generator.sources.attention_source import AttentionSource
from diffucurate.generator.sources.protocol import LabelRequest
from diffucurate.generator.tiny import real_scenes

CLASSES = {"car": ["car", "sedan"], "bus": ["bus"], "umbrella": ["umbrella"]}


@pytest.fixture(scope="module")
def model(tokenizer: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    path: Path = tmp_path_factory.mktemp("flux")
    untrained_flux(tokenizer, singles=3).save_pretrained(path)
    load_pipeline(str(path), "cpu").default_sample_size = 16  # 128 px, not the 1,024 of a real one
    yield str(path)
    release_models()


@pytest.fixture(scope="module")
def images(model: str) -> list[np.ndarray]:
    """Two as if from cameras, and one that the model painted."""
    scenes = [scene.image for scene in real_scenes(2, seed=5)]
    sizes = [(128, 128), (90, 41)]
    photographs = [np.asarray(Image.fromarray(image).resize(size)) for image, size in zip(scenes, sizes, strict=True)]
    pipe = load_pipeline(model, "cpu")
    painted = pipe("a bus", num_inference_steps=1, height=64, width=96, output_type="np", max_sequence_length=30)
    return [*photographs, (painted.images[0] * 255).astype(np.uint8)]


@pytest.mark.parametrize("by", ["words", "concepts"])
def test_labels(model: str, images: list[np.ndarray], by: Any) -> None:
    source = AttentionSource(CLASSES, model, "cpu", by=by)
    prompts = ["a red car", None, "a bus by a tree"]
    maps = source.heatmaps(images, prompts)
    assert [list(each) for each in maps] == [["car"], ["car", "bus", "umbrella"], ["bus"]]
    assert [next(iter(each.values())).shape for each in maps] == [(8, 8), (5, 12), (7, 10)]
    for each in maps:
        for heat in each.values():
            assert heat.dtype == np.float32 and np.isfinite(heat).all() and heat.min() >= 0 and heat.max() <= 1
            assert np.ptp(heat) > 1e-3
    labels = source.label(images, prompts)
    assert [each.semantic.shape for each in labels] == [image.shape[:2] for image in images]
    again = source.heatmaps(images[1:2])
    assert all(np.array_equal(again[0][label], heat) for label, heat in maps[1].items())
    assert source.heatmaps(images[:1], ["a tree"]) == [{}]


def test_one_pass_at_the_noise_that_is_published(model: str, images: list[np.ndarray]) -> None:
    assert preset_of(load_pipeline(model, "cpu")).pass_at == 0.15
    maps, own = (
        AttentionSource(CLASSES, model, "cpu", by="concepts", timesteps=steps).heatmaps(images[:1], ["a car and a bus"])
        for steps in (None, [150])
    )
    for label, heat in own[0].items():
        assert np.array_equal(maps[0][label], heat)


def test_stable_diffusion_3(tokenizer: Any, images: list[np.ndarray], tmp_path: Path) -> None:
    untrained_sd3(tokenizer).save_pretrained(tmp_path)
    for by in WAYS:
        maps = AttentionSource(CLASSES, str(tmp_path), "cpu", by=by).heatmaps(images[1:2], ["a bus and a car"])
        own = AttentionSource(CLASSES, str(tmp_path), "cpu", by=by, timesteps=[150], seed=0)
        assert list(maps[0]) == ["car", "bus"]
        for label, heat in own.heatmaps(images[1:2], ["a bus and a car"])[0].items():
            assert heat.shape == maps[0][label].shape == (5, 12)
            assert np.array_equal(maps[0][label], heat) and np.ptp(heat) > 1e-5
        assert list(own.heatmaps(images[1:2])[0]) == ["car", "bus", "umbrella"]


def test_wrong_input(model: str, images: list[np.ndarray], tokenizer: Any, tmp_path: Path) -> None:
    with pytest.raises(InvalidSetting, match="by: 'concepts' - concepts go neither"):
        AttentionSource(CLASSES, model, "cpu", by="concepts", contrast=True)
    with pytest.raises(InvalidSetting, match="contrast"):
        AttentionSource(CLASSES, model, "cpu", contrast=True).label(images[:1])
    with pytest.raises(InvalidSetting, match="two concepts"):
        AttentionSource({"car": ["car"]}, model, "cpu", by="concepts", background=()).label(images[:1])
    untrained_pipeline(tokenizer).save_pretrained(tmp_path)
    with pytest.raises(ModelError, match="StableDiffusionPipeline reads words without changing them"):
        AttentionSource(CLASSES, str(tmp_path), "cpu", by="concepts").label(images[:1])


class Photograph:
    """An image that keeps maps which a Flux model would not have to look for."""

    def __init__(self, pixels: np.ndarray) -> None:
        self.pixels, self.prompt = pixels, None

    def kept_maps(self) -> dict[str, np.ndarray]:
        return {label: np.ones((4, 4), np.float32) for label in CLASSES}

    def maps_model(self) -> str:
        raise AssertionError("who made the kept maps does not matter where concepts are to look")


def test_the_registered_source_looks_by_concepts(model: str, images: list[np.ndarray]) -> None:
    options = {"model": model, "by": "concepts", "background": ["road", "sky"]}
    labeller = SPEC.load(LabelRequest(CLASSES, LabelSettings(), options, "cpu"))
    ((_, result),) = labeller.results([Photograph(images[0])])
    assert result.heatmaps is not None
    (expected,) = AttentionSource(CLASSES, model, "cpu", by="concepts", background=["road", "sky"]).heatmaps(images[:1])
    assert result.heatmaps.keys() == expected.keys()
    for label, heat in expected.items():
        np.testing.assert_allclose(result.heatmaps[label], heat, atol=1e-3 * heat.max())  # kept in half precision


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"by": "concepts"}, r"by: 'concepts' - name the model .*\(model\)"),
        ({"model": "any", "background": ["sky"]}, "background: .*only concepts have one"),
    ],
)
def test_what_does_not_go_together(options: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidSetting, match=words):
        SPEC.load(LabelRequest(CLASSES, LabelSettings(), options))


def test_the_form_and_the_command_line_refuse_another_way() -> None:
    check = next(option.check for option in SPEC.options if option.name == "by")
    assert check is not None and check("words") is None
    with pytest.raises(InvalidSetting, match="by: 'nouns' - use one of: words, concepts"):
        check("nouns")
