"""Operator: stop a run of the App. The progress bar's button calls it, and anyone can by name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import fiftyone.operators as foo
from fiftyone.operators import types
from fiftyone.operators.executor import ExecutionContext

from diffucurate.generator.text.counted import counted
from diffucurate.operators.forms.fields import choose, param
from diffucurate.operators.runtime import running
from diffucurate.operators.runtime.operator import LibraryOperator, Messages, Outcome, Risk, is_from_app

if TYPE_CHECKING:
    from diffucurate.generator.progress import Listener


class CancelRun(LibraryOperator):
    """One run of this process, or all of them -> stopped after the images at hand; what they made is kept."""

    NAME: ClassVar[str] = "cancel_run"
    LABEL: ClassVar[str] = "Cancel run"
    DESCRIPTION: ClassVar[str] = "Stop a run that is under way; what it has made is kept"
    ICON: ClassVar[str] = "cancel"
    RISK: ClassVar[Risk] = "low"

    def resolve_execution_options(self, ctx: ExecutionContext) -> foo.ExecutionOptions:
        """Immediate: another process would not find the run."""
        return foo.ExecutionOptions(allow_immediate_execution=True, allow_delegated_execution=False)

    def __call__(self, run: str | None = None) -> Any:
        """The number of runs that were stopped, by default all of this process; see ``call``."""
        return self.call(None, {"run": run})

    def resolve_input(self, ctx: ExecutionContext) -> types.Property:
        inputs = types.Object()
        titles = {run.key: run.title for run in running.runs()}
        if titles and (named := param(ctx, "run")):
            titles.setdefault(named, "A run that is over already")  # a run may end while its button is pressed
        if titles:
            choose(inputs, "run", titles, label="Run", description="All of them where none is chosen", required=False)
        else:
            inputs.view("idle", types.Notice(label="Nothing is running."))
        return types.Property(inputs, view=types.View(label=self.LABEL, submit_button_label="Cancel the run"))

    def execute(self, ctx: ExecutionContext) -> Messages | dict[str, Any]:
        """Shows nothing in the App: the cancelled run's own dialog says so."""
        result = self.run(ctx, None).result
        return iter(()) if is_from_app(ctx) else result

    def run(self, ctx: ExecutionContext, progress: Listener | None) -> Outcome:
        stopped = running.cancel(param(ctx, "run"))
        return Outcome(f"{counted(stopped, 'run')} told to stop", {"runs": stopped})
