"""SAM 3 as a source: an untrained model of the real class, with the masks of the library's own post-processing."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from untrained_grounding import save_owlvit
from untrained_sam3 import save_sam3

from diffucurate.generator.errors import InvalidSetting, ModelError
from diffucurate.generator.labels.settings import Sam3Settings
from diffucurate.generator.models.label_models import CONCEPT_SEGMENTERS
from diffucurate.generator.sources import LabelRequest, registry
from diffucurate.generator.sources.sam3_source import Sam3Source

IMAGES = [np.random.default_rng(seed).integers(0, 256, (50 + 20 * seed, 90, 3), np.uint8) for seed in range(2)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_sam3(tmp_path_factory.mktemp("models") / "sam3")


def test_masks_are_those_of_the_librarys_own_post_processing(folder: Path) -> None:
    settings = Sam3Settings(min_confidence=0.25, max_overlap=1)
    source = Sam3Source({"dog": ["dog"], "car": ["fire_truck"]}, str(folder), device="cpu", settings=settings)
    for image, labels in zip(IMAGES, source.label(IMAGES), strict=True):
        expected = []
        for text, name in (("dog", "dog"), ("fire truck", "car")):
            inputs = source._processor(images=image, text=text, return_tensors="pt")
            keys = ("pixel_values", "input_ids", "attention_mask")
            with torch.inference_mode():
                outputs = source._model(**{key: inputs[key] for key in keys})
            arguments = {"threshold": 0.25, "target_sizes": [image.shape[:2]]}
            (result,) = source._processor.post_process_instance_segmentation(outputs, **arguments)
            masks, scores = result["masks"].bool().numpy(), result["scores"].tolist()
            expected += [(score, name, mask.sum()) for mask, score in zip(masks, scores, strict=True) if mask.any()]
        assert labels.semantic.shape == image.shape[:2] and labels.classes == ("dog", "car")
        found = [(each.confidence, each.label, each.area) for each in labels.instances]
        assert [each[1:] for each in sorted(found)] == [each[1:] for each in sorted(expected)] and found
        np.testing.assert_allclose(sorted(each[0] for each in found), sorted(each[0] for each in expected), atol=1e-5)
        assert [each[0] for each in found] == sorted((each[0] for each in found), reverse=True)


def test_phrases_of_a_class_find_an_object_once(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the model's answer known: two phrases find one bar, one finds another object beside it."""
    source = Sam3Source({"vehicle": ["car", "bus"], "dog": ["dog"]}, str(folder), device="cpu")
    left, right = torch.zeros(2, 20, 40, dtype=torch.long)
    left[:, :10], right[:, 20:] = 1, 1
    answers = iter([([left], [0.6]), ([left, right], [0.9, 0.5]), ([left], [0.4])])

    def answer(outputs: Any, threshold: float, target_sizes: list[tuple[int, int]]) -> list[dict[str, Any]]:
        assert (threshold, target_sizes) == (0.3, [(20, 40)])
        masks, scores = next(answers)
        return [{"masks": torch.stack(masks), "scores": torch.tensor(scores)}]

    monkeypatch.setattr(source._processor, "post_process_instance_segmentation", answer)
    (labels,) = source.label([np.zeros((20, 40, 3), np.uint8)])
    assert [(each.label, each.box) for each in labels.instances] == [
        ("vehicle", (0, 0, 10, 20)),
        ("vehicle", (20, 0, 40, 20)),
        ("dog", (0, 0, 10, 20)),
    ]
    assert (labels.semantic[0, 0], labels.semantic[0, 30]) == (1, 1)


def test_it_goes_by_its_name(folder: Path) -> None:
    spec = registry.source_named("sam3")
    spec.check({"segmenter": str(folder)}, None)
    request = LabelRequest({"dog": ("dog",)}, spec.make_settings({}), {"segmenter": str(folder)}, device="cpu")
    results = dict(spec.load(request).results([SimpleNamespace(pixels=image) for image in IMAGES]))  # type: ignore[misc]
    assert [results[index].labels.classes for index in range(2)] == [("dog",)] * 2
    with pytest.raises(InvalidSetting, match=r"segmenter: None - name the model, such as facebook/sam3"):
        spec.check({}, None)


def test_other_models_and_long_phrases_are_one_sentence(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="is a OwlViTForObjectDetection, which finds no masks by phrases"):
        Sam3Source({"dog": ["dog"]}, str(save_owlvit(tmp_path / "owl")), device="cpu")
    with pytest.raises(InvalidSetting, match="of at most the 32 tokens"):
        Sam3Source({"dog": ["dog " * 40]}, str(folder), device="cpu")
    # As Meta publishes it, the image model is a part of the video model.
    assert CONCEPT_SEGMENTERS.architecture("x", {"architectures": ["Sam3VideoModel"]}) == "Sam3Model"
