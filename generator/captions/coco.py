"""COCO's annotation files as far as captions need them: the captions of images, and what each image shows.

Knows the format of Microsoft COCO (Lin et al., 2014; captions: Chen et al., 2015), no captions and no recipes. A file
is checked as it is read: a file that was cut has ids without an entry.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from diffucurate.generator.errors import RecipeError

_FIELD = "captions"


def is_coco(content: Any) -> bool:
    """Whether a JSON file's content is COCO's, of whatever task."""
    return isinstance(content, Mapping) and "annotations" in content


def image_captions(content: Mapping[str, Any], path: str) -> Iterator[tuple[str, str, str]]:
    """(caption, its id, its image's id) of a file of captions, in its order.

    Raises:
        RecipeError: the file holds no captions, an id comes twice, or an image is not there.
    """
    images = _ids(content, "images", _FIELD, path)
    seen: set[str] = set()
    for number, annotation in enumerate(_listed(content, "annotations", _FIELD, path), 1):
        text, image_id = annotation.get("caption"), str(annotation.get("image_id"))
        if not isinstance(text, str):
            if "category_id" in annotation:
                remedy = "its annotations are objects; give COCO's captions here and this file as 'instances'"
                raise RecipeError(_FIELD, path, remedy)
            raise RecipeError(_FIELD, path, f"its annotation {number} has no 'caption'; add it or remove this one")
        caption_id = str(annotation.get("id", number))
        if caption_id in seen:
            raise RecipeError(_FIELD, path, f"the annotation id {caption_id} comes twice; ids must differ")
        seen.add(caption_id)
        if image_id not in images:
            remedy = f"annotation {caption_id} is of image {image_id}, which is not among its 'images'"
            raise RecipeError(_FIELD, path, remedy)
        yield text, caption_id, image_id


def class_names(content: Any, path: str) -> dict[str, tuple[str, ...]]:
    """Image id -> the names of the categories that it shows, in the order of the file's categories.

    Raises:
        RecipeError: this is no file of instances, an id comes twice, or an object is of a category that is not there.
    """
    field = f"{_FIELD}.instances"
    if not is_coco(content) or "categories" not in content:
        raise RecipeError(field, path, "this is no COCO file of instances, which has 'annotations' and 'categories'")
    _ids(content, "categories", field, path)
    names: dict[Any, str] = {}
    for category in content["categories"]:
        if not isinstance(category.get("name"), str):
            raise RecipeError(field, path, f"category {category['id']} has no name; add it")
        names[category["id"]] = category["name"]
    shown: dict[str, set[Any]] = {}
    for annotation in _listed(content, "annotations", field, path):
        category_id = annotation.get("category_id")
        if category_id not in names:
            remedy = f"annotation {annotation.get('id')} is of category {category_id}, which is not there"
            raise RecipeError(field, path, remedy)
        shown.setdefault(str(annotation.get("image_id")), set()).add(category_id)
    return {image: tuple(name for key, name in names.items() if key in there) for image, there in shown.items()}


def _listed(content: Mapping[str, Any], key: str, field: str, path: str) -> list[Mapping[str, Any]]:
    listed = content.get(key)
    if not isinstance(listed, list) or not all(isinstance(entry, Mapping) for entry in listed):
        raise RecipeError(field, path, f"its '{key}' must be a list of mappings, as in COCO's files")
    return listed


def _ids(content: Mapping[str, Any], key: str, field: str, path: str) -> set[str]:
    seen: set[str] = set()
    for entry in _listed(content, key, field, path):
        own = entry.get("id")
        if isinstance(own, bool) or not isinstance(own, int | str):
            raise RecipeError(field, path, f"an entry of its '{key}' has the id {own!r}; ids are numbers or texts")
        if str(own) in seen:
            raise RecipeError(field, path, f"the id {own} comes twice among its '{key}'; ids must differ")
        seen.add(str(own))
    return seen
