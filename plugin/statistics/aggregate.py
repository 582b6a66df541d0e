"""Runs a MongoDB pipeline on a view: what FiftyOne's own aggregations cannot express in one pass."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import fiftyone as fo

from diffucurate.plugin.fiftyone_private import aggregate


def rows(samples: fo.Dataset | fo.DatasetView, stages: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The documents that ``stages`` give on the samples of a view; a group's keys stand beside its values."""
    documents = aggregate(samples, stages)
    return [_flat(document) for document in documents]


def _flat(document: dict[str, Any]) -> dict[str, Any]:
    keys = document.get("_id")
    return {**document, **keys} if isinstance(keys, dict) else document
