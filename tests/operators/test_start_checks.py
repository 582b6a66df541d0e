"""What a run refuses at its start its form refuses too, on the field, by the same check of the library."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

if TYPE_CHECKING:
    import fiftyone as fo


@pytest.fixture(autouse=True)
def own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for kind in ("TOKENS", "WORDS", "SEGMENTERS"):
        monkeypatch.setenv(f"DIFFUCURATE_{kind}_DIR", str(tmp_path / kind.lower()))


def problems(app: Any, name: str, dataset: fo.Dataset | None, /, **params: Any) -> dict[str, str]:
    """Field -> message, of the form as the App holds it: what is not filled in has the form's default."""

    def defaults(fields: dict[str, Any]) -> dict[str, Any]:
        plain = {field: prop["default"] for field, prop in fields.items() if prop["default"] is not None}
        inner = {
            field: defaults(prop["type"]["properties"])
            for field, prop in fields.items()
            if "properties" in prop["type"]
        }
        return plain | inner

    filled = {**defaults(app.form(name, dataset, **params)), **params}
    return app.problems(name, dataset, **{**defaults(app.form(name, dataset, **filled)), **filled})


BUILT = {"recipe_from": "built"}
WORD = {"placeholder": "<piano>"}


class Mistake(NamedTuple):
    """An operator, what is filled in, and the field with the words that must stand on it."""

    operator: str
    params: dict[str, Any]
    field: str
    words: str


MISTAKES = [
    Mistake("generate_images", {**BUILT, "device": "gpu"}, "device", "'gpu' is unknown; use cpu"),
    Mistake("generate_images", {**BUILT, "batch_size": 0}, "batch_size", "^0: give a number of images"),
    Mistake("generate_images", {**BUILT, "safety_checker": "on"}, "safety_checker", "this model has none"),
    Mistake("generate_images", {**BUILT, "loras": ["/nowhere/a.safetensors=0.5"]}, "loras", "no such file"),
    Mistake("generate_images", {**BUILT, "tokens": ["<p>=/nowhere/p.safetensors"]}, "tokens", "no such file"),
    Mistake("generate_images", {**BUILT, "tokens": ["car=<file>"]}, "tokens", "^car: .* has this word already"),
    Mistake(
        "generate_images",
        {**BUILT, "templates": "a (red car", "prompt_weights": True, "classes": ["car"]},
        "prompt_weights",
        "bracket",
    ),
    Mistake("generate_images", {"recipe_from": "pasted", "recipe": "<lost model>"}, "recipe", "/nowhere/model"),
    Mistake("generate_images", {"recipe_from": "pasted", "recipe": "<taken>"}, "recipe", "was not generated"),
    Mistake("augment_images", {"field": "shifted", "strength": "3"}, "strength", "at most 1"),
    Mistake("augment_images", {"field": "shifted", "variants": 0}, "variants", "from 1 to 1000"),
    Mistake("augment_images", {"field": "shifted", "prompt": "a {colour} car"}, "prompt", "not an attribute"),
    Mistake("vary_images", {"prompt": "a car", "advanced": True, "device": "cuda:x"}, "device", "unknown"),
    Mistake("vary_images", {"prompt": "a car", "save_as": "<open>"}, "save_as", "was not generated"),
    Mistake("label_images", {"classes": ["a.b"]}, "classes", "a.b"),
    Mistake("label_images", {"show_settings": True, "by": "concepts"}, "by", "name the model"),
    Mistake("label_images", {"show_settings": True, "background": ["sky"]}, "background", "only concepts"),
    Mistake("label_images", {"show_settings": True, "tokens": ["<token>"]}, "tokens", "none of the classes"),
    Mistake("compare_sources", {"a": "attention", "b": "empty"}, "b", "no sample has labels of both"),
    Mistake("compare_sources", {"iou": 7}, "iou", "^7: give the least IoU"),
    Mistake("evaluate_labels", {"prediction": "attention", "truth": "empty"}, "truth", "no sample has labels of both"),
    Mistake("fuse_sources", {"sources": ["attention", "empty"]}, "sources", "no sample has labels of both"),
    Mistake("fuse_sources", {"sources": ["attention", "shifted"], "lone": 7}, "lone", "^7: give a share from 0 to 1"),
    Mistake("assess_samples", {"check_clip": True, "clip_model": "/nowhere/clip"}, "clip_model", "/nowhere/clip"),
    Mistake("assess_samples", {"check_flip": True, "source": "empty"}, "check_flip", "cannot be made of mirrored"),
    Mistake("assess_samples", {"check_noise": True, "folds": 1}, "folds", "use at least 2"),
    Mistake("assess_samples", {"check_mistakenness": True, "against": "empty"}, "source", "no sample has labels"),
    Mistake("make_mosaics", {"grids": "8x8"}, "grids", "8x8: all have more cells than .* 4$"),
    Mistake("make_mosaics", {"source": "empty"}, "source", "no sample has labels"),
    Mistake("export_samples", {"out_dir": "<tmp>/new", "splits": "a=0.9,b=0.05,c=0.05"}, "splits", "gets none of 4"),
    Mistake("export_samples", {"out_dir": "<media>"}, "out_dir", "an image or label of dataset|hold"),
    Mistake("train_segmenter", {"start": "/nowhere/weights.pt"}, "start", "no file on this machine"),
    Mistake(
        "train_segmenter", {"start": "yolov9000-seg"}, "start", "yolov9000-seg: give a .pt file or an architecture"
    ),
    Mistake("train_segmenter", {"source": "empty"}, "source", "no sample has labels of 'empty'"),
    Mistake("train_segmenter", {"image_size": 100}, "image_size", "^100: give a multiple of 32"),
    Mistake("learn_token", {"classes": ["piano"]}, "field", "no sample shows 'piano'"),
    Mistake("learn_token", {"name": "a/b"}, "name", "^a/b-car: use letters"),
    Mistake("learn_token", {"name": "<token>", "classes": ["car"]}, "name", "a token of that name is there"),
    Mistake("train_token", {"placeholder": "car"}, "placeholder", "^car: the model's tokenizer has this word already"),
    Mistake("train_token", {**WORD, "caption_field": "seed"}, "caption_field", "^seed: .* has no field of that name"),
    Mistake("train_token", {**WORD, "lora": "all", "show_more": True, "rank": 0}, "rank", "^0: "),
    Mistake("train_token", {**WORD, "model": "/nowhere/model"}, "model", "/nowhere/model"),
    Mistake("train_token", {**WORD, "name": "<word>"}, "name", "a word of that name is there"),
    Mistake("write_report", {"path": "<tmp>/new.html", "source": "gone"}, "source", "gone"),
]


