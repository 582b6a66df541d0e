"""How every operator runs: in the App as a stream with progress, elsewhere as one blocking call.

The App is told of progress through messages that an operator yields, while the library blocks and calls
back. So in the App the library works in a thread of its own and its reports are handed on as they come;
a delegated run and a call from Python block, return the result and raise what goes wrong. Knows nothing
of what an operator does.
"""

from __future__ import annotations

import logging
import queue
import time
from abc import abstractmethod
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, TypeVar

import fiftyone as fo
import fiftyone.operators as foo
from fiftyone.operators import types
from fiftyone.operators.executor import ExecutionContext
from fiftyone.operators.message import GeneratedMessage

from diffucurate.generator.errors import DiffucurateError
from diffucurate.operators.under_way import UnderWay, under_way
from diffucurate.plugin.looks import colours_in_app

if TYPE_CHECKING:
    from diffucurate.generator.progress import Progress
    from diffucurate.plugin.progress import Listener

#: The operator behind the button beside the progress bar.
CANCEL = "@diffucurate/diffucurate/cancel_run"

#: Reports that follow each other faster than this many seconds are left out: the App draws each of them.
MIN_INTERVAL = 0.25

#: An operator's own drawing, below the plugin's folder, from which the App fetches it.
ICONS = "/assets/icons/{name}-{theme}.svg"

logger = logging.getLogger(__name__)


Messages = Iterator[GeneratedMessage]
T = TypeVar("T")


class Outcome(NamedTuple):
    """What a run leaves: one sentence for the person, and the same as plain JSON.

    ``warning``: the sentence is one to look into.
    """

    message: str
    result: dict[str, Any]
    warning: bool = False


class Abandoned(BaseException):
    """Raised inside the library when the run was cancelled or nobody waits for it, so that it stops cleanly."""


class LibraryOperator(foo.Operator):
    """A form over one call of the library. Subclasses name themselves, resolve the form and ``run``."""

    NAME: ClassVar[str]
    LABEL: ClassVar[str]
    DESCRIPTION: ClassVar[str]
    ICON: ClassVar[str]

    @property
    def config(self) -> foo.OperatorConfig:
        return foo.OperatorConfig(
            name=self.NAME,
            label=self.LABEL,
            description=self.DESCRIPTION,
            icon=self.ICON,
            light_icon=ICONS.format(name=self.NAME, theme="light"),
            dark_icon=ICONS.format(name=self.NAME, theme="dark"),
            dynamic=True,
            execute_as_generator=True,
            allow_immediate_execution=True,
            allow_delegated_execution=True,
        )

    def resolve_execution_options(self, ctx: ExecutionContext) -> foo.ExecutionOptions:
        """Immediate, and delegated where it can work.

        The open-source App delegates only with FIFTYONE_ALLOW_LEGACY_ORCHESTRATORS; without it the choice
        leads to a message that nothing is configured. From Python a run can always be queued.
        """
        delegated = fo.config.allow_legacy_orchestrators or not is_from_app(ctx)
        return foo.ExecutionOptions(allow_immediate_execution=True, allow_delegated_execution=delegated)

    @abstractmethod
    def run(self, ctx: ExecutionContext, progress: Listener | None) -> Outcome:
        """Read ``ctx.params``, call the library and say what came of it."""

    def finish(self, ctx: ExecutionContext, outcome: Outcome) -> Messages:
        """What the App does after a run: by default it shows the new data."""
        yield ctx.ops.reload_dataset()

    def execute(self, ctx: ExecutionContext) -> Messages | dict[str, Any]:
        if is_from_app(ctx) and not ctx.delegated:
            return self._stream(ctx)
        return self.run(ctx, _delegated_progress(ctx) if ctx.delegated else None).result

    def resolve_output(self, ctx: ExecutionContext) -> types.Property:
        """The result's fields, as they stand in the list of runs."""
        return types.Property(self.output(ctx.results or {}), view=types.View(label=self.LABEL))

    def output(self, result: dict[str, Any]) -> types.Object:
        """The form that shows ``result``: one line for each of its plain values."""
        outputs = types.Object()
        for name, value in result.items():
            if isinstance(value, str | int | float):
                outputs.str(name, label=name.replace("_", " ").capitalize(), view=types.LabelValueView(read_only=True))
        return outputs

    def call(
        self, dataset: fo.Dataset | fo.DatasetView | None, params: dict[str, Any], *, delegate: bool = False
    ) -> Any:
        """Run from Python: the result as the App's run list shows it, or the queued run when delegated.

        Raises:
            fiftyone.operators.executor.ExecutionError: whatever goes wrong, with the library's own sentence in it.
        """
        kwargs: dict[str, Any] = {"params": params, "request_delegation": delegate}
        if isinstance(dataset, fo.DatasetView):
            kwargs["view"] = dataset
        elif dataset is not None:
            kwargs["dataset"] = dataset
        execution = foo.execute_operator(self.uri, **kwargs)
        return execution.result if isinstance(execution, foo.executor.ExecutionResult) else execution

    def _stream(self, ctx: ExecutionContext) -> Messages:
        try:
            colours = _colours(ctx)
            outcome = yield from _streamed(ctx, lambda progress: self.run(ctx, progress), title=self.LABEL)
        except Abandoned:
            yield ctx.ops.reload_dataset()
            kept = types.Warning(label=f"{self.LABEL}: cancelled", description="What was made until then is kept.")
            yield _dialog(ctx, kept, types.Object(), {})
        except DiffucurateError as error:
            yield _failure(ctx, str(error))
        except Exception as error:
            logger.exception("%s failed", self.uri)
            yield _failure(ctx, f"{type(error).__name__}: {error}. The server's log says more.")
        else:
            yield from self.finish(ctx, outcome)
            if (changed := _colours(ctx)) != colours:  # the App reads them only when it opens a dataset
                yield ctx.trigger("set_color_scheme", changed)
            # Takes the place of the progress bar, which would stay open.
            headline = types.Warning if outcome.warning else types.Success
            yield _dialog(ctx, headline(label=outcome.message), self.output(outcome.result), outcome.result)


