"""The part of a recipe that says which captions are its prompts, and the rules of that part.

Knows the fields of a recipe, not the model that holds them; files are read when jobs are made, not before, so that a
recipe can be checked where its files are not.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field

from diffucurate.generator.captions.files import FIELD, FORMATS, captions_of
from diffucurate.generator.errors import InvalidSetting, RecipeError
from diffucurate.generator.text.templates import attributes_of
from diffucurate.generator.validation import StrictSettings

ClassPrompt = Literal["append", "separate", "none"]

#: More of them belong into a file: a recipe is kept with every run.
MAX_INLINE = 10_000


def _listed(value: Any) -> Any:
    if isinstance(value, list | tuple):
        if len(value) > MAX_INLINE:
            remedy = f"a recipe holds at most {MAX_INLINE:,} captions; write them to a file and give its path"
            raise RecipeError(f"{FIELD}.texts", f"{len(value)} captions", remedy)
        captions_of(value)
        return list(value)
    return value


class Captions(StrictSettings):
    """Captions as prompts: of a file, or written here."""

    prefix: ClassVar[str] = FIELD
    error: ClassVar[type[InvalidSetting]] = RecipeError

    path: Annotated[str, Field(min_length=1)] | None = None
    """A text file with a caption per line, a JSON list, or COCO's captions JSON; see ``generator.captions.files``."""
    texts: Annotated[list[str | dict[str, Any]] | None, BeforeValidator(_listed)] = None
    """Instead of a file: texts, or mappings with ``caption``, ``classes`` and ``id``."""
    instances: Annotated[str, Field(min_length=1)] | None = None
    """COCO's instances JSON of the same images, which says what each shows."""
    per_image: Annotated[int, Field(ge=1)] | None = None
    """Only the first so many captions of each image; COCO has five or more."""
    class_prompt: ClassPrompt | None = None
    """How classes are found. ``none``: by the caption's own words. ``separate``: the caption is painted and a class
    prompt of its own attributed. ``append``: so too, and the names of the classes are painted after the caption
    (Dataset Diffusion, Nguyen et al. 2023, section 3.1). By default ``append`` for captions that come with classes and
    ``none`` for others."""


def plain_captions(value: Any) -> Any:
    """A path or a list as the mapping that it stands for."""
    if isinstance(value, str):
        return {"path": value}
    return {"texts": value} if isinstance(value, list | tuple) else value


def captions_config(value: Any) -> Captions:
    """What a recipe says under ``captions``, checked: a path, a list or a mapping.

    Raises:
        RecipeError: something is wrong with it.
    """
    captions = Captions.model_validate(plain_captions(value))
    _check_place(captions)
    return captions


def with_caption_defaults(data: Any) -> Any:
    """A recipe's content with what follows from captions: they are the prompts, so templates can be left out."""
    if isinstance(data, Mapping) and data.get("captions") is not None:
        return {"templates": [], **data}
    return data


def check_captions(recipe: Any) -> None:
    """Captions come from one place, and are the only prompts.

    Raises:
        RecipeError: it is not so.
    """
    captions: Captions | None = recipe.captions
    if captions is None:
        return
    _check_place(captions)
    if recipe.task != "txt2img":
        raise RecipeError(FIELD, captions.model_dump(exclude_none=True), f"task '{recipe.task}' takes templates only")
    for name in ("templates", "attributes"):
        if getattr(recipe, name):
            raise RecipeError(name, getattr(recipe, name), "the captions are the prompts; remove these or the captions")
    if used := attributes_of(recipe.negative_prompt):
        remedy = f"'{{{used[0]}}}' has no value where captions are the prompts; write plain text"
        raise RecipeError("negative_prompt", recipe.negative_prompt, remedy)


def _check_place(captions: Captions) -> None:
    if (captions.path is None) == (captions.texts is None):
        content = captions.model_dump(exclude_none=True)
        raise RecipeError(FIELD, content, f"give either a path, {FORMATS}, or texts")
    if captions.texts is not None and captions.instances is not None:
        raise RecipeError(f"{FIELD}.instances", captions.instances, "they belong to a COCO file; leave them out")
