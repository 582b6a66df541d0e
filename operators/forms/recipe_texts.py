"""Learned words, LoRAs and seeds as the text of a form's fields. What is wrong with them is the recipe's to say."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from diffucurate.generator.recipe.amount import MAX_SEED, RandomSeeds


def words_of(tags: Sequence[str]) -> list[dict[str, Any]]:
    """``["<piano>=piano.safetensors"]`` as learned words."""
    parts = [tag.partition("=") for tag in tags]
    return [{"placeholder": word.strip(), "path": path.strip()} for word, _, path in parts]


def loras_of(tags: Sequence[str]) -> list[dict[str, Any]]:
    """``["a.safetensors=0.8", "owner/name"]`` as LoRAs; what follows the last ``=`` is the scale if it is a number."""
    loras = []
    for tag in tags:
        path, equals, scale = tag.rpartition("=")
        scaled = equals and re.fullmatch(r"\s*-?\d+(\.\d+)?\s*", scale)
        loras.append({"path": path.strip(), "scale": float(scale)} if scaled else {"path": tag.strip()})
    return loras


def seeds_as_text(seeds: int | Sequence[int] | RandomSeeds) -> str:
    """Seeds as ``parse_seeds`` reads them: one alone keeps a comma, else it would be a number of seeds."""
    if isinstance(seeds, RandomSeeds):
        ends = "" if (seeds.lowest, seeds.highest) == (0, MAX_SEED) else f" from {seeds.lowest} to {seeds.highest}"
        return f"{seeds.count} random{ends}" + (f", mix {seeds.seed}" if seeds.seed else "")
    if isinstance(seeds, int):
        return str(seeds)
    return ", ".join(map(str, seeds)) + ("," if len(seeds) == 1 else "")
