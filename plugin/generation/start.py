"""What keeps a recipe from being painted, as far as it is known before its model is loaded; writes nothing.

Every run begins here, and forms ask the same at every keystroke.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import fiftyone as fo

from diffucurate.generator.detection.files import read_config
from diffucurate.generator.errors import InvalidSetting, RecipeError
from diffucurate.generator.jobs.image_count import some_prompts
from diffucurate.generator.models.adapter_checks import check_weights
from diffucurate.generator.models.painting_checks import check_painting
from diffucurate.plugin.generation.init_sources import label_sources
from diffucurate.plugin.generation.target import target_of
from diffucurate.plugin.store import field_names
from diffucurate.plugin.store.classes import check_room
from diffucurate.plugin.store.label_fields import label_field
from diffucurate.plugin.store.media_folder import check_media_folder
from diffucurate.plugin.store.schema import check_painted_fields

if TYPE_CHECKING:
    from diffucurate.generator.recipe.recipe import Recipe

#: Prompts whose weights are read; the run reads those of all.
_PROMPTS = 200


def check_run(count: int | None = None, batch_size: int | None = None) -> None:
    """Refuse numbers of images that are none.

    Raises:
        InvalidSetting: of ``count`` or ``batch_size``.
    """
    for name, value in (("count", count), ("batch_size", batch_size)):
        if value is not None and (not isinstance(value, int) or value < 1):
            raise InvalidSetting(name, value, "give a number of images, at least 1")


def check_target(recipe: Recipe) -> fo.Dataset | None:
    """The dataset that a recipe's images are added to, None for a new one.

    Raises:
        DatasetError: it was not generated, has no room for the classes or fields, or its media cannot be written.
        RecipeError, ModelError: as ``check_kept_labels`` and ``check_adapter``.
    """
    dataset = target_of(recipe)
    check_kept_labels(recipe)
    check_adapter(recipe)
    check_media_folder(dataset)
    if dataset is not None:
        check_room(dataset, recipe.classes)
        check_painted_fields(dataset, recipe.classes, (field_names.PAINTING_SOURCE, *label_sources(recipe)))
    return dataset


def check_kept_labels(recipe: Recipe) -> None:
    """Refuse to carry over labels from attention, in whose fields augmented images have those of their own attention.

    Raises:
        RecipeError: the recipe asks for that.
        DatasetError: the init images have no such labels.
    """
    augment, source = recipe.augment, recipe.source
    if augment is None or source is None or source.dataset is None or not fo.dataset_exists(source.dataset):
        return
    name = label_field(fo.load_dataset(source.dataset), augment.field).name
    own = field_names.PAINTING_SOURCE
    if name in (field_names.instances(own), field_names.polygons(own), field_names.mask(own)):
        remedy = (
            f"new images have labels of their own there; copy it first, as in clone_sample_field('{name}', 'truth')"
        )
        raise RecipeError("augment.field", augment.field, remedy)


def check_adapter(recipe: Recipe) -> None:
    """Refuse an adapter that reads another model than the recipe paints with.

    Raises:
        RecipeError: it does.
        ModelError: there is no such adapter.
    """
    if recipe.adapter is None:
        return
    config = read_config(Path(recipe.adapter).expanduser())
    if config["model"] != recipe.model:
        remedy = f"it reads the features of model '{config['model']}', the recipe paints with '{recipe.model}'"
        raise RecipeError("adapter", recipe.adapter, remedy)


def check_model(recipe: Recipe, device: str | None = None) -> None:
    """Refuse what the recipe's model cannot do, as far as its files tell.

    Raises:
        ModelError, RecipeError: as ``check_painting``, or weights in a prompt that cannot be read.
    """
    check_painting(recipe, device)
    if recipe.prompt_weights:
        check_weights([*some_prompts(recipe.templates, recipe.attributes, _PROMPTS), recipe.negative_prompt])
