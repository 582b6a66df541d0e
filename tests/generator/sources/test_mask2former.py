"""Segmenters of transformers as a source: untrained ones of the real classes, and the real processors with a stand-in
that finds what is red, whose masks are known."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from transformers import CLIPVisionConfig, CLIPVisionModel
from untrained_segmenters import save_sam
from untrained_universal import NAMES, UNIVERSAL, save_eomt

from diffucurate.generator.errors import InvalidSetting, ModelError
from diffucurate.generator.labels.refinement import overlap
from diffucurate.generator.labels.settings import Mask2FormerSettings
from diffucurate.generator.models.label_models import SEGMENTERS
from diffucurate.generator.sources import LabelRequest, registry
from diffucurate.generator.sources.mask2former_source import Mask2FormerSource

FolderOf = Callable[[str], Path]

IMAGES = [np.random.default_rng(seed).integers(0, 256, (50 + 20 * seed, 90, 3), np.uint8) for seed in range(2)]

SAVED = {**UNIVERSAL, "eomt_semantic": partial(save_eomt, semantic=True)}


@pytest.fixture(scope="module")
def folder_of(tmp_path_factory: pytest.TempPathFactory) -> FolderOf:
    """The folder of an untrained model of a kind, saved once."""
    saved: dict[str, Path] = {}

    def folder(kind: str) -> Path:
        if kind not in saved:
            saved[kind] = SAVED[kind](tmp_path_factory.mktemp("models") / kind)
        return saved[kind]

    return folder


def everything(**settings: Any) -> Mask2FormerSettings:
    return Mask2FormerSettings(**{"min_confidence": 0, "min_area": 0, "max_overlap": 1, **settings})


@pytest.mark.parametrize("kind", SAVED)
def test_labels_have_the_images_own_size_and_the_classes_asked_for(folder_of: FolderOf, kind: str) -> None:
    untouched = [image.copy() for image in IMAGES]
    source = Mask2FormerSource(NAMES, str(folder_of(kind)), device="cpu", settings=everything())
    labels = source.label(IMAGES)
    assert [each.semantic.shape for each in labels] == [image.shape[:2] for image in IMAGES]
    assert all(each.classes == tuple(NAMES) and each.instances for each in labels)
    assert all(np.array_equal(image, before) for image, before in zip(IMAGES, untouched, strict=True))
    assert (source.unseen, source.unmapped) == ((), ())
    # What an image is labelled as depends on no other.
    (alone,) = source.label(IMAGES[1:])
    assert np.array_equal(alone.semantic, labels[1].semantic)


def test_classes_are_matched_mapped_and_those_left_out_are_listed(folder_of: FolderOf) -> None:
    folder = str(folder_of("eomt"))

    def found(classes: list[str], class_map: dict[str, str]) -> list[str]:
        source = Mask2FormerSource(classes, folder, class_map, "cpu", everything())
        return sorted(instance.label for instance in source.label(IMAGES[:1])[0].instances)

    each = {name: len(found([name], {})) for name in NAMES}
    assert len(found(NAMES, {})) == sum(each.values()) > max(each.values())
    assert found(["vehicle"], dict.fromkeys(NAMES[:3], "vehicle")) == ["vehicle"] * (
        sum(each.values()) - each[NAMES[3]]
    )
    source = Mask2FormerSource(["cars", "tree", "traffic_light"], folder, device="cpu")
    assert (source.unseen, source.unmapped) == (("tree",), ("sedan", "dog"))
    with pytest.raises(ModelError, match="knows none of tree; it has Car, sedan, dog, traffic light: name a class_map"):
        Mask2FormerSource(["tree"], folder, device="cpu")


def test_objects_are_those_of_the_librarys_own_post_processing(folder_of: FolderOf) -> None:
    """EoMT's, which cuts masks at the size of the image too."""
    source = Mask2FormerSource(NAMES, str(folder_of("eomt")), device="cpu", settings=everything(min_confidence=0.3))
    for image, labels in zip(IMAGES, source.label(IMAGES), strict=True):
        inputs = source._processor(images=image, return_tensors="pt")
        with torch.inference_mode():
            outputs = source._model(pixel_values=inputs["pixel_values"])
        (expected,) = source._processor.post_process_instance_segmentation(
            outputs, target_sizes=[image.shape[:2]], threshold=0.3
        )
        wanted = sorted((NAMES[part["label_id"]], part["score"]) for part in expected["segments_info"])
        ours = sorted((instance.label, instance.confidence) for instance in labels.instances)
        assert [name for name, _ in ours] == [name for name, _ in wanted] and len(ours) > 1
        np.testing.assert_allclose([score for _, score in ours], [score for _, score in wanted], atol=1e-4)
        covered = expected["segmentation"].numpy() >= 0
        assert np.array_equal(np.any([instance.mask for instance in labels.instances], axis=0), covered)


