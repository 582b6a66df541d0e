"""The command line: arguments, exit codes, one JSON document, one line per error, and a clean stop."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
import yaml

from diffucurate.plugin.cli import run

Outcome = tuple[int, Any, str]
COMMANDS = (
    "generate", "expand-captions", "img2img", "inpaint", "mask2img", "label", "learn-token", "train-token", "compare",
    "evaluate", "review", "fuse", "assess", "curate", "undo-curation", "mosaic", "export", "report", "train-segmenter",
    "generate-more", "provenance", "regenerate", "demo", "demo-rare", "doctor",
)  # fmt: skip


@pytest.fixture(scope="session")
def fiftyone_is_there() -> None:
    # Its logger keeps the stdout of the moment it is imported; that of a single test is closed after it.
    import fiftyone  # noqa: F401


@pytest.fixture
def command(fiftyone_is_there: None, capfd: pytest.CaptureFixture[str]) -> Callable[..., Outcome]:
    """Runs a command line in this process with --json: exit code, the document, stderr."""

    def go(*arguments: object) -> Outcome:
        capfd.readouterr()
        code = run([*map(str, arguments), "--json"])
        out, err = capfd.readouterr()
        assert out.endswith("\n") and out.count("\n") == 1, "stdout must hold one document on one line"
        return code, json.loads(out), err

    return go


def in_a_process(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "diffucurate.plugin.cli", *arguments],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **environment},
    )


@pytest.fixture
def model(model_folder: str) -> Path:
    return Path(model_folder)


@pytest.fixture
def recipe(model: Path, tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    path = tmp_path / "recipe.yaml"
    mapping = {
        "dataset": f"cli {abs(hash(request.node.nodeid))}",
        "model": str(model),
        "size": [64, 64],
        "steps": 2,
        "classes": {"car": ["car"], "tree": ["tree"]},
        "templates": ["a {colour} car and a tree"],
        "attributes": {"colour": ["red", "blue", "white"]},
    }
    path.write_text(yaml.safe_dump(mapping))
    return path


@pytest.fixture
def delete_afterwards(recipe: Path) -> Any:
    yield
    import fiftyone as fo

    name = yaml.safe_load(recipe.read_text())["dataset"]
    if fo.dataset_exists(name):
        fo.delete_dataset(name)


# -- What answers at once


def test_help_of_everything_without_fiftyone_or_torch() -> None:
    code = (
        "import sys\nfrom diffucurate.plugin.cli import run\n"
        f"codes = [run(['--help']), run(['--version']), *(run([name, '--help']) for name in {COMMANDS})]\n"
        "heavy = {'torch', 'fiftyone', 'diffusers', 'transformers', 'ultralytics', 'cv2', 'numpy'} & set(sys.modules)\n"
        "sys.exit(f'{codes} {heavy}' if any(codes) or heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    for name in COMMANDS:
        assert f"diffucurate {name}" in done.stdout
    assert "Exit codes: 0 done; 1" in done.stdout


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("generate", ["RECIPE", "--model", "--seeds", "--count", "--batch-size", "--device"]),
        ("label", ["DATASET", "--source", "--weights", "--model", "--refiner", "--classes", "--view", "yolov8"]),
        ("compare", ["DATASET", "A", "B", "--view", "--classes", "--iou"]),
        ("evaluate", ["DATASET", "LABELS", "TRUTH", "--view", "--iou", "--scenarios", "--across-classes", "--key"]),
        ("review", ["DATASET", "A", "[B]", "--view", "--by", "--of", "--limit"]),
        ("fuse", ["DATASET", "A,B,...", "--into", "--view", "--iou", "--lone", "--method"]),
        ("assess", ["DATASET", "--source", "--checks", "--against", "--clip-model", "--view", "masks"]),
        (
            "curate",
            [
                "DATASET",
                "--source",
                "--min-confidence",
                "--min-agreement",
                "--against",
                "--scores",
                "--view",
                "--save-as",
            ],
        ),
        ("train-segmenter", ["DATASET", "--source", "--view", "--start", "--epochs", "--val", "--into", "--name"]),
        ("generate-more", ["DATASET", "TRUTH", "LABELS", "--count", "--cap", "--to", "--recipe", "--view"]),
        ("undo-curation", ["DATASET", "NAME"]),
        ("mosaic", ["DATASET", "--source", "--count", "--grids", "--longest", "--seed", "--view"]),
        (
            "export",
            [
                "DATASET",
                "OUT",
                "--format",
                "coco",
                "yolo",
                "voc",
                "parquet",
                "--source",
                "--view",
                "--classes",
                "--splits",
                "--overwrite",
            ],
        ),
        (
            "report",
            ["DATASET", "--to", "--view", "--source", "--against", "--reference", "--embeddings", "--overwrite"],
        ),
        ("provenance", ["DATASET", "SAMPLE", "--repaint"]),
        ("regenerate", ["DATASET", "--samples", "--view", "--seeds", "--attributes"]),
    ],
)
def test_options(name: str, options: list[str], capfd: pytest.CaptureFixture[str]) -> None:
    assert run([name, "--help"]) == 0
    shown = capfd.readouterr().out
    assert all(option in shown for option in [*options, "--json"])


def test_version(capfd: pytest.CaptureFixture[str]) -> None:
    import diffucurate

    assert run(["--version"]) == 0
    assert capfd.readouterr().out == f"diffucurate {diffucurate.__version__}\n"


def test_nothing_asked(capfd: pytest.CaptureFixture[str]) -> None:
    assert run([]) == 1
    assert "generate" in capfd.readouterr().out


# -- What the person can put right: exit code 1 and one sentence


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["bake"], "No such command 'bake'"),
        (["generate"], "Missing argument 'RECIPE'"),
        (["generate", "nowhere.yaml"], "there is no such file"),
        (["generate", "nowhere.yaml", "--count", "0"], "--count"),
        (["generate", "nowhere.yaml", "--batch-size", "two"], "--batch-size"),
        (["generate", "nowhere.yaml", "--colour", "red"], "No such option"),
        (["label", "d"], "--source"),
        (["label", "d", "--source", "magic"], "magic"),
        (["label", "d", "--source", "attention", "--classes", "car,,bus"], "one comma between"),
        (["label", "no such dataset", "--source", "attention"], "dataset 'no such dataset' does not exist"),
        (["compare", "d", "attention"], "Missing argument 'B'"),
        (["compare", "no such dataset", "attention", "yolov8"], "does not exist"),
        (["curate", "no such dataset", "--source", "attention"], "does not exist"),
        (["provenance", "no such dataset", "x"], "does not exist"),
        (["label", "d", "--source", "attention", "--classes", "car,bus=bus,coach"], "one class and its phrases"),
        (["label", "d", "--source", "attention", "--tokens", "one,"], "one comma between"),
        (["compare", "d", "a", "b", "--confusion", "--no-mark"], "the matrix is made of the marks"),
        (["compare", "d", "a", "b", "--classes", "bus=bus"], "one comma between"),
        (["fuse", "d", "a,b", "--lone", "a=much"], "give a share such as 0.4"),
        (["fuse", "d", "a,,b"], "one comma between"),
        (["assess", "d", "--checks", "image,,masks"], "one comma between"),
        (["mosaic", "d", "--source", "a", "--grids", "2by2"], "rows and columns, as in 2x2"),
        (["regenerate", "d", "--seeds", "2"], "either --samples or --view"),
        (["regenerate", "d", "--samples", "x", "--view", "v", "--seeds", "2"], "either --samples or --view"),
        (["regenerate", "d", "--view", "v", "--attributes", "night"], "as in time=night,dusk"),
        (["curate", "d", "--source", "a", "--min-confidence", "1.5"], "--min-confidence"),
        (["curate", "d", "--source", "a", "--min-agreement", "-1"], "--min-agreement"),
        (["export", "d", "out", "--format", "tfrecord", "--source", "a"], "tfrecord"),
        (["report", "d"], "--to"),
        (["report", "no such dataset", "--to", "x.html"], "does not exist"),
        (["export", "no such dataset", "out", "--format", "coco", "--source", "a"], "does not exist"),
        (["curate", "d", "--source", "a", "--scores", "uniqueness"], "uniqueness=0.2:"),
        (["curate", "d", "--source", "a", "--scores", "=0.2:"], "uniqueness=0.2:"),
        (["curate", "d", "--source", "a", "--scores", "x=low:"], "uniqueness=0.2:"),
        (["export", "d", "out", "--format", "coco", "--source", "a", "--splits", "train:1"], "train=0.8,val=0.2"),
    ],
)
def test_wrong_input(command: Callable[..., Outcome], arguments: list[str], message: str) -> None:
    code, document, err = command(*arguments)
    assert code == 1
    assert message in document["error"]["message"]
    assert message in " ".join(err.split()) and "Traceback" not in err
    assert err.strip().splitlines()[-1].startswith("diffucurate: ")


def test_a_wrong_recipe_names_field_value_and_remedy(command: Callable[..., Outcome], tmp_path: Path) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text("dataset: d\nclasses: {car: [car]}\ntemplates: [a car]\nstepz: 3\n")
    code, document, _ = command("generate", path)
    remedy = "this is not a key of a recipe; did you mean 'steps'?"
    assert code == 1 and document == {
        "error": {
            "type": "RecipeError",
            "message": f"stepz: 3 - {remedy}",
            "field": "stepz",
            "value": 3,
            "remedy": remedy,
        }
    }


def test_a_view_that_is_not_there(command: Callable[..., Outcome], dataset: Any) -> None:
    code, document, _ = command("label", dataset.name, "--source", "attention", "--view", "best")
    assert code == 1 and "no saved view 'best'; it has none" in document["error"]["message"]


@pytest.mark.parametrize(
    ("source", "option", "value", "message"),
    [
        ("yolov8", "--threshold", 0.6, "threshold: 0.6 - source 'yolov8' has no such setting"),
        ("attention", "--max-overlap", 0.6, "max_overlap: 0.6 - source 'attention' has no such setting"),
        ("yolov8", "--min-agreement", 0.6, "min_agreement: 0.6 - source 'yolov8' has no such setting"),
        ("attention", "--cut", "halfway", "'otsu'"),
        ("attention", "--threshold", 7, "Invalid value for '--threshold'"),
    ],
)
def test_label_settings_of_another_source_or_range(
    command: Callable[..., Outcome], source: str, option: str, value: float, message: str
) -> None:
    code, document, _ = command("label", "any", "--source", source, option, value)
    assert code == 1 and message in document["error"]["message"]


# -- Everything else: exit code 2, one line, and where to look


def test_an_unexpected_error_is_one_line_with_a_hint() -> None:
    done = in_a_process("compare", "d", "a", "b", "--json", FIFTYONE_DATABASE_URI="mongodb://localhost:port")
    assert done.returncode == 2
    error = json.loads(done.stdout)["error"]
    assert error["message"].startswith("unexpected ") and "DIFFUCURATE_TRACEBACK" in error["message"]
    assert "Traceback" not in done.stderr and "doctor" in done.stderr.splitlines()[-1]


@pytest.mark.parametrize(("option", "environment"), [(["--traceback"], {}), ([], {"DIFFUCURATE_TRACEBACK": "1"})])
def test_a_traceback_on_request(option: list[str], environment: dict[str, str]) -> None:
    done = in_a_process(
        *option, "compare", "d", "a", "b", FIFTYONE_DATABASE_URI="mongodb://localhost:port", **environment
    )
    assert done.returncode == 2 and done.stdout == ""
    assert "Traceback (most recent call last)" in done.stderr


# -- The verbs


def test_generate_adds_what_is_missing_and_no_more(
    command: Callable[..., Outcome], recipe: Path, delete_afterwards: None
) -> None:
    name = yaml.safe_load(recipe.read_text())["dataset"]
    code, document, err = command("generate", recipe, "--count", 2, "--batch-size", 1, "--device", "cpu")
    assert (code, document) == (0, {"dataset": name, "added": 2, "samples": 2}), err
    assert "generate: 2/2" in err and "images/s" in err
    assert command("generate", recipe)[:2] == (0, {"dataset": name, "added": 1, "samples": 3})
    assert command("generate", recipe)[:2] == (0, {"dataset": name, "added": 0, "samples": 3})


def test_captions_instead_of_templates(
    command: Callable[..., Outcome], recipe: Path, delete_afterwards: None, writer: str, tmp_path: Path
) -> None:
    captions = tmp_path / "captions.txt"
    captions.write_text("a car\na tree at night\na piano\n")
    code, _, err = command("generate", recipe, "--class-prompt", "none")
    assert code == 1 and "it goes with --captions" in err
    code, document, err = command("generate", recipe, "--captions", captions, "--class-prompt", "separate")
    assert (code, document["added"]) == (0, 2) and "1 caption left out that name none of the classes" in err
    more = tmp_path / "more.json"
    asked = ("expand-captions", more, "--model", writer, "--recipe", recipe, "--captions", captions)
    code, document, err = command(*asked, "--count", 2, "--shots", 0, "--most-words", 16)
    assert (code, document["captions"], document["path"]) == (0, 2, str(more)), err
    assert "expand-captions: 2/2" in err and "captions/s" in err
    assert command(*asked)[1]["error"]["field"] == "path"
    assert command("expand-captions", more, "--model", writer)[1]["error"]["field"] == "classes"


@pytest.mark.slow
@pytest.mark.timeout(600)  # a busy machine takes minutes to load, paint and leave
def test_ctrl_c_keeps_what_was_made(recipe: Path, delete_afterwards: None) -> None:
    mapping = yaml.safe_load(recipe.read_text())
    recipe.write_text(yaml.safe_dump({**mapping, "seeds": 200, "steps": 20}))
    arguments = [sys.executable, "-m", "diffucurate.plugin.cli", "generate", str(recipe), "--batch-size", "2"]
    running = subprocess.Popen(
        arguments,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # A shell that runs the tests in the background has them ignore Ctrl-C, and children inherit that.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    assert running.stderr is not None
    try:
        # The first line tells of a batch that may still be on its way to the dataset.
        lines = (line for line in running.stderr if line.startswith("generate: ") and "/600" in line)
        if len(list(islice(lines, 2))) < 2:
            pytest.fail("too few lines of progress were shown")
        running.send_signal(signal.SIGINT)
        out, err = running.communicate(timeout=240)
    finally:
        running.kill()
    assert running.returncode == 2
    assert out == "" and "Traceback" not in err
    assert err.strip().splitlines()[-1] == (
        "diffucurate: stopped; what was made is kept, and the same command goes on from there"
    )
    import fiftyone as fo

    assert 0 < len(fo.load_dataset(mapping["dataset"])) < 600


def test_label_from_kept_maps(command: Callable[..., Outcome], recipe: Path, delete_afterwards: None) -> None:
    name = yaml.safe_load(recipe.read_text())["dataset"]
    command("generate", recipe)
    import fiftyone as fo

    dataset = fo.load_dataset(name)
    dataset.save_view("one", dataset.limit(1))
    before = dataset.values("attention_mask.mask_path")
    code, document, err = command("label", name, "--source", "attention", "--view", "one")
    dataset.reload()
    found = len(dataset.first().attention_instances.detections)
    assert (code, document) == (0, {"dataset": name, "source": "attention", "samples": 1, "instances": found}), err
    changed = [old != new for old, new in zip(before, dataset.values("attention_mask.mask_path"), strict=True)]
    assert changed == [True, False, False]
    options = ("--threshold", 1, "--min-area", 0.01, "--min-confidence", 0.2)
    code, document, err = command("label", name, "--source", "attention", *options)
    assert (code, document["instances"]) == (0, 0), err
    dataset.reload()
    settings = [dataset.get_run_info(key).config.settings["settings"] for key in dataset.list_runs() if "label" in key]
    assert {(made["floor"], made["min_area"], made["min_confidence"]) for made in settings} >= {(1, 0.01, 0.2)}


def test_learn_a_token_and_label_by_it(
    command: Callable[..., Outcome],
    recipe: Path,
    model: Path,
    delete_afterwards: None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import fiftyone as fo
    import numpy as np

    monkeypatch.setenv("DIFFUCURATE_TOKENS_DIR", str(tmp_path / "tokens"))
    dataset = fo.load_dataset(command("generate", recipe, "--count", 2)[1]["dataset"])
    box = fo.Detection(label="bus", bounding_box=[0.25, 0.25, 0.5, 0.5], mask=np.ones((1, 1), bool))
    sample = dataset.first()
    sample["drawn"] = fo.Detections(detections=[box])
    sample.save()
    learn = ("learn-token", dataset.name, "drawn", "--name", "mine", "--samples", sample.id, "--model", model)
    code, document, err = command(*learn)
    assert code == 0, err
    (made,) = document["tokens"]
    assert (made["name"], made["class"], made["samples"]) == ("mine", "bus", 1)
    assert (tmp_path / "tokens" / "mine.safetensors").is_file()
    code, document, _ = command(*learn)
    assert code == 1 and document["error"]["field"] == "name"
    assert command(*learn, "--overwrite")[0] == 0

    by_token = ("label", dataset.name, "--source", "attention", "--tokens", "mine", "--classes", "bus")
    code, _, err = command(*by_token)
    assert code == 0, err
    assert command(*by_token, "--no-contrast", "--no-counted")[0] == 0
    dataset.reload()
    runs = [dataset.get_run_info(key).config.settings for key in dataset.list_runs() if "label" in key]
    assert [(made["tokens"], made["contrast"]) for made in runs] == [(["mine"], None), (["mine"], False)]
    assert [made["settings"]["counted"] for made in runs] == [True, False]
    code, document, _ = command("label", dataset.name, "--source", "attention", "--tokens", "yours", "--classes", "bus")
    assert code == 1 and "no token of that name" in document["error"]["message"]


def test_label_with_a_refiner(
    command: Callable[..., Outcome], recipe: Path, segmenter_folder: str, delete_afterwards: None
) -> None:
    import fiftyone as fo

    dataset = fo.load_dataset(command("generate", recipe, "--count", 1)[1]["dataset"])
    refiner = ("--refiner", segmenter_folder, "--min-agreement", 0)
    code, _, err = command("label", dataset.name, "--source", "attention", *refiner)
    assert code == 0, err
    dataset.reload()
    (config,) = (dataset.get_run_info(key).config for key in dataset.list_runs() if "label" in key)
    assert config.settings["refiner"] == segmenter_folder and config.settings["settings"]["min_agreement"] == 0
    code, document, _ = command("label", dataset.name, "--source", "yolov8", *refiner[:2])
    assert code == 1 and document["error"]["field"] == "refiner"


def test_provenance_and_regenerate(command: Callable[..., Outcome], recipe: Path, delete_afterwards: None) -> None:
    import fiftyone as fo

    name = command("generate", recipe, "--count", 1)[1]["dataset"]
    source = fo.load_dataset(name).first()
    code, told, _ = command("provenance", name, source.id, "--repaint")
    assert (code, told["job_id"], told["repainted"]["identical"]) == (0, source.job_id, True)
    assert command("provenance", name, "f" * 24)[0] == 1
    code, made, _ = command("regenerate", name, "--samples", source.id, "--seeds", "40,41")
    assert (code, made["added"]) == (0, 2)
    assert fo.load_dataset(name)[made["samples"][0]].source_id == source.id
    assert command("regenerate", name, "--samples", source.id, "--seeds", "40,x")[0] == 1


def test_compare_curate_export(
    command: Callable[..., Outcome], add_scenes: Callable[..., None], scenes: Any, dataset: Any, tmp_path: Path
) -> None:
    truth = [labels_of(scene, 0) for scene in scenes]
    moved = [labels_of(scene, 0 if index < 3 else 60) for index, scene in enumerate(scenes)]
    add_scenes(scenes, truth=truth, moved=moved)

    code, comparison, err = command("compare", dataset.name, "truth", "moved")
    assert code == 0, err
    assert (comparison["dataset"], comparison["a"], comparison["b"]) == (dataset.name, "truth", "moved")
    assert comparison["samples"] == 6 and 0.5 <= comparison["agreement"] < 1
    assert comparison["overall"]["matched"] >= sum(len(labels.instances) for labels in truth[:3])
    dataset.save_view("last", dataset[3:])
    label = truth[0].instances[0].label
    options = ("--view", "last", "--classes", label, "--iou", 1)
    code, narrow, err = command("compare", dataset.name, "moved", "truth", *options)
    assert (code, narrow["samples"]) == (0, 3), err
    code, evaluation, err = command(
        "evaluate", dataset.name, "moved", "truth", "--scenarios", "prompt", "--key", "mine"
    )
    assert (code, evaluation["eval_key"], evaluation["masks_key"]) == (0, "mine", "mine_masks"), err
    assert evaluation["overall"]["matched"] == comparison["overall"]["matched"]
    code, fusion, err = command("fuse", dataset.name, "truth,moved", "--into", "both", "--lone", "truth=0.1")
    assert (code, fusion["source"], fusion["samples"]) == (0, "both", 6), err
    assert fusion["instances"] == sum(fusion["found_by"].values()) == dataset.count("both_instances.detections")
    assert {row["label"] for row in narrow["classes"]} <= {label} and narrow["overall"]["matched"] == 0

    code, kept, err = command(
        "curate", dataset.name, "--source", "truth", "--against", "moved", "--min-agreement", 0.99, "--save-as", "same"
    )
    assert (code, kept) == (0, {"dataset": dataset.name, "view": "same", "kept": 3, "samples": 6}), err

    code, fewer, err = command(
        "curate",
        dataset.name,
        "--source",
        "truth",
        "--view",
        "same",
        "--save-as",
        "few",
        "--max-per-class",
        1,
        "--near-duplicates",
        0.01,
        "--exact-duplicates",
        "--scores",
        "agreement_truth_moved=0.5:",
        "--max-area",
        0.9,
    )
    assert (code, 0 < fewer["kept"] <= 3, fewer["samples"]) == (0, True, 3), err
    code, undone, err = command("undo-curation", dataset.name, "few")
    assert (code, undone["untagged"], undone["view"]) == (0, fewer["kept"], "removed"), err

    for format in ("coco", "yolo"):
        out = tmp_path / format
        code, summary, err = command(
            "export",
            dataset.name,
            out,
            "--format",
            format,
            "--source",
            "truth",
            "--view",
            "same",
            "--splits",
            "train=0.67,val=0.33",
        )
        assert code == 0 and summary["dataset"] == dataset.name and sum(summary["images"].values()) == 3, err
        assert len(list(out.rglob("*.png"))) == 3
    code, document, _ = command("export", dataset.name, tmp_path / "coco", "--format", "coco", "--source", "truth")
    assert code == 1 and str(tmp_path / "coco") in document["error"]["message"]
    again = ("export", dataset.name, tmp_path / "coco", "--format", "coco", "--source", "truth", "--overwrite")
    code, summary, err = command(*again, "--classes", label)
    assert (code, sum(summary["images"].values())) == (0, 6), err
    assert sum(summary["instances"].values()) == dataset.count_values("truth_instances.detections.label")[label]


def test_people_see_tables_and_sentences(
    capfd: pytest.CaptureFixture[str], add_scenes: Callable[..., None], scenes: Any, dataset: Any
) -> None:
    labels = [labels_of(scene, 0) for scene in scenes]
    add_scenes(scenes, truth=labels, moved=labels)
    assert run(["compare", dataset.name, "truth", "moved"]) == 0
    out, err = capfd.readouterr()
    lines = out.splitlines()
    assert lines[0].split() == ["class", "matched", "only", "truth", "only", "moved", "mean", "IoU", "AP"]
    assert lines[-2].split()[:2] == ["all", str(sum(len(one.instances) for one in labels))]
    assert lines[-1] == "agreement 1.000 over 6 images"
    assert "compare truth moved: 6/6" in err
    assert run(["compare", dataset.name, "truth", "moved", "--confusion"]) == 0
    assert any(line.split()[:3] == ["truth", "\\", "moved"] for line in capfd.readouterr().out.splitlines())
    assert run(["evaluate", dataset.name, "moved", "truth"]) == 0
    last = capfd.readouterr().out.splitlines()[-1]
    assert last.endswith("6 images in evaluate_moved_truth and evaluate_moved_truth_masks")


def labels_of(scene: Any, shift: int) -> Any:
    """The scene's exact masks, moved to the right."""
    import numpy as np

    from diffucurate.generator.labels.model import Instance, Labels
    from diffucurate.generator.tiny.shapes import CLASSES

    instances = []
    for thing in scene.objects:
        mask = np.roll(thing.mask, shift, axis=1)
        if mask.any():
            instances.append(Instance(thing.label, mask, 0.9))
    return Labels.from_instances(instances, CLASSES, scene.image.shape[:2])


