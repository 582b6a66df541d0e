"""Which samples a form is about: those it was handed, else what the person has open or selected."""

from __future__ import annotations

import fiftyone as fo
from fiftyone.operators.executor import ExecutionContext

from diffucurate.generator.errors import DatasetError
from diffucurate.operators.forms.fields import param


def chosen_sample(ctx: ExecutionContext) -> fo.Sample:
    """The one sample that was handed over, else the one that is open, else the only one selected.

    Raises:
        DatasetError: there is none or several, or the dataset does not hold it.
    """
    single = param(ctx, "sample_id", ctx.current_sample)
    ids = [single] if single else list(ctx.selected or [])
    if len(ids) != 1:
        selected = f"{len(ids)} images are selected" if ids else "no image is selected"
        raise DatasetError(f"{selected}; select one in the grid, or open it")
    try:
        return ctx.dataset[ids[0]]
    except KeyError:
        there = f"dataset '{ctx.dataset.name}' holds no image {ids[0]}"
        raise DatasetError(f"{there}; select one in the grid, or open it") from None


def chosen_ids(ctx: ExecutionContext) -> list[str]:
    """The ids of the samples that were handed over, else of those selected, else of the one that is open."""
    return list(param(ctx, "samples") or ctx.selected or ([ctx.current_sample] if ctx.current_sample else []))
