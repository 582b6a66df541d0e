"""What was last filled into a form, kept with the dataset, so that it need not be typed again.

Kept are the parameters of a form as it was sent off, whatever became of the run.
"""

from __future__ import annotations

import json
from typing import Any

import fiftyone as fo
from fiftyone.operators import ExecutionStore, types

from diffucurate.plugin.fiftyone_private import dataset_id

#: The name of FiftyOne's store, in each dataset.
STORE = "diffucurate_forms"

#: What a person decides anew each time: what is overwritten, and which images a run is for.
_EACH_TIME = ("overwrite", "target", "view_target", "delegation_target", "sample_id", "preview_on", "save_as")


def remember(dataset: fo.Dataset | None, operator: str, params: dict[str, Any]) -> None:
    """Keep what was filled in, as far as it is plain data; without a dataset nothing is kept."""
    if dataset is not None:
        _store(dataset).set(operator, json.dumps(params, default=lambda _: None))


def recall(dataset: fo.Dataset | None, operator: str) -> dict[str, Any]:
    """What was last filled in, empty where nothing was."""
    text = _store(dataset).get(operator) if dataset is not None else None
    last = json.loads(text) if isinstance(text, str) else {}
    return {name: value for name, value in last.items() if name not in _EACH_TIME and value is not None}


def fill_in(form: types.Property, values: dict[str, Any]) -> None:
    """Make values the defaults of a form's fields, by which the App fills in a form that was opened empty."""
    for name, field in getattr(form.type, "properties", {}).items():
        if name in values:
            field.default = values[name]


def _store(dataset: fo.Dataset) -> ExecutionStore:
    return ExecutionStore.create(STORE, dataset_id(dataset))
