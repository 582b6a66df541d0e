"""What the files of words, segmenters and adapters have in common: each is in a folder by its name."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

from diffucurate.generator.errors import InvalidSetting

_NAME = re.compile(r"[\w-][\w. -]*")


def trained_folder(kind: str, variable: str, folder: str | os.PathLike[str] | None = None) -> Path:
    """``folder``, else that of the environment's ``variable``, else ``~/.diffucurate/<kind>``."""
    chosen = folder or os.environ.get(variable) or Path("~", ".diffucurate", kind)
    return Path(os.path.abspath(os.path.expanduser(chosen)))


def checked_name(name: str, example: str) -> str:
    """``name``, if a folder can be called that.

    Raises:
        InvalidSetting: an empty name, or one that would lead out of the folder above.
    """
    if not _NAME.fullmatch(name):
        remedy = f"use letters, digits, spaces, dots, underscores and hyphens, as in {example}"
        raise InvalidSetting("name", name, remedy)
    return name


def read_facts(path: Path) -> dict[str, Any]:
    """What a JSON file of facts holds; empty where there is none, or it is broken."""
    try:
        facts = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return facts if isinstance(facts, dict) else {}
