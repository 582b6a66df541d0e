"""How every operator runs: in the App as a stream with progress, elsewhere as one blocking call.

A delegated run and a call from Python return the result and raise what goes wrong; in the App both end in a dialog.
Knows nothing of what an operator does.
"""

from __future__ import annotations

import logging
import re
from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NamedTuple, TypeAlias

import fiftyone as fo
import fiftyone.operators as foo
from fiftyone.operators import types
from fiftyone.operators.executor import ExecutionContext
from fiftyone.operators.message import GeneratedMessage

from diffucurate.generator.errors import DiffucurateError
from diffucurate.operators.forms.error_texts import with_label
from diffucurate.operators.forms.refusals import field_of
from diffucurate.operators.runtime.dialogs import dialog
from diffucurate.operators.runtime.form_memory import fill_in, recall, remember
from diffucurate.operators.runtime.next_steps import Step, offer
from diffucurate.operators.runtime.streaming import Abandoned, delegated_progress, streamed
from diffucurate.operators.runtime.uris import SHOW_GROUPS
from diffucurate.plugin.appearance.scheme import colours_in_app
from diffucurate.plugin.environment.machine_problems import machine_problem

if TYPE_CHECKING:
    from diffucurate.generator.progress import Listener

#: Path of an operator's icon below the plugin's folder, from which the App fetches it.
ICONS = "/assets/icons/{name}-{theme}.svg"

NOT_DONE = "Not done"

#: Fetches images again that were opened before (``assets/app.js``): FiftyOne's own reloads fetch the grid only.
REFRESH_OPENED = "@diffucurate/diffucurate/refresh_opened_images"

#: Opens a panel once the App shows its dataset (``assets/app.js``): FiftyOne's own operator fails before that.
OPEN_WHEN_SHOWN = "@diffucurate/diffucurate/open_panel_when_shown"

#: The button that leads from an error back to the form as it was sent off.
BACK = "Back to the form"

logger = logging.getLogger(__name__)


Messages = Iterator[GeneratedMessage]


#: What an assistant should ask a person before: ``low``, nothing is changed; ``medium``, a dataset gets more, which can
#: be removed again; ``high``, labels are replaced or files written outside of datasets. Older FiftyOnes ignore it.
Risk: TypeAlias = Literal["low", "medium", "high"]


class Outcome(NamedTuple):
    """The result of a run: one sentence for the person, and the same as plain JSON.

    ``warning``: the sentence names a problem.
    """

    message: str
    result: dict[str, Any]
    warning: bool = False


