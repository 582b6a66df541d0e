"""Clicks in the tabs on near-duplicates and on the history of a dataset."""

from __future__ import annotations

from itertools import chain

from fiftyone.operators.executor import ExecutionContext

from diffucurate.operators.panel.choices import choices_of
from diffucurate.operators.panel.clicks import ClickablePanel
from diffucurate.plugin.curation.duplicates import near_groups
from diffucurate.plugin.review.review import continued_review
from diffucurate.plugin.store import field_names
from diffucurate.plugin.store.samples import all_images


class RunClicks(ClickablePanel):
    """A panel whose rows of groups and runs lead to their images."""

    def find_duplicates(self, ctx: ExecutionContext) -> None:
        """The groups are kept with what is chosen: a click on one changes the view."""
        choices_of(ctx).set(groups=near_groups(ctx.dataset, ctx.view.values("id")))

    def pick_group(self, ctx: ExecutionContext) -> None:
        """The images of one group, or of all, in their order."""
        groups, row = choices_of(ctx).get("groups") or [], ctx.params.get("row")
        if row is not None and not 0 <= row < len(groups):
            return  # the headings
        ids = list(chain.from_iterable(groups)) if row is None else groups[row]
        label = "all groups of near-duplicates" if row is None else f"group {row + 1:,} of near-duplicates"
        self._show(ctx, all_images(ctx.dataset).select(ids, ordered=True), label)

    def pick_run(self, ctx: ExecutionContext) -> None:
        """The images that a run painted, or the view that it saved."""
        snapshot, _ = self.now(ctx)
        row = ctx.params["row"]
        if not 0 <= row < len(snapshot.runs):
            return
        record = snapshot.runs[row]
        name = record.settings.get("view") if record.verb == "curate" else None
        if name in ctx.dataset.list_saved_views():
            self._show(ctx, ctx.dataset.load_saved_view(name), f"the view '{name}'")
            return
        painted = all_images(ctx.dataset)
        if ctx.dataset.has_sample_field(field_names.RUN_KEY):
            painted = painted.match({field_names.RUN_KEY: record.key})
            if len(painted):
                self._show(ctx, painted, f"what {record.verb} painted")
                return
        ctx.ops.notify(f"{record.verb.replace('_', ' ')} painted no image that is still there", variant="info")

    def undo_review(self, ctx: ExecutionContext) -> None:
        """Decisions are taken back when that was asked for twice."""
        choices, key = choices_of(ctx), ctx.params["key"]
        if choices.get("sure") != key:
            choices.set(sure=key)
            return
        choices.set(sure=None)
        snapshot, _ = self.now(ctx)
        settings = next((record.settings for record in snapshot.runs if record.key == key), None)
        if settings is not None:
            count = continued_review(ctx.dataset, settings).undo_all()
            ctx.ops.notify(f"{count:,} decisions are taken back", variant="success")
            ctx.ops.reload_samples()
