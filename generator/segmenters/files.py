"""The files of one trained segmenter in its folder. Torch is not needed: forms ask for the paths."""

from __future__ import annotations

import csv
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from diffucurate.generator.files.trained_folder import checked_name, read_facts, trained_folder

#: Overrides the folder in which trained segmenters go by name.
SEGMENTERS_DIR_VARIABLE = "DIFFUCURATE_SEGMENTERS_DIR"


def segmenters_folder(folder: str | os.PathLike[str] | None = None) -> Path:
    """``folder``, else that of DIFFUCURATE_SEGMENTERS_DIR, else ``~/.diffucurate/segmenters``."""
    return trained_folder("segmenters", SEGMENTERS_DIR_VARIABLE, folder)


@dataclass(frozen=True)
class SegmenterFiles:
    """The paths of one segmenter's files, whether they are there or not."""

    folder: Path
    name: str

    @classmethod
    def of(cls, name: str, folder: str | os.PathLike[str] | None = None) -> SegmenterFiles:
        """The files of the segmenter of that name, in a folder of its own below ``folder``.

        Raises:
            InvalidSetting: an empty name, or one that would lead out of the folder.
        """
        return cls(segmenters_folder(folder) / checked_name(name, "night-streets-2"), name)

    @property
    def weights(self) -> Path:
        """The trained segmenter, for ``label --source yolov8 --weights``; there once training has ended."""
        return self.folder / f"{self.name}.pt"

    @property
    def facts(self) -> Path:
        """JSON: what the run was asked for, by which a stopped one is known again, and its figures once it ended."""
        return self.folder / "training.json"

    @property
    def data(self) -> Path:
        """The images and labels that it learns from; removed once training has ended."""
        return self.folder / "data"

    @property
    def run(self) -> Path:
        """The folder of Ultralytics' own files."""
        return self.folder / "run"

    @property
    def last(self) -> Path:
        """The state after the last whole epoch, optimiser included, that a stopped run goes on from."""
        return self.run / "weights" / "last.pt"

    @property
    def best(self) -> Path:
        return self.run / "weights" / "best.pt"

    @property
    def curves(self) -> Path:
        """CSV: losses and figures of each epoch, as Ultralytics writes them."""
        return self.run / "results.csv"

    def remove(self) -> None:
        """Remove all of them, and nothing else."""
        for path in (self.weights, self.facts):
            path.unlink(missing_ok=True)
        for folder in (self.data, self.run):
            shutil.rmtree(folder, ignore_errors=True)

    def read_facts(self) -> dict[str, Any]:
        """What ``facts`` holds; empty where there is none, or it is broken."""
        return read_facts(self.facts)

    def read_curves(self) -> dict[str, list[float]]:
        """Column -> its value after each epoch, such as ``metrics/mAP50(M)`` and ``val/seg_loss``; empty before the
        first."""
        if not self.curves.is_file():
            return {}
        with self.curves.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file, skipinitialspace=True))
        return {name.strip(): [float(row[name]) for row in rows] for name in (rows[0] if rows else ())}