def test_img2img_and_inpaint(
    command: Callable[..., Outcome], dataset: Any, add_scenes: Any, scenes: Any, model: Path
) -> None:
    import fiftyone as fo

    add_scenes(scenes[:2], truth=[labels_of(scene, 0) for scene in scenes[:2]])
    options = ("--model", model, "--steps", 2, "--size", "64x64")
    code, made, _ = command(
        "img2img",
        dataset.name,
        "--prompt",
        "a {colour} car",
        "--attributes",
        "colour=red,blue",
        "--strength",
        "0.5,1",
        "--carry",
        "truth",
        *options,
    )
    assert (code, made["dataset"], made["added"]) == (0, f"{dataset.name}-varied", 4)
    varied = fo.load_dataset(made["dataset"])
    assert sorted(varied.values("id")) == sorted(made["samples"]) and varied.count("carried_instances.detections")
    code, made, err = command(
        "inpaint",
        dataset.name,
        "--field",
        "truth",
        "--prompt",
        "a red sedan",
        "--classes",
        "sedan=sedan,red sedan",
        "--shape",
        "keep",
        "--save-as",
        f"{dataset.name}-new",
        *options,
    )
    assert (code, made["added"]) == (0, 2), err
    for name in (varied.name, f"{dataset.name}-new"):
        fo.delete_dataset(name)
    code, made, err = command("inpaint", dataset.name, "--field", "truth", "--prompt", "a car", "--strength", "0")
    assert code == 1 and made["error"]["field"] == "strength" and "above 0" in err
    code, made, _ = command("img2img", dataset.name, "--prompt", "a car", "--size", "big")
    assert code == 1 and made["error"]["field"] == "size"


