"""The built-in world's scenes, painted with textures, light, cast shadows, clutter and sensor noise.

``real_scenes(n, seed, style=TexturedStyle)`` of ``generator.tiny.scenes`` renders them: the same things in the same
grammar of captions, with exact masks. Clutter (stones, crates, barrels, fences, patches, posters) is in no caption and
in no mask; neither are shadows.
"""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray
from textured import textures
from textured.clutter import clutter

from diffucurate.generator.tiny.scenes import FlatStyle, PlacedObject, fill_part, lit, paints_of
from diffucurate.generator.tiny.shapes import RGB, SHAPES

Canvas = NDArray[np.uint8]  # (H, W, 3) RGB, or (H, W) for a mask

_GROUNDS = {"road": "asphalt", "beach": "sand", "park": "grass", "desert": "sand", "city": "paving"}
_BACKDROPS = {"road": "foliage", "beach": "water", "park": "foliage", "desert": "sand", "city": "windows"}

#: The texture of a paint, and of a class's own paint where it has another one.
_MATERIALS: dict[str, str] = {
    "body": "smudged", "shade": "smudged", "glass": "pane", "tyre": "smudged", "wood": "wood", "skin": "smudged",
    "ivory": "smudged", "metal": "smudged",
}  # fmt: skip
_OWN_MATERIALS: dict[tuple[str, str], str] = {
    ("person", "body"): "fur", ("tree", "body"): "foliage", ("tree", "shade"): "foliage",
    ("house", "ivory"): "brick", ("house", "body"): "shingles",
}  # fmt: skip


class Light(NamedTuple):
    """The light of a time of day.

    ``shade`` is how much brighter and darker the two sides of a thing are, ``shadow`` how much of the light
    a shadow takes, ``length`` a shadow's in units of the thing's height, ``height`` the light's over the ground.
    """

    shade: float
    shadow: float
    length: float
    height: float
    tint: RGB


_LIGHTS: dict[str, Light] = {
    "noon": Light(0.20, 0.40, 0.45, 0.8, (255, 252, 240)),
    "sunset": Light(0.30, 0.36, 1.0, 0.25, (255, 205, 140)),
    "night": Light(0.20, 0.30, 0.7, 0.5, (215, 225, 255)),
}
#: The share of light, shadow and texture that is left in a weather.
_CLEARNESS = {"clear": 1.0, "fog": 0.5, "rain": 0.6, "snow": 0.7}
_LAMPLIGHT: RGB = (240, 205, 120)


