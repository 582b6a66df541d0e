"""The YOLOv8 source, with an untrained model of the real architecture: all the plumbing, none of the skill."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch

from diffucurate.generator.errors import InvalidSetting, ModelError
from diffucurate.generator.models.built_in import rare_yolo_path, yolo_path
from diffucurate.generator.sources.yolov8_checkpoint import check_checkpoint
from diffucurate.generator.sources.yolov8_source import YoloSource, prepare_ultralytics

pytestmark = pytest.mark.skipif(importlib.util.find_spec("ultralytics") is None, reason="an optional extra")

NAMES = ["car", "sedan", "dog", "tree"]


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    prepare_ultralytics()
    import yaml
    from ultralytics import YOLO
    from ultralytics.utils import ROOT

    folder = tmp_path_factory.mktemp("weights")
    config = yaml.safe_load((ROOT / "cfg/models/v8/yolov8-seg.yaml").read_text())
    (folder / "yolov8n-seg.yaml").write_text(yaml.safe_dump({**config, "nc": len(NAMES)}))
    torch.manual_seed(0)
    model = YOLO(folder / "yolov8n-seg.yaml")
    model.model.names = dict(enumerate(NAMES))
    for level, branch in enumerate(model.model.model[-1].cv3):  # each of its three grids guesses another class
        torch.nn.init.constant_(branch[-1].bias, -3.0)
        branch[-1].bias.data[level] = 0.0
    model.ckpt = {"train_args": {"imgsz": 64}}
    model.save(folder / "random.pt")
    return folder / "random.pt"


IMAGES = [np.random.default_rng(seed).integers(0, 256, (48, 64 - 16 * seed, 3), np.uint8) for seed in range(3)]


def test_labels_have_the_images_own_size_and_the_recipes_classes(weights: Path) -> None:
    source = YoloSource(["dog", "car"], weights, {"sedan": "car"}, device="cpu", min_confidence=0.0)
    labels = source.label(IMAGES, batch_size=2)
    assert [label.semantic.shape for label in labels] == [image.shape[:2] for image in IMAGES]
    assert all(label.classes == ("dog", "car") for label in labels)
    found = [instance for label in labels for instance in label.instances]
    assert {instance.label for instance in found} == {"dog", "car"}
    assert all(0 <= instance.confidence <= 1 for instance in found)
    top = max(labels[0].instances, key=lambda instance: instance.confidence)
    assert (labels[0].semantic[top.mask] == 1 + ["dog", "car"].index(top.label)).all()


def test_classes_that_nobody_wants_are_dropped_and_mapped_ones_counted_in(weights: Path) -> None:
    def count(classes: list[str], class_map: dict[str, str]) -> int:
        return len(YoloSource(classes, weights, class_map, "cpu", 0.0).label(IMAGES[:1])[0].instances)

    plain = {name: count([name], {}) for name in NAMES}
    assert sum(plain.values()) > max(plain.values()) > 0
    assert count(["car"], {"sedan": "car"}) == plain["car"] + plain["sedan"]


def test_nothing_above_the_confidence_is_legal(weights: Path) -> None:
    (label,) = YoloSource(["car"], weights, device="cpu", min_confidence=1.0).label(IMAGES[:1])
    assert label.instances == () and not label.semantic.any()
    assert YoloSource(["car"], weights, device="cpu").label([]) == []


def test_images_are_given_as_red_green_blue(weights: Path) -> None:
    from ultralytics import YOLO

    source = YoloSource(["car"], weights, device="cpu", min_confidence=0.0)
    (ours,) = source.label(IMAGES[:1])
    reference = YOLO(weights).predict(IMAGES[0][..., ::-1], conf=0.0, retina_masks=True, device="cpu", verbose=False)[0]
    cars = (reference.boxes.cls == 0).nonzero().flatten()[: len(ours.instances)]
    np.testing.assert_allclose(
        [instance.confidence for instance in ours.instances], reference.boxes.conf[cars].numpy(), rtol=1e-4
    )


def test_the_process_is_left_as_it_was(weights: Path) -> None:
    script = f"""
