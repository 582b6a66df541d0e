"""Recipe -> images with attention labels in a dataset.

A job that has a sample is never painted again: a run that was killed goes on where it stopped, under its own
key, and writes over what it left behind. How paintings become samples is ``plugin.generation.paint_and_store``'s.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import fiftyone as fo

from diffucurate.generator.errors import DatasetError, InvalidSetting
from diffucurate.generator.progress import Progress
from diffucurate.plugin.appearance.scheme import apply_default_appearance
from diffucurate.plugin.generation.captions import drop_too_long
from diffucurate.plugin.generation.load_recipes import read_recipes
from diffucurate.plugin.generation.paint_and_store import job_ids, paint_into
from diffucurate.plugin.generation.target import find_target
from diffucurate.plugin.progress import Listener
from diffucurate.plugin.store import field_names, runs
from diffucurate.plugin.store.classes import Phrases, extend_classes
from diffucurate.plugin.store.samples import declare_caption_fields, declare_job_fields, declare_label_fields

if TYPE_CHECKING:
    from diffucurate.generator.recipe.recipe import Recipe

logger = logging.getLogger(__name__)

SOURCE = "attention"


def generate(
    recipe: Recipe | Mapping[str, Any] | str | os.PathLike[str],
    *,
    count: int | None = None,
    batch_size: int | None = None,
    device: str | None = None,
    trust_pickle: bool = False,
    progress: Listener | None = None,
) -> fo.Dataset:
    """Paint what a recipe asks for and the dataset does not have yet, and label it from the attention.

    Images can start from text, from the pictures of any dataset or folder (img2img), or replace objects in them
    (inpaint). A picture that cannot be used is left out: the log and the run's facts say why, and the others go on.

    The dataset is made if there is none, and kept by FiftyOne until it is deleted. Another recipe for the same
    dataset adds to it: new classes get the next ids. Media go below FiftyOne's default dataset folder, or below
    ``DIFFUCURATE_MEDIA_DIR``.

    Args:
        recipe: a Recipe, its content, or the path of a recipe file. Of a config of DiffuGen's all sections are
            painted, each into a dataset of its own.
        count: at most so many images, the recipe's first.
        batch_size: images painted at once; by default what the device usually holds.
        device: ``cuda``, ``cpu``, ...; the best one there is by default.
        trust_pickle: whether learned words are read too whose file holds more than tensors, which runs its code.
        progress: called after each batch.

    Returns:
        The dataset, also when there was nothing to do; of several sections the first one's.

    Raises:
        InvalidSetting: a setting is wrong; as ``RecipeError``, the recipe is, or the model cannot make its size.
        ModelError: the model cannot be loaded.
        DatasetError: a dataset of that name exists that Diffucurate did not make, or that lacks room for the classes;
            or there are no pictures to start from, or none that can be used.
    """
    recipes = _as_recipes(recipe, trust_pickle)
    return generate_all(recipes, count=count, batch_size=batch_size, device=device, progress=progress)[0]


def generate_all(
    recipes: Sequence[Recipe],
    *,
    count: int | None = None,
    batch_size: int | None = None,
    device: str | None = None,
    progress: Listener | None = None,
) -> list[fo.Dataset]:
    """Paint several recipes, one after the other, and return their datasets, each once; see ``generate``.

    Of several, one that has no picture to start from is left out: the log and a note of the progress say why.

    Raises:
        InvalidSetting, ModelError, DatasetError: as ``generate``; ``DatasetError`` only where no recipe led to one.
    """
    for name, value in (("count", count), ("batch_size", batch_size)):
        if value is not None and value < 1:
            raise InvalidSetting(name, value, "give a number of images, at least 1")
    made: dict[str, fo.Dataset] = {}
    failed: list[DatasetError] = []
    for recipe in recipes:
        try:
            made[recipe.dataset] = _generate(recipe, count, batch_size, device, progress)
        except DatasetError as error:
            if len(recipes) == 1:
                raise
            failed.append(error)
            logger.warning("%s: left out: %s", recipe.dataset, error)
            if progress is not None:
                progress(Progress(0, 0, 0.0, float("inf"), f"{recipe.dataset}: left out: {error}"))
    if not made:
        raise failed[0]
    return list(made.values())


def _generate(
    recipe: Recipe, count: int | None, batch_size: int | None, device: str | None, progress: Listener | None
) -> fo.Dataset:
    from diffucurate.generator.jobs.jobs import jobs as jobs_of

    existing = find_target(recipe.dataset)
    if recipe.source is not None:
        from diffucurate.plugin.generation.from_init_images import generate_from
        from diffucurate.plugin.generation.init_folder import with_dataset

        recipe = with_dataset(recipe)
        settings = _settings(recipe, count)
        generate_from(recipe, existing, settings, count=count, batch_size=batch_size, device=device, progress=progress)
        return fo.load_dataset(recipe.dataset)
    jobs = jobs_of(recipe)[:count]
    done = job_ids(existing) if existing is not None else set()
    todo = [job for job in jobs if job.job_id not in done]
    if existing is not None and not todo:
        return existing

    from diffucurate.generator.models.adapters import adapted
    from diffucurate.generator.models.load import check_size, load_pipeline

    # Whatever is wrong with the model or its options is said before a dataset is made.
    pipe = load_pipeline(recipe.model, device)
    for size in recipe.sizes:
        check_size(pipe, size)
    with adapted(pipe, recipe.model_options):
        todo, facts = drop_too_long(recipe, todo, len(jobs), pipe, progress)
    if existing is not None and not todo:  # only captions that are too long
        return existing
    dataset = existing if existing is not None else fo.Dataset(recipe.dataset)
    classes = prepare(dataset, recipe)
    if recipe.captions is not None:
        declare_caption_fields(dataset)
    settings = _settings(recipe, count)
    with runs.recorded(dataset, "generate", settings, key=runs.unfinished(dataset, "generate", settings)) as run:
        run.facts |= {"asked": len(jobs), **facts}
        paint_into(dataset, todo, run, pipe=pipe, classes=classes, batch_size=batch_size, progress=progress)
    return dataset


def _settings(recipe: Recipe, count: int | None) -> dict[str, Any]:
    return {"recipe": recipe.model_dump(mode="json"), "fingerprint": recipe.fingerprint(), "limit": count}


def _as_recipes(recipe: Recipe | Mapping[str, Any] | str | os.PathLike[str], trust_pickle: bool) -> list[Recipe]:
    from diffucurate.generator.recipe.recipe import Recipe

    return [recipe] if isinstance(recipe, Recipe) else read_recipes(recipe, trust_pickle=trust_pickle)


def prepare(
    dataset: fo.Dataset,
    recipe: Recipe,
    *,
    sources: Sequence[str] = (SOURCE,),
    others: Sequence[str] = (),
    attributes: Sequence[str] = (),
) -> Phrases:
    """Schema, classes and looks; returns all classes with their phrases, in the order of their ids.

    ``sources`` are the label sources that the images will have, ``others`` classes that only labels bring, and
    ``attributes`` those that the images have, where the recipe does not say all.
    """
    dataset.persistent = True
    if dataset.media_type is None:
        dataset.media_type = "image"
    dataset.info[field_names.INFO] = {**dataset.info.get(field_names.INFO, {}), "generated": True}
    dataset.save()
    before = set(dataset.get_field_schema())
    unnamed = {name: [name] for name in others if name not in recipe.classes}
    classes = extend_classes(dataset, {**recipe.classes, **unnamed})
    declare_job_fields(dataset, attributes or recipe.attribute_names, recipe.classes)
    for source in sources:
        declare_label_fields(dataset, source, classes)
        apply_default_appearance(dataset, source, before)
    return classes
