"""A loss curve as an image: each step faintly, and their mean over the tenth before. Knows numbers only."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from matplotlib.figure import Figure

#: Width and height in pixels.
SIZE = (640, 320)

_DPI = 100
_STEP_COLOUR, _MEAN_COLOUR = "#bed4f0", "#0b63c4"


def recent_loss(losses: Sequence[float]) -> float:
    """The mean of the last tenth of the steps: what a run is said to have come to, and where its curve ends."""
    return float(running_mean(losses)[-1])


def running_mean(losses: Sequence[float]) -> NDArray[np.float64]:
    """At each step the mean over a tenth of all steps, up to that one; of as many as there are at the beginning."""
    sums = np.cumsum([0.0, *losses])
    ends = np.arange(1, len(losses) + 1)
    starts = np.maximum(0, ends - max(1, len(losses) // 10))
    mean: NDArray[np.float64] = (sums[ends] - sums[starts]) / (ends - starts)
    return mean


def loss_plot(losses: Sequence[float]) -> NDArray[np.uint8]:
    """(H, W, 3) uint8 RGB of ``SIZE``: loss over steps, the first of which is 1."""
    # The canvas draws without a window, and pyplot, whose state all threads share, is not needed.
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    canvas = FigureCanvasAgg(loss_figure(losses))
    canvas.draw()
    return np.ascontiguousarray(np.asarray(canvas.buffer_rgba())[..., :3])


def loss_figure(losses: Sequence[float]) -> Figure:
    """The figure that ``loss_plot`` draws: one axes with two lines, the losses and their running mean."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    values = np.asarray(losses, np.float64)
    steps = np.arange(1, len(values) + 1)
    figure = Figure(figsize=(SIZE[0] / _DPI, SIZE[1] / _DPI), dpi=_DPI, layout="constrained")
    axes = figure.add_subplot()
    axes.plot(steps, values, color=_STEP_COLOUR, linewidth=1)
    axes.plot(steps, running_mean(losses), color=_MEAN_COLOUR, linewidth=2)
    axes.set(xlabel="step", ylabel="loss", ylim=_shown_range(values))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(axis="y", alpha=0.5)
    return figure


def _shown_range(values: NDArray[np.float64]) -> tuple[float, float]:
    """The range of the axis: that of nearly all values, so that a few outliers do not flatten the rest."""
    if not len(values):
        return 0.0, 1.0
    low, high = np.quantile(values, (0.01, 0.99))
    room = 0.05 * (high - low) or 0.05
    return float(low - room), float(high + room)
