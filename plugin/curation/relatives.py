"""Which images belong to one split: those that were painted from one image, by one prompt or seed, or look the same.

A network that is tested on a near copy of what it was trained on is not tested. ``leaks`` finds those that are left.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import fiftyone as fo
import numpy as np

from diffucurate.generator.errors import InvalidSetting
from diffucurate.generator.exports.splits import assign_splits
from diffucurate.generator.progress import Listener
from diffucurate.plugin.curation.duplicates import THUMBNAIL_DISTANCE, thumbnails
from diffucurate.plugin.store import field_names
from diffucurate.plugin.store.samples import all_images

#: What makes images relatives -> in words.
KINDS: Mapping[str, str] = {
    "parent": "one was painted from the other, or both from one image",
    "prompt": "one prompt, with other seeds",
    "seed": "one seed, which gives images of similar prompts one layout",
    "near": "thumbnails that are nearly the same",
}

#: The fields whose equal values make relatives.
_FIELDS = {
    "parent": (field_names.SOURCE_ID, f"{field_names.SOURCE}.digest"),
    "prompt": (field_names.PROMPT,),
    "seed": (field_names.SEED,),
    "near": (),
}

#: What is kept together where nothing is said.
USUAL = ("parent",)


def split_samples(
    dataset: fo.Dataset,
    ids: Sequence[str],
    shares: Mapping[str, float],
    together: Sequence[str] = USUAL,
    progress: Listener | None = None,
) -> dict[str, str]:
    """Sample id -> its split; relatives are in one.

    A mosaic is in the split of the images that it is made of, or in the first where none of these is among the samples;
    one of images in several splits is in none.

    Args:
        dataset: of which the samples are.
        ids: the samples to split; the same ones are always split alike.
        shares: split -> share of the images. Where relatives stay together it is met as nearly as they allow.
        together: what makes relatives, some of ``KINDS``; none splits image by image.
        progress: called after each image that is read, for ``near``.

    Raises:
        InvalidSetting: an unknown kind of relatives.
        ExportError: the shares make no sense.
    """
    made_of = _mosaics(dataset, ids)
    single = [sample_id for sample_id in ids if sample_id not in made_of]
    splits = assign_splits(single, shares, relatives(dataset, single, together, progress))
    for sample_id, parents in made_of.items():
        homes = {splits[parent] for parent in parents if parent in splits} or {next(iter(shares))}
        if len(homes) == 1:
            splits[sample_id] = homes.pop()
    return splits


def relatives(
    dataset: fo.Dataset, ids: Sequence[str], together: Sequence[str] = USUAL, progress: Listener | None = None
) -> dict[str, str]:
    """Sample id -> the first id of all that are its relatives, or relatives of these.

    Raises:
        InvalidSetting: an unknown kind of relatives.
    """
    if isinstance(together, str) or (unknown := [kind for kind in together if kind not in KINDS]):
        wrong = together if isinstance(together, str) else unknown[0]
        raise InvalidSetting("together", wrong, f"name some of {', '.join(KINDS)}")
    samples = all_images(dataset).select(list(ids))
    families = _Families(ids)
    for kind in together:
        for path in _FIELDS[kind]:
            if dataset.get_field(path) is None:
                continue
            first: dict[object, str] = {}
            for sample_id, value in zip(*samples.values(["id", path]), strict=True):
                # A parent is a relative too, where it is one of the samples.
                own = [value, sample_id] if path == field_names.SOURCE_ID else [value]
                for key in own:
                    if key is not None:
                        families.join(sample_id, first.setdefault(key, sample_id))
    if "near" in together:
        for one, other in _near(dataset, ids, progress):
            families.join(one, other)
    return {sample_id: families.head(sample_id) for sample_id in ids}


def leaks(
    dataset: fo.Dataset,
    splits: Mapping[str, str],
    distance: float = THUMBNAIL_DISTANCE,
    progress: Listener | None = None,
) -> list[str]:
    """The ids of samples that nearly equal one of another split, in the order of ``splits``.

    Args:
        dataset: of which the samples are.
        splits: sample id -> its split.
        distance: of two thumbnails that count as equal, as for ``near_duplicates``.
        progress: called after each image that is read.
    """
    # FiftyOne's compute_leaky_splits wants splits as tags or a field, and of several near images of a group it compares
    # each with the first alone.
    crossing = [pair for pair in _near(dataset, list(splits), progress, distance) if splits[pair[0]] != splits[pair[1]]]
    leaking = {sample_id for pair in crossing for sample_id in pair}
    return [sample_id for sample_id in splits if sample_id in leaking]


def _mosaics(dataset: fo.Dataset, ids: Sequence[str]) -> dict[str, list[str]]:
    """The samples that are mosaics, with the ids of what each is made of."""
    if dataset.get_field(field_names.MOSAIC_PARENTS) is None:
        return {}
    rows = all_images(dataset).select(list(ids)).values(["id", field_names.MOSAIC_PARENTS])
    return {sample_id: list(parents) for sample_id, parents in zip(*rows, strict=True) if parents}


class _Families:
    """Samples that are relatives of relatives: sets that are joined two at a time."""

    def __init__(self, ids: Sequence[str]) -> None:
        self._above = {each: each for each in ids}

    def head(self, sample_id: str) -> str:
        above = self._above[sample_id]
        while above != self._above[above]:
            self._above[sample_id] = above = self._above[above]
        return above

    def join(self, one: str, other: str) -> None:
        first, second = sorted((self.head(one), self.head(other)))
        self._above[second] = first


def _near(
    dataset: fo.Dataset, ids: Sequence[str], progress: Listener | None, distance: float = THUMBNAIL_DISTANCE
) -> list[tuple[str, str]]:
    """The pairs of samples whose thumbnails are near each other."""
    from sklearn.neighbors import NearestNeighbors

    vectors = thumbnails(dataset, ids, progress)
    if len(vectors.ids) < 2:
        return []
    search = NearestNeighbors(radius=distance).fit(vectors.values)
    pairs = search.radius_neighbors_graph(vectors.values).tocoo()
    rows, columns = np.asarray(pairs.row), np.asarray(pairs.col)
    return [(vectors.ids[row], vectors.ids[column]) for row, column in zip(rows, columns, strict=True) if row < column]
