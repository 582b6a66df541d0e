"""The dataset before images are painted into it: its schema, its classes and its appearance in the App."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import fiftyone as fo
from pymongo.errors import DuplicateKeyError

from diffucurate.plugin.appearance.scheme import apply_default_appearance
from diffucurate.plugin.fiftyone_private import set_info
from diffucurate.plugin.generation.init_sources import label_sources
from diffucurate.plugin.store import field_names, lease
from diffucurate.plugin.store.classes import Phrases, extend_classes
from diffucurate.plugin.store.label_fields import label_field
from diffucurate.plugin.store.runs import deletion_named
from diffucurate.plugin.store.schema import (
    declare_canvas_fields,
    declare_caption_fields,
    declare_carried,
    declare_init_fields,
    declare_job_fields,
    declare_label_fields,
    declare_layout_fields,
)

if TYPE_CHECKING:
    from diffucurate.generator.jobs.jobs import Job
    from diffucurate.generator.recipe.recipe import Recipe

#: The label source of labels made from attention.
SOURCE = field_names.PAINTING_SOURCE


def run_settings(recipe: Recipe, count: int | None) -> dict[str, Any]:
    """What a run of ``generate`` is recorded with, and found by when it is continued."""
    # A run that the card had no room for goes on with less on it.
    return {
        "recipe": recipe.model_dump(mode="json", exclude={"memory"}),
        "fingerprint": recipe.fingerprint(),
        "limit": count,
    }


def open_dataset(existing: fo.Dataset | None, name: str) -> fo.Dataset:
    """The existing dataset, or a new one of that name, kept by FiftyOne and marked as one of Diffucurate's.

    One of another make, which only ``augment`` adds to, stays as it is.
    """
    if existing is not None and len(existing):
        return existing
    if existing is not None:
        dataset = existing
    else:
        try:
            dataset = fo.Dataset(name)
        except (ValueError, DuplicateKeyError):  # of processes that begin at the same moment another was first
            if not fo.dataset_exists(name):
                raise
            dataset = fo.load_dataset(name)
    dataset.persistent = True
    if dataset.media_type is None:
        dataset.media_type = "image"
    dataset.save()
    set_info(dataset, field_names.INFO, {"generated": True})
    return dataset


@contextmanager
def opened(existing: fo.Dataset | None, name: str) -> Iterator[fo.Dataset]:
    """A block with ``open_dataset``; where it ends in an error, a new dataset that is still empty is deleted again."""
    dataset = open_dataset(existing, name)
    try:
        with deletion_named(dataset, "generate"):
            yield dataset
    except BaseException:
        if existing is None and fo.dataset_exists(name) and not len(dataset) and not lease.is_held(dataset):
            fo.delete_dataset(name)
        raise


def prepare(dataset: fo.Dataset, recipe: Recipe, jobs: Sequence[Job], kept_classes: Sequence[str] = ()) -> Phrases:
    """Declare the fields of a recipe's images and show them in the App.

    Args:
        dataset: where the images will be added.
        recipe: whose classes are added to the dataset's.
        jobs: those to be painted; their attributes can be more than the recipe names.
        kept_classes: classes that only the labels of the init images have.

    Returns:
        All classes of the dataset with their phrases, in the order of their ids.

    Raises:
        DatasetError: no room for the classes, or a field of one of these names that has another type.
    """
    before = set(dataset.get_field_schema())
    unnamed = {name: [name] for name in kept_classes if name not in recipe.classes}
    classes = extend_classes(dataset, {**recipe.classes, **unnamed})
    attributes = dict.fromkeys([*recipe.attribute_names, *(name for job in jobs for name in job.attributes)])
    declare_job_fields(dataset, attributes, recipe.classes)
    for source in (SOURCE, *label_sources(recipe)):
        declare_label_fields(dataset, source, classes)
        apply_default_appearance(dataset, source, before)
    if recipe.source is not None and recipe.layout is None:
        declare_init_fields(dataset)
    if recipe.augment is not None and recipe.source is not None and recipe.source.dataset is not None:
        origin = fo.load_dataset(recipe.source.dataset)
        field = label_field(origin, recipe.augment.field)
        declare_carried(dataset, field, origin.get_field(field.name).document_type)
    if recipe.layout is not None:
        declare_layout_fields(dataset)
    if recipe.captions is not None:
        declare_caption_fields(dataset)
    if recipe.canvas is not None:
        declare_canvas_fields(dataset)
    return classes
