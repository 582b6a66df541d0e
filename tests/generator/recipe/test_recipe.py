"""What a recipe accepts, and the one sentence it answers anything else with."""

from __future__ import annotations

import json
import subprocess
import sys
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import yaml

from diffucurate.generator.errors import RecipeError
from diffucurate.generator.jobs.jobs import jobs
from diffucurate.generator.recipe.amount import MAX_JOBS, Sample
from diffucurate.generator.recipe.recipe import Recipe

GOOD: dict[str, Any] = {
    "dataset": "night-streets",
    "model": "tiny",
    "task": "txt2img",
    "size": [128, 128],
    "steps": 20,
    "guidance": 5.0,
    "seeds": 3,
    "negative_prompt": "",
    "classes": {"car": ["car", "sedan"], "bus": ["bus"]},
    "templates": ["a photo of a {colour} {object} on a {place} at {time}"],
    "attributes": {
        "object": ["car", "sedan", "bus"],
        "colour": ["red", "blue"],
        "place": ["road", "beach"],
        "time": ["noon", "night"],
    },
    "sample": "all",
}
YAML = """
dataset: night-streets          # FiftyOne dataset name
model: tiny
task: txt2img
size: [128, 128]
steps: 20
guidance: 5.0
seeds: 3
negative_prompt: ""
classes:
  car: [car, sedan]
  bus: [bus]
templates:
  - "a photo of a {colour} {object} on a {place} at {time}"
attributes:
  object: [car, sedan, bus]
  colour: [red, blue]
  place: [road, beach]
  time: [noon, night]
sample: all
"""


def changed(**changes: Any) -> dict[str, Any]:
    return {**deepcopy(GOOD), **changes}


def complaint(mapping: Any) -> RecipeError:
    with pytest.raises(RecipeError) as caught:
        Recipe.from_mapping(mapping)
    error = caught.value
    assert error.__cause__ is None and "\n" not in str(error) and "pydantic" not in str(error)
    return error


def test_yaml_json_and_mapping_give_the_same_recipe() -> None:
    recipe = Recipe.from_mapping(GOOD)
    assert Recipe.parse(YAML) == recipe
    assert Recipe.parse(json.dumps(GOOD)) == recipe
    assert Recipe.parse(json.dumps(GOOD, indent="\t")) == recipe  # tabs are JSON, but not YAML
    assert Recipe.parse(json.dumps(recipe.model_dump(mode="json"))) == recipe
    assert recipe.size == (128, 128) and recipe.class_names == ("car", "bus") and recipe.seed_list == (0, 1, 2)


def test_defaults() -> None:
    recipe = Recipe.from_mapping({"dataset": "d", "classes": {"car": ["car"]}, "templates": ["a car"]})
    assert recipe.model == "tiny" and recipe.size == (128, 128) and recipe.steps == 20 and recipe.guidance == 5.0
    assert recipe.seed_list == (0,) and recipe.sample == "all" and recipe.attributes == {} and recipe.product_size == 1


