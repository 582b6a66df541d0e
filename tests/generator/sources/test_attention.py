"""Labels from attention, of images the model never painted."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from untrained import untrained_pixart

from diffucurate.generator.attention.class_tokens.token_training import learn_token, learn_tokens
from diffucurate.generator.attention.settings import BUILT_IN, TraceSettings
from diffucurate.generator.errors import InvalidSetting, LabelError, ModelError
from diffucurate.generator.labels.model import Labels
from diffucurate.generator.labels.settings import LabelSettings
from diffucurate.generator.models.load import load_pipeline, release_models
from diffucurate.generator.sources import LabelSource
from diffucurate.generator.sources.attention_source import AttentionSource, class_prompts, working_size
from diffucurate.generator.tiny import real_scenes

CLASSES = {"car": ["car", "sedan"], "bus": ["bus"], "umbrella": ["umbrella"]}


@pytest.fixture(scope="module")
def model(make_pipe: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    path: Path = tmp_path_factory.mktemp("model")
    make_pipe().save_pretrained(path)
    yield str(path)
    release_models()


@pytest.fixture(scope="module")
def images() -> list[np.ndarray]:
    """Three scenes as if from different cameras: square, wide and small, tall and large."""
    scenes = [scene.image for scene in real_scenes(3, seed=5)]
    sizes = [(128, 128), (90, 41), (301, 520)]
    return [np.asarray(Image.fromarray(image).resize(size)) for image, size in zip(scenes, sizes, strict=True)]


def test_images_of_any_size(model: str, images: list[np.ndarray]) -> None:
    source = AttentionSource(CLASSES, model, "cpu")
    prompts = ["a red car", None, "a tree"]
    labels, heatmaps = source.label(images, prompts), source.heatmaps(images, prompts)
    assert all(isinstance(each, Labels) for each in labels)
    assert [each.semantic.shape for each in labels] == [image.shape[:2] for image in images]
    assert all(each.classes == ("car", "bus", "umbrella") for each in labels)
    # The prompt's classes; all classes where there is no prompt; none where the prompt names none.
    assert [list(maps) for maps in heatmaps] == [["car"], ["car", "bus", "umbrella"], []]
    assert labels[2].instances == ()
    assert heatmaps[0]["car"].shape == (16, 16)
    assert heatmaps[1]["car"].shape == (10, 24)


def test_deterministic_and_independent_of_the_batch(model: str, images: list[np.ndarray]) -> None:
    pair, prompts = [images[0], images[0][::-1]], ["a car", None]
    together = AttentionSource(CLASSES, model, "cpu").heatmaps(pair, prompts)
    alone = AttentionSource(CLASSES, model, "cpu", batch_size=1).heatmaps(pair, prompts)
    for maps, others in zip(together, alone, strict=True):
        for label in maps:
            np.testing.assert_allclose(maps[label], others[label], rtol=1e-3)
    other_seed = AttentionSource(CLASSES, model, "cpu", seed=1).heatmaps(pair, prompts)
    assert not np.allclose(alone[0]["car"], other_seed[0]["car"], rtol=1e-3)


def test_fewer_images_at_once_when_memory_runs_out(model: str, images: list[np.ndarray]) -> None:
    release_models()  # another one that is kept would be given up first
    pipe: Any = load_pipeline(model, "cpu")
    seen: list[int] = []

    def limit(module: Any, args: tuple[Any, ...]) -> None:
        seen.append(args[0].shape[0])
        if args[0].shape[0] > 2:
            raise torch.OutOfMemoryError("CUDA out of memory")

    four, prompts = [images[0], images[0][::-1]] * 2, ["a car"] * 4
    expected = AttentionSource(CLASSES, model, "cpu", contrast=False, batch_size=2).heatmaps(four, prompts)
    handle = pipe.unet.register_forward_pre_hook(limit)
    try:
        found = AttentionSource(CLASSES, model, "cpu", contrast=False).heatmaps(four, prompts)
    finally:
        handle.remove()
    assert seen == [4, *[2] * 6]  # two batches, of three passes each
    assert all(np.array_equal(maps["car"], other["car"]) for maps, other in zip(found, expected, strict=True))
    release_models()


def test_timesteps_are_averaged_whatever_noise_the_trace_is_set_to(model: str, images: list[np.ndarray]) -> None:
    def look(*timesteps: int) -> np.ndarray:
        trace = TraceSettings(noise=(0.9, 1.0))
        source = AttentionSource(CLASSES, model, "cpu", trace=trace, timesteps=timesteps)
        return source.heatmaps(images[:1], ["a car"])[0]["car"]

    assert not np.allclose(look(100), look(700), rtol=1e-3)
    # Only the first pass has the same noise in both runs, so the mean cannot equal it by accident.
    assert not np.allclose(look(100, 700), look(100), rtol=1e-3)


def test_from_maps_loads_no_model(images: list[np.ndarray]) -> None:
    heat = np.zeros((16, 16), np.float32)
    heat[4:10, 4:12] = 1
    truth = np.kron(heat, np.ones((4, 4))) > 0
    image = np.where(truth[..., None], (200, 40, 30), (90, 90, 90)).astype(np.uint8)
    labels = AttentionSource(CLASSES, "no/such-model").from_maps({"bus": heat}, image)
    (instance,) = labels.instances
    assert instance.label == "bus"
    assert (instance.mask & truth).sum() / (instance.mask | truth).sum() > 0.8


def test_two_that_a_prompt_names_and_that_touch_are_told_apart() -> None:
    scenes = real_scenes(158, seed=502)
    scenes = [scenes[48], scenes[157]]  # two buses, two houses
    classes = {"bus": ["bus"], "house": ["house"]}
    images, captions = [scene.image for scene in scenes], [scene.caption for scene in scenes]

    def found(settings: LabelSettings) -> list[int]:
        labels = AttentionSource(classes, device="cpu", settings=settings).label(images, captions)
        return [len(each.instances) for each in labels]

    assert found(LabelSettings()) == [2, 2]
    assert sum(found(LabelSettings(counted=False))) < 4


def test_class_prompts(pipe: Any) -> None:
    assert class_prompts(CLASSES, pipe.tokenizer) == ["a photo of a car, a bus and an umbrella"]
    assert class_prompts({"bus": ["bus"]}, pipe.tokenizer) == ["a photo of a bus"]
    many = {f"{word} {k}": [f"{word} {k}"] for word in ("car", "bus", "tree") for k in range(9)}
    prompts = class_prompts(many, pipe.tokenizer)
    assert len(prompts) > 1
    assert all(len(pipe.tokenizer(prompt).input_ids) <= 40 for prompt in prompts)
    assert [name for prompt in prompts for name in many if name in prompt] == list(many)


def test_more_classes_than_a_prompt_holds(model: str, images: list[np.ndarray]) -> None:
    many = {f"{word} {k}": [f"{word} {k}"] for word in ("car", "bus", "tree") for k in range(9)}
    (maps,) = AttentionSource(many, model, "cpu").heatmaps(images[:1])
    assert list(maps) == list(many)


@pytest.mark.parametrize(
    ("width", "height", "expected"),
    [(128, 128, (128, 128)), (4000, 4000, (128, 128)), (640, 480, (144, 112)), (1, 99, (16, 1280))],
)
def test_working_size(pipe: Any, width: int, height: int, expected: tuple[int, int]) -> None:
    size = working_size(pipe, width, height)
    assert size == expected
    assert all(side % 16 == 0 for side in size)


def test_wrong_input(model: str, images: list[np.ndarray]) -> None:
    source = AttentionSource(CLASSES, model, "cpu")
    with pytest.raises(LabelError, match="2 prompts were given for 3 images"):
        source.label(images, ["a car", None])
    with pytest.raises(LabelError, match=r"image 1 is uint8 \(41, 90\)"):
        source.label([images[0], images[1][..., 0]])
    with pytest.raises(InvalidSetting, match="noise steps go from 0 to 999"):
        AttentionSource(CLASSES, model, "cpu", timesteps=[1000]).label(images)
    with pytest.raises(InvalidSetting, match="classes"):
        AttentionSource({"car": []})
    with pytest.raises(InvalidSetting, match="timesteps"):
        AttentionSource(CLASSES, timesteps=[])


def test_models_that_need_more_than_a_prompt(model: str, images: list[np.ndarray]) -> None:
    pipe = load_pipeline(model, "cpu")
    pipe.unet.register_to_config(in_channels=9)  # as inpainting models have
    try:
        with pytest.raises(ModelError, match="needs more than a prompt"):
            AttentionSource(CLASSES, model, "cpu").label(images)
    finally:
        pipe.unet.register_to_config(in_channels=4)


def test_models_without_a_unet(images: list[np.ndarray], tmp_path: Path) -> None:
    untrained_pixart().save_pretrained(tmp_path)
    with pytest.raises(ModelError, match="PixArtAlphaPipeline needs more than a prompt"):
        AttentionSource(CLASSES, str(tmp_path), "cpu").label(images)


def test_no_images(model: str) -> None:
    assert AttentionSource(CLASSES, model, "cpu").label([]) == []


def test_a_source_of_ones_own() -> None:
    class Everything:
        name = "everything"

        def label(self, images: Any, **options: Any) -> list[Labels]:
            return [Labels(np.ones(image.shape[:2], np.uint8), (), ("thing",)) for image in images]

    source: LabelSource = Everything()
    assert source.label([np.zeros((2, 3, 3), np.uint8)])[0].semantic.shape == (2, 3)


def test_tokens_find_their_classes_where_the_prompt_names_them(model: str, images: list[np.ndarray]) -> None:
    upper = [np.arange(image.shape[0])[:, None] + np.zeros(image.shape[:2]) < image.shape[0] / 2 for image in images]
    tokens = learn_tokens(load_pipeline(model, "cpu"), images, [{"bus": mask, "car": ~mask} for mask in upper])
    prompts = ["a red car", None, "a car and an umbrella"]
    by_words = AttentionSource(CLASSES, model, "cpu", trace=BUILT_IN).heatmaps(images, prompts)
    source = AttentionSource(CLASSES, model, "cpu", tokens=tokens)
    found = source.heatmaps(images, prompts)
    assert [list(maps) for maps in found] == [list(maps) for maps in by_words]
    assert [list(maps) for maps in found] == [["car"], ["car", "bus", "umbrella"], ["car", "umbrella"]]
    for maps, others in zip(found, by_words, strict=True):
        for label in maps:
            same = np.allclose(maps[label], others[label], rtol=1e-5)
            assert same == (label == "umbrella")  # which words find alone
    alone = AttentionSource(CLASSES, model, "cpu", tokens=tokens, batch_size=1).heatmaps(images, prompts)
    np.testing.assert_allclose(alone[1]["car"], found[1]["car"], rtol=1e-3)
    assert (source.settings.edges, source.calibrated) == ("network", ())
    assert found[0]["car"].max() <= 1  # the mean of two maps with a peak of 1 each
    learned = AttentionSource(CLASSES, model, "cpu", LabelSettings(cut="learned"), tokens=tokens)
    assert (learned.settings.edges, learned.calibrated) == ("filter", ("bus", "car"))
    assert not np.allclose(learned.heatmaps(images[:1], prompts[:1])[0]["car"], found[0]["car"])
    only = AttentionSource({"car": ["car"], "bus": ["bus"]}, model, "cpu", tokens=tokens).heatmaps(images[:1])
    assert list(only[0]) == ["car", "bus"]


def test_tokens_where_the_classes_need_several_prompts(model: str, images: list[np.ndarray]) -> None:
    many = {f"{word} {k}": [f"{word} {k}"] for word in ("car", "bus", "tree") for k in range(9)}
    tokens = learn_tokens(load_pipeline(model, "cpu"), images[:1], [{"car 0": images[0][..., 0] > 128}])
    (plain,), (found,) = (
        AttentionSource(many, model, "cpu", trace=BUILT_IN, tokens=own).heatmaps(images[:1]) for own in ({}, tokens)
    )
    assert [name for name in many if not np.allclose(plain[name], found[name], rtol=1e-4)] == ["car 0"]
    assert list(found) == list(many)


def test_tokens_by_name(model: str, images: list[np.ndarray], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DIFFUCURATE_TOKENS_DIR", str(tmp_path))
    pipe = load_pipeline(model, "cpu")
    token = learn_token(pipe, images[:1], [images[0][..., 0] > 128], "car")
    token.save(tmp_path / "my car.safetensors")
    named, given = (AttentionSource(CLASSES, model, "cpu", tokens={"car": car}) for car in ("my car", token))
    assert np.array_equal(*(source.heatmaps(images[:1], ["a car"])[0]["car"] for source in (named, given)))
    with pytest.raises(InvalidSetting, match="there are: my car"):
        AttentionSource(CLASSES, model, tokens={"car": "your car"})
    with pytest.raises(InvalidSetting, match=r"tokens: 'tree' - it is none of the classes \(car, bus, umbrella\)"):
        AttentionSource(CLASSES, model, tokens={"tree": token})
    with pytest.raises(ModelError, match="whose layers are not those"):
        AttentionSource(CLASSES, "tiny", "cpu", tokens={"car": token}).label(images[:1])
