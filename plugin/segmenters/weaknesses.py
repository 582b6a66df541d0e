"""How well a trained segmenter finds each class and attribute value, and which images are needed most for that.

A segmenter's labels are compared with a reference (``compare``), which leaves on each instance of the reference how
well it was found; instances that were missed count 0.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import fiftyone as fo

from diffucurate.generator.errors import DatasetError, InvalidSetting
from diffucurate.generator.recipe.recipe import Recipe
from diffucurate.generator.recipe.weighted import capped, recipe_by_weights, weakness_weight
from diffucurate.plugin.statistics.coverage import attributes_in, recipes_in
from diffucurate.plugin.store import field_names
from diffucurate.plugin.store.label_sources import instances_field
from diffucurate.plugin.store.samples import all_images, dataset_of

#: What the mean over all instances counts for in the mean of a few: a class of two objects is not yet a weak one.
_PRIOR = 5

#: Where classes stand among the names of attributes.
CLASS = "class"


class Weakness(NamedTuple):
    """How well one class, or objects in images with one attribute value, are found.

    ``kind`` is ``class`` or the attribute's name. ``iou`` is the mean over ``instances`` of the reference, in [0, 1].
    ``weight`` is how often the value is drawn for the next round, 1 being the mean over all values of the kind.
    """

    kind: str
    value: str
    iou: float
    instances: int
    weight: float


@dataclass(frozen=True)
class NextRound:
    """The recipe of the images that are needed most, and what says so, the weakest of each kind first."""

    recipe: Recipe
    weaknesses: tuple[Weakness, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {
            "recipe": self.recipe.model_dump(mode="json", exclude_none=True),
            "weaknesses": [each._asdict() for each in self.weaknesses],
        }


def find_weaknesses(
    samples: fo.Dataset | fo.DatasetView, reference: str, prediction: str, *, cap: float = 8.0
) -> tuple[Weakness, ...]:
    """How well ``prediction`` finds the instances of ``reference``, by class and by attribute value.

    The mean of few instances is drawn towards that of all. Weights follow S3OD's formula
    (``generator.recipe.weighted.weakness_weight``), bounded by ``cap``.

    Args:
        samples: a dataset or view on which both were compared.
        reference: the label source or field that is taken for right, such as ``fused`` or ``ground_truth``.
        prediction: the one that is judged, such as ``student``.
        cap: how many times as often as the strongest value of a kind the weakest one is drawn at most; at least 1.

    Raises:
        InvalidSetting: a ``cap`` below 1.
        DatasetError: no such labels, they were not compared, or there are no instances.
    """
    if not cap >= 1:
        raise InvalidSetting("cap", cap, "give a number of at least 1, such as 8")
    dataset = dataset_of(samples)
    path = f"{instances_field(dataset, reference)}.detections"
    instances_field(dataset, prediction)
    overlap = f"{path}.{field_names.iou_with(prediction)}"
    if dataset.get_field(overlap) is None:
        raise DatasetError(f"'{reference}' and '{prediction}' were not compared; run compare on them first")
    sums: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for kind, value, iou in _found(samples, path, overlap, attributes_in(dataset)):
        sums[kind][value].append(iou)
    if not sums:
        raise DatasetError(f"no sample here has instances of '{reference}' that were compared; choose another view")
    return tuple(each for kind, values in sums.items() for each in _weighed(kind, values, cap))


def _found(
    samples: fo.Dataset | fo.DatasetView, path: str, overlap: str, attributes: list[str]
) -> Iterator[tuple[str, str, float]]:
    """Kind, value and IoU of every instance of the reference, once for its class and once for each attribute."""
    paths = [f"{path}.label", overlap, *(f"{field_names.ATTRIBUTES}.{name}" for name in attributes)]
    for labels, ious, *values in zip(*samples.values(paths), strict=True):
        for label, iou in zip(labels or (), ious or (), strict=False):
            if iou is None:
                continue
            yield CLASS, label, iou
            yield from ((name, value, iou) for name, value in zip(attributes, values, strict=True) if value)


def _weighed(kind: str, values: Mapping[str, list[float]], cap: float) -> list[Weakness]:
    every = [iou for ious in values.values() for iou in ious]
    overall = sum(every) / len(every)
    means = {value: (sum(ious) + _PRIOR * overall) / (len(ious) + _PRIOR) for value, ious in values.items()}
    weights = capped({value: weakness_weight(mean, len(means)) for value, mean in means.items()}, cap)
    order = sorted(means, key=lambda value: (means[value], value))
    return [
        Weakness(kind, value, sum(values[value]) / len(values[value]), len(values[value]), weights[value])
        for value in order
    ]


def generate_more(
    samples: fo.Dataset | fo.DatasetView,
    reference: str,
    prediction: str,
    count: int = 100,
    *,
    recipe: Recipe | None = None,
    cap: float = 8.0,
    seed: int = 0,
) -> NextRound:
    """A recipe for the next round of painting, with more of what a trained segmenter is weak at.

    ``generate(more.recipe)`` paints it, into the same dataset.

    Args:
        samples, reference, prediction, cap: as for ``find_weaknesses``.
        count: images.
        recipe: whose prompts are drawn; by default the latest one that the dataset's images were made from and that has
            templates.
        seed: decides which prompts are drawn.

    Raises:
        InvalidSetting: ``count`` or ``cap`` is below 1.
        DatasetError: as ``find_weaknesses``, or no recipe with templates is known.
        RecipeError: the recipe has no templates.
    """
    weaknesses = find_weaknesses(samples, reference, prediction, cap=cap)
    dataset = dataset_of(samples)
    chosen = recipe or _latest(dataset)
    weights: dict[str, dict[str, float]] = defaultdict(dict)
    for each in weaknesses:
        weights[each.kind][each.value] = each.weight
    classes = weights.pop(CLASS)
    more = recipe_by_weights(chosen, classes, weights, count, first_seed=_new_seed(dataset), seed=seed)
    return NextRound(more.model_copy(update={"dataset": dataset.name}), weaknesses)


def _latest(dataset: fo.Dataset) -> Recipe:
    for recipe in recipes_in(dataset):
        if recipe.templates and recipe.task == "txt2img" and recipe.captions is None:
            return recipe
    raise DatasetError(f"no recipe with templates is known of dataset '{dataset.name}'; give one (recipe)")


def _new_seed(dataset: fo.Dataset) -> int:
    """One above the greatest seed of the dataset's images, so that the same prompts give other images."""
    if not dataset.has_sample_field(field_names.SEED):
        return 0
    greatest = all_images(dataset).bounds(field_names.SEED)[1]
    return 0 if greatest is None else int(greatest) + 1