@pytest.mark.parametrize(
    ("change", "field", "value", "remedy"),
    [
        # keys
        ({"stpes": 20}, "stpes", 20, "did you mean 'steps'?"),
        ({"zebra": 1}, "zebra", 1, "the keys are dataset, model"),
        ({"sample": {"cuont": 3}}, "sample.cuont", 3, "did you mean 'count'?"),
        # dataset names that FiftyOne refuses or that would leave the folder
        ({"dataset": ""}, "dataset", "", "use letters"),
        ({"dataset": "../up"}, "dataset", "../up", "use letters"),
        ({"dataset": "a/b"}, "dataset", "a/b", "use letters"),
        ({"dataset": "a\\b"}, "dataset", "a\\b", "use letters"),
        ({"dataset": "/etc"}, "dataset", "/etc", "use letters"),
        ({"dataset": ".hidden"}, "dataset", ".hidden", "use letters"),
        ({"dataset": "a..b"}, "dataset", "a..b", "use letters"),
        ({"dataset": "a\nb"}, "dataset", "a\nb", "use letters"),
        ({"dataset": "a "}, "dataset", "a ", "use letters"),
        ({"dataset": "---"}, "dataset", "---", "at least one letter"),
        ({"dataset": "夜"}, "dataset", "夜", "at least one letter"),
        ({"dataset": "x" * 101}, "dataset", "x" * 101, "at most 100"),
        ({"dataset": 12}, "dataset", 12, "write a text"),
        # numbers
        ({"steps": 0}, "steps", 0, "from 1 to 1000"),
        ({"steps": 1001}, "steps", 1001, "from 1 to 1000"),
        ({"steps": "20"}, "steps", "20", "without quotes"),
        ({"steps": True}, "steps", True, "whole number"),
        ({"steps": 20.5}, "steps", 20.5, "whole number"),
        # the sampler and the safety checker
        ({"karras": "yes"}, "karras", "yes", "true or false"),
        ({"spacing": "trail"}, "spacing", "trail", "'trailing'"),
        ({"safety_checker": 0}, "safety_checker", 0, "true or false"),
        ({"retries": 11}, "retries", 11, "from 0 to 10"),
        ({"guidance": -0.1}, "guidance", -0.1, "from 0 to 100"),
        ({"guidance": 101}, "guidance", 101, "from 0 to 100"),
        ({"guidance": float("inf")}, "guidance", float("inf"), "from 0 to 100"),
        ({"guidance": "high"}, "guidance", "high", "write a number"),
        ({"guidance": True}, "guidance", True, "write a number"),
        # size
        ({"size": 128}, "size", 128, "[128, 128]"),
        ({"size": [128]}, "size", [128], "[128, 128]"),
        ({"size": [128, 128, 3]}, "size", [128, 128, 3], "[128, 128]"),
        ({"size": ["128", "128"]}, "size", ["128", "128"], "whole numbers"),
        ({"size": [True, True]}, "size", [True, True], "whole numbers"),
        ({"size": [128.0, 128.0]}, "size", [128.0, 128.0], "whole numbers"),
        ({"size": [128, 100]}, "size", [128, 100], "try 128x96"),
        ({"size": [0, 64]}, "size", [0, 64], "try 8x64"),
        ({"size": [-64, 64]}, "size", [-64, 64], "multiples of 8"),
        ({"size": [8200, 64]}, "size", [8200, 64], "try 8192x64"),
        ({"size": [[128, 128], [128, 100]]}, "size", [128, 100], "try 128x96"),
        ({"size": [[128, 128], [128, 128]]}, "size", (128, 128), "listed 2 times"),
        ({"size": []}, "size", [], "[128, 128]"),
        # how the model is set up
        ({"scheduler": "eular"}, "scheduler", "eular", "did you mean 'euler'?"),
        ({"scheduler": "x"}, "scheduler", "x", "use one of ddim"),
        ({"loras": [{"path": "a", "scale": 11}]}, "loras[0].scale", 11, "from -10 to 10"),
        ({"loras": [{"path": "a.bin"}]}, "loras[0].path", "a.bin", "a pickle"),
        ({"loras": ["a"]}, "loras[0]", "a", "write a mapping"),
        ({"tokens": [{"path": "a.pt", "placeholder": "<a>"}]}, "tokens[0].path", "a.pt", "a pickle"),
        ({"tokens": [{"path": "a"}]}, "tokens[0].placeholder", None, "missing"),
        ({"tokens": [{"path": "a", "placeholder": "a b"}]}, "tokens[0].placeholder", "a b", "one word"),
        (
            {"tokens": [{"path": "a", "placeholder": "<a>"}, {"path": "b", "placeholder": "<a>"}]},
            "tokens[1].placeholder", "<a>", "choose a different one",
        ),
        # negative prompt
        ({"negative_prompt": "a {hue}"}, "negative_prompt", "a {hue}", "has no value where the template is"),
        ({"negative_prompt": "a {"}, "negative_prompt", "a {", "brace"),
        ({"negative_prompt": "{colour=red}"}, "negative_prompt", "{colour=red}", "write 'red'"),
        # seeds
        ({"seeds": {"count": 3, "lowest": 4, "highest": 5}}, "seeds.count", 3, "there are 2 seeds"),
        ({"seeds": {"count": 0}}, "seeds.count", 0, "from 1 to 1000000"),
        ({"seeds": {"number": 3}}, "seeds.number", 3, "the keys are count"),
        ({"seeds": 0}, "seeds", 0, "at least 1"),
        ({"seeds": True}, "seeds", True, "whole number"),
        ({"seeds": "3"}, "seeds", "3", "whole number"),
        ({"seeds": 10**9}, "seeds", 10**9, "at most 1,000,000 seeds"),
        ({"seeds": 10**9, "sample": {"count": 10}}, "seeds", 10**9, "at most 1,000,000 seeds"),
        ({"seeds": []}, "seeds", [], "at least one seed"),
        ({"seeds": [1, 2, 1]}, "seeds", 1, "listed 2 times"),
        ({"seeds": [1, -2]}, "seeds", -2, "from 0 to"),
        ({"seeds": [2**32]}, "seeds", 2**32, "from 0 to"),
        ({"seeds": [1, "2"]}, "seeds", [1, "2"], "whole numbers"),
        ({"seeds": [1, False]}, "seeds", [1, False], "whole numbers"),
        # texts
        ({"model": ""}, "model", "", "not be empty"),
        ({"task": "img2txt"}, "task", "img2txt", "'txt2img'"),
        ({"negative_prompt": None}, "negative_prompt", None, "write a text"),
        # classes
        ({"classes": {}}, "classes", {}, "at least one class"),
        ({"classes": ["car"]}, "classes", ["car"], "mapping"),
        ({"classes": {"car": []}}, "classes.car", [], "at least one phrase"),
        ({"classes": {"car": "car"}}, "classes.car", "car", "write a list"),
        ({"classes": {"car": ["car", "car"]}}, "classes.car", "car", "listed 2 times"),
        ({"classes": {"car": ["car", "Car"]}}, "classes.car", "Car", "the same as 'car'"),
        ({"classes": {"car": ["car", "?!"]}}, "classes.car", "?!", "at least one letter or digit"),
        ({"classes": {"car": ["car", 4]}}, "classes.car[1]", 4, "quotes"),
        ({"classes": {"a/car": ["car"]}}, "classes", "a/car", "as in fire truck"),
        ({"classes": {"../x": ["car"]}}, "classes", "../x", "as in fire truck"),
        ({"classes": {"$where": ["car"]}}, "classes", "$where", "begin with a letter"),
        ({"classes": {"car ": ["car"]}}, "classes", "car ", "as in fire truck"),
        ({"classes": {"fire truck": ["car"], "fire_truck": ["bus"]}}, "classes", "fire_truck", "what is between words"),
        ({"classes": {"1st": ["car"]}}, "classes", "1st", "begin with a letter"),
        ({"classes": {"_car": ["car"]}}, "classes", "_car", "begin with a letter"),
        ({"classes": {"x" * 65: ["car"]}}, "classes", "x" * 65, "up to 64 letters"),
        ({"classes": {"Background": ["car"]}}, "classes", "Background", "reserved"),
        ({"classes": {"ignore": ["car"]}}, "classes", "ignore", "reserved"),
        ({"classes": {"car": ["car"], "Car": ["bus"]}}, "classes", "Car", "only in capitals"),
        ({"classes": {True: ["car"]}}, "classes", True, "in quotes"),
        ({"classes": {"car": ["car"], "bus": ["bus", "cars"]}}, "classes.bus", "cars", "class 'car' has 'car' already"),
        ({"classes": {"car": ["Sedan"], "bus": ["sedan"]}}, "classes.bus", "sedan", "class 'car' has 'Sedan' already"),
        ({"classes": {"car": ["car"], "tram": ["tram"]}}, "classes.tram", ["tram"], "occurs in any prompt"),
        ({"classes": {"car": ["car"], "a": ["red car", "at beach"]}}, None, None, None),  # "red car" does occur
        ({"classes": {f"c{i}": [f"w{i}"] for i in range(255)}}, "classes", "255 classes", "at most 254"),
        # attributes
        ({"attributes": {**GOOD["attributes"], "tme": ["x"]}}, "attributes", "tme", "no template uses it"),
        ({"attributes": {**GOOD["attributes"], "time": []}}, "attributes.time", [], "at least one value"),
        ({"attributes": {**GOOD["attributes"], "time": ["noon", "noon"]}}, "attributes.time", "noon", "2 times"),
        ({"attributes": {**GOOD["attributes"], "time": ["noon", " "]}}, "attributes.time[1]", " ", "blank"),
        ({"attributes": {**GOOD["attributes"], "time": [1990]}}, "attributes.time[0]", 1990, "in quotes"),
        ({"attributes": {**GOOD["attributes"], "time": "noon"}}, "attributes.time", "noon", "write a list"),
        ({"attributes": {**GOOD["attributes"], "Time": ["noon"]}}, "attributes", "Time", "small letters"),
        ({"attributes": {**GOOD["attributes"], "id": ["noon"]}}, "attributes", "id", "reserved"),
        # templates
        ({"templates": []}, "templates", [], "at least one prompt"),
        ({"templates": "a car"}, "templates", "a car", "write a list"),
        ({"templates": [" "]}, "templates[0]", " ", "blank"),
        ({"templates": [GOOD["templates"][0]] * 2}, "templates", GOOD["templates"][0], "2 times"),
        ({"templates": ["{colour} {object} {place} {time} {colr}"]}, "templates[0]", None, "did you mean 'colour'?"),
        ({"templates": ["{colour} {object} {place} {time} {xyz}"]}, "templates[0]", None, "add it under attributes"),
        # sample
        ({"sample": "some"}, "sample", "some", "'all' or {count: 100, seed: 0}"),
        ({"sample": 5}, "sample", 5, "'all' or"),
        ({"sample": {}}, "sample.count", None, "missing"),
        ({"sample": {"count": 0}}, "sample.count", 0, "at least 1"),
        ({"sample": {"count": "3"}}, "sample.count", "3", "whole number"),
        ({"sample": {"count": 3, "seed": -1}}, "sample.seed", -1, "from 0 to 4294967295"),
        ({"seeds": 10**6}, "sample", "all", "24,000,000 images, more than 1,000,000"),
        ({"seeds": 10**6, "sample": {"count": MAX_JOBS + 1}}, "sample.count", MAX_JOBS + 1, "at most 1,000,000"),
        ({"seeds": 10**6, "sample": {"count": 10}}, None, None, None),
    ],
)  # fmt: skip
def test_one_sentence_with_field_value_and_remedy(
    change: dict[str, Any], field: str | None, value: Any, remedy: str
) -> None:
    if field is None:
        Recipe.from_mapping(changed(**change))
        return
    error = complaint(changed(**change))
    assert error.field == field
    assert remedy in error.remedy
    if value is not None:
        assert error.value == value


