"""Indexes of a dataset's fields: the App shows sliders and lists of values for indexed fields only.

Elsewhere it asks for a number to be typed, since finding the range of a field without an index reads all samples.
"""

from __future__ import annotations

from collections.abc import Iterable

import fiftyone as fo

#: A collection of MongoDB has 64 indexes at most, some of which FiftyOne and a person need.
MOST = 48


def add_indexes(dataset: fo.Dataset, paths: Iterable[str]) -> None:
    """Index fields of the schema that have no index yet, in this order, while there is room for more."""
    indexed = dataset.list_indexes()
    for path in paths:
        if path not in indexed and len(indexed) < MOST:
            indexed.append(dataset.create_index(path))
