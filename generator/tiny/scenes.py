"""The renderer of the tiny world: street-like scenes with exact masks and captions.

``real_scenes(n, seed)`` is this project's stand-in for photographs: images whose every instance is
known to the pixel. Rendering is deterministic: the same seed gives the same scenes everywhere.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from random import Random
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from diffucurate.generator.tiny.shapes import CLASSES, COLOURS, PAINTS, RGB, SHAPES, Ellipse, Polygon
from diffucurate.generator.tiny.words import PLACES, TIMES, WEATHERS, Mention, caption

#: Scenes are drawn this many times larger and averaged down, which smooths their edges.
SUPERSAMPLING = 4

#: A thing of which less than this is seen is not in the scene.
MIN_VISIBLE_PX = 20
MIN_VISIBLE_SHARE = 0.25

_SKIES: dict[str, RGB] = {"noon": (150, 200, 240), "sunset": (245, 165, 110), "night": (25, 30, 65)}
_GROUNDS: dict[str, RGB] = {
    "road": (110, 110, 116), "beach": (232, 212, 160), "park": (135, 170, 105),
    "desert": (215, 165, 110), "city": (175, 170, 170),
}  # fmt: skip
_BACKDROPS: dict[str, RGB] = {
    "road": (150, 160, 130), "beach": (70, 140, 180), "park": (95, 135, 95),
    "desert": (190, 135, 95), "city": (135, 130, 145),
}  # fmt: skip
_LIGHT: dict[str, tuple[float, float, float]] = {
    "noon": (1.0, 1.0, 1.0), "sunset": (1.0, 0.86, 0.76), "night": (0.45, 0.47, 0.62),
}  # fmt: skip


@dataclass(frozen=True)
class SceneObject:
    """One thing in a scene: its class, colour word and visible pixels ((H, W) bool)."""

    label: str
    colour: str
    mask: NDArray[np.bool_]


@dataclass(frozen=True)
class Scene:
    """A rendered image with everything there is to know of it.

    ``image`` is (H, W, 3) uint8 RGB; ``objects`` are ordered from the farthest to the nearest and their
    masks do not overlap; ``attributes`` are the words for place, time and weather.
    """

    image: NDArray[np.uint8]
    objects: tuple[SceneObject, ...]
    caption: str
    attributes: dict[str, str]
    seed: int

    def class_mask(self, classes: Sequence[str] = CLASSES) -> NDArray[np.uint8]:
        """(H, W) uint8: 0 for background, else 1 + the index of the pixel's class in ``classes``."""
        mask = np.zeros(self.image.shape[:2], np.uint8)
        for thing in self.objects:
            if thing.label in classes:
                mask[thing.mask] = 1 + list(classes).index(thing.label)
        return mask


class PlacedObject(NamedTuple):
    """What is to be drawn; ``box`` is (x, y, width, height) in units of the canvas' sides."""

    label: str
    colour: str
    box: tuple[float, float, float, float]
    mirror: bool


