"""Words learned from the samples of a dataset, and used by a recipe; the command line does the same."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fiftyone as fo
import numpy as np
import pytest

from diffucurate.generator.errors import DatasetError, ImageError, InvalidSetting
from diffucurate.generator.inversion.files import WORDS_DIR_VARIABLE
from diffucurate.generator.labels.model import Instance, Labels
from diffucurate.generator.tiny.scenes import Scene
from diffucurate.generator.tiny.shapes import CLASSES
from diffucurate.plugin.cli import run
from diffucurate.plugin.generation.generate import generate
from diffucurate.plugin.store import runs
from diffucurate.plugin.tokens.train import train_token

QUICK: dict[str, Any] = {"steps": 2, "batch_size": 1, "preview_every": 0}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(WORDS_DIR_VARIABLE, str(tmp_path / "words"))
    return tmp_path / "words"


@pytest.fixture
def drawn(dataset: fo.Dataset, add_scenes: Callable[..., None], scenes: list[Scene]) -> fo.Dataset:
    """Four scenes with the labels of a source called truth."""
    truth = []
    for scene in scenes[:4]:
        things = [Instance(thing.label, thing.mask, 1.0) for thing in scene.objects]
        truth.append(Labels.from_instances(things, CLASSES, scene.image.shape[:2]))
    add_scenes(scenes[:4], truth=truth)
    return dataset


def last_run(dataset: fo.Dataset) -> runs.Record:
    return runs.read(dataset, max(dataset.list_runs(method=runs.method("train_token"))))


def test_a_word_for_whole_images_is_used_by_a_recipe(drawn: fo.Dataset, model_folder: str, folder: Path) -> None:
    """An image that cannot be read is left out and named; the word is a class's phrase and is traced."""
    sample = drawn.last()
    sample.filepath = str(folder / "gone.png")
    sample.save()
    learned = train_token(drawn, "<street>", model=model_folder, vectors=2, captions="style", **QUICK)
    assert learned.path == folder / "street" / "street.safetensors" and learned.path.is_file()
    record = last_run(drawn)
    assert record.status == runs.DONE and record.facts["examples"] == 3 and record.facts["steps"] == 2
    assert list(record.facts["failed"]) == [sample.id]
    made = generate(
        {
            "dataset": f"{drawn.name}-made",
            "model": model_folder,
            "size": [64, 64],
            "steps": 1,
            "classes": {"street": ["<street>"]},
            "templates": ["a photo of a <street>"],
            **learned.recipe_parts(),
        }
    )
    try:
        assert made.first()["heatmap_street"] is not None and made.first()["prompt"] == "a photo of a <street>"
    finally:
        fo.delete_dataset(made.name)


def test_objects_of_a_field(drawn: fo.Dataset, model_folder: str, folder: Path) -> None:
    """Each is cut out with its margin; from whole images the masks of the class are learned with."""
    drawn.clone_sample_field("truth_instances", "things")
    found = drawn.values("things.detections.label")
    drawn.set_values("things.detections.label", [["thing"] * len(labels) for labels in found])
    for crop, name, count in ((True, "cut", sum(map(len, found))), (False, "whole", 4)):
        learned = train_token(
            drawn, "<it>", field="things", crop=crop, name=name, model=model_folder, outside=0.1, **QUICK
        )
        assert learned.path == folder / name / f"{name}.safetensors"
        record = last_run(drawn)
        assert record.settings["label"] == "thing" and record.facts["examples"] == count


def test_cut_out_objects(drawn: fo.Dataset) -> None:
    from diffucurate.plugin.store.label_objects import LabelledObject
    from diffucurate.plugin.tokens.train import _cut_out

    image = np.arange(100 * 60 * 3, dtype=np.uint32).reshape(100, 60, 3).astype(np.uint8)
    mask = np.zeros((100, 60), np.bool_)
    mask[40:60, 20:30] = True  # 20 px tall, 10 wide
    for margin, shape in ((0.0, (20, 20)), (0.5, (40, 40)), (1.0, (60, 60)), (2.0, (100, 60))):
        one = _cut_out(image, LabelledObject("", "piano", mask, None), margin)
        assert one.image.shape[:2] == shape and one.mask is not None and np.count_nonzero(one.mask) == 200
    assert np.array_equal(_cut_out(image, LabelledObject("", "piano", mask, None), 0.0).image, image[40:60, 15:35])
    corner = np.zeros((100, 60), np.bool_)
    corner[:10, 55:] = True
    assert np.array_equal(_cut_out(image, LabelledObject("", "piano", corner, None), 0.5).image, image[:20, 40:])