@pytest.mark.parametrize("key", ["dataset", "classes", "templates"])
def test_a_missing_key_is_named(key: str) -> None:
    mapping = changed()
    del mapping[key]
    error = complaint(mapping)
    assert error.field == key and "missing" in error.remedy


def test_a_slip_in_a_key_comes_before_the_key_it_makes_missing() -> None:
    mapping = changed()
    mapping["clases"] = mapping.pop("classes")
    assert "did you mean 'classes'?" in complaint(mapping).remedy


def test_the_constructor_complains_in_the_same_words() -> None:
    with pytest.raises(RecipeError, match="did you mean 'steps'"):
        Recipe(**changed(stepz=3))


def test_a_class_that_occurs_only_in_a_longer_phrase_of_another_occurs_nowhere() -> None:
    classes = {"fire_truck": ["fire truck"], "truck": ["truck"]}
    error = complaint({"dataset": "d", "classes": classes, "templates": ["a fire truck"]})
    assert error.field == "classes.truck"


@pytest.mark.parametrize(
    ("template", "attributes"),
    [
        ("a {kind}", {"kind": ["x", "fire truck"]}),  # within one value
        ("a fire {kind}", {"kind": ["x", "truck"]}),  # across text and value
        ("a {what} {kind}", {"what": ["x", "fire"], "kind": ["y", "truck"]}),  # across two values
        ("a fire {kind}ck", {"kind": ["x", "tru"]}),  # a value that is a part of a word
        ("a fire {front}{back}", {"front": ["x", "tru"], "back": ["y", "cks"]}),  # two of them
        ("a fi{front} truck", {"front": ["x", "re"]}),
    ],
)
def test_phrases_are_found_wherever_a_prompt_puts_them_together(
    template: str, attributes: dict[str, list[str]]
) -> None:
    many = {f"f{i}": [f"filler{i}x{j}" for j in range(50)] for i in range(6)}
    template += "".join(f" {{{name}}}" for name in many)  # 50 ** 6 prompts: they must not be tried one by one
    mapping = {
        "dataset": "d",
        "templates": [template],
        "attributes": {**attributes, **many},
        "sample": {"count": 5},
    }
    Recipe.from_mapping({**mapping, "classes": {"fire_truck": ["fire truck"]}})
    error = complaint({**mapping, "classes": {"fire_truck": ["fire lorry"]}})
    assert error.field == "classes.fire_truck"


