"""Outlines by Segment Anything models, which are untrained here: what is shown is that the parts fit together.

Which masks are taken, and from whom, is tested on arrays in ``test_refinement``.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import transformers
from huggingface_hub import constants
from numpy.typing import NDArray
from transformers import CLIPTextConfig, CLIPTextModel
from untrained_segmenters import SEGMENTERS

from diffucurate.generator.errors import LabelError, ModelError
from diffucurate.generator.labels import segment_anything
from diffucurate.generator.labels.model import Instance, Labels
from diffucurate.generator.labels.segment_anything import SamRefiner
from diffucurate.generator.models import names
from diffucurate.generator.models.names import downloaded_segmenters, locate_segmenter

Maps = dict[str, NDArray[np.float32]]
Example = tuple[NDArray[np.uint8], Labels, Maps]

KINDS = [
    pytest.param(kind, marks=pytest.mark.skipif(
        not hasattr(transformers, names.SEGMENTERS[kind][0]), reason="transformers is older than this model"
    ))
    for kind in SEGMENTERS
]  # fmt: skip


@pytest.fixture(scope="session")
def folder_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The folder of an untrained model of a kind, saved once."""
    made: dict[str, Path] = {}

    def folder(kind: str) -> Path:
        if kind not in made:
            made[kind] = SEGMENTERS[kind](tmp_path_factory.mktemp(kind))
        return made[kind]

    return folder


