"""What labels of a verb's making may be called. Light: forms ask it."""

from __future__ import annotations

import fiftyone as fo

from diffucurate.generator.errors import InvalidSetting
from diffucurate.generator.labels.model import HUMAN
from diffucurate.generator.sources.registry import find_source
from diffucurate.plugin.store import field_names, runs


def check_new_source(dataset: fo.Dataset, into: str, verb: str, made: str) -> None:
    """See that labels that ``verb`` stores under a name of a person's choice replace nothing but earlier ones of its.

    Args:
        dataset: that will hold them.
        into: the name.
        verb: whose runs say in their settings, as ``into``, which names it has used.
        made: what has happened to labels of the verb's making, such as "fused".

    Raises:
        InvalidSetting: it is the name of a source, or of labels that something else made.
        DatasetError: no field can be named after it.
    """
    field = field_names.instances(into)
    if into == HUMAN or find_source(into) is not None:
        raise InvalidSetting("into", into, f"labels from elsewhere bear that name; use another, such as '{made}'")
    if dataset.has_sample_field(field) and into not in _used(dataset, verb):
        remedy = f"the dataset has labels of that name that were not {made}; use another, such as '{made}'"
        raise InvalidSetting("into", into, remedy)


def _used(dataset: fo.Dataset, verb: str) -> set[str]:
    infos = map(dataset.get_run_info, dataset.list_runs(method=runs.method(verb)))
    settings = (runs.plain(getattr(info.config, "settings", None)) for info in infos)
    return {str(each.get("into")) for each in settings if isinstance(each, dict)}