def test_captions_of_images(drawn: fo.Dataset, model_folder: str) -> None:
    texts = ["a {} on a road", "a photo of <it>", "a tree, trees and a tree", "no such thing"]
    drawn.set_values("about", texts)
    drawn.set_values("labels", [fo.Detections(detections=[fo.Detection(label="tree", bounding_box=[0, 0, 1, 1])])] * 4)
    three = drawn.limit(3)
    options: dict[str, Any] = {"field": "labels", "crop": False, "caption_field": "about", "model": model_folder}
    train_token(three, "<it>", **options, **QUICK)
    with pytest.raises(DatasetError, match="has no place for the word in 'no such thing'"):
        train_token(drawn, "<it>", name="other", **options, **QUICK)
    with pytest.raises(InvalidSetting, match="its texts describe whole images"):
        train_token(drawn, "<it>", **{**options, "crop": True}, **QUICK)
    with pytest.raises(InvalidSetting, match=r"filepaths.*has no field of that name with texts"):
        train_token(drawn, "<it>", **{**options, "caption_field": "filepaths"}, **QUICK)


@pytest.mark.parametrize(
    ("options", "kind", "said"),
    [
        ({"placeholder": "car"}, InvalidSetting, "the model's tokenizer has this word already"),
        ({"placeholder": "a car"}, InvalidSetting, "a placeholder is one word"),
        ({"name": "../it"}, InvalidSetting, "use letters"),
        ({"field": "gone"}, DatasetError, "has no labels 'gone'"),
        ({"field": "truth"}, DatasetError, "which of the labels is learned; name one as `label`"),
        ({"field": "truth", "label": "piano"}, DatasetError, "no sample shows 'piano'"),
        ({"margin": 2.0}, InvalidSetting, "a share of the box from 0 to 1"),
        ({"steps": 0}, InvalidSetting, "it must be from 1 to 100000"),
        ({"lora": {"ranks": 3}}, InvalidSetting, "did you mean 'rank'?"),
    ],
)
def test_what_is_refused(
    drawn: fo.Dataset, model_folder: str, folder: Path, options: dict[str, Any], kind: type[Exception], said: str
) -> None:
    with pytest.raises(kind) as raised:
        train_token(drawn, **{"placeholder": "<it>", "model": model_folder, **QUICK, **options})
    assert said in str(raised.value) and not folder.exists()


def test_too_few_images(drawn: fo.Dataset) -> None:
    with pytest.raises(ImageError, match="from 3 to 50 examples, 2 were given"):
        train_token(drawn.limit(2), "<it>", **QUICK)


def test_the_command_line(
    drawn: fo.Dataset, model_folder: str, folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    command = [
        "train-token",
        drawn.name,
        "<it>",
        "--model",
        model_folder,
        "--steps",
        "2",
        "--batch-size",
        "1",
        "--preview-every",
        "0",
        "--lora",
        "text",
        "--lora-rank",
        "2",
        "--json",
    ]
    assert run(command) == 0
    out, err = capfd.readouterr()
    told = json.loads(out)
    assert told["recipe"]["tokens"] == [{"path": str(folder / "it" / "it.safetensors"), "placeholder": "<it>"}]
    assert Path(told["recipe"]["loras"][0]["path"]).is_file() and told["previews"] == []
    assert "train-token: 2/2" in err and "step 2: loss " in err
    assert run(command) == 1
    document = json.loads(capfd.readouterr().out)
    assert document["error"]["field"] == "name" and "ask for more" in document["error"]["message"]


def test_a_model_is_trained_whole_on_the_card(model_folder) -> None:
    """Weights that wait elsewhere for their turn would be moved under the gradients."""
    from simulated_card import card_with

    from diffucurate.generator.models.load import load_pipeline, release_models
    from diffucurate.generator.models.placement import placed
    from diffucurate.plugin.tokens.train import _pipeline

    release_models()
    with card_with(10**6):  # less than the weights
        assert placed(load_pipeline(model_folder, "cpu")).placement.offload != "none"
        pipe = _pipeline(model_folder, "cpu", 4)
        assert placed(pipe).placement.offload == "none" and not hasattr(pipe.unet, "_hf_hook")
    release_models()
