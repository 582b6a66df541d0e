"""More captions from a few, by a language model that was trained for the test on captions of the tiny world."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from tiny_writer import CHAT

from diffucurate.generator.captions.files import read_captions
from diffucurate.generator.errors import InvalidSetting, ModelError, RecipeError
from diffucurate.generator.expansion.expand import expand_captions
from diffucurate.generator.expansion.language_model import LanguageModel
from diffucurate.generator.expansion.written import caption_in, folded, problem
from diffucurate.generator.jobs.jobs import jobs
from diffucurate.generator.progress import Progress
from diffucurate.generator.recipe.recipe import Recipe
from diffucurate.generator.text.class_mentions import find_phrases

CLASSES = {"car": ["car"], "bus": ["bus", "coach"], "tree": ["tree"]}


def test_every_class_stays_named(writer: str, tmp_path: Path) -> None:
    known = ["a red car and a tree in a park", "a blue bus at noon"]
    told: list[Progress] = []
    asked: dict[str, Any] = {"model": writer, "classes": CLASSES, "count": 12, "shots": 0, "most_words": 16}
    made = expand_captions(known, tmp_path / "a.json", **asked, progress=told.append)
    texts = [entry["caption"] for entry in made.captions]
    assert len({folded(text) for text in [*known, *texts]}) == 14
    found = [set(find_phrases(text, CLASSES)) for text in texts]
    assert all(labels >= {"car", "tree"} or labels >= {"bus"} for labels in found)
    assert made.classes["bus"] + made.classes["car"] == 12 and made.classes["car"] == made.classes["tree"] > 0
    assert made.dropped["a class not named"] > 0 and "a class not named" in made.remark
    assert (told[-1].done, told[-1].total, told[-1].unit) == (12, 12, "captions")
    # The same again is the same to the letter, and a recipe reads it with all that is known of it.
    again = expand_captions(known, tmp_path / "b.json", **asked)
    assert (tmp_path / "a.json").read_text() == (tmp_path / "b.json").read_text() and again.dropped == made.dropped
    assert [caption.model for caption in read_captions(str(made.path))] == [writer] * 12
    recipe = Recipe.from_mapping({"dataset": "d", "classes": CLASSES, "captions": str(made.path)})
    assert sorted(job.prompt for job in jobs(recipe)) == sorted(texts)
    with pytest.raises(InvalidSetting, match="the file is there already"):
        expand_captions(known, tmp_path / "a.json", **asked)


def test_a_chat_model_is_asked_by_its_template(writer: str, tmp_path: Path) -> None:
    shutil.copytree(writer, tmp_path / "chat")
    (tmp_path / "chat" / "chat_template.jinja").write_text(CHAT)
    unsaid, said = {"caption": "a truck", "classes": ["car", "bus"], "id": "x"}, {"caption": "a car, a bus", "id": "y"}
    asked: dict[str, Any] = {"classes": {"car": ["car"], "bus": ["bus"]}, "count": 2, "most_words": 24}
    assert LanguageModel(str(tmp_path / "chat")).chats
    made = expand_captions([unsaid, said], tmp_path / "a.json", model=str(tmp_path / "chat"), **asked)
    assert all(set(find_phrases(entry["caption"], CLASSES)) >= {"car", "bus"} for entry in made.captions)
    assert made.classes == {"car": 2, "bus": 2}
    # Only captions that say their classes are shown as examples.
    assert [entry["examples"] for entry in made.captions] == [["y"], ["y"]]


def test_by_class_alone(writer: str, tmp_path: Path) -> None:
    made = expand_captions(None, tmp_path / "a.json", model=writer, classes=CLASSES, count=6, most_words=16)
    assert len(made.captions) == 6 and all(find_phrases(entry["caption"], CLASSES) for entry in made.captions)
    assert json.loads((tmp_path / "a.json").read_text())["source"] is None


@pytest.mark.parametrize(
    ("changes", "error", "words"),
    [
        ({"most_words": 3, "count": 2, "tries": 1}, ModelError, "wrote 2 captions of which none is of use"),
        ({"count": 0}, InvalidSetting, "count: 0 - use a whole number from 1 on"),
        ({"temperature": 0.0}, InvalidSetting, "temperature: 0.0 - use a number above 0"),
        ({"classes": {"car": []}}, InvalidSetting, "classes.car"),
        ({"captions": "none.txt"}, RecipeError, "captions: 'none.txt' - there is no such file"),
        ({"captions": ["a cat"]}, InvalidSetting, "names a class (car)"),
        ({"path": "a.txt"}, InvalidSetting, "name a file that ends in .json"),
        ({"model": "/nowhere/model"}, ModelError, "neither a folder that exists nor a hub id"),
        ({"model": "."}, ModelError, "holds no config.json of a model that writes text"),
        ({"most_words": 64}, ModelError, "reads 128 tokens at once"),
    ],
)
def test_what_is_wrong(writer: str, tmp_path: Path, changes: dict[str, Any], error: type, words: str) -> None:
    asked: dict[str, Any] = {"captions": ["a car"], "path": tmp_path / "a.json", "model": writer, "shots": 0}
    with pytest.raises(error) as raised:
        expand_captions(**{**asked, "classes": {"car": ["car"]}, **changes})
    assert words in str(raised.value) and not (tmp_path / "a.json").exists()


@pytest.mark.parametrize(
    ("answer", "caption"),
    [
        ("a red car\n", "a red car"),
        ("Sure! Here is one:\n\n1. \u201cA red car.\u201d\nAnother: a bus", "A red car."),
        ("<think>a bus?\nno</think>\n- a  red\tcar", "a red car"),
        ("Caption: a red car", "a red car"),
        ("<think>never ends", ""),
    ],
)
def test_the_caption_in_an_answer(answer: str, caption: str) -> None:
    assert caption_in(answer) == caption


@pytest.mark.parametrize(
    ("caption", "reason"),
    [
        ("a red car", None),
        ("three cars on a road", None),
        ("red car", "no sentence"),
        ("a car {colour} here", "no sentence"),
        ("a car at https://example.org", "no sentence"),
        ("a car car car", "no sentence"),
        ("a car on a road at noon in fog", "too long"),
        ("a red bus", "a class not named"),
        ("A Blue car!", "said before"),
    ],
)
def test_why_a_caption_is_dropped(caption: str, reason: str | None) -> None:
    assert problem(caption, ["car"], CLASSES, {"a blue car"}, most_words=8) == reason
