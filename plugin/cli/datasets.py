"""The dataset, saved view and samples that a command names."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from diffucurate.generator.errors import DatasetError
from diffucurate.generator.text.parsing import parse_names

if TYPE_CHECKING:
    import fiftyone as fo


def samples_of(name: str, view: str | None = None, ids: Sequence[str] | None = None) -> fo.Dataset | fo.DatasetView:
    """A dataset, one of its saved views, or samples of either; ``ids`` are those of the option, several with commas.

    Raises:
        DatasetError: there is no such dataset, saved view or sample.
        InvalidSetting: an empty id.
    """
    samples = _view_of(name, view)
    listed = parse_names(ids, "samples")
    return chosen(samples, listed) if listed else samples


def chosen(samples: fo.Dataset | fo.DatasetView, ids: Sequence[str]) -> fo.DatasetView:
    """The samples of these ids, in that order.

    Raises:
        DatasetError: there is no such sample.
    """
    known = set(samples.values("id"))
    for sample_id in ids:
        if sample_id not in known:
            raise DatasetError(
                f"there is no sample '{sample_id}'; the App shows a sample's id, and so does values('id')"
            )
    return samples.select(list(ids), ordered=True)


def _view_of(name: str, view: str | None) -> fo.Dataset | fo.DatasetView:
    import fiftyone as fo

    if not fo.dataset_exists(name):
        known = fo.list_datasets()
        there = (
            f"there are {', '.join(known[:20])}"
            if known
            else "there are none yet; make one with 'diffucurate generate'"
        )
        raise DatasetError(f"dataset '{name}' does not exist; {there}")
    dataset = fo.load_dataset(name)
    if view is None:
        return dataset
    if not dataset.has_saved_view(view):
        known = dataset.list_saved_views()
        there = f"there are {', '.join(known)}" if known else "it has none; make one with 'diffucurate curate'"
        raise DatasetError(f"dataset '{name}' has no saved view '{view}'; {there}")
    return dataset.load_saved_view(view)
