"""The panel's text where it has nothing to show: the reason, and a button that helps."""

from __future__ import annotations

from typing import NamedTuple

import fiftyone as fo
from fiftyone.operators.executor import ExecutionContext

from diffucurate.generator.text.counted import counted
from diffucurate.operators.panel.next_step import second_opinion
from diffucurate.operators.panel.state import COVERAGE, OVERVIEW, THRESHOLDS, WITHOUT_LABELS, Settings
from diffucurate.operators.panel.widgets import OperatorButton
from diffucurate.plugin.fiftyone_private import shows_patches_or_frames
from diffucurate.plugin.statistics.snapshot import Snapshot, take_snapshot
from diffucurate.plugin.store.samples import is_empty


class ShowAllButton(NamedTuple):
    """A button that leaves the view and the sidebar's filters."""

    label: str
    icon: str


class Advice(NamedTuple):
    """Heading and sentence in place of a tab; ``button`` is None where none would help."""

    heading: str
    sentence: str
    button: OperatorButton | ShowAllButton | None


_GENERATE = OperatorButton("Generate images", "generate_images", "auto_awesome")


def advice_on_view(ctx: ExecutionContext) -> Advice | None:
    """Why no tab has anything to show; None where there are images."""
    if open_dataset(ctx) is None:
        return Advice("No dataset is open", "Open one, or let a recipe make one.", _GENERATE)
    if is_empty(ctx.dataset):
        return Advice("This dataset holds no images", "Let a recipe paint some.", _GENERATE)
    if shows_patches_or_frames(ctx.view) or ctx.dataset.media_type != "image":
        sentence = "Leave the patches or frames, and this panel shows what the labels say."
        return Advice("Whole images only", sentence, None)
    if not take_snapshot(ctx.view).images:
        sentence = "The view or the filters in the sidebar leave nothing over."
        return Advice("No image in this view", sentence, ShowAllButton("Show all images", "undo"))
    return None


def advice_on_tab(snapshot: Snapshot, settings: Settings) -> Advice | None:
    """Why the chosen tab has nothing to show of a view with images; None where it has."""
    sources = snapshot.sources
    if settings.tab in WITHOUT_LABELS:
        return None
    if settings.tab == COVERAGE:
        return None if snapshot.attributes else _no_attributes()
    if not sources:
        return _no_labels(snapshot.images)
    if settings.tab == OVERVIEW:
        return None
    if settings.tab == THRESHOLDS:
        return None if snapshot.with_confidence else Advice("No confidences", "None of the labels has one.", None)
    if len(sources) == 1:
        return _only_one_source(sources[0])
    return _not_compared(*sources[:2]) if settings.comparison is None else None


def open_dataset(ctx: ExecutionContext) -> fo.Dataset | None:
    """The dataset that the App shows; None where it shows none, or one that was deleted meanwhile."""
    try:
        return ctx.dataset
    except ValueError:  # what FiftyOne raises for a dataset that it does not find
        return None


def _no_attributes() -> Advice:
    sentence = (
        "These images were not made from a recipe with attributes. Generate some "
        "with a recipe, and this tab shows which of its combinations are missing."
    )
    return Advice("No attributes", sentence, _GENERATE)


def _no_labels(images: int) -> Advice:
    sentence = (
        f"{counted(images, 'image waits', 'images wait')} for labels. Let a label source find the "
        f"objects in {'it' if images == 1 else 'them'}; then this panel shows what it found."
    )
    return Advice("No labels yet", sentence, OperatorButton("Label images", "label_images", "label"))


def _only_one_source(source: str) -> Advice:
    sentence = f"So far only {source} has labelled these images. Label them with another source, and compare the two."
    button = second_opinion(source)
    return Advice("Only one label source", sentence, button)


def _not_compared(a: str, b: str) -> Advice:
    sentence = f"{a} and {b} have labelled these images, but nobody knows yet how far they agree."
    button = OperatorButton(f"Compare {a} and {b}", "compare_sources", "compare", {"a": a, "b": b})
    return Advice("Not compared yet", sentence, button)
