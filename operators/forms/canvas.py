"""The fields of canvases: several objects in an image, each in a region of its own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fiftyone.operators import types

from diffucurate.generator.recipe.by_model import BUILT_IN_VALUES
from diffucurate.generator.recipe.canvas_config import CANVAS, CanvasConfig
from diffucurate.generator.recipe.recipe import Recipe

#: How the objects of an image are painted: as its prompt says, or several prompts in regions of their own.
SCENE, REGIONS = "scene", "regions"

_LEAST, _MOST = CanvasConfig().regions


def ask_layout(inputs: types.Object, defaults: Mapping[str, Any], values: Mapping[str, Any]) -> None:
    """Ask whether an image shows one prompt or several, and how many."""
    choice = types.RadioGroup(orientation="horizontal", label="Objects")
    choice.add_choice(SCENE, label="As each prompt says")
    choice.add_choice(REGIONS, label="Several prompts per image, each in a region of its own")
    inputs.enum("layout", choice.values(), default=defaults.get("layout", SCENE), view=choice)
    if values.get("layout") != REGIONS:
        return
    for name, label, usual in (("regions_least", "At least", _LEAST), ("regions_most", "At most", _MOST)):
        view = types.TextFieldView(space=3, placeholder=str(usual))
        inputs.int(name, label=label, description="Objects per image", default=defaults.get(name), view=view)
    inputs.str(
        "background",
        label="Background",
        description="What is around them, such as: a {place} at noon. Attributes in it are the same on a whole image.",
        default=defaults.get("background"),
        view=types.TextFieldView(space=6),
    )


def background_in(params: Mapping[str, Any]) -> list[str]:
    """The background of canvases, which is a template too; none for other images."""
    return [params["background"]] if params.get("layout") == REGIONS and params.get("background") else []


def canvas_in(params: Mapping[str, Any]) -> dict[str, Any]:
    """The keys of a recipe that the fields stand for."""
    if params.get("layout") != REGIONS:
        return {}
    least, most = params.get("regions_least"), params.get("regions_most")
    regions = [least or min(_LEAST, most or _LEAST), most or max(_MOST, least or _MOST)]
    return {"task": CANVAS, "canvas": {"regions": regions, "background": params.get("background") or ""}}


def canvas_params(recipe: Recipe) -> dict[str, Any]:
    """The fields of a recipe; none for other images."""
    if recipe.canvas is None:
        return {}
    least, most = recipe.canvas.regions
    return {
        "layout": REGIONS,
        "regions_least": least,
        "regions_most": most,
        **({"background": recipe.canvas.background} if recipe.canvas.background else {}),
    }


def fields_suffice(canvas: CanvasConfig) -> bool:
    """Whether the form has fields for all that a recipe says of canvases."""
    plain = CanvasConfig(regions=canvas.regions, background=canvas.background)
    return canvas in (plain, plain.changed(region=BUILT_IN_VALUES["size"]))
