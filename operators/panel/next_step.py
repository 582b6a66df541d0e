"""The way from images to an export: how far a dataset is, and the button that does what comes next."""

from __future__ import annotations

from diffucurate.generator.sources.registry import all_sources, title_of
from diffucurate.operators.panel.widgets import OperatorButton
from diffucurate.plugin.statistics.snapshot import Snapshot

#: The steps, as they are called in the panel, and in the runs that they leave.
_STEPS = ("Images", "Labels", "Comparison", "Curation", "Export")


def progress(snapshot: Snapshot) -> str:
    """The steps in a row, those that are done ticked."""
    done = _done(snapshot)
    return " · ".join(f"✓ {name}" if name in done else name for name in _STEPS)


def next_step(snapshot: Snapshot) -> OperatorButton | None:
    """The button for the first step that is not done; None where all are, or where nothing is labelled."""
    done, sources = _done(snapshot), snapshot.sources
    if "Comparison" not in done:
        if len(sources) > 1:
            a, b = sources[:2]
            return OperatorButton(f"Compare {a} and {b}", "compare_sources", "compare", {"a": a, "b": b})
        return second_opinion(sources[0]) if sources else None
    if "Curation" not in done:
        a, b = snapshot.pairs[0]
        return OperatorButton("Curate", "curate_samples", "filter_alt", {"source": a, "against": b})
    return OperatorButton("Export", "export_samples", "file_download") if "Export" not in done else None


def second_opinion(source: str) -> OperatorButton:
    """Labels the images with another source and compares the two."""
    label = f"Label with {title_of(second_source(source))} and compare"
    return OperatorButton(label, "label_and_compare", "rule")


def second_source(present: str) -> str:
    """The source that is asked after ``present``: one that goes by the image alone, where there is one."""
    others = [spec for spec in all_sources() if spec.name != present]
    return min(others, key=lambda spec: spec.keeps_maps).name


def _done(snapshot: Snapshot) -> set[str]:
    made = {
        "Images": bool(snapshot.images),
        "Labels": bool(snapshot.sources),
        "Comparison": bool(snapshot.pairs),
        "Curation": bool(snapshot.curations),
        "Export": any(record.verb == "export" for record in snapshot.runs),
    }
    return {name for name, value in made.items() if value}
