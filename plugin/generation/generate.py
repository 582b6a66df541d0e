"""Recipe -> images with attention labels in a dataset.

A job that has a sample is never painted again: a run that was killed is continued under its own key, and writes over
the files that it left. How paintings become samples is ``plugin.generation.paint_and_store``'s.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, overload

import fiftyone as fo

from diffucurate.generator.errors import DatasetError, InvalidSetting
from diffucurate.generator.models.completed import completed
from diffucurate.generator.progress import Listener, announce
from diffucurate.plugin.cluster.engine import Engine, chosen_engine
from diffucurate.plugin.generation.captions import drop_too_long
from diffucurate.plugin.generation.init_folder import with_dataset
from diffucurate.plugin.generation.layout_folder import with_masks
from diffucurate.plugin.generation.load_recipes import read_recipes
from diffucurate.plugin.generation.paint_and_store import job_ids
from diffucurate.plugin.generation.paint_options import PaintOptions
from diffucurate.plugin.generation.prepare import opened, run_settings
from diffucurate.plugin.generation.start import check_run, check_target
from diffucurate.plugin.generation.values_used import announce_values

if TYPE_CHECKING:
    from diffucurate.generator.recipe.recipe import Recipe

logger = logging.getLogger(__name__)


@overload
def generate(
    recipe: Recipe,
    *,
    count: int | None = None,
    batch_size: int | None = None,
    device: str | None = None,
    trust_pickle: bool = False,
    share: bool = False,
    engine: Engine = None,
    progress: Listener | None = None,
) -> fo.Dataset: ...


@overload
def generate(
    recipe: Sequence[Recipe],
    *,
    count: int | None = None,
    batch_size: int | None = None,
    device: str | None = None,
    trust_pickle: bool = False,
    share: bool = False,
    engine: Engine = None,
    progress: Listener | None = None,
) -> list[fo.Dataset]: ...


@overload
def generate(  # Any: a list where the config has several sections, which only its content says
    recipe: Mapping[str, Any] | str | os.PathLike[str],
    *,
    count: int | None = None,
    batch_size: int | None = None,
    device: str | None = None,
    trust_pickle: bool = False,
    share: bool = False,
    engine: Engine = None,
    progress: Listener | None = None,
) -> fo.Dataset | Any: ...


def generate(
    recipe: Recipe | Sequence[Recipe] | Mapping[str, Any] | str | os.PathLike[str],
    *,
    count: int | None = None,
    batch_size: int | None = None,
    device: str | None = None,
    trust_pickle: bool = False,
    share: bool = False,
    engine: Engine = None,
    progress: Listener | None = None,
) -> fo.Dataset | list[fo.Dataset]:
    """Paint what a recipe asks for and the dataset does not have yet, and label it from the attention.

    Images can start from text, from the images of any dataset or folder (img2img), replace objects in them (inpaint),
    or be painted by masks (mask2img). An init image or mask that cannot be used is left out: the log and the run's
    facts say why, and the others are painted.

    Size, steps and guidance that a recipe leaves out follow from its model (``generator.models.defaults``). The log and
    a note of the progress say them before anything is painted.

    The dataset is made if there is none, and kept by FiftyOne until it is deleted. Another recipe for the same
    dataset adds to it: new classes get the next ids. Media go below FiftyOne's default dataset folder, or below
    ``DIFFUCURATE_MEDIA_DIR``.

    A config of DiffuGen's can have several sections, each of which is a recipe for a dataset of its own. All are
    painted, one after the other. One that has no init images is left out: the log and a note of the progress say why.

    Args:
        recipe: a Recipe, its content, or the path of a recipe file or of a config of DiffuGen's; or several Recipes.
        count: at most so many images of each recipe, its first.
        batch_size: images painted at once; by default what the device usually holds.
        device: ``cuda``, ``cpu``, ...; the best one there is by default.
        trust_pickle: whether learned words are read too whose file holds more than tensors, which runs its code.
        share: whether other processes may paint the same recipe at the same time, here or on machines that share the
            database and the media folder. Each leases a batch at a time; what one that was killed had leased is painted
            by the others. All return when every image is painted.
        engine: what paints: this process, or with ``"ray"`` or a ``RayEngine`` the actors of a Ray cluster, which need
            the model and the media folder at the same paths, but no database.
        progress: called after each batch.

    Returns:
        The dataset, also when there was nothing to do. Of several Recipes, and of a config with several sections, the
        list of all datasets that they led to, each once and in the order of the recipes.

    Raises:
        InvalidSetting: ``count`` or ``batch_size`` is no number of images, no recipe is given, or ``engine`` is none.
        RecipeError: a recipe is wrong, or the model cannot make its size.
        ModelError: the model cannot be loaded; or Ray is not installed, or no cluster answers.
        DatasetError: a dataset of that name exists that Diffucurate did not make, or that lacks room for the classes;
            or there are no init images, or none that can be used. Of several recipes, only where none led to a dataset.
    """
    from diffucurate.generator.recipe.recipe import Recipe

    check_run(count, batch_size)
    options = PaintOptions(count, batch_size, device, share, chosen_engine(engine, share=share), progress)
    if isinstance(recipe, Recipe):
        return _generate(recipe, options)
    if isinstance(recipe, Mapping | str | os.PathLike):
        recipes = read_recipes(recipe, trust_pickle=trust_pickle)
        if len(recipes) == 1:
            return _generate(recipes[0], options)
    else:
        recipes = list(recipe)
    return _generate_all(recipes, options)


def _generate_all(recipes: Sequence[Recipe], options: PaintOptions) -> list[fo.Dataset]:
    if not recipes:
        raise InvalidSetting("recipe", [], "give at least one recipe")
    datasets: dict[str, fo.Dataset] = {}
    failed: list[DatasetError] = []
    for recipe in recipes:
        try:
            datasets[recipe.dataset] = _generate(recipe, options)
        except DatasetError as error:
            if len(recipes) == 1:
                raise
            failed.append(error)
            logger.warning("%s: left out: %s", recipe.dataset, error)
            announce(options.progress, f"{recipe.dataset}: left out: {error}")
    if not datasets:
        raise failed[0]
    return list(datasets.values())


def _generate(recipe: Recipe, options: PaintOptions) -> fo.Dataset:
    from diffucurate.generator.jobs.jobs import jobs as jobs_of

    existing, written, recipe = check_target(recipe), recipe, completed(recipe)
    if recipe.source is not None:
        from diffucurate.plugin.generation.from_init_images import generate_from  # with OpenCV, which forms do without

        return generate_from(with_dataset(with_masks(recipe)), existing, written=written, options=options)
    jobs = jobs_of(recipe, options.count)
    painted = set() if existing is None else job_ids(existing)
    todo = [job for job in jobs if job.job_id not in painted]
    if existing is not None and not todo:
        return existing
    with options.session(recipe) as session:
        todo, facts = drop_too_long(recipe, todo, len(jobs), session.ask, options.progress)
        if existing is not None and not todo:  # only captions that are too long
            return existing
        announce_values(written, recipe, len(todo), options.progress)
        with opened(existing, recipe.dataset) as dataset:
            session.paint(
                dataset,
                todo,
                verb="generate",
                settings=run_settings(recipe, options.count),
                facts={"asked": len(jobs), **facts},
                batch_size=options.batch_size,
                share=options.share,
                progress=options.progress,
            )
    return dataset
