"""``mask2img``: images painted by the labels of any dataset or view, in one call.

It builds a recipe for ``generate``, which is stored with the run and can be written to a file.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import fiftyone as fo

from diffucurate.generator.errors import InvalidSetting
from diffucurate.generator.progress import Listener
from diffucurate.generator.recipe.layout_config import MASKS, PLACE
from diffucurate.generator.text.class_mentions import find_phrases
from diffucurate.plugin.generation.generate import generate
from diffucurate.plugin.generation.img2img_inpaint import Classes, Samples, Texts, recipe_from
from diffucurate.plugin.store.classes import read_classes
from diffucurate.plugin.store.label_fields import label_field, labels_of
from diffucurate.plugin.store.samples import dataset_of


def mask2img(
    samples: Samples,
    field: str,
    *,
    prompt: Texts = (),
    attributes: Mapping[str, Texts] | None = None,
    classes: Classes | None = None,
    until: float | None = None,
    boost: float | None = None,
    words: str | None = None,
    guide: float | None = None,
    model: str | None = None,
    size: Sequence[int] | Sequence[Sequence[int]] | str | None = None,
    seeds: int | Sequence[int] | Mapping[str, int] | None = None,
    steps: int | None = None,
    guidance: float | None = None,
    negative_prompt: str | None = None,
    scheduler: str | None = None,
    karras: bool | None = None,
    spacing: str | None = None,
    safety_checker: bool | None = None,
    retries: int | None = None,
    loras: Sequence[Mapping[str, Any]] | None = None,
    tokens: Sequence[Mapping[str, Any]] | None = None,
    prompt_weights: bool | None = None,
    sample: str | Mapping[str, int] | None = None,
    save_as: str | None = None,
    count: int | None = None,
    batch_size: int | None = None,
    device: str | None = None,
    progress: Listener | None = None,
) -> fo.Dataset:
    """Paint images by masks, so that the masks are their labels, and add them to a dataset.

    The mask's instances are source ``layout``; what the model's attention would have seen by itself is source
    ``attention``, and how far both agree is stored with each sample.

    Args:
        samples: whose labels are the masks: a dataset or a view. Their images are not looked at.
        field: a label source such as ``attention``, or any field with labels: detections, polylines or a segmentation.
            Of detections without masks the boxes are the masks.
        prompt: one text or several, which may have ``attributes`` in braces; ``{labels}`` are those of each mask, and
            ``a photo of {labels}`` is the default.
        attributes: attribute -> the values to fill in.
        classes: what is painted by the masks: names, or names with the phrases that mean them; by default all that
            ``field`` has and, without ``{labels}``, a prompt mentions.
        until: the share of the steps, from the first, in which masks hold.
        boost: how many times as much a pixel attends to the words of its class as it would by itself.
        words: ``shared``, or ``own`` where pixels of a class shall see the words of that class alone.
        guide: how strongly each class is also guided to the centre and size of its mask, such as 12; not at all by
            default. It takes a UNet, and a pass with gradients in most steps.
        save_as: the name of the dataset to add to; the source's name and ``-by-mask`` by default.
        model, size, seeds, steps, guidance, negative_prompt, scheduler, karras, spacing, safety_checker, retries,
        loras, tokens, prompt_weights, sample: as the keys of a recipe, with the recipe's defaults.
        count, batch_size, device, progress: as for ``generate``.

    Returns:
        The dataset.

    Raises:
        InvalidSetting, ModelError, DatasetError: as ``generate``.
    """
    recipe = recipe_from(
        samples,
        MASKS,
        dataset=save_as,
        prompt=prompt,
        classes=layout_classes(samples, field, prompt, attributes or {}) if classes is None else classes,
        attributes=attributes,
        layout=layout_content(field, until, boost, words, guide),
        model=model,
        size=size,
        seeds=seeds,
        steps=steps,
        guidance=guidance,
        negative_prompt=negative_prompt,
        scheduler=scheduler,
        karras=karras,
        spacing=spacing,
        safety_checker=safety_checker,
        retries=retries,
        loras=loras,
        tokens=tokens,
        prompt_weights=prompt_weights,
        sample=sample,
    )
    return generate(recipe, count=count, batch_size=batch_size, device=device, progress=progress)


def layout_content(
    field: str,
    until: float | None = None,
    boost: float | None = None,
    words: str | None = None,
    guide: float | None = None,
) -> dict[str, Any]:
    """The part ``layout`` of a recipe; what is None is left to its defaults."""
    numbers = {"until": until, "boost": boost, "guide": guide}
    values = {name: float(value) if type(value) is int else value for name, value in numbers.items()}
    content = {"field": field, **values, "words": words}
    return {name: value for name, value in content.items() if value is not None}


def layout_classes(
    samples: Samples, field: str, prompt: Texts, attributes: Mapping[str, Texts]
) -> dict[str, list[str]]:
    """The classes that a field has, with the phrases that the dataset knows; those that a prompt mentions, where it has
    no place for all of them.

    Raises:
        DatasetError: the dataset has no such labels.
        InvalidSetting: no class is known.
    """
    dataset = dataset_of(samples)
    known, there = read_classes(dataset), labels_of(samples, label_field(dataset, field))
    classes = {name: list(known.get(name, [name])) for name in there}
    templates = [prompt] if isinstance(prompt, str) else list(prompt)
    if templates and not any(PLACE in template for template in templates):
        values = [value for each in attributes.values() for value in ([each] if isinstance(each, str) else each)]
        mentioned = find_phrases(" . ".join([*templates, *values]), classes)
        classes = {name: phrases for name, phrases in classes.items() if name in mentioned}
    if not classes:
        wanted = (
            f"none of '{field}' is named in the prompt; use {PLACE} in it" if there else f"'{field}' holds no labels"
        )
        raise InvalidSetting("classes", None, wanted)
    return classes
