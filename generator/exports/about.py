"""What an export says of itself, in its metadata and in its README.md. Knows only text."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from diffucurate.generator.exports.folder import Written

#: The file of an export's datasheet.
README = "README.md"


@dataclass(frozen=True)
class About:
    """Name, description and licence of the data, the more general class of each class where known, and the datasheet.

    ``readme`` writes the datasheet from what the export holds; without it there is none. Nothing in here may depend on
    the clock or on where the export lies: the same view gives the same bytes.
    """

    name: str = "dataset"
    description: str = "Written by Diffucurate"
    licence: str | None = None
    supercategories: Mapping[str, str] = field(default_factory=dict)
    readme: Callable[[Written], str] | None = None


def write_readme(folder: Path, about: About | None, written: Written, *, front_matter: str = "") -> None:
    """Write the datasheet into a new export, below ``front_matter`` where a reader of its format wants one."""
    text = "" if about is None or about.readme is None else about.readme(written)
    if text or front_matter:
        (folder / README).write_text(front_matter + text, "utf-8")
