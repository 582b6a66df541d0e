"""A folder of masks, or of labels as COCO or YOLO write them, becomes a dataset whose labels images are painted by.

A folder with a ``.yaml`` that lists ``names`` is YOLO's, one with a ``.json`` of annotations COCO's, and of any other
the ``.png`` files are masks, whose pixels have the values that the recipe says (below ``masks`` where there is such a
folder). Files stay where they are and are never changed.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import fiftyone as fo

from diffucurate.generator.errors import DatasetError, RecipeError
from diffucurate.generator.files.strict_yaml import read_yaml
from diffucurate.plugin.fiftyone_private import set_info
from diffucurate.plugin.generation.target import unused_name
from diffucurate.plugin.store import field_names
from diffucurate.plugin.store.facts import read_facts

if TYPE_CHECKING:
    from diffucurate.generator.recipe.recipe import Recipe

#: The fields that masks, and the labels of other tools, are read into.
MASKS, LABELS = "masks", "ground_truth"

#: The modes of image files whose pixels are numbers, as Pillow calls them.
_NUMBERS = ("L", "P", "I", "I;16")


def with_masks(recipe: Recipe) -> Recipe:
    """The recipe with the dataset of its folder in place of that; the recipe itself where it is not of a folder.

    Raises:
        RecipeError: nothing says what the pixels of masks mean, or they are not masks.
        DatasetError: there is no such folder, or there are no labels in it.
    """
    from diffucurate.generator.recipe.recipe import Recipe

    if recipe.layout is None or recipe.source is None or recipe.source.folder is None:
        return recipe
    root = Path(recipe.source.folder).expanduser().absolute()
    if not root.is_dir():
        raise DatasetError(f"there is no folder '{recipe.source.folder}'; name one with masks, or a dataset")
    names, annotations = _yolo(root), _coco(root)
    if names is None and annotations is None:
        dataset, field = _of_masks(root, recipe), MASKS
    elif recipe.layout.values is not None:
        remedy = f"'{names or annotations}' says itself what its labels mean; remove it"
        raise RecipeError("layout.values", recipe.layout.values, remedy)
    else:
        dataset, field = _imported(root, names, annotations), LABELS
    source = {**recipe.source.content(), "dataset": dataset.name}
    del source["folder"]
    layout = {**recipe.layout.model_dump(mode="json"), "field": field, "values": None}
    return Recipe.from_mapping({**recipe.model_dump(mode="json"), "source": source, "layout": layout})


def _yolo(root: Path) -> Path | None:
    """The file that lists the classes of labels in YOLO's format."""
    for path in sorted([*root.glob("*.yaml"), *root.glob("*.yml")]):
        try:
            content = read_yaml(path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            continue
        if isinstance(content, dict) and "names" in content:
            return path
    return None


def _coco(root: Path) -> Path | None:
    """The file of annotations in COCO's format."""
    for path in sorted([*root.glob("*.json"), *root.glob("annotations/*.json")]):
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            continue
        if isinstance(content, dict) and {"images", "annotations"} <= content.keys():
            return path
    return None


def _imported(root: Path, names: Path | None, annotations: Path | None) -> fo.Dataset:
    dataset, new = _dataset(root)
    if not new:
        return dataset
    try:
        if annotations is not None:
            images = next((root / name for name in ("data", "images") if (root / name).is_dir()), root)
            options = {"data_path": str(images), "labels_path": str(annotations), "label_types": "segmentations"}
            dataset.add_dir(dataset_type=fo.types.COCODetectionDataset, progress=False, label_field=LABELS, **options)
        else:
            assert names is not None
            content = read_yaml(names.read_text(encoding="utf-8"))
            for split in [name for name in ("train", "val", "test") if content.get(name)]:
                options = {"split": split, "yaml_path": names.name, "label_type": "polylines"}
                dataset.add_dir(
                    str(root), dataset_type=fo.types.YOLOv5Dataset, progress=False, label_field=LABELS, **options
                )
    except Exception as error:  # FiftyOne's readers each have their own
        fo.delete_dataset(dataset.name)
        raise DatasetError(f"the labels in '{root}' cannot be read: {error}") from error
    if not dataset.has_sample_field(LABELS) or not len(dataset):
        fo.delete_dataset(dataset.name)
        raise DatasetError(f"'{names or annotations}' has no labels; name another folder, or a dataset")
    return dataset


def _of_masks(root: Path, recipe: Recipe) -> fo.Dataset:
    assert recipe.layout is not None
    values = recipe.layout.values
    if values is None:
        remedy = "say which value of a mask's pixels is which class, as in {car: 1, tree: 2}"
        raise RecipeError("layout.values", None, remedy)
    folder = root / "masks" if (root / "masks").is_dir() else root
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() == ".png" and path.is_file())
    if not paths:
        raise DatasetError(f"there are no masks in '{root}', which are .png files; name another folder, or a dataset")
    dataset, _ = _dataset(root)
    known = set(dataset.values("filepath"))
    dataset.add_samples([_sample(path) for path in paths if str(path) not in known], progress=False)
    dataset.mask_targets = {MASKS: {value: label for label, value in values.items()}}
    dataset.save()
    return dataset


def _sample(path: Path) -> fo.Sample:
    import numpy as np
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(path) as image:
            if image.mode not in _NUMBERS:
                remedy = "its pixels are colours; save masks whose pixels are the numbers of classes"
                raise DatasetError(f"the mask '{path}' cannot be used: {remedy}")
            # FiftyOne reads the colours of a palette, not its numbers.
            mask = np.asarray(image).copy() if image.mode == "P" else None
    except (OSError, UnidentifiedImageError) as error:
        raise DatasetError(f"the mask '{path}' is broken or not an image") from error
    stored = fo.Segmentation(mask_path=str(path)) if mask is None else fo.Segmentation(mask=mask)
    return fo.Sample(filepath=str(path), **{MASKS: stored})


def _dataset(root: Path) -> tuple[fo.Dataset, bool]:
    """The dataset of a folder, and whether it was made just now."""
    name = f"{root.name or 'masks'}-masks"
    for other in fo.list_datasets():
        if other.startswith(name) and read_facts(fo.load_dataset(other)).get("folder") == str(root):
            return fo.load_dataset(other), False
    dataset = fo.Dataset(unused_name(name), persistent=True)
    set_info(dataset, field_names.INFO, {"folder": str(root)})
    return dataset, True
