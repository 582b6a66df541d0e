"""The tab on two sources' classes: which of one stands where the other has which, and how far they agree on each class
and on each value of an attribute."""

from __future__ import annotations

from collections.abc import Mapping

from fiftyone.operators import types

from diffucurate.generator.text.counted import counted
from diffucurate.operators.panel import charts, widgets
from diffucurate.operators.panel.actions import PanelActions
from diffucurate.operators.panel.state import Comparison
from diffucurate.operators.panel.widgets import OperatorButton
from diffucurate.plugin.statistics.snapshot import Snapshot


def draw(panel: types.Object, snapshot: Snapshot, comparison: Comparison, actions: PanelActions) -> None:
    """A confusion matrix, agreement by class and by attribute, and the worst objects of each class."""
    a, b = comparison.pair
    matrix = snapshot.confusion(comparison.pair)
    widgets.button(panel, "evaluation", "Open in Model Evaluation", actions.open_evaluation, icon="leaderboard")
    widgets.new_row(panel, "row_of_matrix")
    if matrix is None:
        widgets.text(
            panel, "no_marks", f"{a} and {b} were compared without marks, so it is not known what stands where."
        )
        button = OperatorButton("Compare again", "compare_sources", "compare", {"a": a, "b": b})
        widgets.operator_button(panel, "again", button, actions.ask, main=True)
    else:
        widgets.chart(
            panel,
            "confusion",
            charts.confusion(matrix),
            height=charts.rows_high(matrix.names, each=34, least=200),
            label=f"What {a} calls what {b} has",
            description="The colour is the share of the row. Click a cell to see these objects",
            on_click=actions.pick_confusion,
        )
    shares = {
        row.label: (row.matched / total, counted(total, "object"))
        for row in snapshot.matches(comparison.pair).classes
        if (total := row.matched + row.only_a + row.only_b)
    }
    _bars(
        panel, "class", shares, "Objects of a class that both found, the least first. Click a bar to see them", actions
    )
    for name, values in snapshot.agreement_by_value(comparison.pair).items():
        means = {value: (mean.mean, counted(mean.images, "image")) for value, mean in values.items()}
        _bars(panel, f"of_{name}", means, f"Mean agreement of the images of each {name}, the least first", actions)
    _worst(panel, snapshot, comparison, actions)


def _bars(
    panel: types.Object, name: str, shares: Mapping[str, tuple[float, str]], description: str, actions: PanelActions
) -> None:
    if shares:
        ordered = dict(sorted(shares.items(), key=lambda item: item[1][0]))
        widgets.chart(
            panel,
            f"agreement_{name}",
            charts.shares(ordered),
            width=320,
            height=charts.rows_high(ordered),
            label=f"Agreement by {name.removeprefix('of_')}",
            description=description,
            on_click=actions.pick_share,
        )


def _worst(panel: types.Object, snapshot: Snapshot, comparison: Comparison, actions: PanelActions) -> None:
    names = {source: source for source in comparison.pair}
    sentence = "The objects that go least well with the other source, the least IoU first, each by itself."
    widgets.text(panel, "worst_title", f"### The worst of a class\n\n{sentence}")
    widgets.pick_one(panel, "source", "Objects of", names, comparison.source, actions.choose)
    labels = [row.label for row in snapshot.matches(comparison.pair).classes]
    widgets.button(panel, "worst_all", "All classes", actions.pick_worst, icon="grid_view", label_of=None)
    for index, label in enumerate(labels[:_MOST_CLASSES]):
        widgets.button(panel, f"worst_{index}", label, actions.pick_worst, label_of=label)


#: Classes that have a button of their own.
_MOST_CLASSES = 60
