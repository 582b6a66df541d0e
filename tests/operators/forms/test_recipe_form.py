"""The recipe built in the form: what it shows, where what is wrong stands, and what it is as a recipe."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from diffucurate.generator.recipe.files import recipe_text
from diffucurate.generator.recipe.recipe import Recipe
from diffucurate.generator.text.parsing import join_values, split_values
from diffucurate.operators.forms.class_tags import classes_of, remembered, tags_of
from diffucurate.operators.forms.fields import plain
from diffucurate.operators.forms.recipe_params import EXAMPLE, mapping_of, params_of

if TYPE_CHECKING:
    import fiftyone as fo

STREETS = "a {colour} {object} on a road at {time}"
NUMBERS = ("width", "height", "steps", "guidance")
SIDE = "64"
UNKNOWN = {"model_from": "hub", "model": "nobody/no-such-model"}
TEN = ", ".join(f"v{number}" for number in range(10))
MILLION = {"templates": "a {object} {a} {b} {c} {d} {e}", "attributes": {**dict.fromkeys("abcde", TEN), "object": TEN}}


def problems(fields: dict[str, Any], within: str = "") -> dict[str, str]:
    """Path of a field -> its message, fields inside others too."""
    found = {}
    for name, field in fields.items():
        if field.get("invalid"):
            found[within + name] = field["error_message"]
        if field["type"]["name"] == "Object":
            found |= problems(field["type"]["properties"], f"{within}{name}.")
    return found


@pytest.fixture
def form(app: Any) -> Any:
    def form(dataset: fo.Dataset | None = None, /, **params: Any) -> dict[str, Any]:
        return app.form("generate_images", dataset, recipe_from="built", **params)

    return form


def preview(fields: dict[str, Any]) -> list[str]:
    return [line.removeprefix("- ") for line in fields["preview"]["default"].splitlines()]


def test_an_empty_form_is_ready_to_run(form) -> None:
    fields = form()
    assert problems(fields) == {}
    assert fields["recipe_summary"]["view"]["label"] == "16 images for dataset 'my-streets', labelled as car, bus."
    assert fields["classes"]["default"] == ["car", "bus"]
    assert len(preview(fields)) == 6 and "a red car on a road at noon" in preview(fields)
    assert not {"steps", "guidance", "count", "device", "yaml", "dataset_from"} & set(fields)
    assert {"steps", "guidance", "negative_prompt", "count", "device"} <= set(form(advanced=True))


def test_attributes_and_classes_follow_the_templates(form) -> None:
    fields = form(templates=f"{STREETS}\na {{animal}} in {{weather}}", attributes={"animal": "dog, fire-fly"})
    attributes = fields["attributes"]["type"]["properties"]
    assert list(attributes) == ["colour", "object", "time", "animal", "weather"]
    assert attributes["weather"]["default"] == "fog, rain, snow"  # what the built-in model knows
    assert fields["classes"]["default"] == ["car", "bus", "dog", "fire-fly"]
    assert "28 images" in fields["recipe_summary"]["view"]["label"]
    assert "a dog in fog" in preview(fields)


def test_classes_that_nobody_chose_follow_although_the_app_lags_behind(form) -> None:
    lagging = {"classes": ["car", "bus"], "classes_found": remembered(["car", "bus"])}
    typed = {"attributes": {"object": "tram"}}
    assert "labelled as tram." in form(**typed, **lagging)["recipe_summary"]["view"]["label"]
    chosen = {**lagging, "classes": ["car"]}
    assert set(problems(form(**typed, **chosen))) == {"classes"}


@pytest.mark.parametrize(
    ("params", "field", "words"),
    [
        ({"templates": ""}, "templates", "at least one prompt"),
        ({"templates": None}, "templates", "at least one prompt"),
        ({"templates": f"{STREETS}\na {{object.__class__}}"}, "templates", "line 2: .*'{object.__class__}' is not"),
        ({"templates": "a car\na car"}, "templates", "listed 2 times"),
        ({"templates": "a {colour car"}, "templates", "brace without its partner"),
        ({"templates": "a {id} car", "attributes": {"id": "x"}}, "templates", "id: the name is reserved"),
        ({"attributes": {"colour": " , "}}, "attributes.colour", "write what {colour} can be"),
        ({"attributes": {"colour": "red, red"}}, "attributes.colour", "listed 2 times"),
        ({"classes": []}, "classes", "at least one class"),
        ({"classes": ["car", "piano"]}, "classes", "^piano: none of its phrases"),
        ({"classes": ["car", "bus: car"]}, "classes", "one class only"),
        ({"classes": ["background"]}, "classes", "reserved"),
        ({"seeds": "1000000000"}, "seeds", "at most 1,000,000"),
        ({"seeds": "3, 3"}, "seeds", "listed 2 times"),
        ({"seeds": "many"}, "seeds", "^many: "),
        ({**MILLION, "seeds": "2"}, "seeds", "more images than one recipe"),
        ({"seeds": "5 random from 1 to 3"}, "seeds", "ask for fewer"),
        ({"more_sizes": "64x60"}, "more_sizes", "try 64x64"),
        ({"more_sizes": "big"}, "more_sizes", "^big: .* such as 128x96$"),
        ({"more_sizes": "128x128"}, "more_sizes", "2 times"),
        ({"tokens": ["<piano>"]}, "tokens", "its word and its file"),
        ({"tokens": ["<piano>=piano.pt"]}, "tokens", "pickle"),
        ({"tokens": ["a b=p.safetensors"]}, "tokens", "one word"),
        ({"loras": ["a.safetensors=99"]}, "loras", "from -10 to 10"),
        ({"loras": ["a.ckpt=1"]}, "loras", "pickle"),
        ({"negative_prompt": "{mood}"}, "negative_prompt", "mood"),
        ({"width": 7, "height": 7}, "width", "try 8x8"),
        ({"height": 100}, "height", "^128x100: .* try 128x96"),
        ({**UNKNOWN, "width": 128}, "height", "^give width and height in pixels"),
        ({**UNKNOWN, "more_sizes": "64x64"}, "width", "^give width and"),
        ({"steps": 0}, "steps", "from 1 to 1000"),
        ({"guidance": -1}, "guidance", "from 0 to 100"),
        ({"sample_count": 0}, "sample_count", "at least 1"),
        ({"retries": 99}, "retries", "from 0 to 10"),
        ({"spacing": "wide"}, "spacing", "'leading', 'linspace' or 'trailing'"),
        ({"karras": "maybe"}, "karras", "true or false"),
        ({"count": 0}, "count", "at least 1"),
        ({"dataset": ""}, "dataset", "a name"),
        ({"dataset": "../up"}, "dataset", "use letters"),
        ({"model_from": "hub"}, "model", "owner/name"),
        ({"model_from": "hub", "model": "nonsense"}, "model", "nor a hub id"),
        ({"model_from": "local", "model": "owner/name"}, "model", "no folder or file"),
        ({"model_from": "local", "model": "/nowhere/model.ckpt"}, "model", "pickle"),
    ],
)
def test_what_is_wrong_stands_on_its_field(form, params: dict[str, Any], field: str, words: str) -> None:
    import re

    fields = form(**params)
    found = problems(fields)
    assert list(found) == [field]
    assert re.search(words, found[field]) and "\n" not in found[field]
    assert "recipe_summary" not in fields and plain(f": {found[field]}") in fields["not_ready"]["view"]["description"]


def test_a_partial_recipe_keeps_its_preview(form) -> None:
    fields = form(templates="a {mood} {object} at {time}", attributes={"object": "car", "time": "noon"})
    assert set(problems(fields)) == {"attributes.mood"} and preview(fields) == ["a {mood} car at noon"]
    fields = form(templates="a {object} at {time}\nbroken {", attributes={"object": "car", "time": "noon"})
    assert set(problems(fields)) == {"templates"} and preview(fields) == ["a car at noon"]


def test_a_million_images_are_counted_in_no_time(form) -> None:
    import time

    started = time.perf_counter()
    fields = form(**MILLION, seeds="1")
    assert time.perf_counter() - started < 1  # milliseconds, but tests share their machine
    assert fields["recipe_summary"]["view"]["label"].startswith("1,000,000 images")
    assert len(set(preview(fields))) == 6
    assert "500 images" in form(**MILLION, sample_count=500)["recipe_summary"]["view"]["label"]


def test_another_model_begins_with_its_own_numbers(form, random_pipeline: Path, tmp_path: Path) -> None:
    (tmp_path / "unused").symlink_to(random_pipeline)  # under this path no run is known
    own = {"model_from": "local", "model": str(tmp_path / "unused")}
    fields = form(**own, advanced=True)
    assert problems(fields) == {}
    shown = {name: (fields[name].get("default"), fields[name]["view"]["placeholder"]) for name in NUMBERS}
    assert shown == {"width": (None, SIDE), "height": (None, SIDE), "steps": (None, "30"), "guidance": (None, "7.5")}
    told = fields["recipe_summary"]["view"]["description"]
    assert f"{SIDE} x {SIDE} px, 30 steps, guidance 7.5: as suits Stable Diffusion 1." in told
    assert "after a first run" in told
    assert "30 steps" not in form(**own, steps=7)["recipe_summary"]["view"]["description"]
    useless = form(**own, negative_prompt="fog", guidance=1.0)["remarks"]["view"]["label"]
    assert useless.startswith("negative\\_prompt: 'fog' - it changes nothing")
    hub = form(model_from="hub", model="nobody/no-such-model")
    assert problems(hub) == {} and "downloaded first" in hub["model"]["view"]["caption"]
    assert "follow from the model" in hub["recipe_summary"]["view"]["description"]
    built_in = form(advanced=True)
    assert [built_in[name]["view"]["placeholder"] for name in NUMBERS] == ["128", "128", "20", "5"]
    assert not any(built_in[name].get("default") for name in NUMBERS)


def test_the_dataset_that_images_go_to(form, dataset: fo.Dataset) -> None:
    import fiftyone as fo

    fields = form(dataset)
    assert fields["dataset_from"]["default"] == "new"
    assert "only what is missing" in form(dataset, dataset_from="current")["recipe_summary"]["view"]["label"]
    dataset.add_sample(fo.Sample("someone-elses.png"))
    assert "not generated" in problems(form(dataset, dataset_from="current"))["dataset_from"]
    assert "not generated" in problems(form(dataset, dataset=dataset.name))["dataset"]
    twin = dataset.name.replace(".", " ")
    assert "share its address" in problems(form(dataset, dataset=twin))["dataset"]


def test_a_dataset_that_was_deleted_meanwhile(form) -> None:
    import fiftyone as fo
    from fiftyone.operators.executor import ExecutionContext, Executor

    from diffucurate.generator.errors import DatasetError
    from diffucurate.operators.generate_images import GenerateImages

    gone = fo.Dataset()
    name = gone.name
    gone.delete()

    class Gone:
        def __init__(self) -> None:
            self.name = name

    assert "deleted meanwhile" in problems(form(Gone(), dataset_from="current"))["dataset_from"]
    params = {"recipe_from": "built", "dataset_from": "current", "templates": "a car"}
    queued = ExecutionContext({"dataset_name": name, "params": params}, Executor())
    with pytest.raises(DatasetError, match="deleted meanwhile"):
        GenerateImages().run(queued, None)
    assert not fo.dataset_exists(name)


def test_as_yaml_and_on_as_text(app, form) -> None:
    typed = {"templates": "a {object} at {time}", "attributes": {"object": "tram"}, "seeds": "3, 7", "guidance": 2.0}
    shown = form(**typed, show_yaml=True)["yaml"]["default"]
    pasted = app.form("generate_images", None, recipe_from="pasted", **typed)["recipe"]["default"]
    assert shown == pasted
    recipe = Recipe.parse(shown)
    assert (recipe.seeds, recipe.guidance, recipe.class_names) == ([3, 7], 2.0, ("tram",))


def test_a_recipe_that_was_handed_over_is_taken_apart(form) -> None:
    others = {"seeds": [5], "negative_prompt": "fog", "scheduler": "euler"}
    text = recipe_text({**EXAMPLE, "classes": {"vehicle": ["car", "bus"]}, **others})
    fields = form(recipe=text, advanced=True)
    assert fields["classes"]["default"] == ["vehicle: car, bus"]
    assert fields["seeds"]["default"] == "5," and fields["negative_prompt"]["default"] == "fog"
    assert fields["scheduler"]["default"] == "euler"
    assert problems(fields) == {}


def test_what_a_pasted_recipe_says_of_rare_things_is_shown_or_kept(
    form, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("a", "p"):
        Path(f"{name}.safetensors").touch()
    rare = {
        "size": [[64, 96], [96, 64]],
        "loras": [{"path": "a.safetensors", "scale": 0.5}],
        "prompt_weights": True,
        "tokens": [{"path": "p.safetensors", "placeholder": "<p>"}],
        "seeds": {"count": 3, "highest": 9, "seed": 2},
        "karras": True,
        "spacing": "trailing",
        "safety_checker": False,
        "retries": 2,
    }
    text = recipe_text({**EXAMPLE, **rare})
    fields = form(recipe=text)
    assert problems(fields) == {} and "kept" not in fields and "left_behind" not in fields
    found = {name: fields[name]["default"] for name in ("height", "more_sizes", *rare) if name != "size"}
    assert found == {
        "height": 96,
        "more_sizes": "96x64",
        "prompt_weights": True,
        "tokens": ["<p>=p.safetensors"],
        "loras": ["a.safetensors=0.5"],
        "seeds": "3 random from 0 to 9, mix 2",
        "karras": "on",
        "spacing": "trailing",
        "safety_checker": "off",
        "retries": 2,
    }
    pictures = {"task": "img2img", "source": {"dataset": "photos"}, "strength": [0.4, 0.8], "carry": "truth"}
    own = {"templates": [], "attributes": {"time": ["night"]}, "size": "source"}
    for content in ({**EXAMPLE, **pictures}, {**EXAMPLE, **pictures, **own, "classes": {"car": ["car"]}}):
        text = recipe_text(content)
        fields = form(recipe=text)
        assert problems(fields) == {} and "photos" in fields["kept"]["default"]
        shown = form(recipe=text, show_yaml=True)["yaml"]["default"]
        assert Recipe.parse(shown) == Recipe.parse(text)
    assert "strength" in form(recipe=text.replace("0.4", "4"))["left_behind"]["view"]["description"]
    sections = {"source_dataset": "out", "times_of_day": ["noon"]}
    config = {"dataset_name": "d", "dataset_classes": ["car"], "txt2img": {"prompts": ["a car"]}, "img2img": sections}
    assert "first section" in form(recipe=json.dumps(config))["left_behind"]["view"]["description"]


RECIPES = [
    EXAMPLE,
    {**EXAMPLE, "size": [[64, 96], [96, 64]], "seeds": {"count": 4, "seed": 1}, "prompt_weights": True},
    {**EXAMPLE, "seeds": {"count": 4, "lowest": 2, "highest": 9}, "tokens": [{"path": "o/n", "placeholder": "<p>"}]},
    {**EXAMPLE, "loras": [{"path": "o/n"}, {"path": "a=b.safetensors", "scale": -2}]},
    {**EXAMPLE, "classes": {"person": ["person", "bus"], "car": ["car"]}, "sample": {"count": 3, "seed": 9}},
    {**EXAMPLE, "attributes": {**EXAMPLE["attributes"], "time": ["noon, high"]}, "seeds": [4], "guidance": 1.5},
    {**EXAMPLE, "scheduler": "euler", "karras": True, "spacing": "trailing", "safety_checker": False, "retries": 2},
    {**EXAMPLE, "karras": False, "safety_checker": True, "size": [128, 128], "steps": 20, "guidance": 5.0},
    {**EXAMPLE, "templates": ["a car", "a {{big}} bus: 'so' it is"], "attributes": {}, "negative_prompt": "x"},
]


@pytest.mark.parametrize("mapping", RECIPES)
def test_there_and_back(mapping: dict[str, Any]) -> None:
    recipe = Recipe.from_mapping(mapping)
    assert Recipe.from_mapping(mapping_of(params_of(recipe))) == recipe
    assert Recipe.parse(recipe_text(mapping)) == recipe
    assert yaml.safe_load(recipe_text(mapping)).keys() <= mapping.keys()


def test_lists_as_text() -> None:
    assert split_values("red, dark blue,, ") == ["red", "dark blue"]
    assert split_values("red, with spots; blue") == ["red, with spots", "blue"]
    for values in (["a"], ["a", "b"], ["a, b"], ["a, b", "c"]):
        assert split_values(join_values(values)) == values
    tags = ["fire truck", "person: pedestrian"]
    classes = classes_of([*tags, "person: walker"])
    assert classes == {"fire_truck": ["fire truck"], "person": ["person", "pedestrian", "walker"]}
    assert tags_of(classes_of(tags)) == tags
