"""Panel: one object or image at a time, the worst first, and a key for each decision.

``plugin.review`` holds the queue and writes decisions. FiftyOne's panels have no keys of their own: each button names
one (``data-review-key``), and ``assets/app.js``, which the App loads with the plugin, clicks it. What is chosen
and which review is open stands in ``operators.panel.choices``: a write of panel state would drop the sidebar's filters.
A decision does not touch ``ctx.dataset``, which FiftyOne reads from the database anew for every event.
"""

from __future__ import annotations

from typing import Any, ClassVar

import fiftyone.operators as foo
from fiftyone.operators import types
from fiftyone.operators.executor import ExecutionContext

from diffucurate.generator.errors import DatasetError, DiffucurateError
from diffucurate.operators.panel import widgets
from diffucurate.operators.panel.choices import choices_of, opened
from diffucurate.operators.panel.empty_states import open_dataset
from diffucurate.operators.panel.widgets import OperatorButton
from diffucurate.operators.review.choices import ALONE, Choices, read_choices
from diffucurate.operators.review.session import ReviewSession, item_key, keep, session_of
from diffucurate.plugin.review.items import ReviewItem
from diffucurate.plugin.review.review import ReviewQueue
from diffucurate.plugin.store.samples import is_empty


class ReviewPanel(foo.Panel):
    """A choice of sources and order, then one item after the other."""

    NAME: ClassVar[str] = "review"
    LABEL: ClassVar[str] = "Review"
    ICON: ClassVar[str] = "rule"

    @property
    def config(self) -> foo.PanelConfig:
        return foo.PanelConfig(
            name=self.NAME,
            label=self.LABEL,
            icon=self.ICON,
            category=foo.categories.Categories.CURATE,
            help_markdown="Say which source is right, object by object or image by image, the worst first. "
            "Each button shows the key that presses it. Decisions are tags, and can be taken back.",
        )

    def execute(self, ctx: ExecutionContext) -> Any:
        """As every panel; an error is shown, and the panel drawn as it then stands."""
        try:
            return super().execute(ctx)
        except DiffucurateError as error:
            ctx.ops.notify(str(error), variant="error")
            ctx.ops.show_panel_output(self.render(ctx))
            return None

    # What is drawn

    def render(self, ctx: ExecutionContext) -> types.Property:
        panel, view = widgets.page()
        if choices_of(ctx).get("settings"):
            try:
                self._item(panel, self._session(ctx))
            except DiffucurateError as error:
                widgets.advice(panel, "advice", "This review cannot go on", str(error))
                widgets.button(panel, "leave", "Another review", self.leave, icon="arrow_back", main=True)
            return types.Property(panel, view=view)
        dataset = open_dataset(ctx)
        if dataset is None or is_empty(dataset):
            widgets.advice(panel, "advice", "Nothing to review", "Open a dataset with images and labels.")
        elif (choices := read_choices(dataset, choices_of(ctx).get)) is None:
            widgets.advice(panel, "advice", "No labels yet", "Let a label source find objects in these images first.")
            button = OperatorButton("Label images", "label_images", "label")
            widgets.operator_button(panel, "label", button, self.ask, main=True)
        else:
            self._form(panel, choices)
        return types.Property(panel, view=view)

    def _form(self, panel: types.Object, choices: Choices) -> None:
        sentence = "Decide which source is right, one after the other, of the current view."
        widgets.text(panel, "heading", f"### Review\n\n{sentence}")
        widgets.pick_one(panel, "a", "Source A", choices.sources, choices.a, self.choose)
        widgets.pick_one(panel, "b", "Source B", choices.partners, choices.b, self.choose)
        widgets.pick_one(panel, "by", "Order", choices.orders, choices.by, self.choose)
        widgets.pick_one(panel, "of", "What", choices.kinds, choices.of, self.choose)
        widgets.new_row(panel, "row_of_begin")
        widgets.button(panel, "begin", "Begin", self.begin, icon="play_arrow", main=True)

    def _item(self, panel: types.Object, session: ReviewSession) -> None:
        queue, item = session.queue, session.queue.next()
        widgets.text(panel, "progress", _progress(session))
        if item is None:
            self._end(panel, session)
            return
        try:
            image = session.image(item)
            view = types.ImageView(
                alt="What is to be decided", componentsProps={"image": {"style": {"maxWidth": "100%"}}}
            )
            panel.str("image", default=image, view=view)
        except DatasetError as error:
            widgets.text(panel, "image", str(error))
        widgets.text(panel, "words", _words(session, item))
        for key, decision, label, icon in _DECISIONS:
            if decision in queue.decisions:
                label = label.format(*session.sources, *session.sources)
                if len(session.sources) == 1:
                    label = {"a": "Right", "neither": "Wrong"}.get(decision, label)
                asked = {"decision": decision, "item": item_key(item)}
                colour = dict(zip("ab", session.colours_of_sources, strict=False)).get(decision)
                _button(panel, f"decide_{decision}", key, label, self.decide, icon, colour=colour, **asked)
        widgets.new_row(panel, "row_of_others")
        self._others(panel, item)

    def _others(self, panel: types.Object, item: ReviewItem) -> None:
        _button(panel, "back", "Backspace", "Back", self.back, "undo")
        _button(panel, "switch", "s", "Switch outlines", self.switch, "layers")
        _button(panel, "open", "o", "Open the image", self.open_sample, "open_in_full", id=item.sample_id)
        widgets.button(panel, "leave", "Another review", self.leave, icon="arrow_back")

    def _end(self, panel: types.Object, session: ReviewSession) -> None:
        widgets.text(panel, "end", "### All is decided")
        _button(panel, "back", "Backspace", "Back", self.back, "undo")
        form = {"source": session.sources[0], "reviewed": "not rejected"}
        curate = OperatorButton("Curate by these decisions", "curate_samples", "filter_alt", form)
        widgets.operator_button(panel, "curate", curate, self.ask)
        widgets.button(panel, "leave", "Another review", self.leave, icon="arrow_back", main=True)

    # What can be pressed

    def on_load(self, ctx: ExecutionContext) -> None:
        """The panel was opened, or its page was loaded again."""
        opened(ctx)

    def on_change_dataset(self, ctx: ExecutionContext) -> None:
        """Another dataset has other sources."""
        choices_of(ctx).set(settings=None)

    def choose(self, ctx: ExecutionContext) -> None:
        """Choose ``value`` for ``name``; ``read_choices`` replaces what no longer goes with it."""
        choices_of(ctx).set(**{ctx.params["name"]: ctx.params["value"]})

    def begin(self, ctx: ExecutionContext) -> None:
        """Queue what the App shows."""
        choices = read_choices(ctx.dataset, choices_of(ctx).get)
        if choices is None:
            raise DatasetError("the dataset has no labels any more")
        b = None if choices.b == ALONE else choices.b
        queue = ReviewQueue(ctx.view, choices.a, b, by=choices.by, of=choices.of)
        choices_of(ctx).set(settings=keep(_dataset_key(ctx), ReviewSession(queue)))

    def decide(self, ctx: ExecutionContext) -> None:
        """A decision on ``item``."""
        self._session(ctx).decide(ctx.params["decision"], ctx.params["item"])

    def back(self, ctx: ExecutionContext) -> None:
        """Take the latest decision back."""
        self._session(ctx).back()

    def switch(self, ctx: ExecutionContext) -> None:
        """Show the outlines of other sources."""
        self._session(ctx).switch()

    def open_sample(self, ctx: ExecutionContext) -> None:
        """Show an image large."""
        ctx.ops.open_sample(id=ctx.params["id"])

    def ask(self, ctx: ExecutionContext) -> None:
        """Open the form of an operator."""
        ctx.prompt(f"{self.plugin_name}/{ctx.params['operator']}", params=ctx.params.get("form") or {})

    def leave(self, ctx: ExecutionContext) -> None:
        """Back to the choice; the App shows the tags that were set."""
        if choices_of(ctx).get("settings"):
            choices_of(ctx).set(settings=None)
            ctx.ops.reload_samples()

    def _session(self, ctx: ExecutionContext) -> ReviewSession:
        settings = choices_of(ctx).get("settings")
        if not settings:
            raise DatasetError("this review was left; begin it again")
        return session_of(_dataset_key(ctx), settings, lambda: ctx.dataset)


