"""Class maps made from exact masks, as a diffusion model's attention would give them: better and worse ones.

The way from a mask to a map: the mean over the cells of the attention's grid; times a smooth random field, since a
model attends to some parts of an object more than to others; a blur; the maximum brought to 1; a smooth random
background. What real maps get wrong beyond that is a kind of its own: see ``KINDS``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

#: bool, or float32 in [0, 1]: how much of each pixel an object covers.
Mask = NDArray[np.bool_] | NDArray[np.float32]
Heat = NDArray[np.float32]

Fault: TypeAlias = Literal["", "leak", "faint", "mixed", "wrong", "absent"]

#: Values of the map that are the object's; the rest is the background's.
_SIGNAL = 0.85


@dataclass(frozen=True)
class Kind:
    """What maps of one kind are like.

    ``cell`` is a cell's side in pixels, ``blur`` in cells; ``bias`` is how much the random field over the parts of an
    object changes the heat, and ``noise`` the most that is added anywhere, as shares of the maximum.

    ``fault`` is what is wrong beyond that: "leak": the heat also covers what lies below and around, at half; "faint":
    of several objects of a class one has a third of the others' heat (of one object, one half of it); "mixed": each
    class has a third of the heat of the others in the image; "wrong": the map is another place's altogether;
    "absent": it has no place, as of a class that the image does not show.
    """

    cell: float
    blur: float
    bias: float
    noise: float
    fault: Fault = ""


KINDS: dict[str, Kind] = {
    "plain16": Kind(32, 0.8, 0.6, 0.08),  # as DAAM's of Stable Diffusion 1.5
    "clean16": Kind(32, 0.6, 0.2, 0.02),
    "refined32": Kind(16, 1.0, 0.4, 0.05),  # as with self-attention
    "sharp64": Kind(8, 1.5, 0.3, 0.04),
    "parts32": Kind(16, 1.0, 0.85, 0.05),
    "leak32": Kind(16, 1.0, 0.4, 0.05, "leak"),
    "faint32": Kind(16, 1.0, 0.4, 0.05, "faint"),
    "mixed32": Kind(16, 1.0, 0.4, 0.05, "mixed"),
    "wrong32": Kind(16, 1.0, 0.4, 0.05, "wrong"),
    "absent32": Kind(16, 1.0, 0.4, 0.05, "absent"),
}

#: Faults of maps that are not of their class at all.
NOT_OF_THE_CLASS: tuple[Fault, ...] = ("wrong", "absent")


def random_kind(rng: np.random.Generator, clean: bool, side: int) -> Kind:
    """Maps of some model for images whose longest side has ``side`` pixels: of a random size, blur, bias and noise; at
    times with a fault where they are not to be clean."""
    cell = float(np.exp(rng.uniform(np.log(6), np.log(36))))
    blur = float(rng.uniform(0.2, 1.2) if cell > 20 else rng.uniform(0.2, 1.8))
    bias = float(rng.uniform(0.1, 0.6 if clean else 0.95))
    faults: tuple[Fault, ...] = ("", "", "", "leak", "faint", "mixed")
    fault = "" if clean else faults[rng.integers(len(faults))]
    return Kind(cell * side / 512, blur, bias, float(rng.uniform(0, 0.1)), fault)


def simulated(objects: Mapping[str, Sequence[Mask]], kind: Kind, rng: np.random.Generator) -> dict[str, Heat]:
    """Class -> (h, w) map of the image's size in cells, from class -> the (H, W) masks of its objects."""
    height, width = next(iter(objects.values()))[0].shape
    cells = max(2, round(width / kind.cell)), max(2, round(height / kind.cell))
    covered = {label: _covered(masks, kind, cells, rng) for label, masks in objects.items()}
    maps = {}
    for label, cover in covered.items():
        heat: NDArray[Any] = cover * (1 - kind.bias + kind.bias * _field(cells, 4, rng))
        if kind.fault == "mixed":
            others = [other / np.float32(3) for name, other in covered.items() if name != label]
            heat = np.maximum.reduce([heat, *others])
        heat = cv2.GaussianBlur(heat, (0, 0), kind.blur, borderType=cv2.BORDER_REPLICATE)
        heat = _SIGNAL * heat / max(float(heat.max()), 1e-6) + kind.noise * _field(cells, 2, rng)
        maps[label] = heat.astype(np.float32)
    return maps


def _covered(masks: Sequence[Mask], kind: Kind, cells: tuple[int, int], rng: np.random.Generator) -> Heat:
    """How much of each cell the class covers, with the kind's fault."""
    each = [np.asarray(cv2.resize(mask.astype(np.float32), cells, interpolation=cv2.INTER_AREA)) for mask in masks]
    whole: NDArray[Any] = np.minimum(np.add.reduce(each), 1)
    rows = np.arange(whole.shape[0], dtype=np.float32)[:, None] / whole.shape[0]
    if kind.fault == "leak":
        grown = cv2.blur(whole, (5, 5), borderType=cv2.BORDER_REPLICATE)
        below = np.roll(whole, max(1, whole.shape[0] // 8), axis=0) * (rows > 1 / 8)
        whole = np.maximum(whole, 0.5 * np.maximum(grown > 0.2, below))
    elif kind.fault == "faint":
        if len(each) > 1:
            whole = np.minimum(np.add.reduce(each[:-1]) + each[-1] / 3, 1)
        else:
            columns = np.arange(whole.shape[1])
            middle = np.average(columns, weights=whole.sum(axis=0) + 1e-6)
            whole = whole * np.where(columns < middle, 1, 1 / 3)
    elif kind.fault == "wrong":
        whole = np.roll(whole[:, ::-1], (whole.shape[0] // 2, int(rng.integers(1, whole.shape[1]))), axis=(0, 1))
    elif kind.fault == "absent":
        whole = np.zeros_like(whole)
    return whole.astype(np.float32)


def _field(cells: tuple[int, int], coarser: int, rng: np.random.Generator) -> Heat:
    """A smooth random field in [0, 1] of the size of ``cells``, with one free value for ``coarser`` squared of them."""
    width, height = (max(2, round(side / coarser)) for side in cells)
    values = rng.random((height, width), np.float32)
    return np.clip(cv2.resize(values, cells, interpolation=cv2.INTER_CUBIC), 0, 1)