def test_mask2img(command: Callable[..., Outcome], dataset: Any, add_scenes: Any, scenes: Any, model: Path) -> None:
    import fiftyone as fo

    add_scenes(scenes[:2], truth=[labels_of(scene, 0) for scene in scenes[:2]])
    options = ("--model", model, "--steps", 2, "--size", "64x64")
    code, made, err = command(
        "mask2img", dataset.name, "--field", "truth", "--prompt", "{labels} at {time}", "--attributes", "time=noon",
        "--until", 0.5, "--boost", 4, "--words", "own", *options,
    )  # fmt: skip
    assert (code, made["dataset"], made["added"]) == (0, f"{dataset.name}-by-mask", 2), err
    painted = fo.load_dataset(made["dataset"])
    assert painted.count("layout_instances.detections") and set(painted.values("layout.words")) == {"own"}
    fo.delete_dataset(painted.name)
    code, made, _ = command("mask2img", dataset.name, "--field", "truth", "--words", "any")
    assert code == 1 and made["error"]["field"] == "layout.words"
    code, made, err = command("mask2img", dataset.name, "--field", "gone")
    assert code == 1 and "has no labels 'gone'" in err


def test_numbers_and_names_without_end_are_said_in_a_bounded_sentence(capfd: pytest.CaptureFixture[str]) -> None:
    for arguments in (["generate", "x.yml", "--count", "9" * 5000], ["label", "x" * 100_000, "--source", "yolov8"]):
        assert run([*arguments, "--json"]) == 1
        out, err = capfd.readouterr()
        assert 0 < len(json.loads(out)["error"]["message"]) <= 1000 and len(err) < 3000 if out else len(err) < 3000


