"""The objects of rendered scenes: flat shapes in a unit square, as data.

A shape is a list of parts painted in order, each a polygon or an ellipse with the name of its paint.
(0, 0) is the top left corner of the object's box and (1, 1) the bottom right one, where it stands on
the ground. This module draws nothing and knows nothing of scenes.
"""

from __future__ import annotations

from typing import NamedTuple

RGB = tuple[int, int, int]


class Polygon(NamedTuple):
    """A filled polygon; ``points`` are (x, y) in the unit square."""

    paint: str
    points: tuple[tuple[float, float], ...]


class Ellipse(NamedTuple):
    """A filled ellipse with its centre and half axes, in units of the box's width and height."""

    paint: str
    cx: float
    cy: float
    rx: float
    ry: float


class Shape(NamedTuple):
    """A class of object: ``height`` in units of the ground's scale, ``aspect`` = width / height."""

    height: float
    aspect: float
    parts: tuple[Polygon | Ellipse, ...]


def _rectangle(paint: str, x0: float, y0: float, x1: float, y1: float) -> Polygon:
    return Polygon(paint, ((x0, y0), (x1, y0), (x1, y1), (x0, y1)))


#: Paints that are the same for every object. "body" is the object's own colour, "shade" a darker body.
PAINTS: dict[str, RGB] = {
    "glass": (190, 225, 240),
    "tyre": (35, 35, 40),
    "wood": (115, 75, 45),
    "skin": (225, 175, 140),
    "ivory": (245, 240, 225),
    "metal": (130, 135, 145),
}

#: The colours an object can have, by the word a caption uses.
COLOURS: dict[str, RGB] = {
    "red": (215, 35, 40),
    "yellow": (245, 205, 30),
    "green": (25, 145, 60),
    "blue": (35, 80, 215),
    "purple": (140, 45, 170),
    "white": (248, 248, 248),
}

