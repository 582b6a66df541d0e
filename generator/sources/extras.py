"""Optional dependencies of label sources and of checks: what they are called and how they are installed."""

from __future__ import annotations

from importlib.util import find_spec
from typing import NamedTuple


class Extra(NamedTuple):
    """An optional dependency: what people call it, its module, the extra of this package that installs it."""

    title: str
    module: str
    extra: str
    licence: str

    @property
    def installed(self) -> bool:
        return find_spec(self.module) is not None

    def remedy(self, title: str) -> str:
        """``YOLOv8 needs Ultralytics (AGPL-3.0): pip install 'diffucurate[yolo]'``, for a source of that title."""
        return f"{title} needs {self.title} ({self.licence}): pip install 'diffucurate[{self.extra}]'"


#: Named here with the others; what scores labels is in ``generator.quality``.
CLEANLAB = Extra("cleanlab", "cleanlab", "cleanlab", "Apache-2.0")

ULTRALYTICS = Extra("Ultralytics", "ultralytics", "yolo", "AGPL-3.0")
