"""Which labels a dataset holds, by name: label sources of ours, and any other field of detections.

A label source ``S`` keeps its instances in ``S_instances``. A field that came from elsewhere, such as
``ground_truth``, goes by its own name and can be compared, curated and exported like a source.
"""

from __future__ import annotations

import fiftyone as fo

from diffucurate.generator.errors import DatasetError
from diffucurate.generator.text.class_names import some_of
from diffucurate.plugin.store import field_names, runs

_SUFFIX = field_names.instances("s").removeprefix("s")


def sources_in(dataset: fo.Dataset) -> list[str]:
    """The label sources whose instances the dataset holds, in alphabetical order."""
    return sorted(field.removesuffix(_SUFFIX) for field in _detections(dataset) if _is_ours(field))


def comparable(dataset: fo.Dataset) -> list[str]:
    """The names of all labels with instances: sources first, then other fields of detections, each in order."""
    return [*sources_in(dataset), *sorted(field for field in _detections(dataset) if not _is_ours(field))]


def instances_field(dataset: fo.Dataset, name: str) -> str:
    """The Detections field of a label source, or of that very name.

    Raises:
        DatasetError: the dataset has neither.
    """
    present = _detections(dataset)
    if name in present and field_names.part(name) != name:
        return name  # no source is called that
    own = field_names.instances(name)
    for field in (own, name):
        if field in present:
            return field
    names = some_of(comparable(dataset)) or "none yet"
    raise DatasetError(
        f"dataset '{dataset.name}' has no field '{own}'; label it with source '{name}' first, or use one of: {names}"
    )


def count_masks(samples: fo.Dataset | fo.DatasetView, field: str) -> tuple[int, int]:
    """How many instances a Detections field has, and how many of them have a mask."""
    total, masks, files = samples.aggregate(
        [fo.Count(f"{field}.detections{part}") for part in ("", ".mask", ".mask_path")]
    )
    return total, masks + files


def compared(dataset: fo.Dataset) -> list[tuple[str, str]]:
    """The pairs (a, b) whose agreement the dataset holds, the latest comparison first."""
    keys = sorted(dataset.list_runs(method=runs.method("compare")), reverse=True)
    settings = (runs.plain(getattr(dataset.get_run_info(key).config, "settings", None)) for key in keys)
    pairs = dict.fromkeys((each.get("a"), each.get("b")) for each in settings if isinstance(each, dict))
    return [
        (a, b)
        for a, b in pairs
        if isinstance(a, str) and isinstance(b, str) and dataset.has_sample_field(field_names.agreement(a, b))
    ]


def _detections(dataset: fo.Dataset) -> set[str]:
    return set(dataset.get_field_schema(ftype=fo.EmbeddedDocumentField, embedded_doc_type=fo.Detections))


def _is_ours(field: str) -> bool:
    return field.endswith(_SUFFIX) and field != _SUFFIX