def test_a_recipe_cannot_be_changed() -> None:
    recipe = Recipe.from_mapping(GOOD)
    with pytest.raises(Exception, match="frozen"):
        recipe.steps = 3  # type: ignore[misc]


def test_what_the_built_in_model_decides_is_fixed_and_so_are_fingerprints() -> None:
    content = {
        "dataset": "night-streets",
        "classes": {"car": ["car"]},
        "templates": ["a {colour} car"],
        "attributes": {"colour": ["red"]},
    }
    recipe = Recipe.from_mapping(content)
    named = Recipe.from_mapping({**content, "size": [128, 128], "steps": 20, "guidance": 5.0})
    assert (recipe.size, recipe.steps, recipe.guidance) == ((128, 128), 20, 5.0)
    assert recipe.left_to_model == ("size", "steps", "guidance") and named.left_to_model == ()
    assert recipe.fingerprint() == named.fingerprint() == "6c99ef8944333a9b"
    assert [job.job_id for job in jobs(recipe)] == ["d7638ad7b33249ae"]
    same = {"karras": None, "spacing": None, "safety_checker": None, "retries": 0}
    assert Recipe.from_mapping({**content, **same}).fingerprint() == recipe.fingerprint()
    others = {"karras": False, "spacing": "trailing", "safety_checker": False, "retries": 1}
    prints = {Recipe.from_mapping({**content, name: value}).fingerprint() for name, value in others.items()}
    assert len(prints) == 4 and recipe.fingerprint() not in prints
    varied = Recipe.from_mapping({**content, "task": "img2img", "source": {"dataset": "p"}})
    assert (varied.size, varied.fingerprint()) == ("source", "b0a4b1e5c115796a")


