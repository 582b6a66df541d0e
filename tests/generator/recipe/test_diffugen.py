"""DiffuGen's configs: what their sections say becomes the recipes that paint it."""

from __future__ import annotations

import json
from copy import deepcopy
from typing import Any

import pytest

from diffucurate.generator.errors import RecipeError
from diffucurate.generator.jobs.jobs import jobs
from diffucurate.generator.recipe.diffugen import LABELS, is_config, recipe_contents
from diffucurate.generator.recipe.files import recipes_of
from diffucurate.generator.recipe.recipe import Recipe

CONFIG: dict[str, Any] = {
    "dataset_name": "streets", "dataset_root": "out", "image_format": "png", "steps": 30,
    "image_size": {"width": 512, "height": 384}, "dataset_classes": ["car", "fire truck"],
    "dataset_to_model_class_map": {"truck": "fire truck"},
    "label_model": {"type": "yolov8", "weights": "w.pt", "classes": ["car", "truck"]}, "unsupervised": False,
    "deterministic": False, "images_per_shard": 100,
    "txt2img": {
        "stable_diffusion_model": "some/model", "seed_range": {"min": 5, "max": 50}, "seed_count_per_prompt": 2,
        "object_names": ["(red car)1.2", "truck++"], "view_points": ["front view"], "times_of_day": ["noon", "night"],
        "sky_conditions": ["clear sky"], "weather_conditions": [],
        "prompts": ["{view_point} of a {object_name} at {time_of_day}, {sky_condition}"], "negative_prompt": "blurry",
        "textual_inversion": {"weights": "learned.safetensors", "keyword": "<style>"},
    },
}  # fmt: skip


def changed(path: str, value: Any) -> dict[str, Any]:
    config = deepcopy(CONFIG)
    *parents, name = path.split(".")
    place = config
    for parent in parents:
        place = place[parent]
    if value is None:
        del place[name]
    else:
        place[name] = value
    return config


def test_a_config_becomes_a_recipe() -> None:
    assert is_config(CONFIG) and not is_config({"dataset_name": "streets"})
    recipe = Recipe.parse(json.dumps(CONFIG))
    assert (recipe.dataset, recipe.model, recipe.size, recipe.steps) == ("streets", "some/model", (512, 384), 30)
    assert recipe.classes == {"car": ["car"], "fire_truck": ["fire truck", "truck"]}
    assert recipe.negative_prompt == "blurry" and recipe.prompt_weights
    assert [(word.path, word.placeholder) for word in recipe.tokens] == [("learned.safetensors", "<style>")]
    assert len(recipe.seed_list) == 2 and all(5 <= seed <= 50 for seed in recipe.seed_list)
    made = jobs(recipe.changed(guidance=7.5))  # which it leaves to the model
    assert recipe.left_to_model == ("guidance",) and len(made) == 2 * 2 * 2
    assert made[0].prompt == "front view of a (red car)1.2 at noon, clear sky"
    assert [list(job.phrases) for job in (made[0], made[-1])] == [["car"], ["fire_truck"]]


@pytest.mark.parametrize(
    ("path", "value", "classes"),
    [
        # The only class takes all names, whatever they are.
        ("dataset_classes", ["car"], {"car": ["car", "truck++"]}),
        # Either way round, one name or several.
        ("dataset_to_model_class_map", {"fire truck": ["truck", "engine"]}, {
            "car": ["car"], "fire_truck": ["fire truck", "truck", "engine"],
        }),
        # A class of the label model's that stands for two classes tells neither; classes that no prompt names go.
        ("dataset_classes", ["car", "suv", "truck", "bus"], {"car": ["car"], "truck": ["truck", "fire truck"]}),
        ("dataset_to_model_class_map", {"car": "truck", "fire truck": "truck"}, None),
        # Without a label model any object is a class of its own.
        ("unsupervised", True, {"car": ["car"], "fire_truck": ["fire truck", "truck"]}),
    ],
)  # fmt: skip
def test_which_names_mean_which_class(path: str, value: Any, classes: dict[str, list[str]] | None) -> None:
    if classes is None:
        with pytest.raises(RecipeError, match=r"'truck\+\+' - it names none of the classes"):
            recipe_contents(changed(path, value))
        return
    assert recipe_contents(changed(path, value))[0]["classes"] == classes


def test_objects_without_a_label_model_are_classes_of_their_own() -> None:
    config = {**changed("txt2img.object_names", ["piano++", "car"]), "unsupervised": True}
    assert recipe_contents(config)[0]["classes"] == {"car": ["car"], "piano": ["piano++"]}


SECTIONS = {
    "img2img": {
        "stable_diffusion_model": "some/other", "source_dataset": "out/streets/txt2img", "times_of_day": ["night"],
        "sky_conditions": ["cloudy"], "weather_conditions": ["rain"],
    },
    "inpaint": {
        "stable_diffusion_model": "some/inpainting", "source_dataset": "out/streets/txt2img",
        "(red car)1.2": ["yellow camper", "blue car"], "truck++": ["fire truck"],
    },
}  # fmt: skip


