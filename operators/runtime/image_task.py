"""The operators that paint from init images: run the form's recipe, and open its dataset."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import fiftyone as fo
from fiftyone.operators.executor import ExecutionContext

from diffucurate.generator.text.counted import counted
from diffucurate.operators.forms.fields import param
from diffucurate.operators.forms.init_images import PLACES, recipe_of
from diffucurate.operators.runtime.next_steps import Step, another_source, step
from diffucurate.operators.runtime.operator import LibraryOperator, Messages, Outcome

if TYPE_CHECKING:
    from diffucurate.generator.progress import Listener


class FromImages(LibraryOperator):
    """Images of a dataset or view -> new images in another dataset, labelled."""

    PLACES: ClassVar[Mapping[str, str]] = PLACES
    KEPT: ClassVar[str] = "What was painted until then is kept. Run it again to paint the rest."
    TASK: ClassVar[str]
    REMEMBERS: ClassVar[bool] = True

    @abstractmethod
    def more(self, ctx: ExecutionContext) -> dict[str, Any]:
        """The part of the recipe that not all these forms have."""

    def run(self, ctx: ExecutionContext, progress: Listener | None) -> Outcome:
        from diffucurate.plugin.generation.generate import generate

        recipe = recipe_of(ctx, self.TASK, self.more(ctx))
        before = len(fo.load_dataset(recipe.dataset)) if fo.dataset_exists(recipe.dataset) else 0
        settings = {name: param(ctx, name) for name in ("count", "batch_size", "device")}
        dataset = generate(recipe, **settings, progress=progress)
        added, failed = len(dataset) - before, _left_out(dataset)
        message = f"{counted(added, 'image')} added to '{dataset.name}', which now holds {len(dataset):,}"
        if added and failed:
            message += f"; {len(failed)} could not be used, such as {failed[0]}"
        result = {"dataset": dataset.name, "added": added, "images": len(dataset), "left_out": failed}
        return Outcome(message, result, warning=bool(added and failed))

    def filled(self, ctx: ExecutionContext) -> str | None:
        name = param(ctx, "save_as")
        return None if name is None else str(name)

    def next_steps(self, ctx: ExecutionContext, outcome: Outcome) -> Sequence[Step]:
        return [
            step("Label by another source", "label_images", source=[another_source()]),
            step("Curate", "curate_samples"),
            step("Export", "export_samples"),
        ]

    def finish(self, ctx: ExecutionContext, outcome: Outcome) -> Messages:
        name = outcome.result["dataset"]
        yield ctx.ops.reload_dataset() if ctx.dataset_name == name else ctx.ops.open_dataset(name)


def _left_out(dataset: fo.Dataset) -> list[str]:
    """Why init images could not be used in the latest run, one sentence each."""
    keys = dataset.list_runs(method="diffucurate/generate")
    facts = dataset.get_run_info(max(keys)).config.facts if keys else {}
    return list(facts.get("failed", {}).values())
