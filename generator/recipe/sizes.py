"""The sizes that a recipe's images are painted at. Which of them a certain model can make is checked with the model."""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeAlias

from pydantic import BeforeValidator

from diffucurate.generator.errors import RecipeError
from diffucurate.generator.recipe.checks import refuse_repeats

#: Pixels of a side.
MAX_SIDE = 8192

#: (width, height) in pixels.
Size: TypeAlias = tuple[int, int]


def _plain_sizes(value: Any) -> Any:
    if value is None or value == "source":
        return value
    if not isinstance(value, list | tuple) or not value or not isinstance(value[0], list | tuple):
        return plain_size("size", value)
    sizes = [plain_size("size", size) for size in value]
    refuse_repeats("size", sizes)
    return sizes


def plain_size(field: str, value: Any) -> Size:
    """Check one size, which stands in ``field``.

    Raises:
        RecipeError: it is not two multiples of 8.
    """
    if not isinstance(value, list | tuple) or len(value) != 2 or any(type(side) is not int for side in value):
        raise RecipeError(field, value, "give width and height in pixels as two whole numbers, as in [128, 128]")
    if any(side < 8 or side % 8 or side > MAX_SIDE for side in value):
        near = "x".join(str(8 * round(min(max(side, 8), MAX_SIDE) / 8)) for side in value)
        raise RecipeError(
            field, list(value), f"width and height must be multiples of 8 from 8 to {MAX_SIDE}; try {near}"
        )
    return value[0], value[1]


#: One size, several, or that of each init image; None for the model's own.
Sizes: TypeAlias = Annotated[Size | list[Size] | Literal["source"] | None, BeforeValidator(_plain_sizes)]
