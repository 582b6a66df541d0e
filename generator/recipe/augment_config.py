"""The part of a recipe that augments labelled images, and the rules of that part.

Knows the fields of a recipe, not the model that holds them, and nothing of the datasets that they name.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from diffucurate.generator.errors import InvalidSetting, RecipeError
from diffucurate.generator.recipe.init_image_config import DEFAULT_MARGIN, REPLACE, VARY
from diffucurate.generator.validation import StrictSettings

AUGMENT = "augment"

#: What templates write for the labels of an init image, as in "two cars and a bus".
LABELS = "labels"

#: DA-Fusion's strengths, of which each image draws one.
STRENGTHS = (0.25, 0.5, 0.75, 1.0)

#: What images are asked to show where a recipe says nothing.
TEMPLATE = f"a photo of {{{LABELS}}}"

#: Part of an image -> the task that paints it.
PARTS: Mapping[str, str] = {"image": VARY, "objects": REPLACE, "background": REPLACE}


class Augmentation(StrictSettings):
    """Whose labels the new images keep, and which part of each image is painted anew."""

    prefix: ClassVar[str] = "augment"
    error: ClassVar[type[InvalidSetting]] = RecipeError

    field: Annotated[str, Field(min_length=1)]
    """A label source or any field of labels of the init images; each new image gets the same labels under that name."""
    part: Literal["image", "objects", "background"] = "image"
    """The whole image, all labelled objects, or all but these."""
    margin: Annotated[float, Field(ge=0, le=2)] = DEFAULT_MARGIN
    """How far an object's mask is grown, as a share of the square root of its area: what is grown is painted with the
    objects, or kept with them where the background is painted."""
    min_iou: Annotated[float, Field(ge=0, le=1)] = 0.5
    """Labels that overlap the new attention labels less are tagged ``unconfirmed``."""


def with_augment_defaults(data: Any) -> Any:
    """A recipe's content with what follows from its task."""
    if not isinstance(data, Mapping) or data.get("task") != AUGMENT:
        return data
    return {"size": "source", "templates": [TEMPLATE], "strength": list(STRENGTHS), **data}


def check_augmentation(recipe: Any) -> None:
    """The section stands with its task and no other.

    Raises:
        RecipeError: it does not, or a recipe lists values for ``{labels}``.
    """
    if (recipe.task == AUGMENT) != (recipe.augment is not None):
        if recipe.augment is None:
            raise RecipeError("augment", None, "name the labels that are kept, as in {field: ground_truth}")
        raise RecipeError("augment", recipe.augment.field, f"task '{recipe.task}' does not take it; use task: augment")
    if recipe.augment is not None and LABELS in recipe.attributes:
        remedy = "its value is each image's own labels; choose another name"
        raise RecipeError(f"attributes.{LABELS}", recipe.attributes[LABELS], remedy)


def with_example_labels(templates: Sequence[str], classes: Mapping[str, Sequence[str]]) -> list[str]:
    """Augmenting templates with all classes in place of ``{labels}``, to be checked as any others."""
    phrases = ", ".join(phrase for owned in classes.values() for phrase in owned)
    literal = phrases.replace("{", "{{").replace("}", "}}")
    return [template.replace(f"{{{LABELS}}}", literal) for template in templates]
