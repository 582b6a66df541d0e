"""What labelling a view would do, counted by the database: cheap enough for a form to ask at every keystroke.

Loads no label source, and reads no image and no map.
"""

from __future__ import annotations

from typing import NamedTuple

import fiftyone as fo
from fiftyone import ViewField as F

from diffucurate.generator.recipe.by_model import BUILT_IN
from diffucurate.plugin.store import field_names


class Plan(NamedTuple):
    """Counts of images, of all those that are to be labelled.

    ``mapped`` have kept class maps, so that a source for ``painted`` images needs no model for them; ``labelled`` have
    labels of the source already, which new ones replace. ``foreign`` keep no class maps and were not painted by the
    built-in model, which therefore looks at them only where it is named.
    """

    images: int
    mapped: int
    labelled: int
    foreign: int = 0


def plan(samples: fo.Dataset | fo.DatasetView, source: str) -> Plan:
    """What there is to do for ``source`` in ``samples``, which may be empty."""
    images, mapped = len(samples), _count(samples, field_names.ATTENTION_MAPS)
    own = 0
    if mapped < images and all(map(samples.has_sample_field, (field_names.JOB_ID, field_names.MODEL))):
        own = len(_without_maps(samples).match((F(field_names.JOB_ID) != None) & (F(field_names.MODEL) == BUILT_IN)))  # noqa: E711
    return Plan(images, mapped, _count(samples, field_names.instances(source)), images - mapped - own)


def _without_maps(samples: fo.Dataset | fo.DatasetView) -> fo.DatasetView:
    known = samples.has_sample_field(field_names.ATTENTION_MAPS)
    return samples.match(F(field_names.ATTENTION_MAPS) == None) if known else samples.view()  # noqa: E711


def _count(samples: fo.Dataset | fo.DatasetView, field: str) -> int:
    return int(samples.count(field)) if samples.has_sample_field(field) else 0
