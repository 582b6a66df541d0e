"""The part of a recipe that says by which masks images are painted, and how strictly they keep to them.

After FreestyleNet (Xue et al. 2023) and FreeMask (Yang et al. 2023): each pixel attends to the words of the class that
its mask gives it, so that the mask is the label.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field

from diffucurate.generator.errors import InvalidSetting, RecipeError
from diffucurate.generator.text.templates import attributes_of
from diffucurate.generator.validation import StrictSettings

MASKS = "mask2img"

#: What stands in a template for the labels of each mask.
LABELS = "labels"

#: What that attribute's one value is until a mask is read.
PLACE = "{labels}"


def _plain_number(value: Any) -> Any:
    return float(value) if type(value) is int else value


class LayoutConfig(StrictSettings):
    """Which labels are the masks, and how strictly images keep to them."""

    prefix: ClassVar[str] = "layout"
    error: ClassVar[type[InvalidSetting]] = RecipeError

    field: Annotated[str, Field(min_length=1)] | None = None
    """A label source such as ``attention``, or any field with labels. Of a folder it follows from what is there."""
    values: dict[str, Annotated[int, Field(ge=1, le=254)]] | None = None
    """Of a folder of masks: class -> the value of its pixels."""
    until: Annotated[float, Field(gt=0, le=1)] = 0.75
    """The share of the steps, from the first, in which masks hold."""
    boost: Annotated[float, Field(ge=1, le=1000)] = 16.0
    """How many times as much a pixel attends to the words of its class as it would by itself."""
    words: Literal["shared", "own"] = "shared"
    """Whether pixels of a class see the words that name no class, such as colours and places, or their own alone."""
    guide: Annotated[float, Field(ge=0, le=1000), BeforeValidator(_plain_number)] = 0.0
    """How strongly each class is also guided to the centre and the size that its mask has (``recipe.guide``)."""


def with_layout_defaults(data: Any) -> Any:
    """A recipe's content with what follows from its task: the labels of each mask are its prompt."""
    if not isinstance(data, Mapping) or data.get("task") != MASKS:
        return data
    content = {"size": "source", "layout": {}, "templates": [f"a photo of {PLACE}"], **data}
    attributes, templates = content.get("attributes") or {}, content["templates"]
    if isinstance(attributes, Mapping) and isinstance(templates, Sequence) and _asks_for_labels(templates):
        content["attributes"] = {LABELS: [PLACE], **attributes}
    return content


def _asks_for_labels(templates: Sequence[Any]) -> bool:
    return any(isinstance(template, str) and PLACE in template for template in templates)


def check_layout(recipe: Any) -> None:
    """The task has the masks that it needs, and no other task has any.

    Raises:
        RecipeError: it is not so.
    """
    layout: LayoutConfig | None = recipe.layout
    if recipe.task != MASKS:
        if layout is not None:
            remedy = f"task '{recipe.task}' does not take it; use task: {MASKS} or remove it"
            raise RecipeError("layout", layout.model_dump(exclude_defaults=True), remedy)
        return
    if layout is None:
        raise RecipeError("layout", None, "say which labels are the masks, as in {field: ground_truth}")
    if recipe.look_again:
        raise RecipeError("look_again", True, "masks are the labels here; remove it")
    if recipe.captions is not None:
        raise RecipeError(
            "captions", None, f"the prompts of masks are templates, as in 'a photo of {PLACE}'; remove it"
        )
    if recipe.attributes.get(LABELS, [PLACE]) != [PLACE]:
        remedy = f"{PLACE} stands for the labels of each mask; name the attribute otherwise"
        raise RecipeError(f"attributes.{LABELS}", recipe.attributes[LABELS], remedy)
    if LABELS in attributes_of(recipe.negative_prompt):
        raise RecipeError("negative_prompt", recipe.negative_prompt, f"{PLACE} is what is to be painted; remove it")
    if recipe.source is None:
        raise RecipeError("source", None, "name the dataset whose labels are the masks, as in {dataset: photos}")
    if recipe.source.folder is None:
        if layout.field is None:
            raise RecipeError("layout.field", None, "name the labels that are the masks, as in {field: ground_truth}")
        if layout.values is not None:
            remedy = "a dataset says itself what its masks mean (dataset.mask_targets); remove it"
            raise RecipeError("layout.values", layout.values, remedy)
    values = layout.values or {}
    for label, value in values.items():
        if label not in recipe.classes:
            raise RecipeError("layout.values", label, "it is none of the classes; add it there or remove it")
        if list(values.values()).count(value) > 1:
            raise RecipeError(f"layout.values.{label}", value, "two classes have this value; give each its own")
