"""What labelling a view would do, counted by the database: cheap enough for a form to ask at every keystroke.

Loads no label source, and reads no image and no map.
"""

from __future__ import annotations

from typing import NamedTuple

import fiftyone as fo

from diffucurate.plugin.store import field_names


class Plan(NamedTuple):
    """Counts of images, of all those that are to be labelled.

    ``mapped`` have kept class maps, so that a source for ``painted`` images needs no model for them; ``labelled`` have
    labels of the source already, which new ones replace.
    """

    images: int
    mapped: int
    labelled: int


def plan(samples: fo.Dataset | fo.DatasetView, source: str) -> Plan:
    """What there is to do for ``source`` in ``samples``, which may be empty."""
    return Plan(
        len(samples), _count(samples, field_names.ATTENTION_MAPS), _count(samples, field_names.instances(source))
    )


def _count(samples: fo.Dataset | fo.DatasetView, field: str) -> int:
    return int(samples.count(field)) if samples.has_sample_field(field) else 0
