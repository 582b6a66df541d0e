"""Which images an export takes where some are to be replaced by augmented variants of theirs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from random import Random

import fiftyone as fo

from diffucurate.generator.errors import DatasetError, InvalidSetting
from diffucurate.plugin.store import field_names
from diffucurate.plugin.store.samples import dataset_of

#: The split whose images are replaced: others are there to measure with.
TRAINING = "train"


def variants_in(samples: fo.Dataset | fo.DatasetView) -> dict[str, list[str]]:
    """The id of each image that is no augmented one -> those of its variants among ``samples``, in a fixed order.

    Raises:
        DatasetError: none has any.
    """
    ids, tags = samples.values(["id", "tags"])
    augmented = {each for each, own in zip(ids, tags, strict=True) if field_names.AUGMENTED in (own or ())}
    variants: dict[str, list[str]] = {each: [] for each in ids if each not in augmented}
    if dataset_of(samples).has_sample_field(field_names.SOURCE_ID):
        for each, parent in zip(ids, samples.values(field_names.SOURCE_ID), strict=True):
            if each in augmented and parent in variants:
                variants[parent].append(each)
    if not any(variants.values()):
        raise DatasetError(
            "none of these images has augmented variants among them; run augment, or choose a larger view"
        )
    return {each: sorted(own) for each, own in variants.items()}


def check_probability(value: float | None) -> None:
    """Refuse what is no probability.

    Raises:
        InvalidSetting: it is none.
    """
    if value is not None and (isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1):
        raise InvalidSetting("augmented", value, "give the share of images to replace by variants, from 0 to 1")


def mixed(
    variants: Mapping[str, Sequence[str]], splits: Mapping[str, str] | None, probability: float, seed: int
) -> dict[str, str]:
    """Image -> itself, or with ``probability`` one of its variants in its place.

    An image draws the same whatever others there are.

    Args:
        variants: as ``variants_in`` returns them.
        splits: image -> its split, where images are split: only those of "train" are replaced.
        probability: in [0, 1].
        seed: of all draws.
    """
    chosen: dict[str, str] = {}
    for image, own in variants.items():
        if splits is not None and image not in splits:
            continue
        rng = Random(f"{seed} {image}")
        replaced = bool(own) and rng.random() < probability and (splits is None or splits[image] == TRAINING)
        chosen[image] = rng.choice(list(own)) if replaced else image
    return chosen


def check_splits_for_mixing(shares: Mapping[str, float] | None) -> None:
    """See that it is known which split is trained on.

    Raises:
        InvalidSetting: none is called "train".
    """
    if shares is not None and TRAINING not in shares:
        remedy = f"call the split that is trained on '{TRAINING}'; the others keep their own images"
        raise InvalidSetting("splits", ", ".join(shares), remedy)