def test_classes_of_pixels_are_those_of_the_librarys_own_post_processing(folder_of: FolderOf) -> None:
    source = Mask2FormerSource(NAMES, str(folder_of("eomt_semantic")), device="cpu", settings=everything())
    with torch.no_grad():
        source._model.class_predictor.weight.mul_(3)
        source._model.mask_head.fc3.weight.mul_(30)  # so that pixels differ
    seen = set()
    for image, labels in zip(IMAGES, source.label(IMAGES), strict=True):
        inputs = source._processor(images=image, return_tensors="pt")
        offsets = inputs["patch_offsets"]
        assert len(offsets) > 1
        with torch.inference_mode():
            outputs = source._model(pixel_values=inputs["pixel_values"], patch_offsets=offsets)
        (expected,) = source._processor.post_process_semantic_segmentation(outputs, target_sizes=[image.shape[:2]])
        assert np.array_equal(labels.semantic, 1 + expected.numpy())
        seen |= set(np.unique(expected.numpy()))
    assert len(seen) > 1


def test_pixels_of_segformer_are_of_the_most_probable_class(folder_of: FolderOf) -> None:
    source = Mask2FormerSource(NAMES, str(folder_of("segformer")), device="cpu", settings=everything())
    for image, labels in zip(IMAGES, source.label(IMAGES), strict=True):
        inputs = source._processor(images=image, return_tensors="pt")
        with torch.inference_mode():
            outputs = source._model(**inputs)
        (expected,) = source._processor.post_process_semantic_segmentation(outputs, target_sizes=[image.shape[:2]])
        # The library enlarges logits before they are probabilities, which moves borders by less than a pixel.
        assert np.mean(labels.semantic == 1 + expected.numpy()) > 0.98
        assert len(np.unique(labels.semantic)) > 2
        assert all(0.25 <= instance.confidence < 1 for instance in labels.instances)  # the highest of four


# -- Masks that are known


class Reds:
    """In place of a network of a kind: one query is sure of a car where the input is red, one of a dog elsewhere."""

    def __init__(self, kind: str, confidence: float = 0.9) -> None:
        self.batches: list[int] = []
        self.tasks: list[list[int]] = []
        chances = torch.full((2, len(NAMES) + 1), (1 - confidence) / len(NAMES))
        chances[0, 0] = chances[1, 2] = confidence
        self._kind, self._chances = kind, chances

    def __call__(self, pixel_values: torch.Tensor, **inputs: torch.Tensor) -> Any:
        count = len(pixel_values)
        self.batches.append(count)
        self.tasks += inputs.get("task_inputs", torch.empty(0, 1)).tolist()
        red = torch.nn.functional.avg_pool2d(pixel_values[:, :1] - pixel_values[:, 1:2], 2)
        masks = torch.cat([red - 1.2, 1.2 - red], 1) * 20
        if self._kind.startswith("RfDetr"):
            return SimpleNamespace(logits=self._chances.logit().expand(count, -1, -1), pred_masks=masks)
        if self._kind.startswith("Segformer"):
            pixels = torch.where(red[:, 0, ..., None] > 1.2, self._chances[0, :-1], self._chances[1, :-1])
            return SimpleNamespace(logits=pixels.log().permute(0, 3, 1, 2))
        return SimpleNamespace(
            class_queries_logits=self._chances.log().expand(count, -1, -1), masks_queries_logits=masks
        )


