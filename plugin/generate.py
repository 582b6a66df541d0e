"""Recipe -> images with attention labels in a dataset.

A job that has a sample is never painted again: a run that was killed goes on where it stopped, under its own
key, and writes over what it left behind. How paintings become samples is ``plugin.paint``'s.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import fiftyone as fo

from diffucurate.generator.errors import RecipeError
from diffucurate.plugin import fields, runs
from diffucurate.plugin.classes import extend_classes
from diffucurate.plugin.looks import dress
from diffucurate.plugin.paint import job_ids, paint_into
from diffucurate.plugin.progress import Listener
from diffucurate.plugin.samples import declare_job_fields, declare_label_fields
from diffucurate.plugin.target import find_target

if TYPE_CHECKING:
    from diffucurate.generator.recipe import Recipe

SOURCE = "attention"


def generate(
    recipe: Recipe | Mapping[str, Any] | str | os.PathLike[str],
    *,
    limit: int | None = None,
    batch_size: int | None = None,
    device: str | None = None,
    progress: Listener | None = None,
) -> fo.Dataset:
    """Paint what a recipe asks for and the dataset does not have yet, and label it from the attention.

    Images can start from text, from the pictures of any dataset (img2img), or replace objects in them (inpaint). A
    picture that cannot be used is left out: the log and the run's facts say why, and the others go on.

    The dataset is made if there is none, and kept by FiftyOne until it is deleted. Another recipe for the same
    dataset adds to it: new classes get the next ids. Media go below FiftyOne's default dataset folder, or below
    ``DIFFUCURATE_MEDIA_DIR``.

    Args:
        recipe: a Recipe, its content, or the path of a recipe file.
        limit: only the first so many images of the recipe.
        batch_size: images painted at once; by default what the device usually holds.
        device: ``cuda``, ``cpu``, ...; the best one there is by default.
        progress: called after each batch.

    Returns:
        The dataset, also when there was nothing to do.

    Raises:
        RecipeError: the recipe or a setting is wrong, or the model cannot make its size.
        ModelError: the model cannot be loaded.
        DatasetError: a dataset of that name exists that Diffucurate did not make, or that lacks room for the classes;
            or there are no pictures to start from, or none that can be used.
    """
    from diffucurate.generator.prompts import jobs as jobs_of

    recipe = _as_recipe(recipe)
    for name, value in (("limit", limit), ("batch_size", batch_size)):
        if value is not None and value < 1:
            raise RecipeError(name, value, "give a number of images, at least 1")
    existing = find_target(recipe.dataset)
    if recipe.source is not None:
        from diffucurate.plugin.generate_from import generate_from

        settings = _settings(recipe, limit)
        generate_from(
            recipe, existing, settings, limit=limit, batch_size=batch_size, device=device, progress=progress
        )  # fmt: skip
        return fo.load_dataset(recipe.dataset)
    jobs = jobs_of(recipe)[:limit]
    done = job_ids(existing) if existing is not None else set()
    todo = [job for job in jobs if job.job_id not in done]
    if existing is not None and not todo:
        return existing

    from diffucurate.generator.adapters import adapted
    from diffucurate.generator.models import check_size, load_pipeline

    # Whatever is wrong with the model or its setup is said before a dataset is made.
    pipe = load_pipeline(recipe.model, device)
    for size in recipe.sizes:
        check_size(pipe, size)
    with adapted(pipe, recipe.setup):
        pass
    dataset = existing if existing is not None else fo.Dataset(recipe.dataset)
    classes = prepare(dataset, recipe)
    settings = _settings(recipe, limit)
    with runs.recorded(dataset, "generate", settings, key=runs.unfinished(dataset, "generate", settings)) as run:
        run.facts["asked"] = len(jobs)
        paint_into(dataset, todo, run, pipe=pipe, classes=classes, batch_size=batch_size, progress=progress)
    return dataset


def _settings(recipe: Recipe, limit: int | None) -> dict[str, Any]:
    return {"recipe": recipe.model_dump(mode="json"), "fingerprint": recipe.fingerprint(), "limit": limit}


def _as_recipe(recipe: Recipe | Mapping[str, Any] | str | os.PathLike[str]) -> Recipe:
    from diffucurate.generator.recipe import Recipe

    if isinstance(recipe, Recipe):
        return recipe
    return Recipe.from_mapping(recipe) if isinstance(recipe, Mapping) else Recipe.load(os.fspath(recipe))


def prepare(
    dataset: fo.Dataset,
    recipe: Recipe,
    *,
    sources: Sequence[str] = (SOURCE,),
    others: Sequence[str] = (),
    attributes: Sequence[str] = (),
) -> list[str]:
    """Schema, classes and looks; returns all classes in the order of their ids.

    ``sources`` are the label sources that the images will have, ``others`` classes that only labels bring, and
    ``attributes`` those that the images have, where the recipe does not say all.
    """
    dataset.persistent = True
    if dataset.media_type is None:
        dataset.media_type = "image"
    dataset.info[fields.INFO] = {**dataset.info.get(fields.INFO, {}), "generated": True}
    dataset.save()
    before = set(dataset.get_field_schema())
    unnamed = {name: [name] for name in others if name not in recipe.classes}
    classes = list(extend_classes(dataset, {**recipe.classes, **unnamed}))
    declare_job_fields(dataset, attributes or recipe.attribute_names, recipe.classes)
    for source in sources:
        declare_label_fields(dataset, source, classes)
        dress(dataset, source, before)
    return classes