def test_another_model_decides_when_it_is_known() -> None:
    recipe = Recipe.from_mapping({**GOOD, "model": "some/model", "size": None, "steps": None})
    assert (recipe.size, recipe.sizes, recipe.steps, recipe.guidance) == (None, (), None, 5.0)
    assert recipe.left_to_model == ("size", "steps") and Recipe.from_mapping(recipe.model_dump()) == recipe
    with pytest.raises(RecipeError, match="size: None - it follows from model 'some/model'"):
        jobs(recipe)


def test_fingerprint() -> None:
    recipe = Recipe.from_mapping(GOOD)
    backwards = {key: GOOD[key] for key in reversed(GOOD)}
    backwards["attributes"] = {key: GOOD["attributes"][key] for key in reversed(GOOD["attributes"])}
    assert len(recipe.fingerprint()) == 16 and int(recipe.fingerprint(), 16) >= 0
    assert Recipe.from_mapping(backwards).fingerprint() == recipe.fingerprint()
    # The order of classes gives the ids in the masks, so it does count.
    swapped = {"bus": ["bus"], "car": ["car", "sedan"]}
    others = [changed(classes=swapped), changed(steps=21), changed(sample={"count": 3}), changed(seeds=[0, 1, 2])]
    prints = {Recipe.from_mapping(mapping).fingerprint() for mapping in others}
    assert len(prints) == 4 and recipe.fingerprint() not in prints
    # What fits the card is no part of what is painted.
    assert Recipe.from_mapping(changed(memory="low")).fingerprint() == recipe.fingerprint()


def test_memory() -> None:
    assert Recipe.from_mapping(GOOD).memory == "auto"
    written = yaml.safe_dump(GOOD)
    assert Recipe.parse(f"{written}memory: off\n").memory == "off"  # which YAML reads as no
    with pytest.raises(RecipeError, match=r"memory: 'tiny' - .*'auto', 'low' or 'off'"):
        Recipe.parse(f"{written}memory: tiny\n")


