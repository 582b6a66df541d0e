"""What fused labels may be called. Light: forms ask it."""

from __future__ import annotations

from collections.abc import Sequence

import fiftyone as fo

from diffucurate.generator.errors import InvalidSetting
from diffucurate.generator.labels.model import HUMAN
from diffucurate.generator.sources.registry import find_source
from diffucurate.plugin.store import field_names, runs

#: The name of fused labels where none is given.
FUSED = "fused"


def check_name(dataset: fo.Dataset, into: str, sources: Sequence[str]) -> None:
    """See that fused labels of this name replace nothing but fused labels.

    Raises:
        InvalidSetting: it is the name of a source, or of labels that were not fused.
        DatasetError: no field can be named after it.
    """
    field = field_names.instances(into)
    if into in sources:
        raise InvalidSetting("into", into, "it is one of the sources, which stay as they are; use another name")
    if into == HUMAN or find_source(into) is not None:
        raise InvalidSetting("into", into, f"labels from elsewhere bear that name; use another, such as '{FUSED}'")
    if dataset.has_sample_field(field) and into not in _fused_before(dataset):
        remedy = f"the dataset has labels of that name that were not fused; use another, such as '{FUSED}'"
        raise InvalidSetting("into", into, remedy)


def _fused_before(dataset: fo.Dataset) -> set[str]:
    infos = map(dataset.get_run_info, dataset.list_runs(method=runs.method("fuse")))
    settings = (runs.plain(getattr(info.config, "settings", None)) for info in infos)
    return {str(each.get("into")) for each in settings if isinstance(each, dict)}