def test_all_sections_become_recipes() -> None:
    text, varied, *replaced = recipes_of({**CONFIG, **SECTIONS})
    assert [one.dataset for one in (text, varied, *replaced)] == [
        "streets",
        "streets-img2img",
        *["streets-inpaint"] * 2,
    ]
    assert (varied.task, varied.model, varied.strength, varied.size) == ("img2img", "some/other", 0.8, "source")
    assert varied.source.dataset == "streets" and varied.templates == []
    assert varied.attributes == {"time_of_day": ["night"], "sky_condition": ["cloudy"]}  # no prompt tells the weather
    assert (varied.steps, varied.negative_prompt, varied.tokens) == (30, "blurry", text.tokens)
    car, truck = replaced
    assert (car.task, car.model, car.size, car.tokens) == ("inpaint", "some/inpainting", (512, 384), [])
    assert car.source.where == {"object_name": ["(red car)1.2"], "view_point": ["front view"]}
    assert (car.objects.field, car.objects.instances, car.objects.classes) == ("attention", "largest", ["car"])
    assert car.classes == {"car": ["car", "yellow camper"]} and truck.classes == {"fire_truck": ["fire truck", "truck"]}
    assert car.templates == ["a {view_point} view of {object_name}"]
    assert car.attributes == {"view_point": ["front view"], "object_name": ["yellow camper", "blue car"]}
    assert Recipe.from_mapping({**CONFIG, **SECTIONS}) == text


def test_sections_of_a_folder(tmp_path: Any) -> None:
    """One that is there is the source, and DiffuGen's own labels say what is replaced."""
    sections = {name: {**section, "source_dataset": str(tmp_path)} for name, section in SECTIONS.items()}
    _, varied, car, _ = recipes_of({**CONFIG, **sections})
    assert varied.source.folder == car.source.folder == str(tmp_path)
    assert (car.objects.field, car.objects.classes) == (LABELS, None)
    config = {name: value for name, value in CONFIG.items() if name != "txt2img"}
    (alone,) = recipes_of({**config, "img2img": sections["img2img"]})
    assert alone.attributes == {"time_of_day": ["night"], "sky_condition": ["cloudy"], "weather_condition": ["rain"]}
    assert recipes_of({**config, "inpaint": sections["inpaint"]})[0].templates == ["a view of {object_name}"]


@pytest.mark.parametrize(
    ("seeds", "expected"),
    [
        ({"seed_range": {"min": 3, "max": 5}, "seed_count_per_prompt": 3}, [3, 4, 5]),
        ({"seed_range": {"min": 3, "max": 5}, "seed_count_per_prompt": 9}, [3, 4, 5]),
        ({"seed_range": {"min": 0, "max": 9}}, {"count": 1, "lowest": 0, "highest": 9}),
        ({"seed_count_per_prompt": 4}, 4),
        ({}, 1),
    ],
)
def test_seeds(seeds: dict[str, Any], expected: Any) -> None:
    section = {key: value for key, value in CONFIG["txt2img"].items() if not key.startswith("seed")}
    assert recipe_contents(changed("txt2img", {**section, **seeds}))[0]["seeds"] == expected


@pytest.mark.parametrize(
    ("path", "value", "field", "said"),
    [
        ("txt2img", None, "txt2img", "a DiffuGen config needs it"),
        ("txt2img", [], "txt2img", "must be a mapping"),
        ("dataset_classes", [], "dataset_classes", "a list of texts"),
        ("txt2img.prompts", None, "txt2img.prompts", "a list of texts"),
        ("txt2img.prompts", ["a {object_name.x}"], "txt2img.prompts", "is not allowed"),
        ("txt2img.object_names", ["a tram"], "txt2img.object_names", "names none of the classes (car, fire truck)"),
        ("txt2img.object_names", ["car or truck"], "txt2img.object_names", "means car and fire_truck"),
        ("txt2img.seed_range", {"min": 9, "max": 3}, "txt2img.seed_range", "give whole numbers"),
        ("txt2img.view_points", None, "templates[0]", "'{view_point}' is not an attribute"),
        ("img2img", {"source_dataset": 3}, "img2img.source_dataset", "name the folder"),
        ("img2img", {"source_dataset": "x", "times_of_day": "day"}, "img2img.times_of_day", "a list of texts"),
        ("inpaint", {"source_dataset": "x", "car": "bus"}, "inpaint.car", "a list of texts"),
        ("inpaint", {"source_dataset": "x", "tram": ["bus"]}, "inpaint.tram", "names none of the classes"),
        ("image_size", {"width": 500, "height": 500}, "size", "multiples of 8"),
        ("txt2img.textual_inversion", {"weights": "a.pt", "keyword": "<a>"}, "tokens[0].path", "a pickle"),
    ],
)
def test_what_is_wrong_is_said_in_one_sentence(path: str, value: Any, field: str, said: str) -> None:
    with pytest.raises(RecipeError) as raised:
        Recipe.from_mapping(changed(path, value))
    assert raised.value.field == field and said in str(raised.value)