import os, sys, torch
import cv2                                   # sets variables of its own
torch.set_num_threads(3)
before = dict(os.environ)
from diffucurate.generator.models.built_in import rare_yolo_path, yolo_path
from diffucurate.generator.sources.yolov8_checkpoint import check_checkpoint
from diffucurate.generator.sources.yolov8_source import YoloSource
assert "ultralytics" not in sys.modules
import numpy as np
source = YoloSource(["car"], {str(weights)!r}, device="cpu")
source.label([np.zeros((32, 32, 3), np.uint8)])
changed = {{name for name in before.keys() | os.environ.keys() if before.get(name) != os.environ.get(name)}}
assert not any(name.startswith(("YOLO", "ULTRALYTICS", "OMP", "NUMEXPR", "TF_")) for name in changed), changed
assert torch.get_num_threads() == 3, torch.get_num_threads()
from ultralytics.utils import AUTOINSTALL, ONLINE, USER_CONFIG_DIR
print(ONLINE, AUTOINSTALL, USER_CONFIG_DIR, (USER_CONFIG_DIR / "Arial.ttf").exists(), sep="|")
"""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("YOLO", "OMP"))}
    environment["XDG_CACHE_HOME"] = str(weights.parent / "cache")
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, env=environment, cwd=weights.parent, check=False
    )
    assert done.returncode == 0, done.stderr
    expected = weights.parent / "cache" / "diffucurate" / "Ultralytics"
    assert done.stdout.splitlines()[-1] == f"False|False|{expected}|True"


def test_a_missing_ultralytics_is_named(monkeypatch: pytest.MonkeyPatch, weights: Path) -> None:
    monkeypatch.delitem(sys.modules, "ultralytics")
    find_spec = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "ultralytics" else find_spec(name))
    with pytest.raises(ModelError, match=r"pip install 'diffucurate\[yolo\]'"):
        YoloSource(["car"], weights)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"weights": "yolov8n-seg.pt"}, ModelError, "yolov8n-seg.pt is not there"),
        ({"weights": __file__}, ModelError, "not a .pt file"),
        ({"classes": ["cat"]}, ModelError, "knows none of cat; it has car, sedan, dog, tree"),
        ({"class_map": {"lorry": "car"}}, InvalidSetting, "class_map: 'lorry' - random.pt has the classes car, sedan"),
        ({"class_map": {"sedan": "bus"}}, InvalidSetting, "class_map.sedan: 'bus' - use one of car"),
        ({"min_confidence": 25}, InvalidSetting, "settings.min_confidence: 25 - it must be from 0 to 1"),
    ],
)
def test_what_cannot_be_is_said_plainly(
    weights: Path, arguments: dict[str, object], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        YoloSource(**{"classes": ["car"], "weights": weights, **arguments})  # type: ignore[arg-type]


def test_a_file_that_is_no_checkpoint_is_refused(tmp_path: Path) -> None:
    (tmp_path / "broken.pt").write_bytes(b"not a checkpoint")
    with pytest.raises(ModelError, match=r"broken\.pt cannot be loaded"):
        YoloSource(["car"], tmp_path / "broken.pt")


@pytest.mark.parametrize("ours_first", [True, False], ids=["fresh process", "after Ultralytics was used"])
def test_a_checkpoint_cannot_run_code(weights: Path, tmp_path: Path, ours_first: bool) -> None:
    """In the App another plugin may have imported Ultralytics, without asking it for its restricted loader."""

    class Trap:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return os.mkdir, (str(tmp_path / "ran"),)

    torch.save({"model": Trap()}, tmp_path / "trap.pt")
    script = f"""
import sys
from pathlib import Path
if not {ours_first}:
    from ultralytics import YOLO
    YOLO({str(weights)!r})
from diffucurate.generator.errors import ModelError
from diffucurate.generator.models.built_in import rare_yolo_path, yolo_path
from diffucurate.generator.sources.yolov8_checkpoint import check_checkpoint
from diffucurate.generator.sources.yolov8_source import YoloSource
try:
    YoloSource(["car"], {str(tmp_path / "trap.pt")!r})
