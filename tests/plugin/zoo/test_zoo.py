"""Models of FiftyOne's zoo as a label source: real classes of FiftyOne, of a zoo that lists them on this machine."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fiftyone as fo
import numpy as np
import pytest
from untrained_grounding import save_owlv2

from diffucurate.generator.errors import InvalidSetting, ModelError
from diffucurate.generator.models.built_in import yolo_path
from diffucurate.plugin.cli import run
from diffucurate.plugin.labelling.label import label
from diffucurate.plugin.store.media_files import write_png
from diffucurate.plugin.zoo.models import check_zoo_model, zoo_models
from diffucurate.plugin.zoo.source import ZooSource

_TORCH = "fiftyone.utils.torch"


def _entry(name: str, kind: str, config: dict[str, Any], *tags: str, file: str | None = None) -> dict[str, Any]:
    made = {"base_name": name, "base_filename": file, "version": None, "tags": list(tags), "requirements": {}}
    made |= {"description": name, "default_deployment_config_dict": {"type": kind, "config": config}}
    if file is not None:
        made["manager"] = {"type": "fiftyone.core.models.ModelManager", "config": {"url": "http://localhost/none"}}
    return made


@pytest.fixture(scope="module")
def local_zoo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A zoo of the built-in YOLO, an untrained semantic segmenter and an untrained detector asked in words."""
    folder = tmp_path_factory.mktemp("zoo")
    shutil.copyfile(yolo_path(), folder / "drawn.pt")
    semantic = {
        "entrypoint_fcn": "torchvision.models.segmentation.lraspp_mobilenet_v3_large",
        "entrypoint_args": {"weights": None, "weights_backbone": None, "num_classes": 3},
        "output_processor_cls": f"{_TORCH}.SemanticSegmenterOutputProcessor",
        "labels_string": "background,car,tree",
        "image_min_dim": 64,
    }
    yolo = {
        "entrypoint_fcn": "ultralytics.YOLO",
        "entrypoint_args": {},
        "output_processor_cls": "fiftyone.utils.ultralytics.UltralyticsSegmentationOutputProcessor",
        "overrides": {"imgsz": 128},
    }
    words = {"name_or_path": str(save_owlv2(folder / "owlv2")), "confidence_thresh": 0.0}
    transformers = "fiftyone.utils.transformers.FiftyOneZeroShotTransformerForObjectDetection"
    models = [
        _entry("drawn-yolo", "fiftyone.utils.ultralytics.FiftyOneYOLOModel", yolo, "instances", file="drawn.pt"),
        _entry("untrained-lraspp", f"{_TORCH}.TorchImageModel", semantic, "segmentation"),
        _entry("untrained-words", transformers, words, "detection", "zero-shot"),
    ]
    (folder / "manifest.json").write_text(json.dumps({"models": models}))
    before = fo.config.model_zoo_manifest_paths, fo.config.model_zoo_dir
    fo.config.model_zoo_manifest_paths, fo.config.model_zoo_dir = [str(folder / "manifest.json")], str(folder)
    yield
    fo.config.model_zoo_manifest_paths, fo.config.model_zoo_dir = before


def test_usable_models_are_offered() -> None:
    names = zoo_models()
    assert {"mask-rcnn-resnet50-fpn-coco-torch", "yoloe11s-seg-torch", "deeplabv3-resnet50-coco-torch"} <= set(names)
    assert not {"clip-vit-base32-torch", "depth-anything-v2-small-torch", "resnet18-imagenet-torch"} & set(names)
    with pytest.raises(InvalidSetting, match="zoo_model: 'clip-vit-base32-torch' - it finds no objects"):
        check_zoo_model("clip-vit-base32-torch")
    with pytest.raises(InvalidSetting, match="FiftyOne's zoo has no such model"):
        check_zoo_model("https://github.com/someone/model")  # from where FiftyOne would run code


@pytest.mark.usefixtures("local_zoo")
def test_instances_are_those_of_the_same_weights_elsewhere(scenes: Any) -> None:
    pytest.importorskip("ultralytics")
    from diffucurate.generator.sources.yolov8_source import YoloSource

    images = [scene.image for scene in scenes[:3]]
    source = ZooSource("drawn-yolo", ["car", "vehicle"], {"bus": "vehicle"}, device="cpu")
    assert "tree" in source.unmapped and source.unseen == ()
    expected = YoloSource(["car", "vehicle"], class_map={"bus": "vehicle"}).label(images)
    found = source.label(images)
    assert sum(len(labels.instances) for labels in expected) > 0
    for ours, theirs in zip(found, expected, strict=True):
        assert [each.label for each in ours.instances] == [each.label for each in theirs.instances]
        for one, other in zip(ours.instances, theirs.instances, strict=True):
            union = (one.mask | other.mask).sum()
            assert (one.mask & other.mask).sum() / union > 0.9 and abs(one.confidence - other.confidence) < 0.02


@pytest.mark.usefixtures("local_zoo")
def test_a_semantic_mask_has_the_size_of_the_image_and_its_parts_are_instances() -> None:
    source = ZooSource("untrained-lraspp", ["car", "tree"])
    image = np.random.default_rng(0).integers(0, 255, (96, 160, 3), np.uint8)
    (labels,) = source.label([image])
    mask = source._model.predict(image).mask  # the same network, of which each part of a class is an object
    assert labels.semantic.shape == (96, 160) and {each.confidence for each in labels.instances} <= {1.0}
    assert set(np.unique(labels.semantic)) == set(np.unique(mask))


@pytest.mark.usefixtures("local_zoo")
def test_models_that_are_asked_in_words_get_all_phrases() -> None:
    source = ZooSource("untrained-words", ["car", "red bus"], min_confidence=0)
    assert source._model.classes == ["car", "red bus"] and (source.unseen, source.unmapped) == ((), ())
    image = np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)
    (labels,) = source.label([image])
    assert labels.instances and all(each.boxed for each in labels.instances)


@pytest.mark.usefixtures("local_zoo")
def test_a_dataset_is_labelled(dataset: fo.Dataset, scenes: Any, tmp_path: Path, capfd: Any) -> None:
    pytest.importorskip("ultralytics")
    path = write_png(tmp_path / "0.png", scenes[0].image)
    dataset.add_sample(fo.Sample(filepath=str(path)))
    label(dataset, source="zoo", zoo_model="drawn-yolo", classes=["car", "bus", "tree"])
    expected = dataset.values("zoo_instances.detections.label")
    command = ["label", dataset.name, "--source", "zoo", "--zoo-model", "drawn-yolo", "--into", "other"]
    assert run([*command, "--classes", "car,bus,tree"]) == 0
    assert dataset.values("other_instances.detections.label") == expected
    assert "instances found in 1 images by other" in capfd.readouterr().out


def test_what_cannot_be_loaded_is_said(local_zoo: None, tmp_path: Path, dataset: fo.Dataset, scenes: Any) -> None:
    with pytest.raises(ModelError, match="drawn-yolo knows none of zebra; it has"):
        ZooSource("drawn-yolo", ["zebra"])
    path = write_png(tmp_path / "0.png", scenes[0].image)
    dataset.add_sample(fo.Sample(filepath=str(path)))
    with pytest.raises(InvalidSetting, match="zoo_model: None - name the model, such as mask-rcnn"):
        label(dataset, source="zoo", classes=["car"])
