"""Colours: one family per label source, one shade of it per class, and the scale of heatmaps. Knows no dataset.

Who looks at an image with the labels of two sources has two questions: whose is this, and what is it? The family
answers the first, warm against cool, which is the difference that people with any kind of colour vision see best;
the shade within the family answers the second.
"""

from __future__ import annotations

from collections.abc import Iterable
from zlib import crc32

import numpy as np

from diffucurate.generator.sources.registry import all_sources, find_source

#: Family -> its shades, the first of which stands for the source. They were chosen to be as far from each other as
#: can be for usual, deuteranopic and protanopic vision, and warm and cool ones ordered so that the same class in
#: both is as different as can be for all three.
FAMILIES = {
    "warm": ("#F88B1C", "#BA0329", "#EFD127", "#F45058", "#B85F10", "#F69B98", "#F5B675", "#E16C10"),
    "cool": ("#2E91F2", "#59D6DD", "#3F9296", "#5A1ACE", "#9CB0FB", "#006071", "#076FB8", "#1D57F3"),
    "magenta": ("#E63BBC", "#660697", "#DCC0F7", "#AF0F6F", "#C175FC", "#9931DA", "#FC7BB9", "#7B1B4F"),
    "green": ("#28BD47", "#414E17", "#B9E11F", "#1F855D", "#40EFAB", "#738C12", "#45C992", "#0FA974"),
    "grey": ("#BABABA", "#838383", "#E1E1E1", "#A8A8A8", "#717171", "#CECECE", "#959595", "#F5F5F5"),
}

#: Classes beyond a family's shades get them again, mixed with white or black by so much; then all over again.
_TINTS = ((0, 0.0), (255, 0.45), (0, 0.45))
_TINTS_OF_GREY = ((0, 0.0), (255, 0.2), (255, 0.45))  # a dark grey would not be seen

#: Heat, 0 to 1 -> colour: dark to light and even to the eye, as matplotlib's inferno is. It begins where heat is
#: first shown (``FAINT_HEAT``), not at 0, so that the faintest heat is a violet that stands out from most images.
HEAT_SCALE = (
    (0.0, "#420A68"), (0.3, "#420A68"), (0.44, "#781C6D"), (0.58, "#A52C60"), (0.7, "#CF4446"),
    (0.8, "#ED6925"), (0.9, "#FB9B06"), (1.0, "#F7D13D"),
)  # fmt: skip


def family_of(source: str, taken: Iterable[str] = ()) -> str:
    """The colour family of a label source: the registered one, else by the source's name, avoiding those ``taken``."""
    spec = find_source(source)
    if spec is not None and spec.family is not None:
        return spec.family
    reserved = {spec.family for spec in all_sources()}
    free = [name for name in FAMILIES if name not in reserved] or list(FAMILIES)
    start = crc32(source.encode()) % len(free)
    preferred = [*free[start:], *free[:start]]
    occupied = set(taken)
    return next((name for name in preferred if name not in occupied), preferred[0])


def shades(family: str, count: int) -> list[str]:
    """``count`` colours (``#RRGGBB``) of a family; the first ones stay the same however many there are."""
    colours, tints = FAMILIES[family], _TINTS_OF_GREY if family == "grey" else _TINTS
    return [_mixed(colours[i % len(colours)], *tints[i // len(colours) % len(tints)]) for i in range(count)]


def heat_table(steps: int = 256) -> list[list[int]]:
    """``HEAT_SCALE`` in even steps from heat 0 to 1, each [red, green, blue] in [0, 255]."""
    heats, colours = zip(*HEAT_SCALE, strict=True)
    channels = [[int(colour[i : i + 2], 16) for colour in colours] for i in (1, 3, 5)]
    even = np.linspace(0, 1, steps)
    return np.stack([np.interp(even, heats, channel) for channel in channels], axis=1).round().astype(int).tolist()


def _mixed(colour: str, other: int, share: float) -> str:
    """``colour`` with a ``share`` of the grey level ``other`` in it."""
    channels = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return "#" + "".join(f"{round(channel + (other - channel) * share):02X}" for channel in channels)