@pytest.fixture
def two_sources(twice_labelled: fo.Dataset) -> fo.Dataset:
    """Four images with labels of two sources, and a third that has labelled none of them."""
    from diffucurate.plugin.store.schema import declare_label_fields

    declare_label_fields(twice_labelled, "empty", ["car"])
    return twice_labelled


@pytest.fixture
def placed(two_sources: fo.Dataset, tmp_path: Path) -> Any:
    """Puts the test's own files in the place of what is written in angle brackets."""
    import torch
    from safetensors.torch import save_file

    from diffucurate.generator.inversion.files import WordFiles
    from diffucurate.generator.models.token_files import token_path

    save_file({"p": torch.zeros(1, 4)}, tmp_path / "word.safetensors")
    token, word = token_path("mine"), WordFiles.of("mine").word
    for path in (token, word):
        path.parent.mkdir(parents=True, exist_ok=True)
    save_file({"p": torch.zeros(1)}, token, {"token": '{"label": "piano"}'})
    shutil.copy(tmp_path / "word.safetensors", word)
    recipe = "dataset: {name}\nclasses: {{car: [car]}}\ntemplates: [a car]\nmodel: {model}\n"
    values = {
        "<file>": str(tmp_path / "word.safetensors"),
        "<token>": "mine",
        "<word>": "mine",
        "<open>": two_sources.name,
        "<tmp>": str(tmp_path),
        "<media>": str(Path(two_sources.first().filepath).parent),
        "<lost model>": recipe.format(name="mine", model="/nowhere/model"),
        "<taken>": recipe.format(name=two_sources.name, model="tiny"),
    }

    def place(value: Any) -> Any:
        if isinstance(value, list):
            return [place(each) for each in value]
        return (
            re.sub("<[a-z ]+>", lambda found: values.get(found[0], found[0]), value)
            if isinstance(value, str)
            else value
        )

    return place


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda mistake: f"{mistake.operator}-{mistake.field}")
def test_the_form_refuses_what_the_run_refuses(app, two_sources: fo.Dataset, placed: Any, mistake: Mistake) -> None:
    found = problems(
        app, mistake.operator, two_sources, **{name: placed(value) for name, value in mistake.params.items()}
    )
    assert list(found) == [mistake.field] and re.search(mistake.words, found[mistake.field]), found


