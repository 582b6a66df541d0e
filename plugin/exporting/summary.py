"""What an export wrote, in numbers and sentences."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from diffucurate.plugin.exporting.formats import first_step


@dataclass(frozen=True)
class ExportSummary:
    """What was written: images and instances per split, below ``folder``.

    ``unlabelled`` counts the samples that the source has not labelled, and ``unreadable`` names the images that
    are missing or broken; both were left out. ``left_out`` names instances that were, each with its sample and why.
    ``boxes`` counts instances of which only the box is known. ``notes`` are sentences on what a person may not expect.
    """

    folder: str
    format: str
    source: str
    images: dict[str, int]
    instances: dict[str, int]
    unlabelled: int
    unreadable: list[str]
    notes: list[str] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    boxes: int = 0

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return asdict(self)

    def first_step(self) -> str:
        """One line that trains from the folder or reads it: for YOLO a shell command, else Python."""
        return first_step(self.format, self.folder, self.images, boxes=self.boxes > 0)