SHAPES: dict[str, Shape] = {
    "car": Shape(
        0.52,
        1.9,
        (
            Polygon(
                "body",
                (
                    (0.0, 0.45),
                    (0.16, 0.42),
                    (0.30, 0.0),
                    (0.72, 0.0),
                    (0.88, 0.42),
                    (1.0, 0.50),
                    (1.0, 0.84),
                    (0.0, 0.84),
                ),
            ),
            Polygon("glass", ((0.25, 0.42), (0.34, 0.10), (0.50, 0.10), (0.50, 0.42))),
            Polygon("glass", ((0.55, 0.42), (0.55, 0.10), (0.69, 0.10), (0.79, 0.42))),
            Ellipse("tyre", 0.22, 0.80, 0.115, 0.20),
            Ellipse("tyre", 0.78, 0.80, 0.115, 0.20),
        ),
    ),
    "bus": Shape(
        0.86,
        1.75,
        (
            _rectangle("body", 0.0, 0.0, 1.0, 0.90),
            _rectangle("glass", 0.06, 0.14, 0.25, 0.44),
            _rectangle("glass", 0.30, 0.14, 0.49, 0.44),
            _rectangle("glass", 0.54, 0.14, 0.73, 0.44),
            _rectangle("glass", 0.80, 0.14, 1.0, 0.52),
            _rectangle("shade", 0.0, 0.58, 1.0, 0.66),
            Ellipse("tyre", 0.20, 0.88, 0.085, 0.12),
            Ellipse("tyre", 0.80, 0.88, 0.085, 0.12),
        ),
    ),
    "truck": Shape(
        0.80,
        1.9,
        (
            _rectangle("body", 0.0, 0.0, 0.66, 0.80),
            _rectangle("shade", 0.0, 0.74, 1.0, 0.88),
            Polygon("body", ((0.70, 0.24), (0.88, 0.24), (1.0, 0.54), (1.0, 0.84), (0.70, 0.84))),
            Polygon("glass", ((0.76, 0.32), (0.87, 0.32), (0.95, 0.54), (0.76, 0.54))),
            Ellipse("tyre", 0.16, 0.87, 0.075, 0.13),
            Ellipse("tyre", 0.50, 0.87, 0.075, 0.13),
            Ellipse("tyre", 0.84, 0.87, 0.075, 0.13),
        ),
    ),
    "person": Shape(
        0.95,
        0.45,
        (
            _rectangle("tyre", 0.22, 0.60, 0.46, 1.0),
            _rectangle("tyre", 0.54, 0.60, 0.78, 1.0),
            Polygon(
                "body",
                (
                    (0.18, 0.26),
                    (0.82, 0.26),
                    (1.0, 0.62),
                    (0.80, 0.66),
                    (0.80, 0.70),
                    (0.20, 0.70),
                    (0.20, 0.66),
                    (0.0, 0.62),
                ),
            ),
            Ellipse("skin", 0.5, 0.13, 0.26, 0.13),
        ),
    ),
    "tree": Shape(
        1.15,
        0.70,
        (
            _rectangle("wood", 0.42, 0.50, 0.58, 1.0),
            Ellipse("body", 0.5, 0.34, 0.5, 0.34),
            Ellipse("shade", 0.40, 0.44, 0.18, 0.10),
        ),
    ),
    "house": Shape(
        1.10,
        1.10,
        (
            _rectangle("ivory", 0.08, 0.42, 0.92, 1.0),
            Polygon("body", ((0.0, 0.44), (0.5, 0.0), (1.0, 0.44))),
            _rectangle("wood", 0.42, 0.64, 0.60, 1.0),
            _rectangle("glass", 0.16, 0.56, 0.34, 0.76),
            _rectangle("glass", 0.68, 0.56, 0.86, 0.76),
        ),
    ),
    "sign": Shape(
        0.95,
        0.52,
        (
            _rectangle("metal", 0.44, 0.45, 0.56, 1.0),
            Polygon(
                "body",
                (
                    (0.29, 0.0),
                    (0.71, 0.0),
                    (1.0, 0.15),
                    (1.0, 0.37),
                    (0.71, 0.52),
                    (0.29, 0.52),
                    (0.0, 0.37),
                    (0.0, 0.15),
                ),
            ),
            _rectangle("ivory", 0.18, 0.21, 0.82, 0.31),
        ),
    ),
    "cone": Shape(
        0.62,
        0.85,
        (
            Polygon("body", ((0.42, 0.0), (0.58, 0.0), (0.86, 0.88), (0.14, 0.88))),
            Polygon("ivory", ((0.32, 0.34), (0.68, 0.34), (0.76, 0.58), (0.24, 0.58))),
            _rectangle("shade", 0.0, 0.86, 1.0, 1.0),
        ),
    ),
    # In no training image or caption: the rare class, for which a word is learned later.
    "piano": Shape(
        0.85,
        1.35,
        (
            Polygon("body", ((0.0, 0.30), (0.12, 0.0), (0.95, 0.06), (1.0, 0.30), (1.0, 0.56), (0.0, 0.56))),
            _rectangle("ivory", 0.05, 0.40, 0.95, 0.50),
            _rectangle("tyre", 0.14, 0.40, 0.22, 0.46),
            _rectangle("tyre", 0.34, 0.40, 0.42, 0.46),
            _rectangle("tyre", 0.58, 0.40, 0.66, 0.46),
            _rectangle("tyre", 0.78, 0.40, 0.86, 0.46),
            _rectangle("shade", 0.06, 0.56, 0.16, 1.0),
            _rectangle("shade", 0.84, 0.56, 0.94, 1.0),
            _rectangle("metal", 0.46, 0.56, 0.54, 0.92),
        ),
    ),
}

#: The classes of rendered scenes, in the order of their class ids (1 to 8; 0 is background).
CLASSES: tuple[str, ...] = ("car", "bus", "truck", "person", "tree", "house", "sign", "cone")

#: Drawn on request only.
RARE_CLASSES: tuple[str, ...] = ("piano",)
