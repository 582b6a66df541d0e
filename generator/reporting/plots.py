"""Plots as inline SVG: bars of named counts, bars of a histogram, confidence against what came true."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

from diffucurate.generator.reporting.page import Html

_COLOUR, _AXIS = "#2E91F2", "#888"

#: Pixels: width of a plot, height of a bar and of a histogram, place for names and for numbers.
_WIDTH, _BAR, _HEIGHT, _NAMES, _NUMBERS = 640, 22, 180, 170, 60

#: Letters of a name that are shown.
_MOST_LETTERS = 24


def bars(counts: Mapping[str, float], *, digits: int = 0) -> Html:
    """A bar per name, from left to right; numbers with ``digits`` decimals."""
    largest = max(counts.values(), default=0) or 1
    room = _WIDTH - _NAMES - _NUMBERS
    parts = []
    for row, (name, value) in enumerate(counts.items()):
        y, length = row * _BAR, max(value, 0) / largest * room
        text = name if len(name) <= _MOST_LETTERS else f"{name[: _MOST_LETTERS - 1]}…"
        parts.append(_text(_NAMES - 6, y + 15, text, "end"))
        parts.append(_rectangle(_NAMES, y + 3, length, _BAR - 6))
        parts.append(_text(_NAMES + length + 6, y + 15, f"{value:,.{digits}f}"))
    return _svg(max(len(counts), 1) * _BAR + 2, parts)


def columns(counts: Sequence[float], labels: Sequence[str]) -> Html:
    """A column per label, from below; every label is shown where there are few, else some of them."""
    largest = max(counts, default=0) or 1
    step, every = _WIDTH / max(len(counts), 1), -(-len(counts) // 16) or 1
    parts = []
    for place, (value, label) in enumerate(zip(counts, labels, strict=True)):
        height = max(value, 0) / largest * (_HEIGHT - 40)
        parts.append(_rectangle(place * step + 1, _HEIGHT - 20 - height, max(step - 2, 1), height))
        if value:
            parts.append(_text((place + 0.5) * step, _HEIGHT - 24 - height, f"{value:,.0f}", "middle"))
        if place % every == 0:
            parts.append(_text((place + 0.5) * step, _HEIGHT - 5, label, "middle"))
    return _svg(_HEIGHT, parts)


def against_diagonal(points: Sequence[tuple[float, float]], x: str, y: str) -> Html:
    """Points in [0, 1] x [0, 1], joined in their order, and the diagonal on which both are the same."""
    side, left = 260, 40

    def place(point: tuple[float, float]) -> str:
        return f"{left + point[0] * side:.1f},{10 + (1 - point[1]) * side:.1f}"

    parts = [
        f'<rect x="{left}" y="10" width="{side}" height="{side}" fill="none" stroke="{_AXIS}"/>',
        f'<polyline points="{place((0, 0))} {place((1, 1))}" stroke="{_AXIS}" stroke-dasharray="4" fill="none"/>',
        f'<polyline points="{" ".join(map(place, points))}" stroke="{_COLOUR}" stroke-width="2" fill="none"/>',
    ]
    for point in points:
        across, down = place(point).split(",")
        parts.append(f'<circle cx="{across}" cy="{down}" r="4" fill="{_COLOUR}"/>')
    for value in (0, 0.5, 1):
        parts.append(_text(left + value * side, side + 26, f"{value:g}", "middle"))
        parts.append(_text(left - 6, 14 + (1 - value) * side, f"{value:g}", "end"))
    parts.append(_text(left + side + 12, side + 10, f"across: {x}"))
    parts.append(_text(left + side + 12, side - 8, f"up: {y}"))
    return _svg(side + 34, parts)


def _svg(height: float, parts: Sequence[str]) -> Html:
    return Html(
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" width="{_WIDTH}" height="{height:.0f}" '
        f'viewBox="0 0 {_WIDTH} {height:.0f}">{"".join(parts)}</svg>'
    )


def _rectangle(x: float, y: float, width: float, height: float) -> str:
    return f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" fill="{_COLOUR}"/>'


def _text(x: float, y: float, text: str, anchor: str = "start") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'
