"""The recipe of an augmentation, and what keeps it from beginning; writes nothing.

The run begins here, and forms ask the same at every keystroke.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import fiftyone as fo

from diffucurate.generator.errors import DatasetError, InvalidSetting
from diffucurate.generator.recipe.augment_config import AUGMENT
from diffucurate.generator.text.class_names import phrases_of
from diffucurate.plugin.store.classes import read_classes
from diffucurate.plugin.store.label_fields import label_field, labels_of
from diffucurate.plugin.store.samples import dataset_of

if TYPE_CHECKING:
    from diffucurate.generator.recipe.recipe import Recipe

#: Variants of each image where nothing is said.
VARIANTS = 4


def augment_recipe(
    samples: fo.Dataset | fo.DatasetView,
    field: str,
    *,
    variants: int = VARIANTS,
    seed: int = 0,
    classes: Mapping[str, Sequence[str]] | Sequence[str] | None = None,
    prompt: str | Sequence[str] | None = None,
    attributes: Mapping[str, str | Sequence[str]] | None = None,
    part: str | None = None,
    margin: float | None = None,
    min_iou: float | None = None,
    save_as: str | None = None,
    **content: Any,
) -> Recipe:
    """The recipe by which ``augment`` with the same arguments paints; values that are None are left to its defaults.

    Raises:
        InvalidSetting: one of its values is wrong.
        DatasetError: ``samples`` are no images, or have no such labels.
    """
    from diffucurate.generator.recipe.recipe import Recipe

    if isinstance(variants, bool) or not isinstance(variants, int) or not 1 <= variants <= 1000:
        raise InvalidSetting("variants", variants, "give a number of new images for each image, from 1 to 1000")
    if isinstance(seed, bool) or not isinstance(seed, int) or seed < 0:
        raise InvalidSetting("seed", seed, "give a whole number of at least 0")
    dataset = dataset_of(samples)
    section = {"field": field, "part": part, "margin": margin, "min_iou": min_iou}
    templates = [prompt] if isinstance(prompt, str) else None if prompt is None else list(prompt)
    values = {name: [each] if isinstance(each, str) else list(each) for name, each in (attributes or {}).items()}
    named = {**content, "templates": templates, "attributes": values or None}
    plain = {name: list(value) if isinstance(value, tuple) else value for name, value in named.items()}
    chosen = {"samples": samples.values("id")} if isinstance(samples, fo.DatasetView) else {}
    return Recipe.from_mapping(
        {
            **{name: value for name, value in plain.items() if value is not None},
            "dataset": dataset.name if save_as is None else save_as,
            "task": AUGMENT,
            "source": {"dataset": dataset.name, **chosen},
            "augment": {name: value for name, value in section.items() if value is not None},
            "seeds": list(range(seed, seed + variants)),
            "classes": augmented_classes(samples, field, classes),
        }
    )


def augmented_classes(
    samples: fo.Dataset | fo.DatasetView, field: str, classes: Mapping[str, Sequence[str]] | Sequence[str] | None
) -> dict[str, list[str]]:
    """The classes that prompts name, with their phrases: those asked for, or all labels of the field.

    Raises:
        InvalidSetting: classes as one text.
        DatasetError: the field has no labels.
    """
    if isinstance(classes, Mapping):
        return {name: list(phrases) for name, phrases in phrases_of(classes).items()}
    if isinstance(classes, str):
        raise InvalidSetting("classes", classes, "give a list of names, or names with their phrases")
    dataset = dataset_of(samples)
    known = read_classes(dataset)
    names = labels_of(samples, label_field(dataset, field)) if classes is None else list(classes)
    if not names:
        raise DatasetError(f"no label in '{field}' of these images; label them first or choose others")
    return {name: list(known.get(name, (name.replace("_", " "),))) for name in names}