def with_reds(source: Mask2FormerSource) -> Reds:
    source._model = Reds(type(source._model).__name__)  # type: ignore[assignment]
    return source._model  # type: ignore[return-value]


def boxes(shape: tuple[int, int], *corners: tuple[int, int, int, int]) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """An image with red boxes (top, bottom, left, right) on grey, and their mask."""
    image, mask = np.full((*shape, 3), 128, np.uint8), np.zeros(shape, np.bool_)
    for top, bottom, left, right in corners:
        mask[top:bottom, left:right] = True
    image[mask] = (255, 0, 0)
    return image, mask


@pytest.mark.parametrize("shape", [(128, 128), (100, 180), (200, 90)])
@pytest.mark.parametrize("kind", SAVED)
def test_masks_lie_where_the_object_is_whatever_the_padding(
    folder_of: FolderOf, kind: str, shape: tuple[int, int]
) -> None:
    corner = (shape[0] // 2, shape[0], shape[1] // 3, shape[1])
    image, mask = boxes(shape, corner)
    source = Mask2FormerSource(["car", "dog"], str(folder_of(kind)), device="cpu")
    with_reds(source)
    (labels,) = source.label([image])
    (car,) = [instance for instance in labels.instances if instance.label == "car"]
    assert overlap(car.mask, mask) > 0.93
    assert car.confidence == pytest.approx(0.9, abs=0.05)
    assert np.array_equal(labels.semantic == 1, car.mask)


def test_parts_of_a_class_are_objects_of_a_semantic_model_only(folder_of: FolderOf) -> None:
    image, _ = boxes((128, 128), (10, 60, 10, 60), (80, 120, 70, 120), (20, 32, 96, 108))

    def cars(settings: Mask2FormerSettings) -> int:
        source = Mask2FormerSource(["car"], str(folder_of("maskformer")), device="cpu", settings=settings)
        with_reds(source)
        return len(source.label([image])[0].instances)

    assert cars(Mask2FormerSettings()) == cars(Mask2FormerSettings(segmentation="panoptic")) == 1
    assert cars(Mask2FormerSettings(segmentation="semantic")) == 3
    assert cars(Mask2FormerSettings(segmentation="semantic", min_area=0.02)) == 2
    assert cars(Mask2FormerSettings(segmentation="semantic", min_confidence=0.95)) == 0
    assert cars(Mask2FormerSettings(min_confidence=0.95)) == cars(Mask2FormerSettings(min_area=0.5)) == 0


def test_of_two_objects_on_one_place_the_more_certain_one_stays(folder_of: FolderOf) -> None:
    image, _ = boxes((64, 64), (10, 50, 10, 50))

    def labelled(max_overlap: float) -> list[float]:
        settings = Mask2FormerSettings(max_overlap=max_overlap, min_confidence=0.1)
        source = Mask2FormerSource(["car"], str(folder_of("maskformer")), device="cpu", settings=settings)
        reds = with_reds(source)

        def twice(**inputs: Any) -> Any:
            outputs = reds(**inputs)
            less = outputs.class_queries_logits.clone()
            less[:, 0, 0] -= 1
            outputs.class_queries_logits = torch.cat([less, outputs.class_queries_logits], 1)
            outputs.masks_queries_logits = outputs.masks_queries_logits.repeat(1, 2, 1, 1)
            return outputs

        source._model = twice  # type: ignore[assignment]
        return [instance.confidence for instance in source.label([image])[0].instances]

    both = labelled(1.0)
    assert len(both) == 2 and both[0] > both[1]
    assert labelled(0.9) == both[:1]


@pytest.mark.parametrize(
    ("kind", "name", "asked", "expected"),
    [
        ("maskformer", "maskformer-ade-semantic", "auto", "semantic"),
        ("maskformer", "maskformer_coco_panoptic_640", "auto", "panoptic"),
        ("maskformer", "semantics", "auto", "instance"),
        ("maskformer", "maskformer-ade-semantic", "instance", "instance"),
        ("eomt_semantic", "eomt", "auto", "semantic"),
        ("segformer", "segformer", "auto", "semantic"),
    ],
)
def test_what_a_model_was_made_for_is_told_by_its_name(
    folder_of: FolderOf, tmp_path: Path, kind: str, name: str, asked: Any, expected: str
) -> None:
    (tmp_path / name).symlink_to(folder_of(kind))
    settings = Mask2FormerSettings(segmentation=asked)
    source = Mask2FormerSource(["car"], str(tmp_path / name), device="cpu", settings=settings)
    assert source._segmentation == expected


def test_oneformer_is_told_the_task_by_a_sentence(folder_of: FolderOf) -> None:
    told = []
    for segmentation in ("instance", "semantic"):
        settings = everything(segmentation=segmentation)
        source = Mask2FormerSource(["car"], str(folder_of("oneformer")), device="cpu", settings=settings)
        reds = with_reds(source)
        source.label(IMAGES)
        assert len(reds.tasks) == 2 and reds.tasks[0] == reds.tasks[1]
        tokens = [token for token in reds.tasks[0] if token]
        told.append(source._processor.tokenizer.decode(tokens, skip_special_tokens=True).replace(" ", ""))
    assert told == ["thetaskisinstance", "thetaskissemantic"]


# -- Batches and devices


def test_images_of_one_size_share_a_batch_and_memory_makes_it_smaller(
    folder_of: FolderOf, caplog: pytest.LogCaptureFixture
) -> None:
    source = Mask2FormerSource(["car"], str(folder_of("maskformer")), device="cpu", batch_size=3)
    reds = with_reds(source)
    images = [IMAGES[0], IMAGES[1], *[IMAGES[0]] * 3]
    expected = source.label(images)
    assert reds.batches == [3, 1, 1] and source.label([]) == []

    def full(most: int) -> Callable[..., Any]:
        def model(pixel_values: torch.Tensor, **inputs: Any) -> Any:
            if len(pixel_values) > most:
                raise torch.OutOfMemoryError("out of memory")
            return reds(pixel_values, **inputs)

        return model

    source._model = full(1)  # type: ignore[assignment]
    labels = source.label(images)
    assert [each.semantic.tolist() for each in labels] == [each.semantic.tolist() for each in expected]
    assert "memory ran out at 3 images" in caplog.text
    source._model = full(0)  # type: ignore[assignment]
    with pytest.raises(
        ModelError, match=r"memory ran out while '.*' looked at one image of 90 x 50 pixels; use a smal"
    ):
        source.label(images)


# -- Models that cannot be had


def test_what_is_no_model_of_the_kind(folder_of: FolderOf, tmp_path: Path) -> None:
    sam = save_sam(tmp_path / "sam")
    sizes = {"hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1}
    CLIPVisionModel(CLIPVisionConfig(image_size=32, patch_size=16, **sizes)).save_pretrained(tmp_path / "clip")
    diffusion = tmp_path / "diffusion"
    diffusion.mkdir()
    (diffusion / "model_index.json").write_text("{}")
    nameless, broken = tmp_path / "nameless", tmp_path / "broken"
    nameless.mkdir()
    (nameless / "config.json").write_text(json.dumps({"model_type": "mask2former"}))
    shutil.copytree(folder_of("eomt"), broken)
    (broken / "model.safetensors").write_bytes(b"nothing of the kind")
    for model, words in (
        (sam, r"is a SamModel, which finds no masks of classes; use one such as facebook/mask2former-swin-tiny-coco-i"),
        (tmp_path / "clip", "is a CLIPVisionModel, which finds no masks of classes"),
        (nameless, "is of type 'mask2former', which finds no masks of classes"),
        (diffusion, "holds no config.json of a model; give a folder that transformers saved a model to"),
        (broken, r"could not be loaded: tried the folder .*; save model and processor there"),
        (tmp_path / "model.pth", "is a pickle"),
        ("nonsense", "segmenter 'nonsense' is neither a folder that exists nor a hub id such as 'facebook/mask2former"),
    ):
        with pytest.raises(ModelError, match=words) as caught:
            Mask2FormerSource(["car"], str(model), device="cpu")
        assert "\n" not in str(caught.value)
    for kind in ("eomt_semantic", "segformer"):
        with pytest.raises(InvalidSetting, match=r"settings\.segmentation: 'instance' - '.*' tells no objects apart"):
            Mask2FormerSource(["car"], str(folder_of(kind)), settings=everything(segmentation="instance"))
    with pytest.raises(ModelError, match="device 'warp' is unknown"):
        Mask2FormerSource(["car"], str(folder_of("eomt")), device="warp")


def test_code_of_a_folder_is_not_run_and_weights_are_whole(
    folder_of: FolderOf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from safetensors.torch import load_file, save_file

    folder, ran = tmp_path / "model", tmp_path / "ran"
    shutil.copytree(folder_of("eomt"), folder)
    monkeypatch.setattr("builtins.input", lambda *_: "y")
    (folder / "evil.py").write_text(f"import os\nos.makedirs({str(ran)!r})\n")
    for path in folder.glob("*.json"):
        content = json.loads(path.read_text())
        names = ("AutoConfig", "AutoModel", "AutoProcessor", "AutoImageProcessor")
        path.write_text(json.dumps({**content, "auto_map": {name: "evil.Evil" for name in names}}))
    Mask2FormerSource(["car"], str(folder), device="cpu")
    assert not ran.exists()
    tensors = load_file(folder / "model.safetensors")
    del tensors["class_predictor.weight"]
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ModelError, match="its network do not fit: 1 are missing or of another shape, such as 'class_"):
        Mask2FormerSource(["car"], str(folder), device="cpu")


def test_the_source_needs_a_model_and_offers_those_that_are_there(
    folder_of: FolderOf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = registry.source_named("mask2former")
    with pytest.raises(
        InvalidSetting,
        match="segmenter: None - name the model, such as facebook/mask2former-swin-tiny-coco-instance or",
    ):
        spec.check({}, None)
    spec.check({"segmenter": str(folder_of("eomt")), "class_map": ["sedan=car"]}, None)
    with pytest.raises(InvalidSetting, match="class_map: 'sedan' - give the model's class and yours"):
        spec.check({"segmenter": str(folder_of("eomt")), "class_map": ["sedan"]}, None)
    for name, kind in (("facebook--mine", "mask2former"), ("openai--clip", None)):
        snapshot = tmp_path / f"models--{name}" / "snapshots" / "0"
        snapshot.mkdir(parents=True)
        config = (folder_of(kind) / "config.json").read_text() if kind else json.dumps({"architectures": ["CLIPModel"]})
        (snapshot / "config.json").write_text(config)
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    assert SEGMENTERS.downloaded() == ["facebook/mine"]


def test_it_labels_classes_by_their_phrases(folder_of: FolderOf) -> None:
    spec, classes = registry.source_named("mask2former"), {"vehicle": ("sedan", "Car"), "tree": ("oak",)}
    options = {"segmenter": str(folder_of("eomt")), "class_map": ["dog=oak"]}
    labeller = spec.load(LabelRequest(classes, everything(), options, "cpu"))
    results = dict(labeller.results([SimpleNamespace(pixels=image) for image in IMAGES]))  # type: ignore[misc]
    assert results[0].labels.classes == ("vehicle", "tree")
    assert {instance.label for result in results.values() for instance in result.labels.instances} == {
        "vehicle",
        "tree",
    }
    assert (labeller.unseen, labeller.unmapped) == ((), ("traffic light",))
