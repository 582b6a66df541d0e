"""Where labels come from. Every source turns images into the same ``Labels``; nothing else is asked of it.

A source of your own needs no more than ``LabelSource``. One that is known by its name, in forms and on the command
line too, is described by a ``SourceSpec`` and listed in the ``registry``. Light: importing this loads no numpy.
"""

from __future__ import annotations

from diffucurate.generator.sources.extras import Extra
from diffucurate.generator.sources.protocol import (
    ImageToLabel,
    Labeller,
    LabelRequest,
    LabelResult,
    LabelSource,
    PixelLabeller,
)
from diffucurate.generator.sources.spec import SourceOption, SourceSpec

__all__ = [
    "Extra",
    "ImageToLabel",
    "LabelRequest",
    "LabelResult",
    "LabelSource",
    "Labeller",
    "PixelLabeller",
    "SourceOption",
    "SourceSpec",
]
