"""The checks that FiftyOne's brain makes of two sources' labels."""

from __future__ import annotations

import fiftyone as fo

from diffucurate.generator.errors import DatasetError, InvalidSetting
from diffucurate.plugin.fiftyone_private import dataset_behind
from diffucurate.plugin.store import field_names
from diffucurate.plugin.store.schema import declare_mistakenness

#: The fields of ``compute_mistakenness``, by its keywords.
_FIELDS = {"mistakenness_field": "mistakenness", "missing_field": "missing", "spurious_field": "spurious"}


def mistakenness(samples: fo.Dataset | fo.DatasetView, source: tuple[str, str], against: tuple[str, str]) -> None:
    """Write how likely the labels of a source are wrong by those of a second one.

    Objects are matched by their boxes at IoU 0.5, whatever their class. Each object of ``source`` gets the same number
    as an attribute, and another for its box.

    Args:
        samples: of which those are looked at that have labels of both.
        source: (name, Detections field) of the labels that are judged.
        against: the same of the labels that are taken for predictions.

    Raises:
        InvalidSetting: a label of ``against`` has no confidence.
        DatasetError: no sample has labels of both.
    """
    import fiftyone.brain as fob

    view = samples.exists(source[1]).exists(against[1])
    if not view:
        raise DatasetError(f"no sample has labels of {source[0]} and {against[0]}; label the same samples with each")
    labels, sure = (view.count(f"{against[1]}.detections{inner}") for inner in ("", ".confidence"))
    if sure < labels:
        remedy = "its labels have no confidences; use a source that gives them"
        raise InvalidSetting("against", against[0], remedy)
    names = {keyword: field_names.pair_measure(name, source[0], against[0]) for keyword, name in _FIELDS.items()}
    declare_mistakenness(dataset_behind(samples), source[1], against[1], names)
    fob.compute_mistakenness(view, against[1], source[1], progress=False, **names)


def forget_mistakenness(dataset: fo.Dataset, source: str, against: str) -> None:
    """Remove what an earlier call has written, on labels too: it does not unmark any."""
    key = field_names.pair_measure(_FIELDS["mistakenness_field"], source, against)
    if key in dataset.list_brain_runs():
        dataset.delete_brain_run(key)
