"""Which images are copies of a better one, found by FiftyOne's brain without fetching a model.

Exact copies have the same bytes. Near ones have vectors that are close: those of a field or of a similarity run that
the dataset holds already, else our own ``generator.files.thumbnails``. Knows no other rule.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import fiftyone as fo
import numpy as np
from numpy.typing import NDArray

from diffucurate.generator.errors import InvalidSetting
from diffucurate.generator.progress import Listener, Meter
from diffucurate.plugin.store.samples import all_images, values_by

logger = logging.getLogger(__name__)

#: Distance below which two images count as near-duplicates where nothing else is said. On thumbnails it is the root
#: mean square difference in colour: see ``usual_distance``.
THUMBNAIL_DISTANCE = 0.03

#: The same for embeddings, as a cosine distance after centring: FiftyOne's own default.
EMBEDDING_DISTANCE = 0.2


@dataclass(frozen=True)
class Vectors:
    """Vectors of some samples, in the order in which these were asked for, and how their distance is measured."""

    ids: list[str]
    values: NDArray[np.floating[Any]]
    metric: str


def usual_distance(embeddings: str | None) -> float:
    """The distance that counts as near where none is given; it depends on what it is measured on.

    Thumbnails (``embeddings`` None): painted images of one prompt but different seeds are rarely nearer than that,
    while copies that were compressed, resized or made 5% brighter nearly always are.
    """
    return THUMBNAIL_DISTANCE if embeddings is None else EMBEDDING_DISTANCE


def embeddings_in(dataset: fo.Dataset) -> list[str]:
    """What near-duplicates can be measured on besides thumbnails: similarity runs, then fields of vectors."""
    runs = [key for key in dataset.list_brain_runs(type="similarity") if _covers_samples(dataset, key)]
    return [*runs, *dataset.get_field_schema(ftype=fo.VectorField)]


def exact_duplicates(dataset: fo.Dataset, ids: Sequence[str]) -> set[str]:
    """Those of ``ids`` whose files equal the file of an earlier one; files that cannot be read equal none."""
    import fiftyone.brain as fob

    rank = {identifier: place for place, identifier in enumerate(ids)}
    copies_of = fob.compute_exact_duplicates(all_images(dataset).select(list(ids)), skip_failures=True, progress=False)
    groups = ([first, *copies] for first, copies in copies_of.items())
    return {copy for group in groups for copy in sorted(group, key=rank.__getitem__)[1:]}


def near_duplicates(
    dataset: fo.Dataset,
    ids: Sequence[str],
    distance: float,
    embeddings: str | None = None,
    progress: Listener | None = None,
) -> set[str]:
    """Those of ``ids`` that are near an earlier one that is kept; so the first of each group stays.

    Args:
        ids: sample ids, the best first.
        distance: greatest distance of a near-duplicate. On thumbnails in [0, 1], whatever else is in the dataset; on
            embeddings FiftyOne's cosine distance, in [0, 2], of vectors less their mean over ``ids``.
        embeddings: a field of vectors or the key of a similarity run; thumbnails if None.
        progress: called after each image that is read.

    Samples without a vector, or with an image that cannot be read, are near to none.

    Raises:
        InvalidSetting: no such embeddings, or vectors of different lengths.
    """
    index = _near_index(dataset, ids, distance, embeddings, progress)
    return set() if index is None else set(index.duplicate_ids)


def near_groups(
    dataset: fo.Dataset,
    ids: Sequence[str],
    distance: float | None = None,
    embeddings: str | None = None,
    progress: Listener | None = None,
) -> list[list[str]]:
    """Groups of near-duplicates, the largest first: in each the one that would stay, then those that would go, the
    nearest to it first. Arguments and errors are those of ``near_duplicates``; the usual distance without one."""
    usual = usual_distance(embeddings) if distance is None else distance
    index = _near_index(dataset, ids, usual, embeddings, progress)
    if index is None:
        return []
    groups = [
        [kept, *(copy for copy, _ in sorted(copies, key=lambda each: each[1]))]
        for kept, copies in index.neighbors_map.items()
    ]
    return sorted(groups, key=len, reverse=True)


def _near_index(
    dataset: fo.Dataset, ids: Sequence[str], distance: float, embeddings: str | None, progress: Listener | None
) -> Any | None:
    """FiftyOne's similarity index in which the near-duplicates were found; None for fewer than two images."""
    import fiftyone.brain as fob

    vectors = thumbnails(dataset, ids, progress) if embeddings is None else stored_vectors(dataset, ids, embeddings)
    if len(vectors.ids) < 2:
        return None
    ordered = all_images(dataset).select(vectors.ids, ordered=True)
    index = fob.compute_similarity(ordered, embeddings=vectors.values, backend="sklearn", metric=vectors.metric)
    fob.compute_near_duplicates(ordered, threshold=distance, similarity_index=index)
    return index


def thumbnails(dataset: fo.Dataset, ids: Sequence[str], progress: Listener | None = None) -> Vectors:
    """The thumbnails of those samples whose images can be read, compared by their Euclidean distance."""
    from diffucurate.generator.files.thumbnails import LENGTH, thumbnail

    paths = values_by(ids, all_images(dataset), "filepath")
    meter, read, vectors, unreadable = Meter(progress, len(ids)), [], [], []
    for sample_id, path in zip(ids, paths, strict=True):
        try:
            vectors.append(thumbnail(path))
            read.append(sample_id)
        except OSError:
            unreadable.append(path)
        meter.advance()
    if unreadable:
        logger.warning("%d images cannot be read and stay, such as %s", len(unreadable), unreadable[0])
    # Euclidean: FiftyOne's cosine distances are taken after centring, which depends on what else is there.
    return Vectors(read, np.stack(vectors) if vectors else np.empty((0, LENGTH), np.float32), "euclidean")


def stored_vectors(dataset: fo.Dataset, ids: Sequence[str], embeddings: str) -> Vectors:
    """The vectors of samples in a field or a similarity run of the dataset; samples without one are left out.

    Raises:
        InvalidSetting: no such embeddings, or vectors of different lengths.
    """
    known = embeddings_in(dataset)
    if embeddings not in known:
        there = f"there are {', '.join(known)}" if known else "there are none; leave it out to compare thumbnails"
        raise InvalidSetting("embeddings", embeddings, f"the dataset has no such embeddings; {there}")
    if embeddings in dataset.list_brain_runs():
        index = dataset.load_brain_results(embeddings)
        values, owners, _ = index.get_embeddings(sample_ids=list(ids))
        vectors = dict(zip(owners.tolist(), values, strict=True))
        pairs = [(sample_id, vectors[sample_id]) for sample_id in ids if sample_id in vectors]
    else:
        stored = values_by(ids, all_images(dataset), embeddings)
        pairs = [(sample_id, vector) for sample_id, vector in zip(ids, stored, strict=True) if vector is not None]
    if len({np.shape(vector) for _, vector in pairs}) > 1:
        raise InvalidSetting("embeddings", embeddings, "its vectors are of different lengths; compute them again")
    return Vectors([sample_id for sample_id, _ in pairs], np.array([vector for _, vector in pairs]), "cosine")


def _covers_samples(dataset: fo.Dataset, key: str) -> bool:
    """Whether a similarity run is about whole images, and keeps its vectors where they can be read."""
    config = dataset.get_brain_info(key).config
    return config.patches_field is None and config.method == "sklearn"