except ModelError as error:
    print(error)
print(YoloSource(["car"], {str(weights)!r}, device="cpu").classes)
if {ours_first}:
    from ultralytics import YOLO
assert not Path({str(tmp_path / "ran")!r}).exists()
try:
    YoloSource(["car"], {str(tmp_path / "trap.pt")!r}, trust_pickle=True)
except ModelError as error:
    print(error)
"""
    environment = {name: value for name, value in os.environ.items() if name != "ULTRALYTICS_SAFE_LOAD"}
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    refusal = "trap.pt cannot be loaded safely: reading it names 'posix.mkdir', which no YOLO checkpoint needs; where"
    assert refusal in done.stdout and "('car',)" in done.stdout
    # Trusted, it runs, where Ultralytics has not been told to be careful.
    assert (tmp_path / "ran").is_dir() is not ours_first


def saved_pickle(path: Path, content: bytes) -> Path:
    """A checkpoint as torch.save writes it, with another pickle in it."""
    torch.save({"model": 1}, path)
    with zipfile.ZipFile(path) as archive:
        records = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, record in records.items():
            archive.writestr(name, content if name.endswith("/data.pkl") else record)
    return path


_CALL = b"(V1\ntR"  # with the text "1"


@pytest.mark.parametrize(
    ("content", "does"),
    [
        (b"cos\nsystem\n" + _CALL + b".", "names 'os.system'"),
        (b"\x80\x04\x8c\x02os\x8c\x06system\x93" + _CALL + b".", "names 'os.system'"),
        (b"(V1\nios\nsystem\n.", "makes objects as only very old programs do"),
        (b"(cos\nsystem\nV1\no.", "names 'os.system'"),
        (b"c__builtin__\neval\n" + _CALL + b".", "names 'builtins.eval'"),
        (b"cbuiltins\ngetattr\n(ctorch.nn.modules.conv\nConv2d\nV__init__\ntR.", "takes the attribute '__init__'"),
        # Constructors of known classes run code too: networks evaluate their configuration.
        (b"cultralytics.nn.tasks\nSegmentationModel\n" + _CALL + b".", "calls ultralytics.nn.tasks.Segmentation"),
        (b"cultralytics.nn.autobackend\nAutoBackend\n" + _CALL + b".", "names 'ultralytics.nn.autobackend.AutoBackend"),
        (b"cultralytics.nn.tasks\ntorch_safe_load\n" + _CALL + b".", "names 'ultralytics.nn.tasks.torch_safe_load"),
        (b"ccollections\nOrderedDict\n)R" + _CALL + b".", "calls something that it built"),
        (b"ctorch.nn.modules.conv\nConv2d\n}V__init__\nV1\nsb.", "changes something that it did not make"),
        (b"\x82\x01.", "names something by a number"),
    ],
)
def test_what_a_checkpoint_may_do_is_listed(tmp_path: Path, content: bytes, does: str) -> None:
    with pytest.raises(ModelError, match=re.escape(f"cannot be loaded safely: reading it {does}")):
        check_checkpoint(saved_pickle(tmp_path / "trap.pt", content))


@pytest.mark.parametrize("content", [b"", b".", b"N", b"\x80\x09.", b"(" * 9, b"\x00\xff", b"cbuiltins\ngetattr\n)R."])
def test_broken_pickles_are_said_to_be_that(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(ModelError, match="its content is broken"):
        check_checkpoint(saved_pickle(tmp_path / "broken.pt", content))


def test_scripts_and_old_formats_are_refused(tmp_path: Path) -> None:
    torch.jit.save(torch.jit.script(torch.nn.Linear(1, 1)), tmp_path / "script.pt")
    torch.save({"model": 1}, tmp_path / "old.pt", _use_new_zipfile_serialization=False)
    for name, message in (("script.pt", "is an exported TorchScript"), ("old.pt", "cannot be loaded as a YOLO")):
        with pytest.raises(ModelError, match=message):
            check_checkpoint(tmp_path / name)


def test_checkpoints_of_all_kinds_pass(weights: Path, tmp_path: Path) -> None:
    """Ours, Ultralytics' own, and what official ones hold besides: methods, numbers of NumPy's, paths, namespaces."""
    from ultralytics.nn.modules import Conv, Detect
    from ultralytics.utils import IterableSimpleNamespace

    more = {
        "forward": Detect.forward,
        "fitness": np.float64(0.5),
        "project": Path("runs"),
        "args": IterableSimpleNamespace(task="segment"),
        "layers": [Conv(1, 1).half(), {1, 2}, torch.Size([1]), torch.float16, torch.nn.SiLU],
        "ema": None,
        "optimizer": torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))]).state_dict(),
    }
    torch.save(more, tmp_path / "official.pt")
    for path in (weights, yolo_path(), rare_yolo_path(), tmp_path / "official.pt"):
        check_checkpoint(path)


def test_a_device_that_is_not_there_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ModelError, match=r"^device 'cuda' is not available here; use cpu") as raised:
        YoloSource(["car"], device="cuda")
    assert "\n" not in str(raised.value)


def untrained(folder: Path, config: str) -> Path:
    """A model of random weights of Ultralytics' own configuration, saved as a checkpoint."""
    prepare_ultralytics()
    import yaml
    from ultralytics import YOLO
    from ultralytics.nn.tasks import guess_model_scale, yaml_model_load

    values = yaml_model_load(f"{config}.yaml")
    assert values["scale"] == guess_model_scale(f"{config}.yaml")
    count = values["nc"] if config.startswith("yoloe") else len(NAMES)  # YOLOE compares with words, here of 80 classes
    (folder / f"{config}.yaml").write_text(yaml.safe_dump({**values, "nc": count}))
    torch.manual_seed(0)
    model = YOLO(folder / f"{config}.yaml")
    more = (f"other {index}" for index in range(len(NAMES), count))
    model.model.names = dict(enumerate([*NAMES, *more]))
    model.save(folder / f"{config}.pt")
    return folder / f"{config}.pt"