def _colours(ctx: ExecutionContext) -> dict[str, Any] | None:
    return None if ctx.dataset is None else colours_in_app(ctx.dataset)


def is_from_app(ctx: ExecutionContext) -> bool:
    """Whether the App asks: its requests carry the sidebar's filters, calls from Python have no such key."""
    return "filters" in ctx.request_params


def _streamed(
    ctx: ExecutionContext, work: Callable[[Listener], T], *, title: str
) -> Generator[GeneratedMessage, None, T]:
    """Yield the App's progress messages while ``work`` runs in a thread; returns what it returns.

    When the run is cancelled, or the generator closed (the browser has gone), the next report raises ``Abandoned``
    in ``work``.
    """
    reports: queue.SimpleQueue[Progress | None] = queue.SimpleQueue()
    with under_way(title) as run:

        def on_progress(report: Progress) -> None:
            if run.stop.is_set():
                raise Abandoned
            reports.put(report)

        yield _progress_bar(ctx, run, 0.0, "starting")
        pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="diffucurate")
        future: Future[T] = pool.submit(work, on_progress)
        future.add_done_callback(lambda _: reports.put(None))
        shown_at = 0.0
        try:
            for report in iter(reports.get, None):
                now = time.monotonic()
                if now - shown_at >= MIN_INTERVAL or report.note:
                    shown_at = now
                    yield _progress_bar(ctx, run, *_in_words(report))
            return future.result()
        finally:
            pool.shutdown(wait=False)


def _progress_bar(ctx: ExecutionContext, run: UnderWay, share: float, label: str) -> GeneratedMessage:
    """What ``ctx.ops.set_progress`` shows, and a button that cancels the run."""
    shown = types.Object()
    shown.float("progress", view=types.ProgressView(label=f"{run.title}: {label}"))
    shown.btn("cancel", "Cancel", on_click=CANCEL, params={"run": run.key}, variant="outlined")
    return ctx.ops.show_output(types.Property(shown).to_json(), {"progress": share})


def _delegated_progress(ctx: ExecutionContext) -> Listener:
    def on_progress(report: Progress) -> None:
        share, label = _in_words(report)
        ctx.set_progress(progress=share, label=label)

    return on_progress


def _in_words(report: Progress) -> tuple[float, str]:
    """The share that is done, in [0, 1], and a line such as '24 of 96, 1.3 images/s, 0:55 left'."""
    parts = [f"{report.done} of {report.total}"]
    if report.images_per_second > 0:
        minutes, seconds = divmod(round(report.seconds_left), 60)
        parts += [f"{report.images_per_second:.1f} images/s", f"{minutes}:{seconds:02d} left"]
    if report.note:
        parts.append(report.note)
    return report.done / max(report.total, 1), ", ".join(parts)


def _failure(ctx: ExecutionContext, message: str) -> GeneratedMessage:
    return _dialog(ctx, types.Error(label="Not done", description=message), types.Object(), {})


def _dialog(
    ctx: ExecutionContext, headline: types.View, outputs: types.Object, result: dict[str, Any]
) -> GeneratedMessage:
    form = types.Object()
    form.view("headline", headline)
    form.properties |= outputs.properties
    return ctx.ops.show_output(types.Property(form).to_json(), result)