def example(shape: tuple[int, int], *, count: int = 2, seed: int = 0) -> Example:
    """An image of noise with ``count`` boxes as objects, the later the more confident, and maps of their classes."""
    height, width = shape
    rng = np.random.default_rng(seed)
    image = rng.integers(0, 256, (*shape, 3), np.uint8)
    instances = []
    for index in range(count):
        mask = np.zeros(shape, np.bool_)
        left = width * index // count
        mask[height // 4 : height * 3 // 4, left : left + max(2, width // count - 2)] = True
        instances.append(Instance(("car", "tree")[index % 2], mask, (index + 1) / (count + 1)))
    maps = {name: rng.random((16, 16), np.float32) for name in ("car", "tree")}
    return image, Labels.from_instances(instances, ("car", "tree"), shape), maps


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", [(64, 64), (90, 140), (50, 33)])
def test_masks_come_back_at_the_size_of_the_image(
    folder_of: Callable[[str], Path], kind: str, shape: tuple[int, int]
) -> None:
    image, labels, maps = example(shape)
    untouched = image.copy()
    found = SamRefiner(str(folder_of(kind)), "cpu", min_agreement=0).refine(image, labels, maps)
    assert any(thing.refined for thing in found.instances)
    assert {(thing.label, thing.confidence) for thing in found.instances} <= {
        (thing.label, thing.confidence) for thing in labels.instances
    }
    assert all(thing.mask.shape == shape for thing in found.instances)
    assert sum(thing.area for thing in found.instances) == np.count_nonzero(found.semantic)  # none on top of another
    assert np.array_equal(image, untouched)


@pytest.mark.parametrize("kind", KINDS)
def test_a_model_that_disagrees_changes_nothing(folder_of: Callable[[str], Path], kind: str) -> None:
    image, labels, maps = example((64, 96))
    assert SamRefiner(str(folder_of(kind)), "cpu", min_agreement=1).refine(image, labels, maps) is labels


@pytest.mark.parametrize("kind", ["sam", "sam2"])
def test_objects_do_not_depend_on_who_they_are_worked_on_with(
    folder_of: Callable[[str], Path], kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    image, labels, maps = example((48, 120), count=5)
    refiner = SamRefiner(str(folder_of(kind)), "cpu", min_agreement=0)
    together = refiner.refine(image, labels, maps)
    monkeypatch.setattr(segment_anything, "_AT_ONCE", 2)
    in_parts = refiner.refine(image, labels, maps)
    assert np.array_equal(together.semantic, in_parts.semantic)
    assert [thing.area for thing in together.instances] == [thing.area for thing in in_parts.instances]


@pytest.mark.parametrize("kind", ["sam", "sam2"])
def test_the_model_is_shown_box_points_and_image(
    folder_of: Callable[[str], Path], kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What reaches the model, in its own pixels: an image twice as wide as high is scaled, or stretched by SAM 2."""
    image, labels, maps = example((64, 128), count=1)
    refiner = SamRefiner(str(folder_of(kind)), "cpu", min_agreement=0)
    shown: dict[str, Any] = {}
    forward = refiner._model.forward
    monkeypatch.setattr(refiner._model, "forward", lambda **inputs: (shown.update(inputs), forward(**inputs))[1])
    refiner.refine(image, labels, maps)
    scale = np.array([0.5, 0.5]) if kind == "sam" else np.array([0.5, 1.0])  # x, y
    assert shown["input_boxes"][0].tolist() == [[0.0, 16 * scale[1], 126 * 0.5, 48 * scale[1]]]
    points = shown["input_points"][0, 0].numpy() / scale
    assert shown["input_labels"].tolist() == [[[1, 1, 1]]]
    assert all(labels.instances[0].mask[int(y), int(x)] for x, y in points)
    other = refiner.refine(image[:, ::-1].copy(), labels, maps)
    assert not np.array_equal(other.semantic, refiner.refine(image, labels, maps).semantic)


def test_nothing_found_needs_no_heatmaps(folder_of: Callable[[str], Path]) -> None:
    image, labels, _ = example((64, 64), count=0)
    assert SamRefiner(str(folder_of("sam")), "cpu").refine(image, labels, {}) is labels


def test_arrays_that_do_not_fit(folder_of: Callable[[str], Path]) -> None:
    refiner = SamRefiner(str(folder_of("sam")), "cpu")
    image, labels, maps = example((64, 96))
    for wrong, heat, words in (
        (image[:, :-1], maps, r"image is uint8 \(64, 95, 3\), expected uint8 \(64, 96, 3\)"),
        (image.astype(np.float32), maps, "image is float32"),
        (image, {"car": maps["car"]}, "no heatmap of tree"),
    ):
        with pytest.raises(LabelError, match=words):
            refiner.refine(wrong, labels, heat)  # type: ignore[arg-type]


# -- Models that cannot be had


def test_what_is_no_model_of_the_kind(folder_of: Callable[[str], Path], tmp_path: Path) -> None:
    empty, text, broken, pickled = (tmp_path / name for name in ("empty", "text", "broken", "pickled"))
    empty.mkdir()
    sizes = {"hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1}
    CLIPTextModel(
        CLIPTextConfig(vocab_size=9, bos_token_id=0, eos_token_id=1, pad_token_id=1, **sizes)
    ).save_pretrained(text)
    shutil.copytree(folder_of("sam"), broken)
    (broken / "model.safetensors").write_bytes(b"nothing of the kind")
    shutil.copytree(folder_of("sam"), pickled)
    (pickled / "model.safetensors").rename(pickled / "pytorch_model.bin")
    for model, words in (
        (empty, "holds no config.json"),
        (text, "is a model of type 'clip_text_model', which takes no boxes and points; use SAM, SAM 2 or"),
        (broken, "could not be loaded: tried the folder"),
        (pickled, r"could not be loaded: tried the folder .*\.safetensors weights"),
        (tmp_path / "sam_vit_b.pth", "is a pickle"),
        ("nonsense", "neither a folder that exists nor a hub id such as 'facebook/sam-vit-base'"),
    ):
        with pytest.raises(ModelError, match=words):
            SamRefiner(str(model), "cpu")


def test_without_a_network(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(
        ModelError, match=r"tried the local cache .* and huggingface.co .*; without a network, download"
    ):
        SamRefiner("nobody/has-this-model", "cpu")


def test_a_device_that_is_not_there(folder_of: Callable[[str], Path]) -> None:
    with pytest.raises(ModelError, match="device 'warp' is unknown"):
        SamRefiner(str(folder_of("sam")), "warp")


def test_downloaded_models_of_the_kind_are_found(
    folder_of: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, config in (
        ("facebook--sam-vit-base", (folder_of("sam") / "config.json").read_text()),
        ("facebook--sam2.1-hiera-tiny", json.dumps({"model_type": "sam2_video"})),
        ("openai--clip", json.dumps({"model_type": "clip"})),
        ("somebody--odd", "[1, 2"),
        ("somebody--list", "[]"),
    ):
        snapshot = tmp_path / f"models--{name}" / "snapshots" / "0"
        snapshot.mkdir(parents=True)
        (snapshot / "config.json").write_text(config)
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    assert downloaded_segmenters() == ["facebook/sam-vit-base", "facebook/sam2.1-hiera-tiny"]


def test_a_hub_id_is_told_from_a_folder(folder_of: Callable[[str], Path]) -> None:
    assert locate_segmenter("facebook/sam-vit-base") == ("hub", "facebook/sam-vit-base")
    assert locate_segmenter(str(folder_of("sam2"))) == ("folder", str(folder_of("sam2")))


def test_code_of_a_folder_is_not_run_and_weights_are_whole(
    folder_of: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from safetensors.torch import load_file, save_file

    folder, ran = tmp_path / "sam", tmp_path / "ran"
    shutil.copytree(folder_of("sam"), folder)
    monkeypatch.setattr("builtins.input", lambda *_: "y")
    (folder / "evil.py").write_text(f"import os\nos.makedirs({str(ran)!r})\n")
    for path in folder.glob("*.json"):
        content = json.loads(path.read_text())
        names = ("AutoConfig", "AutoModel", "AutoProcessor", "AutoImageProcessor")
        path.write_text(json.dumps({**content, "auto_map": {name: "evil.Evil" for name in names}}))
    SamRefiner(str(folder), "cpu")
    assert not ran.exists()
    tensors = load_file(folder / "model.safetensors")
    del tensors[max(tensors, key=lambda key: tensors[key].numel())]
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ModelError, match="its network do not fit: 1 are missing"):
        SamRefiner(str(folder), "cpu")
