"""Operator: free the memory of the loaded models. ``generator.models.load`` keeps and releases them."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, ClassVar

import fiftyone.operators as foo
from fiftyone.operators import types
from fiftyone.operators.executor import ExecutionContext
from humanize import naturalsize

from diffucurate.generator.text.counted import counted
from diffucurate.operators.runtime.operator import LibraryOperator, Messages, Outcome, Risk

if TYPE_CHECKING:
    from diffucurate.generator.progress import Listener


class ReleaseModels(LibraryOperator):
    """Forget the loaded pipelines; the next run that needs one loads it again."""

    NAME: ClassVar[str] = "release_models"
    LABEL: ClassVar[str] = "Release models"
    DESCRIPTION: ClassVar[str] = "Free the memory of the loaded models"
    ICON: ClassVar[str] = "memory"
    RISK: ClassVar[Risk] = "low"

    def resolve_execution_options(self, ctx: ExecutionContext) -> foo.ExecutionOptions:
        """Immediate: another process would release its own models."""
        return foo.ExecutionOptions(allow_immediate_execution=True, allow_delegated_execution=False)

    def __call__(self) -> Any:
        """How many were released, and the bytes that their weights took; see ``call``."""
        return self.call(None, {})

    def resolve_input(self, ctx: ExecutionContext) -> types.Property:
        inputs = types.Object()
        models, size = _held()
        then = "The next run that needs one loads it again." if models else ""
        inputs.view("held", types.Notice(label=_in_words(models, size, "loaded"), description=then))
        return types.Property(inputs, view=types.View(label=self.LABEL, submit_button_label="Release"))

    def run(self, ctx: ExecutionContext, progress: Listener | None) -> Outcome:
        models, size = _held()
        if models:
            from diffucurate.generator.models.load import release_models

            release_models()
        return Outcome(_in_words(models, size, "released"), {"models": models, "bytes": size})

    def finish(self, ctx: ExecutionContext, outcome: Outcome) -> Messages:
        """No data has changed."""
        yield from ()

    def output(self, result: dict[str, Any]) -> types.Object:
        """Nothing below the sentence."""
        return types.Object()


def _held() -> tuple[int, int]:
    """How many models are loaded, and the bytes of their weights; loads nothing to find out."""
    module = "diffucurate.generator.models.load"
    memory: tuple[int, int] = sys.modules[module].held_memory() if module in sys.modules else (0, 0)
    return memory


def _in_words(models: int, size: int, done: str) -> str:
    if not models:
        return "No model is loaded."
    return f"{counted(models, 'model')} {done}: {naturalsize(size)} of memory."
