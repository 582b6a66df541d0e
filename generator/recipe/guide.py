"""Where prompted objects are to be, and how large: self-guidance, as a recipe says it and as a job holds it.

Light: no tensors, which ``attention.control.self_guidance`` knows.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, NamedTuple

from pydantic import BeforeValidator, Field

from diffucurate.generator.errors import InvalidSetting, RecipeError
from diffucurate.generator.validation import StrictSettings

#: The tasks that can be guided: an image from text alone has no places of its own.
GUIDED = "txt2img"

#: How strongly, where a recipe does not say: chosen on the built-in model (``docs/self-guidance.md``).
DEFAULT_WEIGHT = 12.0

Share = Annotated[float, Field(ge=0, le=1)]


def _plain_numbers(value: Any) -> Any:
    """Whole numbers as floats, lists as tuples."""
    if isinstance(value, list | tuple):
        return tuple(float(item) if type(item) is int else item for item in value)
    return float(value) if type(value) is int else value


class GuideTarget(StrictSettings):
    """Where a class is to be, in shares of the image: a centre, a size, or a box that gives both."""

    prefix: ClassVar[str] = "guide"
    error: ClassVar[type[InvalidSetting]] = RecipeError

    center: Annotated[tuple[Share, Share] | None, BeforeValidator(_plain_numbers)] = None
    """(x, y) from the upper left corner, in shares of the image's sides."""
    size: Annotated[Annotated[float, Field(gt=0, le=1)] | None, BeforeValidator(_plain_numbers)] = None
    """The object's share of the image's area."""
    box: Annotated[tuple[Share, Share, Share, Share] | None, BeforeValidator(_plain_numbers)] = None
    """[x, y, width, height] as FiftyOne's boxes: its centre, and the share of its area that objects fill."""


#: The share of its box that an object fills: a disc's.
_FILLED = 0.785


class ObjectGuide(NamedTuple):
    """The target of one class: ``center`` and ``size`` as in ``GuideTarget``, None where they are free."""

    label: str
    center: tuple[float, float] | None
    size: float | None


class Guide(NamedTuple):
    """The targets of a job's classes, in the order of their names, and how strongly they hold."""

    objects: tuple[ObjectGuide, ...]
    weight: float

    def content(self) -> dict[str, Any]:
        """What decides pixels."""
        return {"guide": self.to_dict()}

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON and databases."""
        objects = {
            each.label: {"center": None if each.center is None else list(each.center), "size": each.size}
            for each in self.objects
        }
        return {"objects": objects, "weight": self.weight}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Guide:
        """What ``to_dict`` wrote."""
        objects = tuple(
            ObjectGuide(label, None if each["center"] is None else tuple(each["center"]), each["size"])
            for label, each in sorted(data["objects"].items())
        )
        return cls(objects, data["weight"])


def guide_of(targets: Mapping[str, GuideTarget] | None, weight: float, labels: Mapping[str, Any]) -> Guide | None:
    """The guide of a job whose prompt names these classes; None where none of them has a target."""
    objects = []
    for label in sorted(set(targets or {}) & set(labels)):
        target = (targets or {})[label]
        center, size = target.center, target.size
        if target.box is not None:
            x, y, width, height = target.box
            center, size = (x + width / 2, y + height / 2), _FILLED * width * height
        objects.append(ObjectGuide(label, center, size))
    return Guide(tuple(objects), weight) if objects else None


def check_guide(recipe: Any) -> None:
    """Targets are of classes of the recipe, say something, and stand with a task that can follow them.

    Raises:
        RecipeError: it is not so.
    """
    if recipe.guide is None:
        if recipe.guide_weight is not None:
            raise RecipeError("guide_weight", recipe.guide_weight, "there is no guide to weigh; name one or remove it")
        return
    if recipe.task != GUIDED:
        remedy = f"task '{recipe.task}' does not take it; use task: {GUIDED}, or mask2img with masks, or remove it"
        raise RecipeError("guide", list(recipe.guide), remedy)
    if not recipe.guide:
        raise RecipeError("guide", {}, "say where a class is to be, as in {car: {center: [0.25, 0.5]}}, or remove it")
    for label, target in recipe.guide.items():
        if label not in recipe.classes:
            raise RecipeError("guide", label, f"it is none of the classes {', '.join(recipe.classes)}")
        if target.box is not None and (target.center is not None or target.size is not None):
            raise RecipeError(
                f"guide.{label}.box", list(target.box), "a box gives centre and size; name one or the other"
            )
        if target.box is not None:
            x, y, width, height = target.box
            if not (width > 0 and height > 0 and x + width <= 1 + 1e-6 and y + height <= 1 + 1e-6):
                remedy = "it must lie within the image, as [x, y, width, height] in shares of its sides"
                raise RecipeError(f"guide.{label}.box", list(target.box), remedy)
        elif target.center is None and target.size is None:
            raise RecipeError(f"guide.{label}", {}, "say its center, its size or its box")