@pytest.mark.parametrize(
    "arguments",
    [
        ("label", "streets\udcff", "--source", "yolov8"),
        ("generate", "/tmp/\udce9clair.yaml"),
        ("curate", "streets", "--source", "attention", "--save-as", "good\ud800"),
    ],
)
def test_arguments_that_are_no_text_are_one_sentence(
    command: Callable[..., Outcome], arguments: tuple[str, ...]
) -> None:
    code, document, stderr = command(*arguments)
    assert code == 1 and stderr.count("\n") == 1
    assert document["error"]["field"] == "arguments" and document["error"]["remedy"].startswith("it is not UTF-8")
    assert "?" in document["error"]["value"]


def test_review_shows_the_queue_of_the_panel(
    command: Callable[..., Outcome], add_scenes: Callable[..., None], scenes: Any, dataset: Any
) -> None:
    from diffucurate.plugin.review.review import review

    add_scenes(scenes, truth=[labels_of(scene, 0) for scene in scenes], moved=[labels_of(scene, 2) for scene in scenes])
    assert command("compare", dataset.name, "truth", "moved")[0] == 0
    queue = review(dataset, "truth", "moved", by="iou")
    total = queue.counts.total
    queue.decide("b")
    code, shown, err = command("review", dataset.name, "truth", "moved", "--by", "iou", "--limit", 2)
    assert (code, shown["by"], shown["of"]) == (0, "iou", "objects"), err
    assert shown["counts"] == {"decided": {"b": 1}, "before": 0, "left": total - 1, "total": total}
    assert [item["a"] for item in shown["next"]] == [item.a for item in queue.upcoming(2)]
    assert f"and {total - 3} more" in err
    review(dataset, "truth", "moved").decide("a")
    code, shown, err = command("review", dataset.name, "truth", "moved", "--by", "agreement")
    assert shown["counts"]["decided"] == {"a": 1}  # the order that is the usual one, named or not
    code, shown, err = command("review", dataset.name, "truth", "--of", "images", "--limit", 0)
    assert (code, shown["counts"]["total"], shown["by"], shown["next"]) == (0, 6, "confidence", []), err
    code, shown, err = command("review", dataset.name, "truth", "--by", "iou")
    assert code == 1 and "takes two compared sources" in err


def test_assess_and_mosaic(
    command: Callable[..., Outcome], add_scenes: Callable[..., None], scenes: Any, dataset: Any
) -> None:
    add_scenes(scenes, truth=[labels_of(scene, 0) for scene in scenes])
    code, assessment, err = command("assess", dataset.name, "--source", "truth", "--checks", "image,masks")
    assert (code, assessment["samples"]) == (0, 6), err
    assert 0 < assessment["means"]["truth_coverage"] < 1 and "blurred" in assessment["fields"]["sharpness"]
    code, one, err = command("assess", dataset.name, "--folds", "2", "--checks", "noise")
    assert code == 1 and "name the labels" in err and "error" in one
    code, mosaics, err = command("mosaic", dataset.name, "--source", "truth", "--count", 2, "--grids", "1x2,2x1")
    assert (code, mosaics["added"], len(dataset)) == (0, 2, 8), err
