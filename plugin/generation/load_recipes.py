"""The recipes of a file or text. Learned words that are pickles are converted once and kept beside the media."""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from diffucurate.generator.recipe.pickled_embeddings import convert, converted_path
from diffucurate.plugin.store.media_folder import media_root

if TYPE_CHECKING:
    from diffucurate.generator.recipe.recipe import Recipe

#: Below the media's own folder; datasets' own folders beside it never hold such files at their top.
_WORDS = "learned-words"


def read_recipes(source: str | os.PathLike[str] | Mapping[str, Any], *, trust_pickle: bool = False) -> list[Recipe]:
    """The recipes of a file or of its content, ready to be painted.

    Args:
        source: a path, or the content as a mapping.
        trust_pickle: whether a learned word is read too whose pickle holds more than tensors, which runs its code.

    Raises:
        RecipeError: the file cannot be read, or what it says is wrong.
    """
    from diffucurate.generator.recipe.files import recipes_in

    content = source if isinstance(source, Mapping) else Path(source)
    return recipes_in(content, partial(convert, folder=media_root() / _WORDS, trust=trust_pickle))


def without_converted(recipe: Recipe) -> Recipe:
    """The recipe without the words that are only converted when it is painted, whose files are not there before."""
    folder = str(media_root() / _WORDS)
    return recipe.model_copy(update={"tokens": [word for word in recipe.tokens if not word.path.startswith(folder)]})


def recipes_in_text(text: str, *, ready: bool) -> list[Recipe]:
    """The recipes of a text. Only where they are to be ``ready`` for painting are words converted, which takes torch.

    Raises:
        RecipeError: what it says is wrong.
    """
    from diffucurate.generator.files.strict_yaml import read_yaml
    from diffucurate.generator.recipe.files import recipes_of

    converted = convert if ready else converted_path
    return recipes_of(read_yaml(text), partial(converted, folder=media_root() / _WORDS))