@pytest.mark.parametrize("config", ["yolo11n-seg", "yolo26n-seg", "yoloe-11s-seg"])
def test_segmenters_of_later_generations(tmp_path: Path, config: str) -> None:
    source = YoloSource(["car", "bus"], untrained(tmp_path, config), device="cpu", min_confidence=0.0)
    assert not source.boxes_only and source.unseen == ("bus",) and source.unmapped[:3] == ("sedan", "dog", "tree")
    for image, labels in zip(IMAGES, source.label(IMAGES), strict=True):
        assert labels.semantic.shape == image.shape[:2]
        assert not any(instance.boxed for instance in labels.instances)


@pytest.mark.parametrize("config", ["yolov8n", "yolo26n", "yolov10n"])
def test_detectors_give_boxes_without_masks(tmp_path: Path, config: str, caplog: pytest.LogCaptureFixture) -> None:
    path = untrained(tmp_path, config)
    source = YoloSource(["car", "dog"], path, device="cpu", min_confidence=0.0)
    assert source.boxes_only and f"{path.name} finds boxes: its labels have no masks" in caplog.text
    (result,) = source._predict(IMAGES[:1])
    (labels,) = source.label(IMAGES[:1])
    limits = (IMAGES[0].shape[1], IMAGES[0].shape[0]) * 2
    boxes = [
        tuple(round(min(max(value, 0), limit)) for value, limit in zip(box, limits, strict=True))
        for box, index in zip(result.boxes.xyxy.tolist(), result.boxes.cls.tolist(), strict=True)
        if index in (0, 2)
    ]
    assert [each.box for each in labels.instances] == [(x, y, u, v) for x, y, u, v in boxes if x < u and y < v]
    assert labels.instances and all(each.boxed for each in labels.instances)
    assert set(np.unique(labels.semantic)) <= {0, 255}


def test_checkpoints_for_other_work_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"yolo11n-pose.pt is made for 'pose'; name a checkpoint made to segment"):
        YoloSource(["car"], untrained(tmp_path, "yolo11n-pose"), device="cpu")
