"""Plotly traces and layouts of the panel's charts. Knows numbers and colours, nothing of datasets or panels."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence, Sized
from typing import Any

from diffucurate.generator.inversion.loss_plot import running_mean
from diffucurate.plugin.statistics.agreement import Scatter
from diffucurate.plugin.statistics.coverage import CrossTable
from diffucurate.plugin.statistics.histogram import BINS, Histogram, edges
from diffucurate.plugin.store.matches import ConfusionMatrix

Chart = tuple[list[dict[str, Any]], dict[str, Any]]

#: The colours of what belongs to two sources together and of a threshold's line, on dark and on light ground.
SHARED, MARK = "#9B7BE8", "#E8C24A"

#: The colours of few to many, and of none. They let the ground through, dark or light, so that many is the strongest on
#: both; numbers above them have the App's own colour of text.
_SHADES = [[0.0, "rgba(155, 123, 232, 0.15)"], [1.0, "rgba(155, 123, 232, 0.95)"]]
_NONE = "#D9822B"

_BARE: dict[str, Any] = {
    "margin": {"t": 12, "l": 44, "r": 12, "b": 44},
    "paper_bgcolor": "rgba(0,0,0,0)",
    "plot_bgcolor": "rgba(0,0,0,0)",
    "bargap": 0.12,
    "font": {"size": 12},
}


def histograms(counts: Mapping[str, Histogram], colours: Mapping[str, str], *, x: str, y: str) -> Chart:
    """Bars of one or more histograms over [0, 1], beside each other, a colour each."""
    centres = [sum(edges(index)) / 2 for index in range(BINS)]
    spans = [f"{low:.2f} to {high:.2f}" for low, high in map(edges, range(BINS))]
    traces = [
        {
            "type": "bar",
            "name": name,
            "x": centres,
            "y": list(histogram.counts),
            "customdata": spans,
            "marker": {"color": colours[name]},
            "hovertemplate": "%{customdata}: %{y}<extra>" + name + "</extra>",
        }
        for name, histogram in counts.items()
    ]
    layout = _BARE | {
        "xaxis": _axis(x, range=[0, 1], dtick=0.2, showgrid=False),
        "yaxis": _axis(y, rangemode="tozero"),
        "barmode": "group",
    }
    if len(traces) > 1:
        layout |= {"showlegend": True, "legend": {"orientation": "h", "x": 0, "y": 1.16}}
    return traces, layout


def with_threshold(chart: Chart, value: float) -> Chart:
    """A chart with a line at a threshold."""
    traces, layout = chart
    line = {"type": "line", "line": {"color": MARK, "width": 2}, "x0": value, "x1": value, "y0": 0, "y1": 1}
    return traces, layout | {"shapes": [{**line, "yref": "paper"}]}


def scatter(points: Scatter, colour: str, *, x: str, y: str, low_x: float, low_y: float) -> Chart:
    """One point per image, and a line at each threshold; points can be selected with a box or a lasso."""
    trace = {
        "type": "scattergl",
        "mode": "markers",
        "name": "images",
        "ids": list(points.ids),
        "x": [round(value, 4) for value in points.confidences],
        "y": [round(value, 4) for value in points.agreements],
        "marker": {"color": colour, "size": 7, "opacity": 0.65},
        "hovertemplate": f"{x} %{{x:.2f}}<br>{y} %{{y:.2f}}<extra></extra>",
    }
    line = {"type": "line", "line": {"color": MARK, "width": 1.5, "dash": "dot"}}
    layout = _BARE | {
        "xaxis": _axis(x, range=[-0.02, 1.02], dtick=0.2),
        "yaxis": _axis(y, range=[-0.04, 1.04], dtick=0.2),
        "dragmode": "lasso",
        "hovermode": "closest",
        "modebar": {"remove": ["zoom", "pan", "zoomIn", "zoomOut", "autoScale", "resetScale", "toImage"]},
        "shapes": [
            {**line, "x0": low_x, "x1": low_x, "y0": 0, "y1": 1, "yref": "paper"},
            {**line, "y0": low_y, "y1": low_y, "x0": 0, "x1": 1, "xref": "paper"},
        ],
    }
    return [trace], layout


def images_per_value(counts: Mapping[str, int], most: int) -> Chart:
    """Horizontal bars, the first on top; the axis goes to ``most``, the same for all charts that stand side by side."""
    trace = {
        "type": "bar",
        "orientation": "h",
        "y": list(counts),
        "x": list(counts.values()),
        "name": "images",
        "marker": {"color": SHARED},
        "text": [str(count) for count in counts.values()],
        "textposition": "auto",
        "hovertemplate": "%{y}: images: %{x}<extra></extra>",
    }
    layout = _BARE | {
        "margin": {"t": 4, "l": 20, "r": 12, "b": 20},
        "xaxis": _axis(None, showgrid=False, showticklabels=False, range=[0, 1.05 * max(most, 1)], zeroline=False),
        "yaxis": _axis(None, autorange="reversed", type="category", showgrid=False),
    }
    return [trace], layout


def shares(values: Mapping[str, tuple[float, str]]) -> Chart:
    """Horizontal bars over [0, 1], the first on top: name -> share, and of how many it is."""
    trace = {
        "type": "bar",
        "orientation": "h",
        "y": list(values),
        "x": [round(share, 4) for share, _ in values.values()],
        "name": "agreement",
        "customdata": [of for _, of in values.values()],
        "marker": {"color": SHARED},
        "text": [f"{share:.2f}" for share, _ in values.values()],
        "textposition": "auto",
        "hovertemplate": "%{y}: %{x:.2f} of %{customdata}<extra></extra>",
    }
    layout = _BARE | {
        "margin": {"t": 4, "l": 20, "r": 12, "b": 20},
        "xaxis": _axis(None, showgrid=False, range=[0, 1], dtick=0.5, zeroline=False),
        "yaxis": _axis(None, autorange="reversed", type="category", showgrid=False),
    }
    return [trace], layout


def cross_table(table: CrossTable) -> Chart:
    """A cell per combination with its number of images; those without any show only a 0."""
    shades = [[count or None for count in row] for row in table.counts]
    cells = _cells(table.xs, table.ys, table.counts, shades, hover="%{y}, %{x}: images: %{customdata}", zeros=True)
    return _on_axes(cells, table.xs, table.ys, table.x, table.y)


def confusion(matrix: ConfusionMatrix) -> Chart:
    """A cell per class by ``matrix.a`` (down) and by ``matrix.b`` (across) with its number of objects, the stronger the
    greater its share of the row."""
    names, counts = matrix.names, matrix.counts
    shades = [[count / sum(row) if count else None for count in row] for row in counts]
    hover = f"{matrix.a}: %{{y}}<br>{matrix.b}: %{{x}}<br>objects: %{{customdata}}"
    cells = _cells(names, names, counts, shades, hover=hover, zeros=False)
    cells[0]["zmax"] = 1
    return _on_axes(cells, names, names, f"class by {matrix.b}", f"class by {matrix.a}")


Cells = tuple[dict[str, Any], list[dict[str, Any]]]


def _cells(
    xs: Sequence[str],
    ys: Sequence[str],
    counts: Sequence[Sequence[int]],
    shades: Sequence[Sequence[float | None]],
    *,
    hover: str,
    zeros: bool,
) -> Cells:
    """A heatmap of ``shades``, and the numbers above it as far as they can be read; a 0 with ``zeros`` only."""
    trace = {
        "type": "heatmap",
        "x": list(xs),
        "y": list(ys),
        "z": [list(row) for row in shades],
        "customdata": [list(row) for row in counts],
        "colorscale": _SHADES,
        "zmin": 0,
        "showscale": False,
        "xgap": 2,
        "ygap": 2,
        "hoverongaps": False,
        "hovertemplate": f"{hover}<extra></extra>",
    }
    numbers = [
        {"x": x, "y": y, "text": f"{count:,}", "showarrow": False}
        | {"font": {"size": 12} if count else {"size": 12, "color": _NONE}}
        for y, row in zip(ys, counts, strict=True)
        for x, count in zip(xs, row, strict=True)
        if count or zeros
    ]
    return trace, numbers if len(xs) * len(ys) <= _MOST_NUMBERS else []


def _on_axes(cells: Cells, xs: Sequence[str], ys: Sequence[str], x: str, y: str) -> Chart:
    trace, numbers = cells
    layout = _BARE | {
        "margin": {"t": 12, "l": 20, "r": 12, "b": 20},
        "xaxis": _axis(x, type="category", showgrid=False, range=[-0.5, len(xs) - 0.5]),
        "yaxis": _axis(y, type="category", showgrid=False, range=[len(ys) - 0.5, -0.5]),
        "annotations": numbers,
    }
    return [trace], layout


#: Cells beyond which their numbers would not be legible any more.
_MOST_NUMBERS = 400


def loss_curve(losses: Sequence[float]) -> Chart:
    """The loss of each step faintly, and its running mean, which ends at the loss that a run is said to have."""
    stride = math.ceil(len(losses) / _MOST_STEPS)
    # Counted from the end, so that the last step is drawn whatever the stride.
    steps = range(len(losses), 0, -stride)[::-1]
    means = running_mean(losses)
    traces = [
        {
            "type": "scatter",
            "mode": "lines",
            "name": name,
            "x": list(steps),
            "y": [round(float(values[step - 1]), 6) for step in steps],
            "line": {"color": SHARED, "width": width},
            "opacity": opacity,
            "hovertemplate": f"step %{{x}}: %{{y:.4f}}<extra>{name}</extra>",
        }
        for name, values, width, opacity in (("each step", losses, 1, 0.35), ("mean of a tenth", means, 2.5, 1))
    ]
    layout = _BARE | {
        "xaxis": _axis("step", rangemode="tozero"),
        "yaxis": _axis("loss"),
        "showlegend": True,
        "legend": {"orientation": "h", "x": 0, "y": 1.16, "bgcolor": "rgba(0,0,0,0)"},
    }
    return traces, layout


#: Points of a curve beyond which a browser draws no more than it shows.
_MOST_STEPS = 1000


def rows_high(rows: Sized, *, each: int = 26, least: int = 120, most: int = 640) -> int:
    """The height in pixels for so many rows, within limits."""
    return min(most, max(least, 50 + each * len(rows)))


def _axis(title: str | None, **settings: Any) -> dict[str, Any]:
    named = {"title": {"text": title, "standoff": 6}} if title else {}
    return named | {"automargin": True, "fixedrange": True} | settings
