"""What an actor does that labels: it loads the label source once, and reads and labels images. Knows no database."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from diffucurate.generator.sources.protocol import LabelRequest, LabelResult
from diffucurate.generator.sources.registry import source_named
from diffucurate.plugin.store.media_files import StoredMaps, read_image, read_stored_maps

if TYPE_CHECKING:
    from diffucurate.generator.labels.maps.stored_maps import Heatmaps


@dataclass(frozen=True)
class LabelItem:
    """An image by the id of its sample: the files of image and kept class maps, and what its sample says of it.

    ``painter`` is the model that made the maps where their file does not say; ``repeatable`` says that an image whose
    maps cannot be read can be looked at again.
    """

    sample_id: str
    path: str
    prompt: str | None
    maps: str | None
    painter: str | None
    repeatable: bool


@dataclass
class LabelledLease:
    """What became of a lease: id of a sample -> (height, width) and labels, or why it is skipped."""

    results: dict[str, tuple[tuple[int, int], LabelResult]] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)
    unseen: tuple[str, ...] = ()
    unmapped: tuple[str, ...] = ()


@dataclass(frozen=True)
class ReadImage:
    """An image that was read; follows the ``ImageToLabel`` protocol."""

    item: LabelItem
    pixels: NDArray[np.uint8]

    @property
    def prompt(self) -> str | None:
        return self.item.prompt

    def kept_maps(self) -> Heatmaps | None:
        return None if self._stored is None else self._stored.maps

    def maps_model(self) -> str | None:
        if self._stored is None:
            return None
        return self.item.painter if self._stored.model is None else self._stored.model

    @cached_property
    def _stored(self) -> StoredMaps | None:
        try:
            return None if self.item.maps is None else read_stored_maps(self.item.maps)
        except OSError:
            return None


class LabelWorker:
    """A label source, and images for it.

    Args:
        source: its name.
        request: what it is to do.
        only_kept: whether images are skipped whose kept class maps cannot be read, unless they can be looked at again.
    """

    def __init__(self, source: str, request: LabelRequest[Any], only_kept: bool) -> None:
        self._labeller, self._only_kept = source_named(source).load(request), only_kept

    @property
    def request(self) -> LabelRequest[Any]:
        """What the source does, with what it has chosen itself."""
        return self._labeller.request

    def facts(self) -> dict[str, Any]:
        """Nothing besides the machine."""
        return {}

    def work(self, items: Sequence[LabelItem]) -> LabelledLease:
        """Label images.

        Raises:
            LabelError, ModelError: an image cannot be labelled.
        """
        lease, images = LabelledLease(), list[ReadImage]()
        for item in items:
            try:
                image = ReadImage(item, read_image(item.path))
            except OSError:
                lease.skipped[item.sample_id] = item.path
                continue
            if self._only_kept and image.kept_maps() is None and not item.repeatable:
                lease.skipped[item.sample_id] = f"{item.path}: its heatmaps in '{item.maps}'"
            else:
                images.append(image)
        for index, result in self._labeller.results(images):
            for instance in result.labels.instances:  # worked out here, and kept with the labels
                _ = instance.polygons, instance.box
            shape = images[index].pixels.shape
            lease.results[images[index].item.sample_id] = (shape[0], shape[1]), result
        lease.unseen, lease.unmapped = tuple(self._labeller.unseen), tuple(self._labeller.unmapped)
        return lease
