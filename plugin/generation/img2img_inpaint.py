"""``img2img`` and ``inpaint``: images painted from those of any dataset or view, in one call.

Both build a recipe for ``generate``, which is stored with the run and can be written to a file.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import fiftyone as fo

from diffucurate.generator.errors import InvalidSetting
from diffucurate.generator.progress import Listener
from diffucurate.generator.recipe.init_image_config import REPLACE, VARY
from diffucurate.generator.recipe.layout_config import MASKS
from diffucurate.generator.text.class_mentions import find_phrases
from diffucurate.generator.text.class_names import phrases_of
from diffucurate.plugin.generation.generate import generate
from diffucurate.plugin.store.classes import read_classes
from diffucurate.plugin.store.samples import dataset_of

if TYPE_CHECKING:
    from diffucurate.generator.recipe.recipe import Recipe

Samples: TypeAlias = fo.Dataset | fo.DatasetView
Classes: TypeAlias = Mapping[str, Sequence[str]] | Sequence[str]
Texts: TypeAlias = str | Sequence[str]

#: What the dataset is called where no name is given: the source's name and this.
_ENDINGS = {VARY: "varied", REPLACE: "inpainted", MASKS: "by-mask"}


def img2img(
    samples: Samples,
    *,
    attributes: Mapping[str, Texts] | None = None,
    prompt: Texts = (),
    classes: Classes | None = None,
    strength: float | Sequence[float] | None = None,
    carry: str | None = None,
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
    """Paint variations of images, label them from their own attention, and add them to a dataset.

    Images are turned as their EXIF data say before anything is painted; what is painted and its labels are upright.

    Args:
        samples: the images to start from: a dataset or a view, painted ones or photographs.
        attributes: attribute -> the values to fill in. Without a ``prompt`` each image's own template is filled anew,
            and what would have its own prompt is left out.
        prompt: what the images shall show; one text or several, which may have ``attributes`` in braces.
        classes: what is labelled: names, or names with the phrases that mean them; by default those that the
            source dataset knows and a prompt mentions.
        strength: how far to go from each image, in (0, 1]; of several each image draws one. 0.6 by default.
        carry: a label source or field of the images whose instances are kept beside the new labels, as source
            ``carried``; how far both agree is stored with each sample.
        save_as: the name of the dataset to add to; the source's name and ``-varied`` by default.
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
        VARY,
        dataset=save_as,
        prompt=prompt,
        classes=classes,
        attributes=attributes,
        strength=strength,
        carry=carry,
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


def inpaint(
    samples: Samples,
    field: str,
    prompt: Texts,
    *,
    instances: str | Sequence[str] = "largest",
    replace: Sequence[str] | None = None,
    margin: float | None = None,
    shape: str = "free",
    attributes: Mapping[str, Texts] | None = None,
    classes: Classes | None = None,
    strength: float | Sequence[float] | None = None,
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
    """Replace objects in images by what a prompt names, one object per new image, and label only what is new.

    The new object's labels are in source ``attention``; those of the whole image, with all other objects as they
    were, in source ``inpainted``. Images are turned as their EXIF data say before anything is painted, which is what
    their labels are relative to. Labels that cannot be read are left out, and named in the log and in the run's
    ``left_out``.

    Args:
        samples: the images: a dataset or a view, painted ones or photographs.
        field: whose objects are replaced: a label source such as ``attention``, or any field of labels.
        prompt: what the images shall show, the new object named; one text or several.
        instances: ``largest``, ``each``, or ids of the objects.
        replace: only objects of these labels.
        margin: what is painted around an object, as a share of the square root of its area: 0.3 by default, and 0.1
            where its outline is kept.
        shape: ``keep`` paints the new object into the outline of the old one, which is its label then; every prompt has
            to name one class. Its confidence is the IoU of the outline with what attention finds.
        attributes: attribute -> the values to fill into the prompt.
        classes: what is labelled: names, or names with the phrases that mean them; by default those that the source
            dataset knows, or ``field`` has, and a prompt mentions.
        strength: how much of the noise the region starts from, in (0, 1]; all of it by default.
        save_as: the name of the dataset to add to; the source's name and ``-inpainted`` by default.
        model, size, seeds, steps, guidance, negative_prompt, scheduler, karras, spacing, safety_checker, retries,
        loras, tokens, prompt_weights, sample: as the keys of a recipe, with the recipe's defaults.
        count, batch_size, device, progress: as for ``generate``.

    Returns:
        The dataset.

    Raises:
        InvalidSetting, ModelError, DatasetError: as ``generate``.
    """
    objects = {
        "field": field,
        "instances": instances if isinstance(instances, str) else list(instances),
        "classes": None if replace is None else list(replace),
        **({} if margin is None else {"margin": float(margin)}),
        **({} if shape == "free" else {"shape": shape}),
    }
    recipe = recipe_from(
        samples,
        REPLACE,
        dataset=save_as,
        prompt=prompt,
        classes=classes,
        attributes=attributes,
        strength=strength,
        objects=objects,
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


def recipe_from(
    samples: Samples, task: str, *, dataset: str | None, prompt: Texts, classes: Classes | None, **content: Any
) -> Recipe:
    """The recipe of such a call; values that are None are left to the recipe's defaults.

    Raises:
        InvalidSetting: one of its values is wrong, or no class is known.
        DatasetError: ``samples`` are no images.
    """
    from diffucurate.generator.recipe.recipe import Recipe

    source = dataset_of(samples)
    templates = [prompt] if isinstance(prompt, str) else list(prompt)
    content["attributes"] = {
        name: [values] if isinstance(values, str) else list(values)
        for name, values in (content.get("attributes") or {}).items()
    }
    if isinstance(content.get("strength"), Sequence):
        content["strength"] = list(content["strength"])
    if isinstance(content.get("size"), tuple):
        content["size"] = list(content["size"])
    chosen = {"samples": samples.values("id")} if isinstance(samples, fo.DatasetView) else {}
    return Recipe.from_mapping(
        {
            **{name: value for name, value in content.items() if value is not None},
            "dataset": dataset or f"{source.name}-{_ENDINGS[task]}",
            "task": task,
            "source": {"dataset": source.name, **chosen},
            "classes": _classes(samples, templates, classes, content),
            **({} if task == MASKS and not templates else {"templates": templates}),
        }
    )


def _classes(
    samples: Samples, templates: Sequence[str], classes: Classes | None, content: Mapping[str, Any]
) -> dict[str, list[str]]:
    if isinstance(classes, Mapping):
        return {name: list(phrases) for name, phrases in phrases_of(classes).items()}
    if isinstance(classes, str):
        raise InvalidSetting("classes", classes, "give a list of names, or names with their phrases")
    if classes is not None:
        return {name: [name] for name in classes}
    dataset = dataset_of(samples)
    known = {name: list(phrases) for name, phrases in read_classes(dataset).items()}
    if content.get("objects"):
        from diffucurate.plugin.store.label_fields import label_field, labels_of

        names = labels_of(dataset, label_field(dataset, content["objects"]["field"]))
        known = {**{name: [name] for name in names}, **known}
    if templates:
        texts = " . ".join([*templates, *(value for values in content["attributes"].values() for value in values)])
        known = {name: phrases for name, phrases in known.items() if find_phrases(texts, {name: tuple(phrases)})}
    if not known:
        remedy = "no class of the images' own is named in the prompt; name what to label, such as piano"
        raise InvalidSetting("classes", None, remedy)
    return known