class TexturedStyle(FlatStyle):
    """Paints a scene with textures under one light, which comes from the left or the right."""

    def __init__(self, attributes: dict[str, str], rng: Random) -> None:
        super().__init__(attributes, rng)
        self._salt = rng.getrandbits(32)
        self._side = rng.choice((-1, 1)) * rng.uniform(0.6, 1.0)  # where the light comes from: -1 left, 1 right
        self._depth = rng.choice((-1, 1)) * rng.uniform(0.15, 0.35)  # of shadows: above 0 they fall away from us
        self._light = _LIGHTS[attributes["time"]]
        self._clearness = _CLEARNESS[attributes["weather"]]
        self._ground_row = 0

    def backdrop(self, canvas: Canvas, horizon: float) -> None:
        super().backdrop(canvas, horizon)
        line = self._ground_row = round(horizon * canvas.shape[0])
        place, rng = self.attributes["place"], self.rng

        def offset() -> tuple[int, int]:
            return rng.randrange(textures.TILE), rng.randrange(textures.TILE)

        above, below = canvas[:line], canvas[line:]
        far = cv2.bitwise_not(cv2.inRange(above, above[0, 0], above[0, 0]))  # what is not plain sky
        painted = above.copy()
        textures.multiply(painted, textures.flat_patch(_BACKDROPS[place], far.shape, offset()), self._contrast(0.8))
        textures.multiply(above, textures.flat_patch("cloud", far.shape, offset()), self._contrast(0.6))
        self._shade(above, (self._side, 0.8), 0.8)
        cv2.copyTo(painted, far, above)
        textures.multiply(below, textures.ground_patch(_GROUNDS[place], below.shape[:2], offset()), self._contrast(0.9))
        self._shade(below, (self._side, 0.3), 0.4)
        for _ in range(rng.randint(2, 5)):
            self._draw_clutter(canvas, rng)

    def thing(self, canvas: Canvas, owners: NDArray[np.uint8], owner: int, thing: PlacedObject) -> None:
        height, width = canvas.shape[:2]
        rng = Random(f"{self._salt} {thing.box}")  # of its own: a thing may be painted more than once
        silhouette = np.zeros((height, width), np.uint8)
        for part in SHAPES[thing.label].parts:
            fill_part(silhouette, part, thing, 255)
        left, top = thing.box[0] * width, thing.box[1] * height
        self._cast_shadow(canvas, silhouette, (left, top, thing.box[2] * width, thing.box[3] * height))
        owners[silhouette > 0] = owner
        offset = rng.randrange(textures.TILE), rng.randrange(textures.TILE)
        paints = paints_of(thing)
        for part in SHAPES[thing.label].parts:
            ink = lit(paints[part.paint], self.attributes, weather_share=0.35)
            if part.paint == "glass" and self.attributes["time"] == "night":
                ink = _LAMPLIGHT
            mask = np.zeros((height, width), np.uint8)
            fill_part(mask, part, thing, 255)
            material = _OWN_MATERIALS.get((thing.label, part.paint), _MATERIALS[part.paint])
            self._cover(canvas, mask, ink, material, offset)

    def finished(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """The image with the noise of a sensor, which is stronger at night."""
        sigma = 4.0 if self.attributes["time"] == "night" else 2.5
        noise = np.random.default_rng(self._salt).standard_normal(image.shape, np.float32) * sigma
        return np.clip(np.rint(image + noise), 0, 255).astype(np.uint8)

    def _contrast(self, most: float) -> float:
        """What is left of a contrast in this weather; ``most`` is what it is in clear weather."""
        return most * (0.4 + 0.6 * self._clearness)

    def _shade(self, canvas: Canvas, light: tuple[float, float], strength: float) -> None:
        shading = textures.shading(
            canvas.shape[:2], light, self._light.tint, self._contrast(strength * self._light.shade)
        )
        textures.multiply(canvas, shading)

    def _cover(self, canvas: Canvas, mask: NDArray[np.uint8], ink: RGB, texture: str, offset: tuple[int, int]) -> None:
        """Paint the pixels of ``mask`` ((H, W), above 0) with a texture, shaded across their bounding box."""
        x, y, wide, tall = cv2.boundingRect(mask)
        if not wide or not tall:
            return
        patch = np.full((tall, wide, 3), ink, np.uint8)
        textures.multiply(patch, textures.flat_patch(texture, (tall, wide), offset), self._contrast(1.0))
        self._shade(patch, (self._side, -self._light.height), 1.0)
        here = np.s_[y : y + tall, x : x + wide]
        cv2.copyTo(patch, mask[here], canvas[here])

    def _cast_shadow(self, canvas: Canvas, silhouette: NDArray[np.uint8], box: Sequence[float]) -> None:
        """Darken the ground where what stands in ``box`` (x, y, width, height in pixels) keeps the light away."""
        left, top, wide, tall = box
        foot = min(top + tall, canvas.shape[0] - 1)
        lean = -self._side * self._light.length
        # A point h above the foot falls h * lean to the side and h * depth up the image.
        forward = np.array([[1, -lean, lean * foot], [0, self._depth, (1 - self._depth) * foot]])
        shadow = cv2.warpAffine(silhouette, forward, silhouette.shape[::-1], flags=cv2.INTER_LINEAR)
        under = round(left + wide / 2), round(foot)
        cv2.ellipse(shadow, under, (round(0.42 * wide), max(1, round(0.04 * tall))), 0, 0, 360, 255, -1)
        shadow = cv2.blur(cv2.blur(shadow, (9, 9)), (9, 9))
        ground = np.s_[self._ground_row :]
        dark = round(256 * self._light.shadow * self._clearness)
        factors = 255 - ((shadow[ground].astype(np.uint16) * dark) >> 8).astype(np.uint8)
        cv2.multiply(canvas[ground], cv2.merge([factors] * 3), dst=canvas[ground], scale=1 / 255)

    def _draw_clutter(self, canvas: Canvas, rng: Random) -> None:
        item = clutter(canvas.shape[:2], self._ground_row, rng)
        if item.casts_shadow:
            self._cast_shadow(canvas, item.mask, cv2.boundingRect(item.mask))
        ink = lit(item.colour, self.attributes, weather_share=0.6)
        self._cover(canvas, item.mask, ink, item.texture, (rng.randrange(textures.TILE), rng.randrange(textures.TILE)))
