"""What an earlier run has left under a word's name, and whether another may begin there. Light: forms ask."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from diffucurate.generator.errors import InvalidSetting
from diffucurate.generator.inversion.files import WordFiles
from diffucurate.generator.inversion.settings import Inversion


def read_about(path: Path) -> dict[str, Any] | None:
    """The plain facts of a checkpoint; None where there is none, or not one of ours."""
    try:
        with safe_open(path, framework="numpy") as file:
            about: dict[str, Any] = json.loads((file.metadata() or {})["diffucurate"])
            return about
    except (OSError, SafetensorError, KeyError, ValueError):
        return None


def check_name(files: WordFiles, settings: Inversion, *, overwrite: bool) -> None:
    """See that a word can be learned there: nothing of that name is there, or a run of these settings has steps left.

    Whether its examples are the same is seen when they are read.

    Raises:
        InvalidSetting: the name is taken, or all steps were done.
    """
    if overwrite:
        return
    earlier = read_about(files.checkpoint)
    if earlier is not None and earlier.get("settings") == settings.preparation():
        check_steps(files, settings, int(earlier.get("step", 0)))
    elif earlier is not None or files.word.exists():
        raise taken(files)


def check_steps(files: WordFiles, settings: Inversion, done: int) -> None:
    """See that steps are left after ``done``.

    Raises:
        InvalidSetting: they are not.
    """
    if done < settings.steps or (done == settings.steps and not files.word.exists()):
        return
    remedy = f"it was learned in {done} steps already; ask for more, choose another name, or replace it"
    raise InvalidSetting("name", files.name, remedy)


def taken(files: WordFiles) -> InvalidSetting:
    """The error to raise for a name of another word."""
    remedy = "a word of that name is there, learned with other settings or examples; choose another, or replace it"
    return InvalidSetting("name", files.name, remedy)
