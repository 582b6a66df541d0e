"""The part of a recipe that says what its canvases are: images of several objects, each painted in a region of its own.

After MosaicFusion (Xie et al. 2024): several prompts share one field of noise, so that instances are apart by
construction.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar

from pydantic import BeforeValidator, Field

from diffucurate.generator.errors import InvalidSetting, RecipeError
from diffucurate.generator.recipe.by_model import BUILT_IN, BUILT_IN_VALUES
from diffucurate.generator.recipe.sizes import Size, plain_size
from diffucurate.generator.text.class_mentions import find_phrases
from diffucurate.generator.text.templates import attributes_of, fill
from diffucurate.generator.validation import StrictSettings

CANVAS = "canvas"

#: Objects on one canvas; each is a row of the batch that is painted at once.
MOST_REGIONS = 16

#: Sides of a canvas, in sides of a region, where a recipe names no size: room for four that overlap a little.
_SIDES = 1.875


def _plain_regions(value: Any) -> Any:
    ends = [value, value] if type(value) is int else value
    if not isinstance(ends, list | tuple) or len(ends) != 2 or any(type(end) is not int for end in ends):
        raise RecipeError("canvas.regions", value, "give how many objects a canvas has, or the least and the most")
    least, most = ends
    if not 1 <= least <= most <= MOST_REGIONS:
        raise RecipeError("canvas.regions", value, f"a canvas has 1 to {MOST_REGIONS} objects; name the smaller first")
    return least, most


def _plain_region(value: Any) -> Any:
    return None if value is None else plain_size("canvas.region", value)


class CanvasConfig(StrictSettings):
    """How many objects a canvas has, where, and when one is good."""

    prefix: ClassVar[str] = CANVAS
    error: ClassVar[type[InvalidSetting]] = RecipeError

    regions: Annotated[tuple[int, int], BeforeValidator(_plain_regions)] = (2, 4)
    """The least and the most objects of a canvas; a number stands for both."""
    region: Annotated[Size | None, BeforeValidator(_plain_region)] = None
    """(width, height) in pixels of what is painted around each object; as suits the model by default."""
    overlap: Annotated[float, Field(ge=0, le=0.5)] = 0.3
    """The most of a region's side that lies in another region. Objects are in the middle of their regions."""
    background: str = ""
    """A prompt for what no region covers; a template too. Attributes in it have one value on a whole canvas."""
    tries: Annotated[int, Field(ge=1, le=10)] = 2
    """How often a region is painted until its object is found, before it is left without a label."""
    min_confidence: Annotated[float, Field(ge=0, le=1)] = 0.5
    """The least confidence of a found object."""


def with_canvas_defaults(data: Any) -> Any:
    """A recipe's content with what follows from its task: the sizes that the built-in model paints canvases at."""
    if not isinstance(data, Mapping) or data.get("task") != CANVAS:
        return data
    content = dict(data)
    content.setdefault("canvas", {})
    if data.get("model", BUILT_IN) == BUILT_IN:
        if isinstance(content["canvas"], Mapping) and content["canvas"].get("region") is None:
            content["canvas"] = {**content["canvas"], "region": BUILT_IN_VALUES["size"]}
        if content.get("size") is None:
            content["size"] = usual_size(BUILT_IN_VALUES["size"])
    return content


def for_any_model(content: Mapping[str, Any]) -> dict[str, Any]:
    """A recipe's plain content without the sizes that a canvas has because its model is the built-in one."""
    if content.get("task") != CANVAS or content.get("model", BUILT_IN) != BUILT_IN:
        return dict(content)
    region = list(BUILT_IN_VALUES["size"])
    others = {**content, "canvas": {**content["canvas"]}}
    if others["canvas"].get("region") == region:
        del others["canvas"]["region"]
    if others.get("size") == usual_size(region):
        del others["size"]
    return others


def usual_size(region: Sequence[int]) -> list[int]:
    """The width and height of a canvas whose size nobody named, of those of its regions."""
    return [8 * round(_SIDES * side / 8) for side in region]


def check_canvas(recipe: Any) -> None:
    """A canvas has what it needs and nothing that other tasks take.

    Raises:
        RecipeError: it is not so.
    """
    canvas: CanvasConfig | None = recipe.canvas
    if recipe.task != CANVAS:
        if canvas is not None:
            remedy = f"task '{recipe.task}' does not take it; use task: canvas or remove it"
            raise RecipeError(CANVAS, canvas.model_dump(exclude_defaults=True), remedy)
        return
    if canvas is None:
        raise RecipeError(CANVAS, None, "say how many objects a canvas has, as in {regions: [2, 4]}")
    if recipe.adapter is not None:
        raise RecipeError("adapter", recipe.adapter, "it looks at whole images, not at regions; remove it")
    if recipe.look_again:
        raise RecipeError("look_again", True, "the regions of a canvas are labelled one by one; remove it")
    if attributes_of(recipe.negative_prompt):
        raise RecipeError("negative_prompt", recipe.negative_prompt, "all of a canvas has one; write plain text")
    try:
        used = attributes_of(canvas.background)
    except ValueError as error:
        raise RecipeError("canvas.background", canvas.background, str(error)) from None
    for name in used:
        if name not in recipe.attributes:
            remedy = f"'{{{name}}}' is not an attribute; add it under attributes or remove it"
            raise RecipeError("canvas.background", canvas.background, remedy)
    for value in _fillings(canvas.background, {name: recipe.attributes[name] for name in used}):
        for label in find_phrases(value, recipe.classes):
            remedy = f"it names class '{label}', of which objects in the background would have no label; leave it out"
            raise RecipeError("canvas.background", value, remedy)
    for size in recipe.sizes:
        if canvas.region is not None:
            check_room(canvas, size)


def check_room(canvas: CanvasConfig, size: Size) -> None:
    """There is room for the objects on a canvas of (width, height) ``size``.

    Raises:
        RecipeError: there is not, or a region is larger than the canvas.
    """
    region = canvas.region or size
    if any(inner > outer for inner, outer in zip(region, size, strict=True)):
        raise RecipeError("canvas.region", list(region), f"it must fit into the canvas of {size[0]} x {size[1]} px")
    room = places(canvas, size)
    if room[0] * room[1] < canvas.regions[1]:
        remedy = (
            f"{size[0]} x {size[1]} px have room for {room[0] * room[1]} regions of {region[0]} x {region[1]} px; "
            "make the canvas larger, or ask for fewer objects"
        )
        raise RecipeError("canvas.regions", list(canvas.regions), remedy)


def places(canvas: CanvasConfig, size: Size) -> tuple[int, int]:
    """How many regions lie beside and above one another on a canvas of (width, height) ``size``, at most."""
    region = canvas.region or size
    columns, rows = (
        1 + int((outer - inner) / ((1 - canvas.overlap) * inner) + 1e-9)
        for inner, outer in zip(region, size, strict=True)
    )
    return columns, rows


def _fillings(template: str, attributes: Mapping[str, list[str]]) -> list[str]:
    """The template with each value of each attribute once."""
    first = {name: values[0] for name, values in attributes.items()}
    return [fill(template, {**first, name: value}) for name, values in attributes.items() for value in values] or [
        template
    ]
