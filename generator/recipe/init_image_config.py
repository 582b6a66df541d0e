"""The part of a recipe that names its init images, and the rules of that part.

Knows the fields of a recipe, not the model that holds them, and nothing of the datasets that they name.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import islice, product
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, BeforeValidator, Field

from diffucurate.generator.errors import InvalidSetting, RecipeError
from diffucurate.generator.recipe.checks import refuse_repeats
from diffucurate.generator.recipe.layout_config import MASKS
from diffucurate.generator.text.class_mentions import find_phrases
from diffucurate.generator.text.templates import attributes_of, fill
from diffucurate.generator.validation import StrictSettings

TEXT, VARY, REPLACE = "txt2img", "img2img", "inpaint"

#: The tasks of recipes that have init images; the last is ``augment_config``'s.
STARTS_FROM_IMAGES = (VARY, REPLACE, "augment")

#: Strength where a recipe says none: half of an init image's layout survives img2img, nothing of a region inpaint.
DEFAULT_STRENGTH = {VARY: 0.6, REPLACE: 1.0}

#: By default a region is grown by so much, as a share of the square root of the object's area: masks miss outlines
#: and shadows, a latent has one value for 8 x 8 pixels, and the new object may have another shape. On rendered scenes
#: the new labels agree with a segmenter's to an IoU of 0.83 with this margin, and of 0.75 with half of it.
DEFAULT_MARGIN = 0.3

#: The same where the outline of an object is kept: room for its shadow, not for another shape.
KEPT_MARGIN = 0.1


def _plain_instances(value: Any) -> Any:
    if value not in ("largest", "each") and not (
        isinstance(value, list) and all(isinstance(identity, str) for identity in value)
    ):
        raise ValueError("write 'largest', 'each' or a list of the ids of instances")
    return value


#: Prompts of each template that are looked at for the classes they name; the run looks at all.
_PROMPTS_LOOKED_AT = 200


class InitImages(StrictSettings):
    """The init images: a dataset, a saved view of it, some of either, or a folder of files."""

    prefix: ClassVar[str] = "source"
    error: ClassVar[type[InvalidSetting]] = RecipeError

    dataset: Annotated[str, Field(min_length=1)] | None = None
    folder: Annotated[str, Field(min_length=1)] | None = None
    """Instead of a dataset: image files, or what DiffuGen wrote; a dataset is made of them when they are used."""
    view: Annotated[str, Field(min_length=1)] | None = None
    samples: list[str] | None = None
    """Ids of samples; all by default."""
    where: dict[str, list[str]] | None = None
    """Attribute -> values: only images that were painted with one of these; all by default."""

    def content(self) -> dict[str, Any]:
        """Plain data; what was added later is left out where it says nothing, so that fingerprints outlive it."""
        plain = self.model_dump(mode="json")
        return {name: value for name, value in plain.items() if value is not None or name not in ("folder", "where")}


class Objects(StrictSettings):
    """The objects that are replaced, an init image per object."""

    prefix: ClassVar[str] = "objects"
    error: ClassVar[type[InvalidSetting]] = RecipeError

    field: Annotated[str, Field(min_length=1)]
    """A label source such as ``attention``, or any field with labels: detections, polylines or a segmentation."""
    instances: Annotated[Literal["largest", "each"] | list[str], BeforeValidator(_plain_instances)] = "largest"
    """The largest of each init image, each one, or those of these ids."""
    classes: list[str] | None = None
    """Only objects of these labels; of any by default."""
    margin: Annotated[float, Field(ge=0, le=2)] = DEFAULT_MARGIN
    """What is painted around an object, as a share of the square root of its area. 0.1 by default where its outline is
    kept."""
    shape: Literal["free", "keep"] = "free"
    """Whether the new object has the outline of the old one."""

    def content(self) -> dict[str, Any]:
        """Plain data; what was added later is left out where it says nothing, so that fingerprints outlive it."""
        plain = self.model_dump(mode="json")
        return {name: value for name, value in plain.items() if name != "shape" or value != "free"}


def plain_strength(value: Any) -> Any:
    """Check one strength or a list of them; whole numbers become floats.

    Raises:
        RecipeError: a strength is not above 0 and at most 1, or is listed twice.
    """
    values = list(value) if isinstance(value, list | tuple) else [value]
    for strength in values:
        if isinstance(strength, bool) or not isinstance(strength, int | float) or not 0 < strength <= 1:
            raise RecipeError("strength", strength, "it must be above 0, which changes nothing, and at most 1")
    if not values:
        raise RecipeError("strength", value, "list at least one strength, or leave it out")
    refuse_repeats("strength", values)
    return [float(strength) for strength in values] if isinstance(value, list | tuple) else float(value)


def check_init_images(recipe: Any) -> None:
    """The task has the init images it needs and no others, and every strength leaves a step to take.

    Raises:
        RecipeError: it is not so.
    """
    sourced = recipe.task in (*STARTS_FROM_IMAGES, MASKS)
    takes = {
        "source": sourced,
        "strength": recipe.task in STARTS_FROM_IMAGES,
        "objects": recipe.task == REPLACE,
        "carry": recipe.task == VARY,
    }
    tasks = {"objects": REPLACE, "carry": VARY}
    for field, allowed in takes.items():
        if getattr(recipe, field) is not None and not allowed:
            remedy = f"task '{recipe.task}' does not take it; use task: {tasks.get(field, VARY)} or remove it"
            raise RecipeError(field, _plain(getattr(recipe, field)), remedy)
    if not sourced:
        if recipe.size == "source":
            raise RecipeError("size", "source", "images from text have no source; give width and height in pixels")
        return
    if recipe.source is None:
        raise RecipeError("source", None, "name the dataset whose images are the start, as in {dataset: photos}")
    if (recipe.source.dataset is None) == (recipe.source.folder is None):
        content = recipe.source.model_dump(exclude_none=True)
        raise RecipeError("source", content, "name one of both: a dataset, as in {dataset: photos}, or a folder")
    if recipe.source.folder is not None and (recipe.source.view or recipe.source.samples):
        raise RecipeError("source.folder", recipe.source.folder, "views and samples are a dataset's; leave them out")
    _check_ids("source.samples", recipe.source.samples)
    for name, values in (recipe.source.where or {}).items():
        _check_ids(f"source.where.{name}", values)
    if recipe.task == REPLACE:
        if recipe.objects is None:
            raise RecipeError("objects", None, "name the field whose objects are replaced, as in {field: ground_truth}")
        if not isinstance(recipe.objects.instances, str):
            _check_ids("objects.instances", recipe.objects.instances)
        _check_ids("objects.classes", recipe.objects.classes)
        if recipe.objects.shape == "keep":
            _check_one_class(recipe)
    elif recipe.task == VARY and not recipe.templates and not recipe.attributes:
        raise RecipeError("attributes", {}, "say what to change, as in {time: [night]}, or write templates")
    if not recipe.templates and (used := attributes_of(recipe.negative_prompt)):
        remedy = f"'{{{used[0]}}}' may have no value where templates are the init images' own; write plain text"
        raise RecipeError("negative_prompt", recipe.negative_prompt, remedy)
    for strength in recipe.strengths if recipe.steps is not None else ():
        if int(recipe.steps * strength) < 1:
            remedy = (
                f"of {recipe.steps} steps it leaves none to take; use at least {1 / recipe.steps:.2g} or more steps"
            )
            raise RecipeError("strength", strength, remedy)


def _check_ids(field: str, values: Sequence[str] | None) -> None:
    if values is not None:
        if not values:
            raise RecipeError(field, [], "list at least one, or leave it out")
        refuse_repeats(field, values)


def _check_one_class(recipe: Any) -> None:
    """Every prompt names one class, that of the object which has the outline; of many the first are looked at."""
    for template in recipe.templates:
        names = attributes_of(template)
        for row in islice(product(*(recipe.attributes[name] for name in names)), _PROMPTS_LOOKED_AT):
            prompt = fill(template, dict(zip(names, row, strict=True)))
            named = list(find_phrases(prompt, recipe.classes))
            if len(named) != 1:
                classes = ", ".join(named) or "none"
                remedy = f"'{prompt}' has to name one class, that of the new object, which has the outline; it names"
                raise RecipeError("templates", template, f"{remedy} {classes}")


def _plain(value: Any) -> Any:
    return value.model_dump(exclude_defaults=True) if isinstance(value, BaseModel) else value


def with_init_defaults(data: Any) -> Any:
    """A recipe's content with what follows from its task: init images have sizes, and can have templates."""
    task = data.get("task") if isinstance(data, Mapping) else None
    if task not in (VARY, REPLACE):
        return data
    content = {"size": "source", **({"templates": []} if task == VARY else {}), **data}
    objects = content.get("objects")
    if isinstance(objects, Mapping) and objects.get("shape") == "keep" and objects.get("margin") is None:
        content["objects"] = {**objects, "margin": KEPT_MARGIN}
    return content
