"""Lists and numbers as the text of a form's fields, and back. Text that is neither stays, for the recipe to refuse."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from diffucurate.generator.recipe.recipe import MAX_SEED, RandomSeeds


def lines(text: str | Sequence[str] | None) -> list[str]:
    """Templates as text, one per line, or as a list; blank ones are left out."""
    parts = text.splitlines() if isinstance(text, str) else text or []
    return [part.strip() for part in parts if part.strip()]


def split(text: str | Sequence[str] | None) -> list[str]:
    """``"red, blue"`` or a list -> ``["red", "blue"]``; where there is a semicolon, it separates instead of commas."""
    if isinstance(text, str):
        text = re.split(r"[;\n]" if ";" in text else r"[,\n]", text)
    return [part.strip() for part in text or [] if part.strip()]


def joined(listed: Sequence[str]) -> str:
    """The text that ``split`` reads as that list."""
    if not any("," in value for value in listed):
        return ", ".join(listed)
    return "; ".join(listed) + (";" if len(listed) == 1 else "")


def sizes_of(text: str | None) -> list[Any]:
    """``"64x96, 96x64"`` -> ``[[64, 96], [96, 64]]``; anything else stays, for the recipe to refuse."""
    sizes: list[Any] = []
    for part in split(text):
        sides = part.lower().split("x")
        sizes.append([int(side) if side.strip().isdecimal() else side for side in sides])
    return sizes


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
    """Seeds as ``seeds_of`` reads them: one alone keeps a comma, else it would be a number of seeds."""
    if isinstance(seeds, RandomSeeds):
        ends = "" if (seeds.lowest, seeds.highest) == (0, MAX_SEED) else f" from {seeds.lowest} to {seeds.highest}"
        return f"{seeds.count} random{ends}" + (f", mix {seeds.seed}" if seeds.seed else "")
    if isinstance(seeds, int):
        return str(seeds)
    return ", ".join(map(str, seeds)) + ("," if len(seeds) == 1 else "")


def seeds_of(text: Any) -> Any:
    """``"3"`` -> 3, ``"3, 7"`` or ``"3,"`` -> a list, ``"3 random from 0 to 99, mix 2"`` or a part of that -> random
    ones; anything else stays, for the recipe to refuse."""
    if not isinstance(text, str):
        return text
    if re.fullmatch(r"\s*-?\d{1,12}\s*", text):
        return int(text)
    if match := re.fullmatch(r"\s*(\d{1,12}) random(?: from (\d{1,12}) to (\d{1,12}))?(?:, mix (\d{1,12}))?\s*", text):
        names = ("count", "lowest", "highest", "seed")
        return {name: int(part) for name, part in zip(names, match.groups(), strict=True) if part is not None}
    parts = split(text)
    return [int(part) for part in parts] if all(re.fullmatch(r"-?\d{1,12}", part) for part in parts) else text
