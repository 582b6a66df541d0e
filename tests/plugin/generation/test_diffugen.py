"""DiffuGen's configs and folders: all sections painted, its own pictures as the start, its pickled words converted."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import fiftyone as fo
import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from diffucurate.generator.errors import DatasetError, RecipeError
from diffucurate.generator.recipe.files import recipes_of
from diffucurate.generator.recipe.pickled_embeddings import convert
from diffucurate.plugin.cli import run
from diffucurate.plugin.generation.generate import generate
from diffucurate.plugin.generation.init_folder import dataset_of_folder
from diffucurate.plugin.generation.regenerate import regenerate
from diffucurate.plugin.provenance.provenance import provenance
from diffucurate.plugin.provenance.recipe_of_sample import recipe_of

TEMPLATE = "a {view_point} view of a {object_name}++ at {time_of_day}, {weather_condition}"


@pytest.fixture
def config(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[dict[str, Any]]:
    """One with all three sections, quick to paint; its datasets are deleted afterwards."""
    name = f"diffugen-{abs(hash(request.node.nodeid)):x}"
    yield {
        "dataset_name": name,
        "dataset_root": str(tmp_path),
        "image_format": "png",
        "steps": 2,
        "image_size": {"width": 64, "height": 64},
        "dataset_classes": ["car", "bus", "tram"],
        "dataset_to_model_class_map": {"car": "car", "bus": "bus", "tram": "bus"},
        "unsupervised": False,
        "txt2img": {
            "stable_diffusion_model": "nobody/no-such-model",
            "seed_range": {"min": 5, "max": 99},
            "seed_count_per_prompt": 1,
            "object_names": ["car", "bus"],
            "view_points": ["rear"],
            "times_of_day": ["noon"],
            "sky_conditions": ["clear"],
            "weather_conditions": ["good"],
            "prompts": [TEMPLATE],
            "negative_prompt": "(blurry, odd:1.4), low",
        },
        "img2img": {
            "stable_diffusion_model": "nobody/no-such-model",
            "source_dataset": f"{tmp_path}/{name}/txt2img",
            "times_of_day": ["noon", "night"],
            "sky_conditions": ["cloudy"],
            "weather_conditions": ["good", "rain"],
        },
        "inpaint": {
            "stable_diffusion_model": "nobody/no-such-inpainting",
            "source_dataset": f"{tmp_path}/{name}/txt2img",
            "car": ["yellow camper"],
            "tram": ["red tram"],
        },
    }
    for made in (name, f"{name}-img2img", f"{name}-inpaint", "theirs-txt2img"):
        if fo.dataset_exists(made):
            fo.delete_dataset(made)


@pytest.fixture
def theirs(tmp_path: Path) -> Path:
    """What DiffuGen writes: three pictures, one of them with a broken file beside it."""
    root = tmp_path / "theirs" / "txt2img"
    for kind in ("images", "labels", "masks"):
        (root / kind / "0001").mkdir(parents=True)
    square = [[0.25, 0.25], [0.75, 0.25], [0.75, 0.75], [0.25, 0.75]]
    for index, name in enumerate(("car", "bus", "car")):
        pixels = np.random.default_rng(index).integers(0, 256, (64, 64, 3), np.uint8)
        Image.fromarray(pixels).save(root / "images" / "0001" / f"{index}.png")
        values = {
            "view_point": "rear",
            "object_name": name,
            "time_of_day": "noon",
            "sky_condition": "clear",
            "weather_condition": "good",
        }
        details = {"seed": index, "steps": 50, "prompt": TEMPLATE.format(**values), "prompt_template": TEMPLATE}
        labels = [{"score": 0.9, "class_id": 0, "bounding_polygon": square}]
        content = json.dumps({"prompt_details": {**details, **values}, "labels": labels})
        (root / "labels" / "0001" / f"{index}.json").write_text(content if index < 2 else content[:-9])
    mask = np.zeros((64, 64), np.uint8)
    mask[16:48, 16:48] = 255
    Image.fromarray(mask).save(root / "masks" / "0001" / "2.png")
    return root


def test_all_sections_with_another_model(
    config: dict[str, Any], model_folder: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "config.json"
    path.write_text(json.dumps(config))
    assert run(["generate", str(path), "--model", model_folder, "--json"]) == 0
    told = json.loads(capfd.readouterr().out)["datasets"]
    name = config["dataset_name"]
    # Of each picture three variations, as noon and good weather together are what it has; one camper for the car.
    assert [(one["dataset"], one["added"]) for one in told] == [
        (name, 2),
        (f"{name}-img2img", 6),
        (f"{name}-inpaint", 1),
    ]
    text, varied, replaced = (fo.load_dataset(one["dataset"]) for one in told)
    assert set(text.values("task")) == {"txt2img"} and all(5 <= seed <= 99 for seed in text.values("seed"))
    assert set(varied.values("source.strength")) == {0.8}
    assert set(varied.values("attributes.time_of_day")) == {"noon", "night"}
    assert replaced.first().prompt == "a rear view of yellow camper" and replaced.first().source.label == "car"
    assert "attention_instances" in replaced.get_field_schema()
    assert run(["generate", str(path), "--model", model_folder, "--sections", "img2img", "--json"]) == 0
    assert json.loads(capfd.readouterr().out) == {"dataset": f"{name}-img2img", "added": 0, "samples": 6}
    assert run(["generate", str(path), "--sections", "txt2im", "--json"]) == 1
    assert "it has txt2img, img2img, inpaint" in capfd.readouterr().err


def test_a_folder_that_diffugen_wrote(
    config: dict[str, Any], theirs: Path, model_folder: str, caplog: pytest.LogCaptureFixture
) -> None:
    for section in ("img2img", "inpaint"):
        config[section] |= {"source_dataset": str(theirs), "stable_diffusion_model": model_folder}
    del config["txt2img"]
    notes: list[str] = []
    first, replaced = generate(config, progress=lambda report: notes.append(report.note))
    source = fo.load_dataset("theirs-txt2img")
    assert [first.name, replaced.name] == [f"{config['dataset_name']}-{task}" for task in ("img2img", "inpaint")]
    assert len(source) == 3 and len(first) == 6
    assert "2.json: not as DiffuGen writes it" in caplog.text
    (run,) = [first.get_run_info(key).config for key in first.list_runs()]
    assert list(run.facts["failed"]) == [source.last().id]
    sample = first.first()
    assert sample.prompt == "a rear view of a car++ at noon, rain" and sample.source.template == TEMPLATE
    assert provenance(sample).changed == () and recipe_of(sample).templates == [TEMPLATE]
    other = regenerate(first[:1], attributes={"time_of_day": "dusk"}).first()
    assert other.prompt == "a rear view of a car++ at dusk, rain"
    assert replaced.values("prompt") == ["a view of yellow camper"]
    assert any("left out: no image of dataset" in note for note in notes)  # of trams, which does not end the others
    assert replaced.first().source.field == "diffugen" and replaced.first().source.label == "car"
    Image.new("RGB", (64, 64)).save(theirs / "images" / "0001" / "9.png")
    assert dataset_of_folder(f"{theirs}/") == source and len(source) == 4


def test_any_folder_of_pictures_with_masks(
    theirs: Path, model_folder: str, config: dict[str, Any], capfd: pytest.CaptureFixture[str]
) -> None:
    content = {
        "dataset": f"{config['dataset_name']}-inpaint",
        "task": "inpaint",
        "source": {"folder": str(theirs)},
        "objects": {"field": "masks"},
        "classes": {"bus": ["bus"]},
        "templates": ["a bus"],
        "model": model_folder,
        "steps": 2,
    }
    made = generate(content)
    assert len(made) == 1 and made.first().source.label == "object"
    folder = str(theirs / "images" / "0001")
    ask = ["--prompt", "a bus", "--classes", "bus", "--model", model_folder, "--steps", "2", "--count", "1", "--json"]
    try:
        assert run(["img2img", folder, *ask]) == 0
        assert json.loads(capfd.readouterr().out)["dataset"] == "0001-varied"
        plain = dataset_of_folder(folder)
        assert plain.name == "0001" and len(plain) == 3 and "prompt" not in plain.get_field_schema()
    finally:
        for name in ("0001", "0001-varied"):
            fo.delete_dataset(name)
    for wrong, said in ((theirs / "labels", "there are no images"), (theirs / "none", "there is no folder")):
        with pytest.raises(DatasetError, match=said):
            generate({**content, "source": {"folder": str(wrong)}})


class Anything:
    """What runs code where it is unpickled."""

    def __init__(self, command: str) -> None:
        self._command = command

    def __reduce__(self) -> tuple[Callable[[str], int], tuple[str]]:
        return os.system, (self._command,)


@pytest.mark.parametrize("layout", ["diffusers", "web ui", "xl", "bare"])
def test_words_in_pickles_need_no_trust(tmp_path: Path, layout: str) -> None:
    vectors = torch.arange(8.0).reshape(2, 4)
    content = {
        "diffusers": {"<piano>": vectors[0]},
        "web ui": {"string_to_param": {"*": vectors}, "name": "piano", "step": 3},
        "xl": {"clip_l": vectors, "clip_g": vectors[:, :2]},
        "bare": vectors,
    }[layout]
    torch.save(content, tmp_path / "piano.pt")
    path = convert("tokens[0].path", str(tmp_path / "piano.pt"), tmp_path / "words")
    found = load_file(path)
    assert list(found) == (["clip_g", "clip_l"] if layout == "xl" else ["emb_params"])
    assert torch.equal(next(reversed(found.values())), vectors[:1] if layout == "diffusers" else vectors)
    before = path.stat().st_mtime_ns
    assert convert("tokens[0].path", str(tmp_path / "piano.pt"), tmp_path / "words") == path  # read only once
    assert path.stat().st_mtime_ns == before


def test_code_in_a_pickle_needs_trust(tmp_path: Path) -> None:
    trace, pickled, words = tmp_path / "ran", tmp_path / "piano.pt", tmp_path / "words"
    torch.save({"<piano>": torch.ones(4), "other": Anything(f"touch {trace}")}, pickled)
    with pytest.raises(RecipeError, match=r"tokens\[0\]\.path.* run whatever code is in it.*--trust-pickle"):
        convert("tokens[0].path", str(pickled), words)
    assert not trace.exists() and not words.exists()
    assert convert("tokens[0].path", str(pickled), words, trust=True).is_file() and trace.exists()
    cases = [({}, "no learned word"), ({"a": torch.ones(2), "b": torch.ones(2)}, "no learned word"), (b"no", "broken")]
    for content, said in cases:
        if isinstance(content, bytes):
            pickled.write_bytes(content)
        else:
            torch.save(content, pickled)
        with pytest.raises(RecipeError, match=said):
            convert("tokens[0].path", str(pickled), words, trust=True)
    with pytest.raises(RecipeError, match="there is no such file"):
        convert("tokens[0].path", str(tmp_path / "none.pt"), words)


def test_only_the_option_trusts_a_pickle(
    config: dict[str, Any], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    trace, path = tmp_path / "ran", tmp_path / "config.json"
    torch.save({"<piano>": torch.ones(16), "other": Anything(f"touch {trace}")}, tmp_path / "piano.pt")
    config["txt2img"]["textual_inversion"] = {"weights": str(tmp_path / "piano.pt"), "keyword": "<piano>"}
    path.write_text(json.dumps(config))
    ask = ["generate", str(path), "--sections", "none"]  # refused after the words are there, before anything is painted
    assert run(ask) == 1 and "--trust-pickle" in capfd.readouterr().err and not trace.exists()
    assert run([*ask, "--trust-pickle"]) == 1 and "sections: 'none'" in capfd.readouterr().err and trace.exists()
    trace.unlink()
    assert run(ask) == 1 and "sections: 'none'" in capfd.readouterr().err and not trace.exists()  # converted before


def test_a_config_with_a_pickled_word(config: dict[str, Any], model_folder: str, tmp_path: Path) -> None:
    torch.save({"<piano>": torch.ones(16)}, tmp_path / "piano.pt")
    config["txt2img"] |= {
        "textual_inversion": {"weights": str(tmp_path / "piano.pt"), "keyword": "<piano>"},
        "prompts": ["a {object_name} on a <piano>++"],
        "stable_diffusion_model": model_folder,
    }
    del config["img2img"], config["inpaint"]
    with pytest.raises(RecipeError, match="a pickle, which can run any code"):
        recipes_of(config)
    made = generate(config)
    (run,) = [made.get_run_info(key).config for key in made.list_runs()]
    (word,) = run.settings["recipe"]["tokens"]
    assert Path(word["path"]).suffix == ".safetensors" and Path(word["path"]).parent.name == "learned-words"
    assert len(made) == 2 and len(generate(config)) == 2
