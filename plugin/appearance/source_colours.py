"""The colour family of each label source, and the one colour that stands for it in charts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import fiftyone as fo

from diffucurate.plugin.appearance.palette import FAMILIES, family_of
from diffucurate.plugin.store.facts import read_facts


def families_of(dataset: fo.Dataset) -> dict[str, str]:
    """Label source -> colour family, of those that have one in the App."""
    noted = read_facts(dataset).get("colour_families")
    families = noted if isinstance(noted, Mapping) else {}
    return {str(source): family for source, family in families.items() if family in FAMILIES}


def source_colours(dataset: fo.Dataset, sources: Sequence[str]) -> dict[str, str]:
    """Source -> ``#RRGGBB``; a field that never got a family, such as ground truth, gets one that is free."""
    families = families_of(dataset)
    for source in sources:
        families.setdefault(source, family_of(source, families.values()))
    return {source: FAMILIES[families[source]][0] for source in sources}
