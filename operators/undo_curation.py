"""Operator: undo a curation. Knows the form; ``plugin.curation.curate`` does the work."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any, ClassVar

import fiftyone as fo
from fiftyone.operators import types
from fiftyone.operators.executor import ExecutionContext

from diffucurate.operators.forms.fields import choose, has_dataset, param, refuse
from diffucurate.operators.runtime.operator import LibraryOperator, Messages, Outcome, Risk
from diffucurate.plugin.curation.curate import CURATED, Curation, curations, undo_curation

if TYPE_CHECKING:
    from diffucurate.generator.progress import Listener


class UndoCuration(LibraryOperator):
    """The name of a curation -> its tag and saved view are removed, and those that they replaced are restored."""

    NAME: ClassVar[str] = "undo_curation"
    LABEL: ClassVar[str] = "Undo curation"
    DESCRIPTION: ClassVar[str] = "Undo a curation: remove its tag and saved view, and restore those that they replaced"
    ICON: ClassVar[str] = "undo"
    RISK: ClassVar[Risk] = "medium"

    def __call__(self, dataset: fo.Dataset | fo.DatasetView, name: str = CURATED, *, delegate: bool = False) -> Any:
        """The same from Python; see ``call``."""
        return self.call(dataset, {"curation": name}, delegate=delegate)

    def resolve_input(self, ctx: ExecutionContext) -> types.Property:
        inputs = types.Object()
        if has_dataset(inputs, ctx):
            undoable = {curation.name: curation for curation in curations(ctx.dataset)}
            if undoable:
                self._choice(inputs, ctx, undoable)
            else:
                notice = types.Notice(label="Nothing to undo", description="'Curate samples' has made nothing here.")
                refuse(inputs.view("none", notice), "nothing was curated here yet; 'Curate samples' does that")
        return types.Property(inputs, view=types.View(label=self.LABEL, submit_button_label="Undo"))

    def _choice(self, inputs: types.Object, ctx: ExecutionContext, undoable: dict[str, Curation]) -> None:
        first = next(iter(undoable))
        choose(
            inputs,
            "curation",
            {name: name for name in undoable},
            label="Curation",
            description="The latest comes first. Tags and views that you made yourself stay as they are.",
            default=first,
        )
        curation = undoable.get(param(ctx, "curation", first))
        if curation is None:
            refuse(inputs.get_property("curation"), "it was undone meanwhile; choose another")
            return
        kept = "stopped half way" if curation.count is None else curation.count.headline()
        made_at = datetime.fromisoformat(curation.made).astimezone().strftime("%d %B %Y, %H:%M")
        inputs.view("about", types.Notice(label=f"{made_at}: {kept}", description=f"Rules: {curation.rules}"))

    def run(self, ctx: ExecutionContext, progress: Listener | None) -> Outcome:
        undone = undo_curation(ctx.dataset, param(ctx, "curation", CURATED))
        view = {
            "removed": "",
            "restored": "; the curation before it is back",
            "kept": "; its view was changed since and stays",
        }[undone.view]
        message = f"Curation '{undone.name}' is undone{view}"
        result = {"name": undone.name, "untagged": undone.untagged, "tagged": undone.tagged, "saved_view": undone.view}
        return Outcome(message, result)

    def finish(self, ctx: ExecutionContext, outcome: Outcome) -> Messages:
        yield ctx.ops.clear_view()
        yield ctx.ops.reload_dataset()
