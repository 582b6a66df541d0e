"""The rare class of the rendered scenes, the piano: renders to learn a word from, settings, and the learned word.

No training image of the built-in model shows one. Settings were chosen on renders and paintings other than those that
are reported on: see ``plugin.cli.run_demo_rare``.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, NamedTuple

from diffucurate.generator.inversion.settings import SLOT
from diffucurate.generator.models.built_in import WEIGHTS

PLACEHOLDER = "<piano>"

#: Rendered pianos that the word is learned from, and the first one's seed; no other training or measurement draws them.
EXAMPLES, FIRST_SEED = 20, 64_000_000

#: As ``Inversion`` takes them.
SETTINGS: dict[str, Any] = {
    "vectors": 4, "steps": 300, "batch_size": 8, "learning_rate": 0.01, "schedule": "linear", "warmup": 50,
    "lora": {"layers": "all", "rank": 8, "learning_rate": 0.003}, "preview_prompt": "a {} on a road",
}  # fmt: skip

_FOLDER = WEIGHTS / "words"


class LearnedPiano(NamedTuple):
    """The files of a word and of the low-rank changes that were learned with it."""

    word: Path
    lora: Path

    def recipe_parts(self) -> dict[str, Any]:
        """The keys of a recipe that use them."""
        tokens = [{"path": str(self.word), "placeholder": PLACEHOLDER}]
        return {"tokens": tokens, "loras": [{"path": str(self.lora)}]}


def learned_piano() -> LearnedPiano:
    """The word that comes with the package, learned for the built-in model with ``SETTINGS``."""
    return LearnedPiano(_FOLDER / "piano.safetensors", _FOLDER / "piano-lora.safetensors")


def rare_caption(caption: str) -> str:
    """The caption of a rendered piano with ``{}`` for the word."""
    return re.sub(r"\bpianos?\b", SLOT, caption)
