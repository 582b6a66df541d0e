"""Parts of all training stages: a clock, a curve on disk, checkpoints that are written whole."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import torch

from diffucurate.generator.files.atomic import replacing_file


class Clock:
    """Counts a budget of wall-clock minutes."""

    def __init__(self, minutes: float) -> None:
        self._start, self._budget = time.monotonic(), minutes * 60

    def minutes(self) -> float:
        return (time.monotonic() - self._start) / 60

    def share(self) -> float:
        """The share of the budget that is used, 0 to 1."""
        return min(1.0, (time.monotonic() - self._start) / self._budget)

    def running(self) -> bool:
        return self.share() < 1


class Curve:
    """A training curve as JSON lines, printed as it grows and continued by a later run."""

    def __init__(self, path: Path) -> None:
        self._path = path
        path.parent.mkdir(parents=True, exist_ok=True)

    def add(self, **values: float) -> None:
        line = json.dumps({key: round(value, 5) for key, value in values.items()})
        with self._path.open("a") as file:
            file.write(line + "\n")
        print(line, flush=True)


def save_state(path: Path, *, step: int, **parts: Any) -> None:
    """Write the state of models and optimizers; an interrupted write leaves the old file whole."""
    state = {"step": step, **{name: part.state_dict() for name, part in parts.items()}}
    with replacing_file(path) as temporary:
        torch.save(state, temporary)


def load_state(path: Path, **parts: Any) -> dict[str, Any]:
    """Restore what ``save_state`` wrote; an empty dict where there is no checkpoint yet."""
    if not path.exists():
        return {}
    state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    for name, part in parts.items():
        part.load_state_dict(state[name])
    return state