class FlatStyle:
    """How one scene is painted: here in areas of one colour each. A subclass may paint it otherwise.

    Canvases are uint8 RGB, ``SUPERSAMPLING`` times as large as the image. A scene's things may be painted more
    than once, so that only ``__init__`` and ``backdrop`` may draw from ``rng``.
    """

    def __init__(self, attributes: dict[str, str], rng: Random) -> None:
        self.attributes, self.rng = attributes, rng

    def backdrop(self, canvas: NDArray[np.uint8], horizon: float) -> None:
        """Paint the place on all of ``canvas``; ``horizon`` is in units of its height."""
        _draw_backdrop(canvas, horizon, self.attributes, self.rng)

    def thing(self, canvas: NDArray[np.uint8], owners: NDArray[np.uint8], owner: int, thing: PlacedObject) -> None:
        """Paint ``thing`` on ``canvas`` and write ``owner`` to its pixels of ``owners``, ``canvas``' (H, W)."""
        _draw_thing(canvas, owners, owner, thing, self.attributes)

    def finished(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """What becomes of the (H, W, 3) ``image`` when all is painted and averaged down."""
        return image


def real_scenes(
    n: int, seed: int = 0, *, size: tuple[int, int] = (128, 128), style: type[FlatStyle] = FlatStyle
) -> list[Scene]:
    """``n`` scenes of (width, height) ``size``, the same for the same ``seed``; see ``iter_scenes``."""
    return list(iter_scenes(n, seed, size=size, style=style))


def iter_scenes(
    n: int, seed: int = 0, *, size: tuple[int, int] = (128, 128), style: type[FlatStyle] = FlatStyle
) -> Iterator[Scene]:
    """Render one scene after the other. Scene ``i`` depends on ``seed``, ``i`` and the style only."""
    for index in range(n):
        yield render_scene(seed * 1_000_003 + index, size=size, style=style)


def render_scene(
    seed: int,
    *,
    size: tuple[int, int] = (128, 128),
    labels: Sequence[str] | None = None,
    classes: Sequence[str] = CLASSES,
    style: type[FlatStyle] = FlatStyle,
) -> Scene:
    """Render the scene of ``seed``.

    Args:
        size: width and height in pixels.
        labels: the classes to place, one object each; by default one to four, drawn from ``classes``.
        classes: what may be drawn when ``labels`` is not given. Pianos only appear when named.
        style: how it is painted.

    Objects of which less than a quarter or less than 20 pixels can be seen are left out altogether, so that
    no caption names what cannot be found.

    Raises:
        KeyError: a label that has no shape.
    """
    rng = Random(seed)
    attributes = {"place": rng.choice(PLACES), "time": rng.choice(TIMES), "weather": rng.choice(("clear", *WEATHERS))}
    if labels is None:
        count = rng.choices((1, 2, 3, 4), weights=(45, 30, 15, 10))[0]
        labels = [rng.choice(list(classes)) for _ in range(count)]
        if count > 1 and rng.random() < 0.15:
            labels[1] = labels[0]
    colours = [rng.choice(list(COLOURS)) for _ in labels]
    if len(labels) > 1 and labels[1] == labels[0] and rng.random() < 0.6:
        colours[1] = colours[0]

    width, height = size
    backdrop = np.empty((height * SUPERSAMPLING, width * SUPERSAMPLING, 3), np.uint8)
    horizon = rng.uniform(0.36, 0.48)
    painter = style(attributes, rng)
    painter.backdrop(backdrop, horizon)
    boxes = _place_objects(labels, horizon, width / height, rng)
    things = [
        PlacedObject(label, colour, box, mirror=rng.random() < 0.5)
        for label, colour, box in zip(labels, colours, boxes, strict=True)
    ]
    canvas, masks, hidden = _draw_things(backdrop, things, painter, size)
    while hidden:  # what nobody would notice is taken away, and what it hid may come to sight
        things = [thing for index, thing in enumerate(things) if index not in hidden]
        canvas, masks, hidden = _draw_things(backdrop, things, painter, size)

    image = painter.finished(np.asarray(cv2.resize(canvas, (width, height), interpolation=cv2.INTER_AREA), np.uint8))
    objects = tuple(SceneObject(thing.label, thing.colour, mask) for thing, mask in zip(things, masks, strict=True))
    counts = Counter((thing.label, thing.colour) for thing in objects)
    mentions = [Mention(label, colour, number) for (label, colour), number in counts.items()]
    return Scene(image, objects, caption(mentions, **attributes, rng=rng), attributes, seed)


def _place_objects(
    labels: Sequence[str], horizon: float, ratio: float, rng: Random
) -> list[tuple[float, float, float, float]]:
    """Boxes (x, y, width, height) in units of the canvas' sides, from the farthest to the nearest.

    Objects keep to their own columns as far as there is room: some overlap, few hide each other.
    """
    feet = sorted(rng.uniform(horizon + 0.22, 0.97) for _ in labels)
    columns = rng.sample(range(len(labels)), len(labels))
    boxes = []
    for label, bottom, column in zip(labels, feet, columns, strict=True):
        shape = SHAPES[label]
        near = (bottom - horizon) / (1 - horizon)
        scale = (0.30 + 0.36 * near) * rng.uniform(0.85, 1.15)
        if len(labels) > 2:
            scale *= 0.8
        tall = shape.height * scale
        wide = tall * shape.aspect * rng.uniform(0.92, 1.08) / ratio
        centre = (column + rng.uniform(0.3, 0.7)) / len(labels)
        centre = min(max(centre, wide / 2 - 0.04), 1.04 - wide / 2) if wide < 1 else 0.5
        boxes.append((centre - wide / 2, bottom - tall, wide, tall))
    return boxes


def _draw_backdrop(canvas: NDArray[np.uint8], horizon: float, attributes: dict[str, str], rng: Random) -> None:
    height, width = canvas.shape[:2]
    place = attributes["place"]
    line = round(horizon * height)

    def paint(colour: RGB) -> RGB:
        return lit(colour, attributes, weather_share=1.0)

    sky = _SKIES[attributes["time"]]
    canvas[:line] = _weathered(sky, attributes["weather"], 1.0, attributes["time"])
    far = round(0.09 * height)
    if place == "city":
        for left in range(0, width, width // 5):
            tower = round(rng.uniform(0.10, 0.26) * height)
            cv2.rectangle(
                canvas, (left, line - tower), (left + width // 5 - width // 40, line), paint(_BACKDROPS[place]), -1
            )
    elif place in ("desert", "park"):
        centre = (round(rng.uniform(0.2, 0.8) * width), line)
        cv2.ellipse(canvas, centre, (round(0.6 * width), far), 0, 180, 360, paint(_BACKDROPS[place]), -1)
    else:
        canvas[line - far // 2 : line] = paint(_BACKDROPS[place])
    canvas[line:] = paint(_GROUNDS[place])
    if place == "road":
        middle = round((horizon + 1) / 2 * height)
        for left in range(0, width, width // 4):
            cv2.rectangle(
                canvas, (left, middle), (left + width // 8, middle + height // 40), paint((235, 235, 225)), -1
            )
    if attributes["weather"] in ("rain", "snow"):
        _draw_precipitation(canvas[:line], attributes, rng)


def _draw_precipitation(sky: NDArray[np.uint8], attributes: dict[str, str], rng: Random) -> None:
    height, width = sky.shape[:2]
    base = sky[0, 0].astype(float)
    for _ in range(10):
        x, y = round(rng.random() * width), round(rng.random() * height)
        if attributes["weather"] == "rain":
            colour = tuple(int(v) for v in base * 0.75)
            cv2.line(sky, (x, y), (x - width // 30, y + width // 10), colour, width // 64)
        else:
            cv2.circle(sky, (x, y), width // 52, (250, 250, 250), -1)


def _draw_things(
    backdrop: NDArray[np.uint8], things: Sequence[PlacedObject], painter: FlatStyle, size: tuple[int, int]
) -> tuple[NDArray[np.uint8], list[NDArray[np.bool_]], set[int]]:
    """The canvas, each thing's visible pixels at (width, height) ``size``, and which things hardly show."""
    canvas = backdrop.copy()
    owners = np.zeros(canvas.shape[:2], np.uint8)  # 1 + index of the thing seen at a pixel
    drawn = []
    for index, thing in enumerate(things):
        painter.thing(canvas, owners, index + 1, thing)
        drawn.append(np.count_nonzero(owners == index + 1))
    # A pixel of the image belongs to whoever covers most of it.
    shares = [
        cv2.resize((owners == owner).astype(np.float32), size, interpolation=cv2.INTER_AREA)
        for owner in range(len(things) + 1)
    ]
    winner = np.argmax(np.stack(shares), axis=0)
    masks = [winner == index + 1 for index in range(len(things))]
    hidden = {
        index
        for index, mask in enumerate(masks)
        if np.count_nonzero(mask) < max(MIN_VISIBLE_PX, MIN_VISIBLE_SHARE * drawn[index] / SUPERSAMPLING**2)
    }
    return canvas, masks, hidden


def _draw_thing(
    canvas: NDArray[np.uint8], owners: NDArray[np.uint8], owner: int, thing: PlacedObject, attributes: dict[str, str]
) -> None:
    paints = paints_of(thing)
    for part in SHAPES[thing.label].parts:
        ink = lit(paints[part.paint], attributes, weather_share=0.35)
        fill_part(canvas, part, thing, ink)
        fill_part(owners, part, thing, owner)


def paints_of(thing: PlacedObject) -> dict[str, RGB]:
    """The colour of each paint that the parts of ``thing`` name."""
    body = COLOURS[thing.colour]
    return {**PAINTS, "body": body, "shade": _scaled(body, (0.6, 0.6, 0.6))}


def fill_part(target: NDArray[np.uint8], part: Polygon | Ellipse, thing: PlacedObject, value: RGB | int) -> None:
    """Write ``value`` to the pixels of ``part`` of ``thing``; ``target`` is as large as the canvas."""
    height, width = target.shape[:2]
    x, y, wide, tall = thing.box[0] * width, thing.box[1] * height, thing.box[2] * width, thing.box[3] * height
    if isinstance(part, Ellipse):
        cx = 1 - part.cx if thing.mirror else part.cx
        centre = (round(x + cx * wide), round(y + part.cy * tall))
        cv2.ellipse(target, centre, (round(part.rx * wide), round(part.ry * tall)), 0, 0, 360, value, -1)
    else:
        points = [((1 - px if thing.mirror else px) * wide + x, py * tall + y) for px, py in part.points]
        cv2.fillPoly(target, [np.round(points).astype(np.int32)], value)


def _scaled(colour: RGB, factors: tuple[float, float, float]) -> RGB:
    red, green, blue = (min(255, round(value * factor)) for value, factor in zip(colour, factors, strict=True))
    return red, green, blue


def _weathered(colour: RGB, weather: str, share: float, time: str) -> RGB:
    """``colour`` seen through the weather; ``share`` 1 for the far backdrop, less for near objects."""
    tints: dict[str, tuple[RGB, float]] = {
        "fog": ((205, 208, 212), 0.62),
        "rain": ((95, 108, 130), 0.45),
        "snow": ((235, 240, 248), 0.50),
    }
    if weather not in tints:
        return colour
    tint, strength = tints[weather]
    tint = _scaled(tint, _LIGHT[time])
    amount = strength * share
    red, green, blue = (round((1 - amount) * value + amount * veil) for value, veil in zip(colour, tint, strict=True))
    return red, green, blue


def lit(colour: RGB, attributes: dict[str, str], *, weather_share: float) -> RGB:
    """``colour`` as it is seen at the scene's time and in its weather; ``weather_share`` is 1 for the far backdrop."""
    light = _LIGHT[attributes["time"]]
    if weather_share < 1:  # objects keep some of their own colour at night, as if lit by lamps
        light = tuple(0.55 + 0.45 * value for value in light)  # type: ignore[assignment]
    return _weathered(_scaled(colour, light), attributes["weather"], weather_share, attributes["time"])
