"""Trained models of transformers as sources of a dataset: in Python and on the command line."""

from __future__ import annotations

from pathlib import Path

import fiftyone as fo
import pytest
from untrained_grounding import save_owlv2
from untrained_segmenters import save_sam
from untrained_universal import save_eomt

from diffucurate.generator.errors import InvalidSetting
from diffucurate.generator.labels.settings import GroundingSettings, Mask2FormerSettings
from diffucurate.plugin.cli import run
from diffucurate.plugin.labelling.label import label
from diffucurate.plugin.store.media_files import write_png


@pytest.fixture
def photographs(dataset: fo.Dataset, scenes, tmp_path: Path) -> fo.Dataset:
    paths = [write_png(tmp_path / f"{index}.png", scene.image) for index, scene in enumerate(scenes[:2])]
    dataset.add_samples([fo.Sample(filepath=str(path)) for path in paths])
    return dataset


@pytest.fixture(scope="module")
def segmenter(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(save_eomt(tmp_path_factory.mktemp("models") / "eomt"))


def test_a_dataset_is_labelled_and_the_run_says_by_what(photographs: fo.Dataset, segmenter: str) -> None:
    settings = Mask2FormerSettings(min_confidence=0.1)
    label(photographs, source="mask2former", segmenter=segmenter, classes=["car", "dog", "tree"], settings=settings)
    assert photographs.count("mask2former_instances.detections") > 0
    assert set(photographs.distinct("mask2former_instances.detections.label")) <= {"car", "dog"}
    (key,) = photographs.list_runs()
    config = photographs.get_run_info(key).config
    assert config.settings["segmenter"] == segmenter and config.settings["settings"]["min_confidence"] == 0.1
    assert (config.facts["unseen"], config.facts["unmapped"]) == (["tree"], ["sedan", "traffic light"])


def test_without_a_model_nothing_is_done(photographs: fo.Dataset) -> None:
    with pytest.raises(InvalidSetting, match="segmenter: None - name the model, such as facebook/mask2former-swin"):
        label(photographs, source="mask2former", classes=["car"])
    assert photographs.list_runs() == []


def test_command_line(photographs: fo.Dataset, segmenter: str, capfd: pytest.CaptureFixture[str]) -> None:
    command = ["label", photographs.name, "--source", "mask2former", "--segmenter", segmenter, "--classes", "vehicle"]
    command += ["--class-map", "Car=vehicle,sedan=vehicle", "--min-confidence", "0.1", "--segmentation", "panoptic"]
    assert run([*command, "--batch-size", "2", "--device", "cpu"]) == 0
    assert "instances found in 2 images by mask2former" in capfd.readouterr().out
    assert photographs.distinct("mask2former_instances.detections.label") == ["vehicle"]
    assert run([*command[:4], "--segmenter", "nonsense"]) != 0
    assert "segmenter 'nonsense' is neither a folder that exists nor a hub id" in capfd.readouterr().err


def test_boxes_by_phrases_with_masks_by_another_model(photographs: fo.Dataset, tmp_path: Path) -> None:
    detector, sam = save_owlv2(tmp_path / "owlv2"), save_sam(tmp_path / "sam")
    settings = GroundingSettings(min_confidence=0.01)
    classes = {"vehicle": ["car", "bus"], "tree": ["tree"]}
    label(photographs, source="grounding", detector=detector, refiner=sam, classes=classes, settings=settings)
    found = photographs.count("grounding_instances.detections")
    assert found and set(photographs.distinct("grounding_instances.detections.label")) <= {"vehicle", "tree"}
    (key,) = photographs.list_runs()
    facts, refined = photographs.get_run_info(key).config.facts, "grounding_instances.detections.refined"
    assert facts["refined"] == photographs.values(refined, unwind=True).count(True)
    assert "unmapped" not in facts and "unseen" not in facts
