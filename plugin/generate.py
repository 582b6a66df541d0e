"""Recipe -> images with attention labels in a dataset, a batch at a time, so that no stop loses more than a batch.

Every file of a sample is complete before the sample is added, and a job that has a sample is never painted
again: a run that was killed goes on where it stopped, under its own key, and writes over what it left behind.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import closing
from typing import TYPE_CHECKING, Any

import fiftyone as fo
import fiftyone.core.utils as fou

from diffucurate.generator.errors import DatasetError, RecipeError
from diffucurate.plugin import fields, runs
from diffucurate.plugin.classes import extend_classes
from diffucurate.plugin.looks import colour_classes, show_fields
from diffucurate.plugin.media import media_folder, write_png
from diffucurate.plugin.progress import Listener
from diffucurate.plugin.samples import declare_job_fields, declare_label_fields, job_fields
from diffucurate.plugin.store import attention_fields

if TYPE_CHECKING:
    from diffucurate.generator.painter import Painting
    from diffucurate.generator.prompts import Job
    from diffucurate.generator.recipe import Recipe

SOURCE = "attention"

#: MongoDB's code for a value that a unique index holds already.
_DUPLICATE = "E11000"

#: Paintings kept in memory before they are written, unless the batch is larger.
_WRITE_AT_ONCE = 8


def generate(
    recipe: Recipe | Mapping[str, Any] | str | os.PathLike[str],
    *,
    limit: int | None = None,
    batch_size: int | None = None,
    device: str | None = None,
    progress: Listener | None = None,
) -> fo.Dataset:
    """Paint what a recipe asks for and the dataset does not have yet, and label it from the attention.

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
        DatasetError: a dataset of that name exists that Diffucurate did not make, or that lacks room for the classes.
    """
    from diffucurate.generator.prompts import jobs as jobs_of

    recipe = _as_recipe(recipe)
    for name, value in (("limit", limit), ("batch_size", batch_size)):
        if value is not None and value < 1:
            raise RecipeError(name, value, "give a number of images, at least 1")
    jobs = jobs_of(recipe)[:limit]
    existing = _existing(recipe.dataset)
    done = _job_ids(existing) if existing is not None else set()
    todo = [job for job in jobs if job.job_id not in done]
    if existing is not None and not todo:
        return existing

    from diffucurate.generator.models import check_size, load_pipeline

    pipe = load_pipeline(recipe.model, device)  # whatever is wrong with it is said before a dataset is made
    check_size(pipe, recipe.size)
    dataset = existing if existing is not None else fo.Dataset(recipe.dataset)
    classes = _prepare(dataset, recipe)
    settings = {"recipe": recipe.model_dump(mode="json"), "fingerprint": recipe.fingerprint(), "limit": limit}
    with runs.recorded(dataset, "generate", settings, key=runs.unfinished(dataset, "generate", settings)) as run:
        writer = _Writer(dataset, classes, run.key, max(batch_size or 0, _WRITE_AT_ONCE))
        try:
            _paint(todo, pipe, batch_size, progress, writer)
        finally:
            run.facts |= {"added": writer.added, "asked": len(jobs), "device": str(pipe.device)}
    return dataset


def _paint(todo: Sequence[Job], pipe: Any, batch_size: int | None, progress: Listener | None, writer: _Writer) -> None:
    from diffucurate.generator.painter import paint

    with closing(paint(todo, pipe=pipe, batch_size=batch_size, on_batch=progress)) as paintings:
        try:
            for painting in paintings:
                writer.add(painting)
        finally:  # on Ctrl-C what is painted is kept
            writer.flush()


class _Writer:
    """Turns paintings into samples, several at a time."""

    def __init__(self, dataset: fo.Dataset, classes: Sequence[str], run_key: str, at_once: int) -> None:
        self._dataset, self._classes, self._run_key, self._at_once = dataset, tuple(classes), run_key, at_once
        self._folder = media_folder(dataset)
        self._waiting: list[Painting] = []
        self.added = 0

    def add(self, painting: Painting) -> None:
        self._waiting.append(painting)
        if len(self._waiting) >= self._at_once:
            self.flush()

    def flush(self) -> None:
        """Write the files of all waiting paintings, then add their samples."""
        paintings, self._waiting = self._waiting, []
        if paintings:
            samples = [self._sample(painting) for painting in paintings]
            try:
                self._dataset.add_samples(samples, progress=False)
            except ValueError as error:
                if _DUPLICATE not in str(error):
                    raise
                raise DatasetError(
                    f"someone else is adding the same images to dataset '{self._dataset.name}'; "
                    "wait until they are done, then start again for the rest"
                ) from error
            self.added += len(paintings)

    def _sample(self, painting: Painting) -> fo.Sample:
        stem = f"{painting.job.job_id}-{self._run_key}"
        height, width = painting.image.shape[:2]
        values = attention_fields(painting.heatmaps, (height, width), self._classes, self._folder, stem)
        path = write_png(self._folder / "images" / f"{stem}.png", painting.image)
        metadata = fo.ImageMetadata(
            size_bytes=path.stat().st_size, mime_type="image/png", width=width, height=height, num_channels=3
        )
        return fo.Sample(filepath=str(path), metadata=metadata, **job_fields(painting.job, self._run_key), **values)


def _as_recipe(recipe: Recipe | Mapping[str, Any] | str | os.PathLike[str]) -> Recipe:
    from diffucurate.generator.recipe import Recipe

    if isinstance(recipe, Recipe):
        return recipe
    return Recipe.from_mapping(recipe) if isinstance(recipe, Mapping) else Recipe.load(os.fspath(recipe))


def _job_ids(dataset: fo.Dataset) -> set[str]:
    return set(dataset.values(fields.JOB_ID)) if dataset.has_sample_field(fields.JOB_ID) else set()


def _existing(name: str) -> fo.Dataset | None:
    """The dataset of that name if it is ours or empty; a run killed at once may have left it empty."""
    if not fo.dataset_exists(name):
        twin = next((other for other in fo.list_datasets() if fou.to_slug(other) == fou.to_slug(name)), None)
        if twin is not None:
            raise DatasetError(
                f"dataset '{name}' would share its address in the App with '{twin}'; choose another name"
            )
        return None
    dataset = fo.load_dataset(name)
    if not dataset.info.get(fields.INFO, {}).get("generated") and len(dataset):
        raise DatasetError(
            f"dataset '{name}' exists and was not generated by Diffucurate; choose another name in the recipe, "
            f"or delete it with fiftyone.delete_dataset('{name}')"
        )
    return dataset


def _prepare(dataset: fo.Dataset, recipe: Recipe) -> list[str]:
    """Schema, classes and looks; returns all classes in the order of their ids."""
    dataset.persistent = True
    if dataset.media_type is None:
        dataset.media_type = "image"
    dataset.info[fields.INFO] = {**dataset.info.get(fields.INFO, {}), "generated": True}
    dataset.save()
    before = set(dataset.get_field_schema())
    classes = list(extend_classes(dataset, recipe.classes))
    declare_job_fields(dataset, recipe.attributes, classes)
    declare_label_fields(dataset, SOURCE, classes)
    visible = [*(fields.heatmap(name) for name in recipe.classes), fields.mask(SOURCE), fields.instances(SOURCE)]
    hidden = [name for name in (fields.polygons(SOURCE),) if name not in before]
    show_fields(dataset, [name for name in visible if name not in before], hidden=hidden)
    colour_classes(dataset, classes, [SOURCE])
    return classes
