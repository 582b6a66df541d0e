"""Detectors that are asked for phrases as a source: untrained ones of the real classes, and the real processors with a
stand-in that finds what is red, whose boxes are known."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from untrained_grounding import DETECTORS
from untrained_segmenters import save_sam
from untrained_universal import save_eomt

from diffucurate.generator.errors import InvalidSetting, ModelError
from diffucurate.generator.labels.model import Instance, Labels
from diffucurate.generator.labels.refinement import box_overlap, drawn_in_boxes
from diffucurate.generator.labels.segment_anything import SamRefiner
from diffucurate.generator.labels.settings import GroundingSettings
from diffucurate.generator.sources import LabelRequest, registry
from diffucurate.generator.sources.grounding_source import GroundingSource
from diffucurate.generator.sources.spec import Workload

FolderOf = Callable[[str], Path]

CLASSES = {"vehicle": ("car", "fire_truck"), "dog": ("dog",)}

IMAGES = [np.random.default_rng(seed).integers(0, 256, (50 + 20 * seed, 90, 3), np.uint8) for seed in range(2)]


@pytest.fixture(scope="module")
def folder_of(tmp_path_factory: pytest.TempPathFactory) -> FolderOf:
    """The folder of an untrained model of a kind, saved once."""
    saved: dict[str, Path] = {}

    def folder(kind: str) -> Path:
        if kind not in saved:
            saved[kind] = DETECTORS[kind](tmp_path_factory.mktemp("models") / kind)
        return saved[kind]

    return folder


@pytest.mark.parametrize("kind", DETECTORS)
def test_boxes_are_those_of_the_librarys_own_post_processing(folder_of: FolderOf, kind: str) -> None:
    settings = GroundingSettings(min_confidence=0.3, max_overlap=1)
    source = GroundingSource({"dog": ["dog"], "car": ["car"]}, str(folder_of(kind)), device="cpu", settings=settings)
    for image, labels in zip(IMAGES, source.label(IMAGES), strict=True):
        ((_, inputs),) = source._prompt.inputs([image])
        with torch.inference_mode():
            outputs = source._model(**inputs)
            if kind == "grounding_dino":  # where the library counts the tokens between phrases: [CLS] dog . car . [SEP]
                outputs.logits[..., [0, 2, 4, 5]] = -torch.inf
        arguments = {"threshold": 0.3, "target_sizes": [image.shape[:2]]}
        (expected,) = source._processor.post_process_grounded_object_detection(outputs, **arguments)
        assert labels.semantic.shape == image.shape[:2] and labels.classes == ("dog", "car")
        # A box outside of the image is none of ours; the library's are not cut at its borders.
        limits = torch.tensor([90, image.shape[0]] * 2, dtype=torch.float32)
        boxes = expected["boxes"].clamp(min=torch.zeros(4), max=limits)
        keep = (boxes[:, 2] > boxes[:, 0]) & (boxes[:, 3] > boxes[:, 1])
        tight = torch.cat([boxes[keep, :2].floor(), boxes[keep, 2:].ceil()], -1).int().tolist()
        assert sorted(instance.box for instance in labels.instances) == sorted(map(tuple, tight)) and tight
        scores = sorted(expected["scores"][keep].tolist(), reverse=True)
        np.testing.assert_allclose([instance.confidence for instance in labels.instances], scores, atol=1e-5)


# -- Boxes that are known


class Reds:
    """In place of a network: one box around what is red in the input, as sure of each phrase as ``fits`` says of its
    words (of the first ones that are in it), and one box around everything that fits nothing."""

    def __init__(self, source: GroundingSource, fits: dict[str, float]) -> None:
        self.texts: list[str] = []
        self._fits, self._tokenizer = fits, source._processor.tokenizer

    def __call__(self, pixel_values: torch.Tensor, input_ids: torch.Tensor, **inputs: Any) -> Any:
        boxes = []
        for image in pixel_values:
            rows, columns = torch.nonzero(image[0] - image[1] > 1.2, as_tuple=True)
            height, width = image.shape[1:]
            edges = (columns.min() / width, (columns.max() + 1) / width, rows.min() / height, (rows.max() + 1) / height)
            left, right, top, bottom = map(float, edges)
            boxes.append([[(left + right) / 2, (top + bottom) / 2, right - left, bottom - top], [0.5, 0.5, 1, 1]])
        self.texts += [self._tokenizer.decode(ids, skip_special_tokens=True) for ids in input_ids]
        if "pixel_mask" in inputs:
            words = [self._tokenizer.decode([token]).strip() for token in input_ids[0]]
        else:
            words = self.texts[-len(input_ids) // len(pixel_values) :]
        chances = [next((fit for name, fit in self._fits.items() if name in word), 0.01) for word in words]
        logits = torch.tensor([chances, [0.01] * len(words)]).logit()
        return SimpleNamespace(logits=logits.expand(len(pixel_values), -1, -1), pred_boxes=torch.tensor(boxes))


def with_reds(source: GroundingSource, **fits: float) -> Reds:
    source._model = Reds(source, fits)  # type: ignore[assignment]
    return source._model  # type: ignore[return-value]


def red_box(shape: tuple[int, int]) -> tuple[NDArray[np.uint8], tuple[int, int, int, int]]:
    """An image with a red box on grey, and the box: (left, top, right, bottom)."""
    image, box = np.full((*shape, 3), 128, np.uint8), (shape[1] // 4, shape[0] // 2, shape[1] // 2, shape[0] * 3 // 4)
    image[box[1] : box[3], box[0] : box[2]] = (255, 0, 0)
    return image, box


@pytest.mark.parametrize("shape", [(128, 128), (100, 180), (200, 90)])
@pytest.mark.parametrize("kind", DETECTORS)
def test_boxes_lie_where_the_object_is_and_fill_it(folder_of: FolderOf, kind: str, shape: tuple[int, int]) -> None:
    image, box = red_box(shape)
    source = GroundingSource(CLASSES, str(folder_of(kind)), device="cpu")
    with_reds(source, dog=0.8)
    (labels,) = source.label([image])
    (dog,) = labels.instances
    assert (dog.label, dog.refined) == ("dog", False) and dog.confidence == pytest.approx(0.8, abs=1e-4)
    assert box_overlap(dog.box, box) > 0.85
    assert dog.area == (dog.box[2] - dog.box[0]) * (dog.box[3] - dog.box[1])  # the whole of it
    assert np.array_equal(labels.semantic == 2, dog.mask)


@pytest.mark.parametrize("kind", DETECTORS)
def test_phrases_of_several_words_are_asked_for_and_mean_their_class(folder_of: FolderOf, kind: str) -> None:
    image, _ = red_box((64, 64))
    source = GroundingSource(CLASSES, str(folder_of(kind)), device="cpu")
    reds = with_reds(source, fire=0.9, truck=0.7, dog=0.75)
    ((vehicle,),) = [each.instances for each in source.label([image])]
    assert vehicle.label == "vehicle"
    # OWL's answer is one number, Grounding DINO's one for each word.
    assert vehicle.confidence == pytest.approx(0.8 if kind == "grounding_dino" else 0.9, abs=1e-4)
    asked = ["car. fire truck. dog."] if kind == "grounding_dino" else [
        "a photo of a car", "a photo of a fire truck", "a photo of a dog",
    ]  # fmt: skip
    assert [text.replace(" ", "") for text in reds.texts] == [text.replace(" ", "") for text in asked]
    with_reds(source, fire=0.9, truck=0.5, dog=0.75)
    assert source.label([image])[0].instances[0].label == ("dog" if kind == "grounding_dino" else "vehicle")


def test_more_phrases_than_a_text_holds_are_asked_for_in_several(folder_of: FolderOf) -> None:
    image, _ = red_box((64, 64))
    classes = {f"class {index}": ("traffic light " * 3,) for index in range(6)} | {"dog": ("dog",)}
    source = GroundingSource(classes, str(folder_of("grounding_dino")), device="cpu")
    reds = with_reds(source, dog=0.8)
    (labels,) = source.label([image])
    assert len(reds.texts) == 3 and [instance.label for instance in labels.instances] == ["dog"]
    for wrong in ("car " * 30, ". ?"):
        with pytest.raises(InvalidSetting, match=r"classes: .* use a phrase of words, of at most the 24 tokens"):
            GroundingSource({"odd": (wrong,)}, str(folder_of("grounding_dino")), device="cpu")
    # An unknown word is one too.
    odd = GroundingSource({"odd": ("zzz",), "dog": ("dog",)}, str(folder_of("grounding_dino")), device="cpu")
    with_reds(odd, dog=0.8)
    assert [instance.label for instance in odd.label([image])[0].instances] == ["dog"]


def test_of_two_boxes_on_one_place_the_more_certain_one_stays(folder_of: FolderOf) -> None:
    image, _ = red_box((64, 64))

    def labelled(max_overlap: float, min_confidence: float = 0.25) -> list[str]:
        settings = GroundingSettings(max_overlap=max_overlap, min_confidence=min_confidence)
        source = GroundingSource(CLASSES, str(folder_of("owlvit")), device="cpu", settings=settings)
        reds = with_reds(source, dog=0.8, car=0.5)

        def twice(**inputs: Any) -> Any:
            outputs = reds(**inputs)
            less = outputs.logits[:, :1].clone() - 1
            other = less.clone()
            other[..., 2] = -9  # the same box again: once a little less of a dog, once a car
            return SimpleNamespace(
                logits=torch.cat([other, less, outputs.logits], 1),
                pred_boxes=torch.cat([outputs.pred_boxes[:, :1]] * 2 + [outputs.pred_boxes], 1),
            )

        source._model = twice  # type: ignore[assignment]
        return [instance.label for instance in source.label([image])[0].instances]

    assert labelled(1.0) == ["dog", "dog", "vehicle"]
    assert labelled(0.9) == ["dog", "vehicle"]
    assert labelled(0.9, 0.5) == ["dog"]


# -- Masks by Segment Anything


def test_a_segment_anything_model_draws_what_is_in_the_boxes(folder_of: FolderOf, tmp_path: Path) -> None:
    image, box = red_box((80, 120))
    sam = str(save_sam(tmp_path / "sam"))
    source = GroundingSource(CLASSES, str(folder_of("owlv2")), sam, device="cpu")
    with_reds(source, dog=0.8)
    refiner, shown = source._refiner, dict[str, Any]()
    assert isinstance(refiner, SamRefiner)
    forward = refiner._model.forward

    def like_the_box(**inputs: Any) -> Any:
        shown.update(inputs)
        outputs = forward(**inputs)
        left, top, right, bottom = (inputs["input_boxes"][0, 0] / 64 * outputs.pred_masks.shape[-1]).round().int()
        outputs.pred_masks[:] = -9
        outputs.pred_masks[0, 0, 1, top:bottom, left:right] = 9
        outputs.pred_masks[0, 0, 1, top : top + 3, left : left + 3] = -9  # but for a corner
        outputs.pred_masks[0, 0, 2] = 9
        return outputs

    refiner._model.forward = like_the_box
    (labels,) = source.label([image])
    (dog,) = labels.instances
    assert dog.refined and dog.confidence == pytest.approx(0.8, abs=1e-4)
    assert shown.keys() == {"image_embeddings", "input_boxes", "multimask_output"}
    assert box_overlap(dog.box, box) > 0.8 and dog.area < (dog.box[2] - dog.box[0]) * (dog.box[3] - dog.box[1])
    assert np.array_equal(labels.semantic == 2, dog.mask)


def test_a_mask_that_is_something_else_leaves_the_whole_box() -> None:
    whole = np.zeros((20, 20), np.bool_)
    whole[4:12, 4:12] = True
    disc, part = whole.copy(), np.zeros_like(whole)
    disc[4:6, 4:6] = disc[10:12, 10:12] = False
    part[4:6, 4:6] = True
    labels = Labels.from_instances([Instance("car", whole, 0.5)], ("car",), whole.shape)

    def drawn(*masks: NDArray[np.bool_]) -> Instance:
        return drawn_in_boxes(labels, [np.stack(masks)], 0.5).instances[0]

    assert np.array_equal(drawn(part, disc, np.ones_like(whole)).mask, disc) and drawn(disc).refined
    assert np.array_equal(drawn(part, np.zeros_like(whole)).mask, whole) and not drawn(part).refined
    assert drawn(disc).confidence == 0.5
    assert box_overlap((0, 0, 2, 2), (1, 0, 3, 2)) == pytest.approx(1 / 3)
    assert box_overlap((0, 0, 2, 2), (2, 0, 3, 2)) == box_overlap((0, 0, 0, 0), (0, 0, 0, 0)) == 0


# -- What cannot be, and what is said


def test_what_is_no_model_of_the_kind(tmp_path: Path) -> None:
    for model, words in (
        (
            save_eomt(tmp_path / "eomt"),
            r"is a EomtFor.*, which finds no boxes by phrases; use one such as IDEA-Research/g",
        ),
        (save_sam(tmp_path / "sam"), "is a SamModel, which finds no boxes by phrases"),
        ("nonsense", "detector 'nonsense' is neither a folder that exists nor a hub id such as 'IDEA-Research/gro"),
    ):
        with pytest.raises(ModelError, match=words):
            GroundingSource(CLASSES, str(model), device="cpu")


def test_the_source_needs_a_model_and_says_what_masks_are(folder_of: FolderOf) -> None:
    spec, folder = registry.source_named("grounding"), str(folder_of("owlvit"))
    with pytest.raises(InvalidSetting, match="detector: None - name the model, such as IDEA-Research/gro"):
        spec.check({}, None)
    with pytest.raises(ModelError, match="refiner 'nonsense' is neither a folder"):
        spec.check({"detector": folder, "refiner": "nonsense"}, None)
    spec.check({"detector": folder}, GroundingSettings())
    assert spec.what_happens(Workload(1, 0, {"detector": folder})) == (
        "1 image is looked at by Phrase grounding; masks are whole boxes, since no outline refiner is named."
    )
    assert spec.what_happens(Workload(2, 0, {"refiner": "a/sam"})).endswith(
        "Phrase grounding; 'a/sam' draws the masks."
    )
    labeller = spec.load(LabelRequest(CLASSES, GroundingSettings(min_confidence=0), {"detector": folder}, "cpu"))
    results = dict(labeller.results([SimpleNamespace(pixels=image) for image in IMAGES]))  # type: ignore[misc]
    assert results[0].labels.classes == ("vehicle", "dog") and (labeller.unseen, labeller.unmapped) == ((), ())
