"""Does a label source label the mirrored image alike? It is loaded with what it made the stored labels with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import fiftyone as fo
import numpy as np
from numpy.typing import NDArray

from diffucurate.generator.labels.maps.stored_maps import Heatmaps
from diffucurate.generator.quality.overlap import mean_iou, mirrored
from diffucurate.generator.sources.protocol import Labeller, LabelRequest, PixelLabeller
from diffucurate.plugin.labelling.start import wanted_classes
from diffucurate.plugin.quality.image_checks import CheckedImage, Found
from diffucurate.plugin.quality.start import flip_request
from diffucurate.plugin.store import field_names

if TYPE_CHECKING:
    from diffucurate.generator.sources.protocol import LabelSource


@dataclass(frozen=True, eq=False)
class _Mirrored:
    """An image as a mirror shows it; follows the ``ImageToLabel`` protocol. No kept map fits it."""

    pixels: NDArray[np.uint8]
    prompt: str | None

    def kept_maps(self) -> Heatmaps | None:
        return None

    def maps_model(self) -> str | None:
        return None


class FlipCheck:
    """The mean IoU per class of an image's labels and those of the mirrored image, turned back."""

    of_labels: ClassVar[bool] = True

    def __init__(self, source: str, labeller: Labeller) -> None:
        self._field, self._labeller = field_names.measure(source, "flip_iou"), labeller

    def measure(self, images: Sequence[CheckedImage]) -> list[Found]:
        asked = [_Mirrored(np.ascontiguousarray(image.pixels[:, ::-1]), image.prompt) for image in images]
        found = [Found() for _ in images]
        for index, result in self._labeller.results(asked):
            iou = mean_iou(images[index].instances, mirrored(result.labels.instances))
            found[index].values[self._field] = iou
        return found


def flip_check(
    samples: fo.Dataset | fo.DatasetView,
    dataset: fo.Dataset,
    source: str | LabelSource,
    device: str | None,
    batch_size: int | None,
) -> FlipCheck:
    """The check for a source's labels in a dataset.

    Raises:
        InvalidSetting: labels that no source can make again, or of several models.
        ModelError: the source cannot be loaded.
    """
    if not isinstance(source, str):
        request = LabelRequest(wanted_classes(dataset, None), None, {}, device, batch_size)
        return FlipCheck(source.name, PixelLabeller(source, request))
    spec, request = flip_request(samples, dataset, source, device, batch_size)
    return FlipCheck(source, spec.load(request))
