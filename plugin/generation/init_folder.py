"""A folder of images becomes a dataset of init images, with the prompts and objects that DiffuGen stored there.

A folder of DiffuGen's has ``images``, ``labels`` and ``masks``, with the same numbered folders in each:
``images/0001/a.png`` has its prompt and the polygons of its objects in ``labels/0001/a.json``. Of any other folder all
images below it are taken; beside ``images`` there may be ``masks`` of the same names. Files stay where they are and are
never changed.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import fiftyone as fo

from diffucurate.generator.errors import DatasetError
from diffucurate.generator.recipe.diffugen import ATTRIBUTES, LABELS
from diffucurate.generator.text.class_names import class_name
from diffucurate.plugin.fiftyone_private import set_info
from diffucurate.plugin.generation.target import unused_name
from diffucurate.plugin.store import field_names
from diffucurate.plugin.store.facts import read_facts

if TYPE_CHECKING:
    from diffucurate.generator.recipe.recipe import Recipe

logger = logging.getLogger(__name__)

#: The field of masks for a folder that stores nothing else about its images; white or 1 is the object.
MASKS = "masks"
_OBJECT = {1: "object", 255: "object"}

_IMAGES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff", ".gif")

#: What DiffuGen calls the folder of each of its tasks.
_TASKS = ("txt2img", "img2img", "inpaint")


def with_dataset(recipe: Recipe) -> Recipe:
    """The recipe with the dataset of its folder in place of that; the recipe itself where it names a dataset.

    Raises:
        DatasetError: there is no such folder, or there are no images in it.
    """
    from diffucurate.generator.recipe.recipe import Recipe

    if recipe.source is None or recipe.source.folder is None:
        return recipe
    source = {**recipe.source.content(), "dataset": dataset_of_folder(recipe.source.folder).name}
    del source["folder"]
    return Recipe.from_mapping({**recipe.model_dump(mode="json"), "source": source})


def dataset_of_folder(folder: str) -> fo.Dataset:
    """The dataset of a folder's images: made once; files that were added since are added to it.

    Raises:
        DatasetError: there is no such folder, or there are no images in it.
    """
    root = Path(folder).expanduser().absolute()
    if not root.is_dir():
        raise DatasetError(f"there is no folder '{folder}'; name one with images, or a dataset")
    images = root / "images" if (root / "images").is_dir() else root
    paths = sorted(path for path in images.rglob("*") if path.suffix.lower() in _IMAGES and path.is_file())
    if not paths:
        raise DatasetError(f"there are no images in '{folder}', such as .png or .jpg files; name another folder")
    dataset = _dataset(root)
    known = set(dataset.values("filepath"))
    new = [path for path in paths if str(path) not in known]
    dataset.add_samples([_sample(path, images, root) for path in new], progress=False)
    return dataset


def _dataset(root: Path) -> fo.Dataset:
    name = f"{root.parent.name}-{root.name}" if root.name in _TASKS and root.parent.name else root.name or "images"
    for other in fo.list_datasets():
        if other.startswith(name) and read_facts(fo.load_dataset(other)).get("folder") == str(root):
            return fo.load_dataset(other)
    dataset = fo.Dataset(unused_name(name), persistent=True)
    set_info(dataset, field_names.INFO, {"folder": str(root)})
    dataset.mask_targets = {MASKS: _OBJECT}
    dataset.save()
    return dataset


def _sample(path: Path, images: Path, root: Path) -> fo.Sample:
    sample = fo.Sample(filepath=str(path))
    if images == root:
        return sample
    within = path.relative_to(images)
    details = root / "labels" / within.with_suffix(".json")
    if details.is_file():
        for name, value in _stored_fields(details):
            sample[name] = value
    mask = (root / "masks" / within).with_suffix(".png")
    if mask.is_file():
        sample[MASKS] = fo.Segmentation(mask_path=str(mask))
    return sample


def _stored_fields(path: Path) -> Iterator[tuple[str, Any]]:
    """The fields of a file that DiffuGen wrote: prompt, template, attributes and objects."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        details, labels = content["prompt_details"], content.get("labels") or []
        texts = {name: value for name, value in details.items() if isinstance(value, str)}
        polylines = [_polyline(label, texts) for label in labels]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        logger.warning("%s: not as DiffuGen writes it, so its image has no prompt and no objects (%s)", path, error)
        return
    attributes = {name: texts[name] for name in ATTRIBUTES.values() if name in texts}
    yield field_names.PROMPT, texts.get("prompt")
    yield field_names.TEMPLATE, texts.get("prompt_template")
    yield field_names.ATTRIBUTES, fo.DynamicEmbeddedDocument(**attributes)
    yield LABELS, fo.Polylines(polylines=polylines)


def _polyline(label: Mapping[str, Any], texts: Mapping[str, str]) -> fo.Polyline:
    """An object. DiffuGen stores a number of its label model's in place of a class, so the class is the name of the
    object that the image was made for."""
    points = [(float(x), float(y)) for x, y in label["bounding_polygon"]]
    name = class_name(texts.get("object_name", "")) or "object"
    return fo.Polyline(label=name, points=[points], closed=True, filled=True, confidence=float(label["score"]))
