"""The label sources that images have which start from init images. Light: forms and the schema ask for them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from diffucurate.generator.recipe.recipe import Recipe

#: Instances of the init image kept beside the new ones, those of the whole image after inpainting, and those of the
#: mask that an image was painted by.
CARRIED, INPAINTED, LAYOUT = "carried", "inpainted", "layout"

#: What an adapter finds while an image is painted.
ADAPTER = "adapter"


def label_sources(recipe: Recipe) -> tuple[str, ...]:
    """The label sources that the images of a recipe have besides ``attention``."""
    used = {CARRIED: recipe.carry, INPAINTED: recipe.objects, LAYOUT: recipe.layout, ADAPTER: recipe.adapter}
    return tuple(source for source, part in used.items() if part is not None)


def own_labels(recipe: Recipe) -> str | None:
    """The label source or field of the init images whose instances are kept, if any."""
    if recipe.augment is not None:
        return recipe.augment.field
    return recipe.carry if recipe.objects is None else recipe.objects.field