def _dataset_key(ctx: ExecutionContext) -> str:
    """Tells the App's dataset from others without loading it."""
    return str(ctx.dataset_id or ctx.dataset_name)


#: Key, decision, the button's label (the two sources stand for {0} and {1}) and icon.
_DECISIONS = (
    ("1", "a", "{0}", "check"),
    ("2", "b", "{1}", "check"),
    ("3", "both", "Both right", "done_all"),
    ("4", "neither", "Neither", "close"),
    ("5", "later", "Fix later", "schedule"),
)


def _button(
    panel: types.Object,
    name: str,
    key: str,
    label: str,
    on_click: Any,
    icon: str,
    *,
    colour: str | None = None,
    **params: Any,
) -> None:
    """A button that a key presses, which stands before its label; ``colour`` is that of the source it speaks for."""
    border = {} if colour is None else {"borderColor": colour, "borderWidth": 3}
    panel.btn(
        name,
        f"{key}  {label}",
        icon=icon,
        on_click=on_click,
        params=params,
        variant="outlined",
        componentsProps={
            "item": {"sx": {"width": "auto"}},
            "button": {"data-review-key": key.lower(), "sx": {"whiteSpace": "pre", **border}},
        },
    )


def _progress(session: ReviewSession) -> str:
    counts = session.queue.counts
    done = sum(counts.decided.values()) + counts.before
    words = dict(zip(("a", "b"), session.sources, strict=False)) | {"later": "fix later"}
    parts = [f"{words.get(decision, decision)} {number:,}" for decision, number in counts.decided.items()]
    if counts.before:
        parts.append(f"decided before {counts.before:,}")
    return f"**{done:,} of {counts.total:,}** decided" + (f" · {' · '.join(parts)}" if parts else "")


def _words(session: ReviewSession, item: ReviewItem) -> str:
    """What is to be decided, in which colours."""
    has = dict(zip(session.sources, (item.a, item.b), strict=False))
    names = [name + ("" if item.is_image or has[name] else ": nothing there") for name in has]
    order = session.queue.order.name
    score = "" if item.score is None else f" · {order} {item.score:.2f}"
    shown = " and ".join(session.shown) or "no outlines"
    return f"**{item.label or 'Image'}**{score} · {', '.join(names)} · shown: {shown}"