class LibraryOperator(foo.Operator):
    """A form over one call of the library. Subclasses name themselves, resolve the form and ``run``."""

    NAME: ClassVar[str]
    LABEL: ClassVar[str]
    DESCRIPTION: ClassVar[str]
    ICON: ClassVar[str]
    RISK: ClassVar[Risk]
    #: What the dialog says after the run was cancelled.
    KEPT: ClassVar[str] = "What was made until then is kept."

    #: The library's name of a setting -> its field in the form, where that has another name.
    PLACES: ClassVar[Mapping[str, str]] = MappingProxyType({})

    #: Whether the form is filled in as it was last sent off on the dataset.
    REMEMBERS: ClassVar[bool] = False

    #: Whether a button above the grid opens the form.
    IN_TOOLBAR: ClassVar[bool] = False

    @property
    def config(self) -> foo.OperatorConfig:
        return foo.OperatorConfig(
            name=self.NAME,
            label=self.LABEL,
            description=self.DESCRIPTION,
            icon=self.ICON,
            light_icon=ICONS.format(name=self.NAME, theme="light"),
            dark_icon=ICONS.format(name=self.NAME, theme="dark"),
            risk_level=self.RISK,
            dynamic=True,
            execute_as_generator=True,
            allow_immediate_execution=True,
            allow_delegated_execution=True,
        )

    def resolve_placement(self, ctx: ExecutionContext) -> types.Placement | None:
        """The button above the grid, for one of the steps from images to an export; it shows the operator's icon."""
        if not self.IN_TOOLBAR:
            return None
        button = types.Button(label=self.LABEL, icon=self.ICON, prompt=True)
        return types.Placement(types.Places.SAMPLES_GRID_SECONDARY_ACTIONS, button)

    def resolve_execution_options(self, ctx: ExecutionContext) -> foo.ExecutionOptions:
        """Immediate, and delegated where it can work.

        The open-source App delegates only with FIFTYONE_ALLOW_LEGACY_ORCHESTRATORS; without it the choice
        leads to a message that nothing is configured. From Python a run can always be queued.
        """
        delegated = fo.config.allow_legacy_orchestrators or not is_from_app(ctx)
        return foo.ExecutionOptions(allow_immediate_execution=True, allow_delegated_execution=delegated)

    @abstractmethod
    def run(self, ctx: ExecutionContext, progress: Listener | None) -> Outcome:
        """Read ``ctx.params``, call the library and return the outcome."""

    def filled(self, ctx: ExecutionContext) -> str | None:
        """The name of the dataset that a run adds to: by default the one that is open, if any."""
        return ctx.dataset_name

    def next_steps(self, ctx: ExecutionContext, outcome: Outcome) -> Sequence[Step]:
        """What a person will most likely do with the result, the likeliest first."""
        return ()

    def finish(self, ctx: ExecutionContext, outcome: Outcome) -> Messages:
        """What the App does after a run: by default it shows the new data."""
        yield ctx.ops.reload_dataset()

    def resolve_type(self, ctx: ExecutionContext, type: str) -> types.Property | None:
        """As FiftyOne's; a form that the App opens empty is filled in as it was last sent off on the dataset."""
        empty = type == "inputs" and not ctx.params and self.REMEMBERS and is_from_app(ctx)
        last = recall(_open_dataset(ctx), self.NAME) if empty else {}
        ctx.params.update(last)
        form = super().resolve_type(ctx, type)
        if form is not None:
            fill_in(form, last)
        return form

    def execute(self, ctx: ExecutionContext) -> Messages | dict[str, Any]:
        if is_from_app(ctx) and not ctx.delegated:
            return self._stream(ctx)
        return self.run(ctx, delegated_progress(ctx) if ctx.delegated else None).result

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

    def _remember(self, ctx: ExecutionContext, dataset: str | None) -> None:
        if self.REMEMBERS and dataset and fo.dataset_exists(dataset):
            remember(fo.load_dataset(dataset), self.NAME, dict(ctx.params))

    def _form_again(self, ctx: ExecutionContext, label: str) -> types.Object:
        """A button that opens the form as it was sent off; a run with the same settings goes on where it stopped."""
        outputs = types.Object()
        outputs.btn("again", label, on_click=self.uri, prompt=True, params=dict(ctx.params), variant="outlined")
        return outputs

    def _in_form(self, ctx: ExecutionContext, error: DiffucurateError) -> str:
        """The error in the words of the form: the field by its label, its value as the field takes it."""
        name = field_of(error, self.PLACES)
        params = dict(ctx.params)  # a form takes the target out of them
        try:
            form = None if name is None else self.resolve_input(ctx)
        except DiffucurateError:  # what has made the run fail can keep the form from being drawn
            form = None
        finally:
            ctx.request_params["params"] = params
        field = None if form is None or name is None else form.type.properties.get(name)
        return with_label(error, None if field is None or field.view is None else field.view.label)

    def _stream(self, ctx: ExecutionContext) -> Messages:
        try:
            colours, groups = _colours(ctx), _groups(ctx)
            self._remember(ctx, ctx.dataset_name)
            outcome = yield from streamed(ctx, lambda progress: self.run(ctx, progress), title=self.LABEL)
        except Abandoned:
            self._remember(ctx, self.filled(ctx))
            yield from _ended_early(
                ctx,
                self.filled(ctx),
                types.Warning(label=f"{self.LABEL}: cancelled", description=self.KEPT),
                self._form_again(ctx, "Continue"),
            )
        except DiffucurateError as error:
            headline = types.Error(label=NOT_DONE, description=self._in_form(ctx, error))
            yield from _ended_early(ctx, ctx.dataset_name, headline, self._form_again(ctx, BACK))
        except Exception as error:
            logger.exception("%s failed", self.uri)
            words = machine_problem(error) or f"{type(error).__name__}: {error}. The server's log says more."
            headline = types.Error(label=NOT_DONE, description=words)
            yield from _ended_early(ctx, ctx.dataset_name, headline, self._form_again(ctx, BACK))
        else:
            self._remember(ctx, self.filled(ctx))  # the App opens it, if it did not before
            yield from self.finish(ctx, outcome)
            yield ctx.trigger(REFRESH_OPENED)
            # The App reads these only when it opens a dataset.
            if (changed := _colours(ctx)) != colours:
                yield ctx.trigger("set_color_scheme", changed)
            if (placed := _groups(ctx)) != groups:
                yield ctx.trigger(SHOW_GROUPS, {"groups": placed})
            headline = types.Warning if outcome.warning else types.Success
            outputs = _not_said_yet(self.output(outcome.result), outcome)
            offer(outputs, self.next_steps(ctx, outcome))
            yield dialog(ctx, headline(label=outcome.message), outputs, outcome.result)


def _not_said_yet(outputs: types.Object, outcome: Outcome) -> types.Object:
    """The result's fields without those whose value the sentence above them says."""
    for name, value in outcome.result.items():
        text = f"{value:,}" if isinstance(value, int) else str(value)
        is_said = re.search(rf"(?<![\w.]){re.escape(text)}(?![\w]|\.\w)", outcome.message) is not None
        if isinstance(value, str | int | float) and text and is_said:
            outputs.properties.pop(name, None)
    return outputs


def _ended_early(ctx: ExecutionContext, dataset: str | None, headline: types.View, outputs: types.Object) -> Messages:
    """Show ``dataset``, which may hold what the run added before it ended, and the dialog."""
    if dataset and fo.dataset_exists(dataset):
        yield ctx.ops.reload_dataset() if dataset == ctx.dataset_name else ctx.ops.open_dataset(dataset)
    yield dialog(ctx, headline, outputs)


def _colours(ctx: ExecutionContext) -> dict[str, Any] | None:
    return None if ctx.dataset is None else colours_in_app(ctx.dataset)


def _groups(ctx: ExecutionContext) -> list[dict[str, Any]]:
    """The sidebar's groups of the open dataset, as the App has them."""
    dataset = _open_dataset(ctx)
    groups = dataset.app_config.sidebar_groups if dataset is not None else None
    return [
        {"name": group.name, "paths": list(group.paths), "expanded": bool(group.expanded)} for group in groups or ()
    ]


def _open_dataset(ctx: ExecutionContext) -> fo.Dataset | None:
    name = ctx.dataset_name
    return fo.load_dataset(name) if name and fo.dataset_exists(name) else None


def is_from_app(ctx: ExecutionContext) -> bool:
    """Whether the request comes from the App: those have the sidebar's filters, calls from Python do not."""
    return "filters" in ctx.request_params
