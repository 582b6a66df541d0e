"""Plotly traces and layouts of the panel's charts. Knows numbers and colours, nothing of datasets or panels."""

from __future__ import annotations

from collections.abc import Mapping, Sized
from typing import Any

from diffucurate.plugin.statistics.agreement import Scatter
from diffucurate.plugin.statistics.coverage import CrossTable
from diffucurate.plugin.statistics.histogram import BINS, Histogram, edges

Chart = tuple[list[dict[str, Any]], dict[str, Any]]

#: The colours of what belongs to two sources together and of a threshold's line, on dark and on light ground.
SHARED, MARK = "#9B7BE8", "#E8C24A"

#: The colours of few images to many; a combination without any stays transparent.
_SHADES = [[0.0, "#33234F"], [1.0, "#B69CFF"]]

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


def images_per_value(counts: Mapping[str, int]) -> Chart:
    """Horizontal bars, the first on top."""
    trace = {
        "type": "bar",
        "orientation": "h",
        "y": list(counts),
        "x": list(counts.values()),
        "name": "images",
        "marker": {"color": SHARED},
        "text": [str(count) for count in counts.values()],
        "textposition": "auto",
        "hovertemplate": "%{y}: %{x} images<extra></extra>",
    }
    layout = _BARE | {
        "margin": {"t": 4, "l": 20, "r": 12, "b": 20},
        "xaxis": _axis(None, showgrid=False, showticklabels=False, rangemode="tozero", zeroline=False),
        "yaxis": _axis(None, autorange="reversed", type="category", showgrid=False),
    }
    return [trace], layout


def cross_table(table: CrossTable) -> Chart:
    """A cell per combination with its number of images; those without any show only a 0."""
    shades = [[count or None for count in row] for row in table.counts]
    cells = {"x": list(table.xs), "y": list(table.ys)}
    trace = {
        "type": "heatmap",
        **cells,
        "z": shades,
        "colorscale": _SHADES,
        "showscale": False,
        "xgap": 2,
        "ygap": 2,
        "hoverongaps": False,
        "hovertemplate": "%{y}, %{x}: %{z} images<extra></extra>",
    }
    numbers = [
        {
            "x": x,
            "y": y,
            "text": str(count),
            "showarrow": False,
            "font": {"color": MARK if count == 0 else "#FFFFFF", "size": 12},
        }
        for y, row in zip(table.ys, table.counts, strict=True)
        for x, count in zip(table.xs, row, strict=True)
    ]
    layout = _BARE | {
        "margin": {"t": 12, "l": 20, "r": 12, "b": 20},
        "xaxis": _axis(table.x, type="category", showgrid=False, range=[-0.5, len(table.xs) - 0.5]),
        "yaxis": _axis(table.y, type="category", showgrid=False, range=[len(table.ys) - 0.5, -0.5]),
        "annotations": numbers if len(numbers) <= _MOST_NUMBERS else [],
    }
    return [trace], layout


#: Cells beyond which their numbers would not be legible any more.
_MOST_NUMBERS = 400


def rows_high(rows: Sized, *, each: int = 26, least: int = 120, most: int = 640) -> int:
    """The height in pixels for so many rows, within limits."""
    return min(most, max(least, 50 + each * len(rows)))


def _axis(title: str | None, **settings: Any) -> dict[str, Any]:
    named = {"title": {"text": title, "standoff": 6}} if title else {}
    return named | {"automargin": True, "fixedrange": True} | settings
