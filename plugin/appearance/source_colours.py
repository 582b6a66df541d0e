"""The colour family of each label source, and of each label field of a person's own: its one colour in charts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import fiftyone as fo

from diffucurate.plugin.appearance.palette import FAMILIES, family_of
from diffucurate.plugin.store import field_names
from diffucurate.plugin.store.facts import read_facts

#: Types of label fields whose objects have a class -> where they keep them.
LABEL_LISTS = {
    fo.Classification: "",
    fo.Classifications: ".classifications",
    fo.Detections: ".detections",
    fo.Keypoints: ".keypoints",
    fo.Polylines: ".polylines",
}


def families_of(dataset: fo.Dataset) -> dict[str, str]:
    """Label source -> colour family, of those that have one in the App."""
    noted = read_facts(dataset).get("colour_families")
    families = noted if isinstance(noted, Mapping) else {}
    return {str(source): family for source, family in families.items() if family in FAMILIES}


def own_families(dataset: fo.Dataset, taken: Mapping[str, str]) -> dict[str, str]:
    """Label field of a person's own -> colour family, a noted one or one that no source in ``taken`` has.

    Label fields are those whose objects have a class; masks and heatmaps keep the App's own colours.
    """
    noted = read_facts(dataset).get("own_colours")
    families = {str(name): family for name, family in noted.items()} if isinstance(noted, Mapping) else {}
    ours = {name(source) for source in taken for name in (field_names.instances, field_names.polygons)}
    for name, field in dataset.get_field_schema().items():
        if getattr(field, "document_type", None) in LABEL_LISTS and name not in ours and name not in families:
            families[name] = family_of(name, [*taken.values(), *families.values()])
    return {name: family for name, family in families.items() if family in FAMILIES and name not in ours}


def source_colours(dataset: fo.Dataset, sources: Sequence[str]) -> dict[str, str]:
    """Source -> ``#RRGGBB``; a field that never got a family gets one that is free."""
    families = families_of(dataset)
    families = own_families(dataset, families) | families
    for source in sources:
        families.setdefault(source, family_of(source, families.values()))
    return {source: FAMILIES[families[source]][0] for source in sources}
