"""Operator: splice images into mosaics. The form; ``plugin.mosaics`` does the work."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import fiftyone as fo
from fiftyone.operators import types
from fiftyone.operators.executor import ExecutionContext

from diffucurate.generator.text.counted import counted
from diffucurate.operators.forms.fields import choose_source, choose_target, listed, param
from diffucurate.operators.forms.refusals import refused
from diffucurate.operators.runtime.next_steps import Step, step
from diffucurate.operators.runtime.operator import LibraryOperator, Messages, Outcome, Risk
from diffucurate.plugin.mosaics.grids import GRIDS, parse_grids
from diffucurate.plugin.mosaics.start import check_mosaics, check_number

if TYPE_CHECKING:
    from diffucurate.generator.progress import Listener

_USUAL = ", ".join(f"{rows}x{columns}" for rows, columns in GRIDS)


class MakeMosaics(LibraryOperator):
    """A source and grids -> new samples, each made of several."""

    NAME: ClassVar[str] = "make_mosaics"
    LABEL: ClassVar[str] = "Make mosaics"
    DESCRIPTION: ClassVar[str] = "Splice images into one, with their labels, as new samples"
    ICON: ClassVar[str] = "grid_view"
    RISK: ClassVar[Risk] = "medium"

    def __call__(
        self,
        samples: fo.Dataset | fo.DatasetView,
        *,
        source: str,
        count: int = 100,
        grids: Sequence[str] | None = None,
        longest: int | None = None,
        seed: int = 0,
        delegate: bool = False,
    ) -> Any:
        """The same from Python; ``grids`` as in ``["2x2"]``; see ``call``."""
        params = {"source": source, "count": count, "longest": longest, "seed": seed}
        return self.call(samples, params | {"grids": ", ".join(grids or ())}, delegate=delegate)

    def resolve_input(self, ctx: ExecutionContext) -> types.Property:
        inputs = types.Object()
        if choose_target(inputs, ctx, "Splice"):
            source = choose_source(inputs, ctx, "source", label="Labels", description="Whose labels are carried over")
            if source is not None:
                inputs.int("count", label="How many", description="Mosaics to add", default=100)
                inputs.str(
                    "grids", label="Grids", description=f"Rows x columns, of which one is drawn; {_USUAL} where empty"
                )
                description = "Of the longest side; that of the first image where empty. No image is enlarged"
                inputs.int("longest", label="Pixels", description=description)
                inputs.int("seed", label="Seed", description="Of all that is drawn by chance", default=0)
                for name in ("count", "longest"):
                    with refused(inputs):
                        check_number(name, param(ctx, name))
                with refused(inputs, otherwise="source"):
                    check_mosaics(
                        ctx.target_view(),
                        source=source,
                        grids=_grids(ctx),
                    )
        return types.Property(inputs, view=types.View(label=self.LABEL, submit_button_label="Splice"))

    def run(self, ctx: ExecutionContext, progress: Listener | None) -> Outcome:
        from diffucurate.plugin.mosaics.mosaic import mosaic

        added = mosaic(
            ctx.target_view(),
            source=param(ctx, "source"),
            count=param(ctx, "count", 100),
            grids=_grids(ctx),
            longest=param(ctx, "longest"),
            seed=param(ctx, "seed", 0),
            progress=progress,
        )
        return Outcome(f"{counted(len(added), 'mosaic')} added, with the tag 'mosaic'", {"added": len(added)})

    def next_steps(self, ctx: ExecutionContext, outcome: Outcome) -> Sequence[Step]:
        source = param(ctx, "source")
        return [
            step("Export", "export_samples", source=source),
            step("Train a segmenter", "train_segmenter", source=source),
        ]

    def finish(self, ctx: ExecutionContext, outcome: Outcome) -> Messages:
        yield ctx.ops.reload_dataset()


def _grids(ctx: ExecutionContext) -> tuple[tuple[int, int], ...]:
    named = listed(param(ctx, "grids"))
    return GRIDS if named is None else parse_grids(named)