def test_a_disk_without_room(app, two_sources: fo.Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from diffucurate.generator.errors import ExportError
    from diffucurate.plugin.exporting import size
    from diffucurate.plugin.exporting.export import export

    full = shutil._ntuple_diskusage(10**9, 10**9 - 1000, 1000)
    monkeypatch.setattr(size.shutil, "disk_usage", lambda path: full)
    found = problems(app, "export_samples", two_sources, out_dir=str(tmp_path / "new"))
    assert re.search(r"are needed and 1.0 kB are free in .*another disk", found["out_dir"])
    with pytest.raises(ExportError, match="another disk"):
        export(two_sources, tmp_path / "new", format="coco", source="attention")
    assert not (tmp_path / "new").exists()


def test_a_folder_that_cannot_be_written(app, two_sources: fo.Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    real = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: str(path) != "/" and real(path, mode))
    nowhere = "/no-such-folder/in/the/root"
    monkeypatch.setenv("DIFFUCURATE_MEDIA_DIR", nowhere)
    asked = {"captions": "a car", "classes": ["car"], "model": "owner/name", "path": f"{nowhere}/a.json"}
    assert "nothing can be written in /" in problems(app, "expand_captions", None, **asked)["path"]
    assert "nothing can be written in /" in problems(app, "export_samples", two_sources, out_dir=nowhere)["out_dir"]
    assert "nothing can be made in /" in problems(app, "generate_images", None, **BUILT)["dataset"]


def test_sizes_that_a_model_cannot_make(
    app, random_pipeline: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By its configurations alone: one whose latents are 16 times smaller."""
    import json

    from diffucurate.generator.models import sizes

    folder = tmp_path / "coarse"
    shutil.copytree(random_pipeline, folder)
    config = json.loads((folder / "vae" / "config.json").read_text())
    config["block_out_channels"] = [32] * 5
    (folder / "vae" / "config.json").write_text(json.dumps(config))
    own = {**BUILT, "model_from": "local", "model": str(folder), "steps": 2, "guidance": 5.0}
    found = problems(app, "generate_images", None, **own, width=104, height=128)
    assert (
        found == {"width": "104x128: this model needs multiples of 16; the nearest size is 96x128"} or "height" in found
    )
    assert problems(app, "generate_images", None, **own, width=96, height=128) == {}
    monkeypatch.setattr(sizes, "free_on_cpu", lambda: 2**20)
    found = problems(app, "generate_images", None, **own, width=2048, height=2048, device="cpu")
    assert "GiB of memory" in next(iter(found.values()))


def test_a_form_asks_quickly_and_imports_nothing_heavy() -> None:
    """In a process of its own: others of this one have imported torch."""
    import subprocess
    import sys

    script = """
        import sys, time
        from diffucurate.generator.models.adapter_checks import check_new_word
        from diffucurate.generator.recipe.recipe import Recipe
        from diffucurate.plugin.generation.start import check_model
        from diffucurate.generator.segmenters.start import check_start

        recipe = Recipe.from_mapping({"dataset": "d", "classes": {"car": ["car"]}, "templates": ["a car"]})
        start = time.perf_counter()
        check_model(recipe, "cpu")
        check_new_word("<piano>", "tiny", "placeholder")
        check_start("yolov8n-seg")
        print(time.perf_counter() - start, "torch" in sys.modules, "ultralytics" in sys.modules)
    """
    import textwrap

    done = subprocess.run([sys.executable, "-c", textwrap.dedent(script)], capture_output=True, text=True, check=True)
    seconds, *heavy = done.stdout.split()[-3:]
    assert heavy == ["False", "False"] and float(seconds) < 0.3
