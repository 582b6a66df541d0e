"""The files of one trained adapter in its folder. Torch is not needed: forms ask for the paths."""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from diffucurate.generator.errors import ModelError
from diffucurate.generator.files.atomic import write_text
from diffucurate.generator.files.trained_folder import checked_name, read_facts, trained_folder

#: Overrides the folder in which adapters go by name.
ADAPTERS_DIR_VARIABLE = "DIFFUCURATE_ADAPTERS_DIR"

#: What a config must say, and how.
_KEYS: dict[str, tuple[type, ...]] = {
    "model": (str,),
    "classes": (list,),
    "noise": (int, float),
    "width": (int,),
    "channels": (list,),
    "finest": (int,),
    "masks": (bool,),
}


def adapters_folder(folder: str | os.PathLike[str] | None = None) -> Path:
    """``folder``, else that of DIFFUCURATE_ADAPTERS_DIR, else ``~/.diffucurate/adapters``."""
    return trained_folder("adapters", ADAPTERS_DIR_VARIABLE, folder)


@dataclass(frozen=True)
class AdapterFiles:
    """The paths of one adapter's files, whether they are there or not."""

    folder: Path
    name: str

    @classmethod
    def of(cls, name: str, folder: str | os.PathLike[str] | None = None) -> AdapterFiles:
        """The files of the adapter of that name, in a folder of its own below ``folder``.

        Raises:
            InvalidSetting: an empty name, or one that would lead out of the folder.
        """
        return cls(adapters_folder(folder) / checked_name(name, "night-streets-2"), name)

    @property
    def weights(self) -> Path:
        """The head, for ``label --source adapter --weights``; there once training has ended."""
        return self.folder / f"{self.name}.safetensors"

    @property
    def config(self) -> Path:
        """JSON beside the weights: the diffusion model, class names, and how features are read."""
        return config_of(self.weights)

    @property
    def facts(self) -> Path:
        """JSON: what the run was asked for, by which a stopped one is known again, and its figures once it ended."""
        return self.folder / "training.json"

    @property
    def checkpoint(self) -> Path:
        """The head and the optimiser after some step, that a stopped run goes on from."""
        return self.folder / "checkpoint.safetensors"

    @property
    def curves(self) -> Path:
        """CSV: the losses, a row for some steps each."""
        return self.folder / "curves.csv"

    def remove(self) -> None:
        """Remove all of them, and nothing else."""
        for path in (self.weights, self.config, self.facts, self.checkpoint, self.curves):
            path.unlink(missing_ok=True)

    def write_facts(self, facts: Mapping[str, Any]) -> None:
        """Write ``facts``, whole or not at all."""
        write_text(self.facts, json.dumps(facts, indent=2) + "\n")

    def read_facts(self) -> dict[str, Any]:
        """What ``facts`` holds; empty where there is none, or it is broken."""
        return read_facts(self.facts)

    def read_curves(self) -> dict[str, list[float]]:
        """Column (``step``, ``loss``, and each part of that) -> its values; empty before the first."""
        if not self.curves.is_file():
            return {}
        with self.curves.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        return {name: [float(row[name]) for row in rows] for name in (rows[0] if rows else ())}


def config_of(weights: Path) -> Path:
    """The config beside a head's weights."""
    return weights.with_suffix(".json")


def read_config(weights: Path) -> dict[str, Any]:
    """What the config beside a head says; reads no weights, so that forms can ask.

    Raises:
        ModelError: there are no such files, or they are of something else.
    """
    path = config_of(weights)
    if weights.suffix != ".safetensors" or not weights.is_file():
        raise ModelError(f"'{weights}' is no file of an adapter; give the full path of its .safetensors file")
    try:
        config = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise ModelError(f"the adapter '{weights}' has no config that can be read beside it ({path.name})") from error
    named = config if isinstance(config, dict) else {}
    wrong = [key for key, kinds in _KEYS.items() if not isinstance(named.get(key), kinds)]
    if wrong:
        raise ModelError(f"'{path}' is no config of an adapter: it does not say {wrong[0]}, or not as it is written")
    return dict(config)
