"""How many images a recipe makes, and some of its prompts, without the list of its jobs.

Cheap for any recipe, so a form can ask at every keystroke. Knows nothing of models or datasets.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import gcd, prod
from typing import NamedTuple

from diffucurate.generator.captions.prompts import caption_prompts
from diffucurate.generator.jobs.canvases import count_canvases
from diffucurate.generator.jobs.jobs import count_jobs
from diffucurate.generator.jobs.sampling import row_at
from diffucurate.generator.recipe.amount import Sample
from diffucurate.generator.recipe.recipe import Recipe
from diffucurate.generator.text.templates import attributes_of, fill

#: Up to so many images are counted one by one, so that a prompt of two templates counts once.
_COUNTED = 2_000


class ImageCount(NamedTuple):
    """A number of images; where not ``exact``, an upper bound: a prompt of two templates is counted twice."""

    images: int
    exact: bool


def images_of(recipe: Recipe) -> ImageCount:
    """The number of images that a recipe makes, or an upper bound of it.

    Raises:
        InvalidSetting: what is wrong with its captions.
    """
    if recipe.canvas is not None:
        return ImageCount(count_canvases(recipe), True)
    if recipe.captions is not None:
        images = len(caption_prompts(recipe.captions, recipe.classes).prompts) * recipe.variants
        return ImageCount(min(recipe.sample.count, images) if isinstance(recipe.sample, Sample) else images, True)
    most = recipe.product_size
    if most <= _COUNTED:
        return ImageCount(count_jobs(recipe), True)
    images = min(recipe.sample.count, most) if isinstance(recipe.sample, Sample) else most
    return ImageCount(images, len(recipe.templates) == 1)


def some_prompts(templates: Sequence[str], attributes: Mapping[str, Sequence[str]], most: int) -> list[str]:
    """Up to ``most`` different prompts, spread over all combinations, as many from each template.

    Accepts templates that are still being written: one with an error is left out, and an attribute without values
    stays ``{name}``.
    """
    readable = {template: names for template in templates if (names := _names(template)) is not None}
    share, more = divmod(most, max(len(readable), 1))
    prompts: list[str] = []
    for index, (template, names) in enumerate(readable.items()):
        axes = [list(attributes.get(name) or [f"{{{name}}}"]) for name in names]
        total, wanted = prod(map(len, axes)), share + (index < more)
        stride = _stride(total) if total > wanted else 1
        for number in range(min(wanted, total)):
            row = row_at(number * stride % total, list(map(len, axes)))
            choice = {name: axis[index] for name, axis, index in zip(names, axes, row, strict=True)}
            prompts.append(fill(template, choice))
    return list(dict.fromkeys(prompt for prompt in prompts if prompt))


def _names(template: str) -> tuple[str, ...] | None:
    try:
        return attributes_of(template)
    except ValueError:
        return None


def _stride(total: int) -> int:
    """A step through ``total`` rows that meets each once and changes all axes, the fast and the slow ones."""
    stride = round(0.618 * total)
    while gcd(stride, total) != 1:
        stride += 1
    return stride
