"""Scenarios of FiftyOne's Model Evaluation panel: one for each attribute, which compares the values of it."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import fiftyone as fo

from diffucurate.generator.errors import InvalidSetting
from diffucurate.generator.text.class_names import some_of
from diffucurate.plugin.fiftyone_private import add_evaluation_scenarios
from diffucurate.plugin.statistics.coverage import attributes_in
from diffucurate.plugin.store import field_names

#: Values that a scenario compares at most: each is an evaluation of its own and a row in a table.
_MOST = 12


def prepare_scenarios(dataset: fo.Dataset, fields: Sequence[str] | None) -> tuple[str, ...]:
    """Give the panel a scenario for each field, by default for each attribute of the prompts; returns their names.

    A scenario compares the most frequent values; one that was made before is made again. Fields of which there are
    fewer than two values have none.

    Raises:
        InvalidSetting: samples have no such field of texts, whole numbers or truth values.
    """
    attributes = [f"{field_names.ATTRIBUTES}.{name}" for name in attributes_in(dataset)]
    if isinstance(fields, str):
        raise InvalidSetting("scenarios", fields, "give a list of fields, such as ['attributes.weather']")
    scenarios = {}
    for path in attributes if fields is None else fields:
        kind = dataset.get_field(path)
        if not isinstance(kind, fo.StringField | fo.IntField | fo.BooleanField) and path != "tags":
            known = some_of([*attributes, "tags"])
            raise InvalidSetting("scenarios", path, f"name a field of texts or whole numbers; there are {known}")
        counts = {value: count for value, count in dataset.count_values(path).items() if value is not None}
        values = sorted(counts, key=lambda value: (-counts[value], str(value)))[:_MOST]
        if len(values) > 1:
            # A key as the panel's own are; the same for the same field.
            key = hashlib.sha256(f"diffucurate {path}".encode()).hexdigest()[:24]
            name = f"By {path.rpartition('.')[2]}"
            scenarios[key] = {"id": key, "name": name, "type": "sample_field", "field": path, "subsets": values}
    if scenarios:
        add_evaluation_scenarios(dataset, scenarios)
    return tuple(str(scenario["name"]) for scenario in scenarios.values())
