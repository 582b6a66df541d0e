"""Models and LoRAs that were distilled to paint in a few steps, as their names say.

A name is the last resort; what configurations say is ``defaults``'s.
"""

from __future__ import annotations

import re
from pathlib import PurePath
from typing import NamedTuple

#: Kind -> how a name says it, and the steps that it usually takes.
_KINDS = {
    "LCM": (re.compile(r"(^|-)lcm(-|$|lora)"), 4),
    "Turbo": (re.compile(r"turbo(-|$)|(^|-)turbo"), 4),
    "Lightning": (re.compile(r"lightning(-|$)|(^|-)lightning"), 4),
    "Hyper": (re.compile(r"(^|-)hyper-?(sd|flux)"), 8),
    "schnell": (re.compile(r"(^|-)schnell(-|$)"), 4),
}
_STEPS = re.compile(r"(?<!\d)(\d{1,2})-?steps?(-|$)")
_GUIDED = re.compile(r"(^|-)cfg(-|$)")

#: File names that say nothing, so that the folder's counts.
_UNTOLD = {"pytorch_lora_weights", "model", "diffusion_pytorch_model"}


class FewSteps(NamedTuple):
    """How such a model paints: its ``kind``, the ``steps`` it was made for, and whether it still takes the guidance of
    its base model (``guided``)."""

    kind: str
    steps: int
    guided: bool


def few_steps(name: str) -> FewSteps | None:
    """What the name of a model, a file, a folder or a hub id says; None where it says nothing of the kind."""
    path = PurePath(name)
    stem = path.stem if path.suffix.lower() == ".safetensors" else path.name
    if stem in _UNTOLD:
        stem = path.parent.name
    words = re.sub(r"[^a-z0-9]+", "-", re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "-", stem).lower())
    for kind, (pattern, steps) in _KINDS.items():
        if pattern.search(words):
            own = _STEPS.search(words)
            return FewSteps(kind, int(own[1]) if own and int(own[1]) else steps, _GUIDED.search(words) is not None)
    return None
