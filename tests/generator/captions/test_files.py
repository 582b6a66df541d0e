"""Files of captions: what is read from each format, and what is said of broken ones."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from diffucurate.generator.captions.files import Caption, captions_of, read_captions
from diffucurate.generator.errors import RecipeError

COCO: dict[str, Any] = {
    "images": [{"id": 7}, {"id": 8}],
    "annotations": [
        {"id": 70, "image_id": 7, "caption": "A red car\non a road."},
        {"id": 80, "image_id": 8, "caption": "A {dog}"},
        {"id": 71, "image_id": 7, "caption": "one car"},
        {"id": 72, "image_id": 7, "caption": "  "},
    ],
}
INSTANCES: dict[str, Any] = {
    "categories": [{"id": 3, "name": "dog"}, {"id": 1, "name": "car"}, {"id": 2, "name": "bus"}],
    "annotations": [
        {"id": 1, "image_id": 7, "category_id": 1},
        {"id": 2, "image_id": 7, "category_id": 1},
        {"id": 3, "image_id": 7, "category_id": 3},
    ],
}


def written(folder: Path, name: str, content: Any) -> str:
    path = folder / name
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return str(path)


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        # The lines' own numbers, blank ones counted; a byte order mark and Windows line ends.
        ("a.txt", "\ufeffa car\r\n\r\n a {x} bus++ \n", [Caption("a car", "1"), Caption("a {x} bus++", "3")]),
        ("a.json", ["a car", "a \u0007bus\ud800"], [Caption("a car", "1"), Caption("a bus", "2")]),
        ("b.json", [{"caption": "a car", "classes": ["car", "car"], "id": 9}], [Caption("a car", "9", None, ("car",))]),
        (
            "c.json",
            {"captions": [{"caption": "a car", "id": "x", "image_id": 4, "model": "m", "examples": ["1"]}], "seed": 0},
            [Caption("a car", "x", "4", None, "m", ("1",))],
        ),
        (
            "coco.json",
            COCO,
            [Caption("A red car on a road.", "70", "7"), Caption("A {dog}", "80", "8"), Caption("one car", "71", "7")],
        ),
    ],
)
def test_formats(tmp_path: Path, name: str, content: Any, expected: list[Caption]) -> None:
    assert read_captions(written(tmp_path, name, content)) == expected


def test_coco_with_instances_and_one_caption_per_image(tmp_path: Path) -> None:
    captions, instances = written(tmp_path, "c.json", COCO), written(tmp_path, "i.json", INSTANCES)
    found = read_captions(captions, instances, per_image=1)
    # In the order of the categories, each once; an image without objects shows none of them.
    assert [(caption.id, caption.classes) for caption in found] == [("70", ("dog", "car")), ("80", ())]


def changed(content: dict[str, Any], key: str, *extra: Any) -> dict[str, Any]:
    return {**content, key: [*content[key], *extra]}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ('["a car",\n "a bus"', "at line 2, column 9 this is not valid JSON (expecting ',' delimiter)"),
        ("[" * 100_000, "nested too deeply"),
        ({"recipe": []}, "it holds no list of captions; give a text file"),
        ([7], "entry 1' - an entry is a text or a mapping"),
        ([{"caption": "a", "clases": []}], "'clases' is not a key of a caption; did you mean 'classes'?"),
        ([{"caption": "a", "classes": "car"}], "its 'classes' must be a list of texts"),
        ([{"caption": "a", "id": True}], "its id True must be a whole number or a text"),
        ([{"caption": "a", "id": 2}, "b"], "'2' - the id comes twice"),
        (changed(COCO, "annotations", {"id": 70, "image_id": 7, "caption": "a"}), "annotation id 70 comes twice"),
        (changed(COCO, "images", {"id": 7}), "the id 7 comes twice among its 'images'"),
        (changed(COCO, "annotations", {"id": 5, "image_id": 9, "caption": "a"}), "annotation 5 is of image 9, which"),
        (changed(COCO, "annotations", {"id": 5, "image_id": 7}), "its annotation 5 has no 'caption'"),
        ({**COCO, "images": {}}, "its 'images' must be a list of mappings"),
        ({**INSTANCES, "images": []}, "give COCO's captions here and this file as 'instances'"),
    ],
)
def test_what_is_wrong_with_a_file(tmp_path: Path, content: Any, words: str) -> None:
    path = written(tmp_path, "broken.json", content)
    with pytest.raises(RecipeError) as error:
        read_captions(path)
    assert words in str(error.value) and error.value.field == "captions"


@pytest.mark.parametrize(
    ("captions", "instances", "words"),
    [
        (COCO, COCO, "this is no COCO file of instances"),
        (COCO, changed(INSTANCES, "annotations", {"id": 9, "image_id": 7, "category_id": 5}), "of category 5, which"),
        (
            COCO,
            changed(INSTANCES, "categories", {"id": 1, "name": "van"}),
            "the id 1 comes twice among its 'categories'",
        ),
        (COCO, changed(INSTANCES, "categories", {"id": 4}), "category 4 has no name"),
        (["a car"], INSTANCES, "is no COCO file of captions"),
    ],
)
def test_what_is_wrong_with_instances(tmp_path: Path, captions: Any, instances: Any, words: str) -> None:
    with pytest.raises(RecipeError) as error:
        read_captions(written(tmp_path, "c.json", captions), written(tmp_path, "i.json", instances))
    assert words in str(error.value) and error.value.field == "captions.instances"


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "latin.txt").write_bytes("caf\xe9".encode("latin-1"))
    for path, words in (
        (tmp_path / "none.txt", "no such file"),
        (tmp_path, "folder"),
        (tmp_path / "latin.txt", "UTF-8"),
    ):
        with pytest.raises(RecipeError, match=words):
            read_captions(str(path))
    with pytest.raises(RecipeError, match="is text, whose captions are of no images"):
        read_captions(str(tmp_path / "latin.txt"), "i.json")


def test_a_list_in_a_recipe() -> None:
    assert captions_of(["a car", {"caption": "b", "id": "z"}]) == [Caption("a car", "1"), Caption("b", "z")]


def test_pipes_and_devices_are_no_captions(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "captions.json")
    os.mkfifo(tmp_path / "captions.txt")
    for path in (str(tmp_path / "captions.json"), str(tmp_path / "captions.txt"), "/dev/zero"):
        with pytest.raises(RecipeError, match="this is a pipe or a device"):
            read_captions(path)


def test_numbers_of_thousands_of_digits_and_deep_brackets_are_said(tmp_path: Path) -> None:
    path = tmp_path / "captions.json"
    for text, said in (("[" + "9" * 5000 + "]", "too many digits"), ("[" * 100_000, "nested too deeply")):
        path.write_text(text)
        with pytest.raises(RecipeError, match=said) as raised:
            read_captions(str(path))
        assert len(str(raised.value)) < 400