@pytest.mark.parametrize(
    ("text", "field", "remedy"),
    [
        ("dataset: [a\nsteps: 3\n", "line 2", "not valid YAML"),
        ("dataset: a\n\tsteps: 3\n", "line 2", "not valid YAML"),
        ("dataset: a\nsteps: 3\nsteps: 4\n", "line 3", "'steps' comes twice"),
        ("dataset: a\nb: !!python/object:os.system x\n", "line 2", "not valid YAML"),
        ("dataset: a\n---\ndataset: b\n", "line 2", "single document"),
        ("dataset: a\nmodel: '\x00'\n", "line 2", "no such character"),
        ('{"dataset": "a", "dataset": "b"}', "dataset", "only once"),
        ("made: 2024-02-31\n", "recipe", "date"),
        ("[" * 5000, "recipe", "nested too deeply"),
        ("- a\n- b\n", "recipe", "a recipe is a mapping"),
        ("just words", "recipe", "a recipe is a mapping"),
        ("", "recipe", "a recipe is a mapping"),
        ("12: a\n", "recipe", "a key must be a text"),
    ],
)
def test_text_that_is_no_recipe(text: str, field: str, remedy: str) -> None:
    with pytest.raises(RecipeError) as caught:
        Recipe.parse(text)
    assert caught.value.field == field and remedy in caught.value.remedy


def test_load(tmp_path: Path) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_bytes(b"\xef\xbb\xbf" + YAML.encode())  # as some editors save it
    assert Recipe.load(path) == Recipe.load(str(path)) == Recipe.from_mapping(GOOD)


@pytest.mark.parametrize(
    ("content", "remedy"),
    [(None, "no such file"), ("folder", "a folder"), ("dataset: é".encode("latin-1"), "not UTF-8")],
)
def test_files_that_cannot_be_read(tmp_path: Path, content: Any, remedy: str) -> None:
    path = tmp_path / "recipe.yaml"
    if content == "folder":
        path.mkdir()
    elif content is not None:
        path.write_bytes(content)
    with pytest.raises(RecipeError, match=remedy) as caught:
        Recipe.load(path)
    assert caught.value.field == "recipe" and caught.value.value == str(path)


def test_a_path_no_system_has() -> None:
    with pytest.raises(RecipeError, match="cannot be read"):
        Recipe.load("a\x00b")


def test_sample_defaults_to_seed_0() -> None:
    assert Recipe.from_mapping(changed(sample={"count": 3})).sample == Sample(count=3, seed=0)


def test_recipes_are_light() -> None:
    code = (
        "import sys, diffucurate.generator.jobs.jobs\n"
        "sys.exit(bool({'torch', 'fiftyone', 'diffusers', 'transformers', 'cv2', 'numpy'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_class_that_is_missing_among_a_million_prompts_is_found_at_once() -> None:
    things = [f"thing{number}" for number in range(100)]
    classes = {thing: [thing] for thing in things}
    million = {"templates": ["{a} {b} {c}"], "attributes": dict.fromkeys("abc", things), "sample": {"count": 1}}
    assert complaint(changed(**million, classes={**classes, "piano": ["piano"]})).field == "classes.piano"
    assert len(Recipe.from_mapping(changed(**million, classes=classes)).classes) == 100


@pytest.mark.parametrize("sizes", [["fire"], ["fire", "red"]])
def test_a_longer_phrase_of_another_class_may_claim_every_mention(sizes: list[str]) -> None:
    classes = {"truck": ["truck"], "fire_truck": ["fire truck"]}
    mapping = changed(classes=classes, templates=["a {size} {thing}"], attributes={"size": sizes, "thing": ["truck"]})
    if sizes == ["fire"]:
        assert complaint(mapping).field == "classes.truck"
    else:
        assert Recipe.from_mapping(mapping).class_names == ("truck", "fire_truck")


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"templates": ["a \ud83d car"]}, "templates[0]"),
        ({"negative_prompt": "\udc00"}, "negative_prompt"),
        ({"attributes": {"colour": ["red", "\ud800"]}}, "attributes.colour[1]"),
        ({"classes": {"c\ud800": ["car"]}}, "classes"),
        ({"\ud800": 1}, "recipe"),
    ],
)
def test_halves_of_characters_are_refused(change, field):
    """JSON can write them, and no database takes them."""
    with pytest.raises(RecipeError, match="half of a character") as raised:
        Recipe.from_mapping({"dataset": "x", "classes": {"car": ["car"]}, "templates": ["a car"], **change})
    assert raised.value.field == field
    str(raised.value).encode()


def test_a_chain_of_many_phrases_is_followed():
    """Each phrase shares a word with the next: as long as a chain of calls would be too deep."""
    phrases = {"car": ["w0 car", *(f"w{index} w{index + 1}" for index in range(3_000))]}
    recipe = {"dataset": "x", "classes": phrases, "templates": ["a {thing} w0 car"], "attributes": {"thing": ["w3000"]}}
    assert Recipe.from_mapping(recipe).classes["car"][0] == "w0 car"
