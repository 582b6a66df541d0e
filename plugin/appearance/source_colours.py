"""The one colour that stands for a label source in charts: the first shade of the family it has in the App."""

from __future__ import annotations

from collections.abc import Sequence

import fiftyone as fo

from diffucurate.plugin.appearance.palette import FAMILIES, family_of
from diffucurate.plugin.store import field_names


def source_colours(dataset: fo.Dataset, sources: Sequence[str]) -> dict[str, str]:
    """Source -> ``#RRGGBB``; a field that never got a family, such as ground truth, gets one that is free."""
    families: dict[str, str] = dict(dataset.info.get(field_names.INFO, {}).get("colour_families", {}))
    for source in sources:
        families.setdefault(source, family_of(source, families.values()))
    return {source: FAMILIES[families[source]][0] for source in sources}
