"""The rendered worlds that models are measured on: the built-in model's, and that of the model in ``textured``."""

from __future__ import annotations

from textured.scenes import TexturedStyle

from diffucurate.generator.tiny.scenes import FlatStyle

#: The model that was trained on the textured world is ``textured/weights/pipeline``.
WORLDS: dict[str, type[FlatStyle]] = {"drawn": FlatStyle, "textured": TexturedStyle}
