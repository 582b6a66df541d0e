"""The label sources that images have which start from init images. Light: forms and the schema ask for them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from diffucurate.generator.recipe.recipe import Recipe

#: Instances of the init image kept beside the new ones, and those of the whole image after inpainting.
CARRIED, INPAINTED = "carried", "inpainted"


def label_sources(recipe: Recipe) -> tuple[str, ...]:
    """The label sources that the images of a recipe have besides ``attention``."""
    return ((CARRIED,) if recipe.carry is not None else ()) + ((INPAINTED,) if recipe.objects is not None else ())


def own_labels(recipe: Recipe) -> str | None:
    """The label source or field of the init images whose instances are kept, if any."""
    if recipe.augment is not None:
        return recipe.augment.field
    return recipe.carry if recipe.objects is None else recipe.objects.field
