"""A recipe's model, loaded and set up as the recipe asks: what painting begins with, in whichever process."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from diffucurate.generator.attention.control.places import check_layouts
from diffucurate.generator.attention.control.self_guidance import check_guidance
from diffucurate.generator.models.adapters import adapted
from diffucurate.generator.models.load import check_size, load_pipeline
from diffucurate.generator.models.safety_checker import safety_checked
from diffucurate.generator.painting.canvas import check_canvases
from diffucurate.generator.painting.img2img import for_task
from diffucurate.generator.painting.second_look import check_second_look
from diffucurate.generator.recipe.recipe import Recipe


@contextmanager
def painting_pipeline(recipe: Recipe, device: str | None = None) -> Iterator[Any]:
    """A block with the diffusers pipeline that paints a recipe's jobs; after it, the model is as it was.

    Raises:
        ModelError: the model cannot be loaded, or cannot do the recipe's task.
        RecipeError: the model cannot make a size, or what the recipe changes about it does not suit it.
    """
    pipe = load_pipeline(recipe.model, device, memory=recipe.memory)
    region = None if recipe.canvas is None else recipe.canvas.region
    for size in recipe.sizes if region is None else (region,):
        check_size(pipe, size)
    if recipe.canvas is not None:
        check_canvases(pipe)
    if recipe.layout is not None or (recipe.objects is not None and recipe.objects.shape == "keep"):
        check_layouts(pipe)
    if recipe.guide is not None or (recipe.layout is not None and recipe.layout.guide):
        check_guidance(pipe)
    if recipe.look_again:
        check_second_look(pipe)
    with adapted(pipe, recipe.model_options), safety_checked(pipe, recipe.safety_checker):
        for strength in recipe.strengths:
            for_task(pipe, recipe.painting_task, strength)
        yield pipe
