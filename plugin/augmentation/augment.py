"""``augment``: labelled images painted again with their labels kept, each label checked by the new attention.

A composition: ``train_token`` learns the words, ``generate`` paints by a recipe of task augment, ``compare`` checks.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import fiftyone as fo
from fiftyone import ViewField as F

from diffucurate.generator.models.completed import completed
from diffucurate.generator.progress import Listener
from diffucurate.generator.recipe.augment_config import STRENGTHS
from diffucurate.plugin.augmentation.start import VARIANTS, augment_recipe, augmented_classes
from diffucurate.plugin.augmentation.words import with_words, words_of
from diffucurate.plugin.generation.generate import generate
from diffucurate.plugin.generation.start import check_model, check_run, check_target
from diffucurate.plugin.store import field_names, runs
from diffucurate.plugin.store.samples import all_images

if TYPE_CHECKING:
    from diffucurate.generator.recipe.recipe import Recipe


def augment(
    samples: fo.Dataset | fo.DatasetView,
    field: str,
    *,
    variants: int = VARIANTS,
    part: str = "image",
    strength: float | Sequence[float] = STRENGTHS,
    margin: float | None = None,
    min_iou: float | None = None,
    prompt: str | Sequence[str] | None = None,
    attributes: Mapping[str, str | Sequence[str]] | None = None,
    classes: Mapping[str, Sequence[str]] | Sequence[str] | None = None,
    learn_words: bool = False,
    word_steps: int = 500,
    words_folder: str | os.PathLike[str] | None = None,
    model: str | None = None,
    size: Sequence[int] | str | None = None,
    steps: int | None = None,
    guidance: float | None = None,
    negative_prompt: str | None = None,
    scheduler: str | None = None,
    loras: Sequence[Mapping[str, Any]] | None = None,
    tokens: Sequence[Mapping[str, Any]] | None = None,
    seed: int = 0,
    save_as: str | None = None,
    count: int | None = None,
    batch_size: int | None = None,
    device: str | None = None,
    progress: Listener | None = None,
) -> fo.DatasetView:
    """Paint variants of labelled images, photographs or any others, that keep the labels, and add them beside.

    A variant is painted from its image at a strength drawn from a list, by a prompt that names the image's labels. It
    gets the image's labels in the same field, with their attributes and tags; boxes, masks, polylines and semantic
    masks alike. Each label then is looked for in the attention of the new image: ``iou_with_attention`` says how far it
    was found again, the tag ``unconfirmed`` where it was not, and ``agreement_<field>_attention`` how far the whole
    image agrees, by which ``curate`` can choose. After DA-Fusion (Trabucco et al. 2023).

    Variants have the tag ``augmented`` and know their parent (``source_id``); ``export`` keeps both in one split, and
    with ``augmented=0.5`` replaces every second image by one of its variants. The same call paints nothing twice.

    Args:
        samples: a dataset or view; augmented images among them start no others.
        field: the labels that are kept: a label source or any field of detections, polylines or segmentations.
        variants: new images of each image, each with a seed of its own.
        part: what is painted: the whole ``image``, the ``objects`` alone or the ``background`` alone. Other pixels stay
            those of the image.
        strength: how far to go from each image, in (0, 1]; of several each variant draws one.
        margin: how far masks are grown for ``objects`` and ``background``, as a share of the root of an object's area.
        min_iou: labels with less overlap with the new attention labels are tagged ``unconfirmed``; 0.5 by default.
        prompt: what variants shall show, "a photo of {labels}" by default; ``{labels}`` becomes "two cars and a bus".
        attributes: attribute -> the values to fill into the prompt besides; a variant is painted of each.
        classes: the classes that prompts name: names, or names with the phrases that mean them; all of the field by
            default. Images without any of these are left out.
        learn_words: whether a word is learned for each class first, from its objects in these images.
        word_steps: steps of learning a word.
        words_folder: where learned words go; see ``train_token``.
        seed: the first seed.
        save_as: another dataset to add the variants to; by default they join the images.
        model, size, steps, guidance, negative_prompt, scheduler, loras, tokens: as the keys of a recipe, with the
            recipe's defaults.
        count, batch_size, device, progress: as for ``generate``.

    Returns:
        The variants that the recipe has led to, of this call and earlier ones.

    Raises:
        InvalidSetting, ModelError, DatasetError: as ``generate``; or ``field`` holds the labels of attention.
    """
    check_run(count, batch_size)
    content: dict[str, Any] = {
        "variants": variants,
        "part": part,
        "strength": strength,
        "margin": margin,
        "min_iou": min_iou,
        "prompt": prompt,
        "attributes": attributes,
        "model": model,
        "size": size,
        "steps": steps,
        "guidance": guidance,
        "negative_prompt": negative_prompt,
        "scheduler": scheduler,
        "loras": loras,
        "tokens": tokens,
        "seed": seed,
        "save_as": save_as,
    }
    recipe = augment_recipe(samples, field, classes=classes, **content)
    if learn_words:
        check_target(recipe)  # before words are learned for nothing
        check_model(recipe, device)
        named = augmented_classes(samples, field, classes)
        options: dict[str, Any] = {"model": model, "steps": word_steps, "folder": words_folder, "device": device}
        words = words_of(samples, field, list(named), progress=progress, **options)
        learned = [{"path": str(word.path), "placeholder": word.placeholder} for word in words.values()]
        content["tokens"] = [*(tokens or ()), *learned] or None
        recipe = augment_recipe(samples, field, classes=with_words(named, words), **content)
    dataset = generate(recipe, count=count, batch_size=batch_size, device=device, progress=progress)
    return _painted_by(dataset, recipe)


def _painted_by(dataset: fo.Dataset, recipe: Recipe) -> fo.DatasetView:
    """The images that a recipe has led to, in this run and earlier ones."""
    fingerprint = completed(recipe).fingerprint()
    keys = [
        key
        for key in dataset.list_runs(method=runs.method("generate"))
        if dataset.get_run_info(key).config.settings.get("fingerprint") == fingerprint
    ]
    return all_images(dataset).match(F(field_names.RUN_KEY).is_in(keys))
