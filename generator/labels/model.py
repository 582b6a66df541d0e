"""The data model of labels, which every label source fills and every export reads. Knows only arrays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from diffucurate.generator.errors import LabelError

if TYPE_CHECKING:
    from diffucurate.generator.labels.polygons import Polygon

#: Pixels of a semantic mask whose class is unknown; ignored in training and in evaluation.
IGNORE = 255


#: The source of what a person drew or mended, and the label tag that says so.
HUMAN = "human"


@dataclass(frozen=True, eq=False)
class Instance:
    """One object: its class, its pixels and its source's confidence.

    ``mask`` is (H, W) bool and not empty, ``confidence`` in [0, 1]. ``refined`` says that a second model redrew the
    mask, ``found_by`` from which sources' labels one was fused, ``boxed`` that only the box is known, all of whose
    pixels the mask has. Polygons and box follow from the mask.

    Raises:
        LabelError: a mask that is empty or not (H, W) bool, or a confidence outside [0, 1].
    """

    label: str
    mask: NDArray[np.bool_]
    confidence: float
    refined: bool = False
    found_by: tuple[str, ...] = ()
    boxed: bool = False

    def __post_init__(self) -> None:
        if self.mask.ndim != 2 or self.mask.dtype != np.bool_:
            given = f"{self.mask.dtype} {self.mask.shape}"
            raise LabelError(f"instance '{self.label}': mask is {given}, expected bool (H, W)")
        if not self.mask.any():
            raise LabelError(f"instance '{self.label}': mask is empty; leave empty instances out")
        if not 0 <= self.confidence <= 1:
            raise LabelError(f"instance '{self.label}': confidence {self.confidence} is outside [0, 1]")

    @cached_property
    def box(self) -> tuple[int, int, int, int]:
        """The tight box (x0, y0, x1, y1) in pixels; x1 and y1 are one past the last pixel."""
        rows, columns = np.flatnonzero(self.mask.any(axis=1)), np.flatnonzero(self.mask.any(axis=0))
        return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1

    @cached_property
    def polygons(self) -> list[Polygon]:
        """One polygon per part of the mask: its outer ring, then its holes; see ``mask_to_polygons``."""
        from diffucurate.generator.labels.polygons import mask_to_polygons  # light until then: forms import this module

        return mask_to_polygons(self.mask)

    @property
    def area(self) -> int:
        """Pixels of the mask."""
        return int(np.count_nonzero(self.mask))


@dataclass(frozen=True, eq=False)
class Labels:
    """The labels of one image by one source.

    ``semantic`` is (H, W) uint8: 0 background, ``1 + index`` in ``classes``, 255 ignore. ``instances`` may
    be empty: an image in which nothing was found is a result too.

    Raises:
        LabelError: shapes that differ, a class id beyond ``classes``, an instance of an unknown class.
    """

    semantic: NDArray[np.uint8]
    instances: tuple[Instance, ...]
    classes: tuple[str, ...]

    def __post_init__(self) -> None:
        if self.semantic.ndim != 2 or self.semantic.dtype != np.uint8:
            raise LabelError(f"semantic mask is {self.semantic.dtype} {self.semantic.shape}, expected uint8 (H, W)")
        found = self.semantic.max(initial=0)
        if found == IGNORE:  # of those below, which takes ten times as long to ask
            found = self.semantic[self.semantic != IGNORE].max(initial=0)
        if found > len(self.classes):
            raise LabelError(f"semantic mask holds class id {found}, but there are {len(self.classes)} classes")
        for instance in self.instances:
            if instance.mask.shape != self.semantic.shape:
                raise LabelError(
                    f"instance '{instance.label}': mask is {instance.mask.shape}, "
                    f"the semantic mask {self.semantic.shape}"
                )
            if instance.label not in self.classes:
                raise LabelError(f"instance of class '{instance.label}', expected one of {', '.join(self.classes)}")

    @classmethod
    def from_instances(cls, instances: Sequence[Instance], classes: Sequence[str], shape: tuple[int, int]) -> Labels:
        """Labels whose semantic mask is painted from the instances, the most confident on top.

        Pixels in the box of one of which no more is known are 255, unless another covers them.
        """
        semantic = np.zeros(shape, np.uint8)
        for instance in sorted(instances, key=lambda instance: (not instance.boxed, instance.confidence)):
            semantic[instance.mask] = IGNORE if instance.boxed else 1 + list(classes).index(instance.label)
        return cls(semantic, tuple(instances), tuple(classes))
