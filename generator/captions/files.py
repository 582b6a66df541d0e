"""Files of captions become captions: text with one per line, JSON lists, COCO's caption files.

Captions are untrusted text, taken literally: braces, weights and paths in them have no meaning here.
Knows nothing of classes, which ``generator.captions.prompts`` looks for, nor of recipes.
"""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from diffucurate.generator.captions.coco import class_names, image_captions, is_coco
from diffucurate.generator.errors import RecipeError
from diffucurate.generator.files.strict_yaml import read_text
from diffucurate.generator.validation import suggestion

#: What is wrong with a file stands on this field of a recipe.
FIELD = "captions"

FORMATS = "a text file with one caption per line, a JSON list of captions, or COCO's captions JSON"

_KEYS = ("caption", "classes", "id", "image_id", "model", "examples")


@dataclass(frozen=True)
class Caption:
    """One caption.

    ``text`` has single spaces and no control characters. ``id`` is the file's own, or the number of the line or entry
    from 1. ``classes`` are the names of what the image shows, as the file has them; None where it says nothing.
    ``model`` is the text model that wrote it, if any, ``examples`` the ids of the captions that this was shown.
    """

    text: str
    id: str
    image_id: str | None = None
    classes: tuple[str, ...] | None = None
    model: str | None = None
    examples: tuple[str, ...] = ()


def read_captions(path: str, instances: str | None = None, per_image: int | None = None) -> list[Caption]:
    """The captions of a file, in its order; blank ones are left out.

    Args:
        path: a ``.json`` file with a list of texts, a list of ``{caption, classes, id}``, such a list under the key
            ``captions``, or COCO's ``images`` and ``annotations``; any other file is text with one caption per line.
        instances: a COCO file of instances of the same images, whose categories say what each image shows.
        per_image: only the first so many captions of each image; all by default.

    Raises:
        RecipeError: a file that cannot be read or is none of these, an id that comes twice, or a caption of an image
            that there is not.
    """
    if Path(path).suffix.lower() != ".json":
        if instances is not None:
            remedy = f"'{path}' is text, whose captions are of no images; leave the instances out"
            raise RecipeError(f"{FIELD}.instances", instances, remedy)
        lines = enumerate(read_text(path, FIELD, FORMATS).splitlines(), 1)
        return _written(Caption(plain_text(line), str(number)) for number, line in lines)
    content = _json(path, FIELD)
    if not is_coco(content):
        if instances is not None:
            raise RecipeError(f"{FIELD}.instances", instances, f"'{path}' is no COCO file of captions; leave them out")
        listed = content.get("captions") if isinstance(content, Mapping) else content
        return captions_of(listed, path)
    named = None if instances is None else class_names(_json(instances, f"{FIELD}.instances"), instances)
    captions = (
        Caption(plain_text(text), caption_id, image_id, None if named is None else named.get(image_id, ()))
        for text, caption_id, image_id in image_captions(content, path)
    )
    return _first(_written(captions), per_image)


def captions_of(listed: Any, where: str = "the recipe") -> list[Caption]:
    """The captions of a list as JSON or YAML gives it: texts, or mappings with ``caption``, ``classes`` and ``id``.

    Raises:
        RecipeError: it is no such list, or an id comes twice.
    """
    if not isinstance(listed, list | tuple):
        raise RecipeError(FIELD, where, f"it holds no list of captions; give {FORMATS}")
    captions = [_entry(entry, number, where) for number, entry in enumerate(listed, 1)]
    seen: set[str] = set()
    for caption in captions:
        if caption.id in seen:
            raise RecipeError(FIELD, caption.id, f"the id comes twice in {where}; give each caption its own")
        seen.add(caption.id)
    return _written(captions)


def plain_text(text: str) -> str:
    """A caption in one line, without control characters and halves of characters."""
    line = " ".join(text.split())
    if line.isprintable():  # as nearly all are, of files of hundreds of thousands
        return line
    signs = (" " if unicodedata.category(sign) in ("Cc", "Cs") else sign for sign in line)
    return " ".join("".join(signs).split())


def _entry(entry: Any, number: int, where: str) -> Caption:
    if isinstance(entry, str):
        return Caption(plain_text(entry), str(number))
    place = f"{where}, entry {number}"
    if not isinstance(entry, Mapping) or not isinstance(entry.get("caption"), str):
        raise RecipeError(FIELD, place, "an entry is a text or a mapping, as in {caption: a red car, classes: [car]}")
    for key in entry:
        if key not in _KEYS:
            hint = suggestion(key, _KEYS) or f"; the keys are {', '.join(_KEYS)}"
            raise RecipeError(FIELD, place, f"'{key}' is not a key of a caption{hint}")
    names = entry.get("classes")
    return Caption(
        plain_text(entry["caption"]),
        _id(entry.get("id", number), place),
        None if entry.get("image_id") is None else _id(entry["image_id"], place),
        None if names is None else _texts(names, "classes", place),
        None if entry.get("model") is None else _texts([entry["model"]], "model", place)[0],
        _texts(entry.get("examples") or [], "examples", place),
    )


def _id(value: Any, place: str) -> str:
    if isinstance(value, bool) or not isinstance(value, int | str) or value == "":
        raise RecipeError(FIELD, place, f"its id {value!r} must be a whole number or a text")
    return plain_text(str(value))


def _texts(value: Any, key: str, place: str) -> tuple[str, ...]:
    if not isinstance(value, list | tuple) or not all(isinstance(text, str) and text.strip() for text in value):
        raise RecipeError(FIELD, place, f"its '{key}' must be a list of texts that are not blank")
    return tuple(dict.fromkeys(plain_text(text) for text in value))


def _written(captions: Iterator[Caption] | Sequence[Caption]) -> list[Caption]:
    return [caption for caption in captions if caption.text]


def _first(captions: list[Caption], per_image: int | None) -> list[Caption]:
    if per_image is None:
        return captions
    taken: dict[str | None, int] = {}
    kept = []
    for caption in captions:
        taken[caption.image_id] = taken.get(caption.image_id, 0) + 1
        if taken[caption.image_id] <= per_image:
            kept.append(caption)
    return kept


def _json(path: str, field: str) -> Any:
    text = read_text(path, field, "a JSON file")
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        at = f"line {error.lineno}, column {error.colno}"
        raise RecipeError(field, path, f"at {at} this is not valid JSON ({error.msg.lower()}); mend it") from None
    except ValueError:  # which Python raises for whole numbers of thousands of digits
        raise RecipeError(field, path, "it holds a number of too many digits; quote it") from None
    except RecursionError:
        raise RecipeError(field, path, "brackets are nested too deeply; this is no file of captions") from None
