"""With what a source's labels were made last: read from the run of ``label`` that made them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import fiftyone as fo

from diffucurate.generator.labels.settings import SourceSettings
from diffucurate.generator.sources.spec import SourceSpec
from diffucurate.plugin.store import runs


@dataclass(frozen=True)
class LabelRun:
    """The source that was asked, the classes that were asked for, those of them that it lacks, its options and
    its plain settings.
    """

    source: str
    classes: tuple[str, ...]
    unseen: tuple[str, ...]
    options: Mapping[str, Any]
    settings: Mapping[str, Any] | None

    def settings_of(self, spec: SourceSpec[Any]) -> SourceSettings:
        """The settings as the source takes them; its defaults where there are none."""
        if self.settings is None:
            settings: SourceSettings = spec.make_settings({})
            return settings
        # As JSON, since the database keeps tuples as lists.
        return spec.settings.model_validate_json(json.dumps(self.settings))


def latest_label_run(dataset: fo.Dataset, name: str) -> LabelRun | None:
    """The latest run of ``label`` that ended and stored its labels under ``name``, that of a source or another one.

    None where labels of that name came from elsewhere or from painting.
    """
    infos = [dataset.get_run_info(key) for key in dataset.list_runs(method=runs.method("label"))]
    for info in sorted(infos, key=lambda info: info.timestamp, reverse=True):
        settings = runs.plain(getattr(info.config, "settings", None))
        if not isinstance(settings, dict) or info.config.status != runs.DONE:
            continue
        if name != (settings.get("into") or settings.get("source")):
            continue
        facts = runs.plain(getattr(info.config, "facts", None) or {})
        own = settings.get("settings")
        known = {"source", "into", "classes", "settings", "device", "samples"}
        return LabelRun(
            str(settings.get("source")),
            tuple(settings.get("classes") or ()),
            tuple(facts.get("unseen") or ()),
            {name: value for name, value in settings.items() if name not in known},
            own if isinstance(own, dict) else None,
        )
    return None
