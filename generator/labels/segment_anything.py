"""Outlines by a Segment Anything model: SAM (Kirillov et al., 2023), SAM 2 (Ravi et al., 2024) or SAM 3's tracker.

Each object of an image is shown to the model by its box and the hottest points of its class's heatmap. Of the masks
the model offers (it may take the points for a part, an object or a group), the one that overlaps most with the object
is taken if the overlap is large enough for the same object; the model's own score does not say which object a mask is
of. Torch and transformers are imported when a model is loaded and not before.

Knows nothing of how the labels were made. The tests build untrained models, which cannot measure what a trained one
gains.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from diffucurate.generator.errors import LabelError, ModelError
from diffucurate.generator.labels.from_heatmaps import normalised_heatmaps
from diffucurate.generator.labels.model import Labels
from diffucurate.generator.labels.refinement import drawn_in_boxes, hottest_points, refined
from diffucurate.generator.labels.settings import DEFAULT_SETTINGS
from diffucurate.generator.models.hub import load_local_first
from diffucurate.generator.models.names import SEGMENTERS, check_segmenter, locate_segmenter

if TYPE_CHECKING:
    from torch import Tensor

#: Points shown for each object. On rendered scenes each of the three hottest is on the object in 96 of 100 cases.
POINTS = 3

#: Least IoU of a mask's own box with the box that it was asked for by: below, it is a part, a group or something else.
BOX_AGREEMENT = 0.5

#: Objects worked on at once: an image of 512 x 512 pixels takes some 30 MB for each, a larger one more.
_AT_ONCE = 16


class SamRefiner:
    """Redraws the objects of labels with a Segment Anything model, loaded once.

    One image after the other: at the size of these models' inputs (1024 pixels a side), one is enough to keep a device
    busy. Weights are float32.

    Args:
        model: a folder that transformers saved a model and its processor to, or a hub id such as
            ``facebook/sam-vit-base``; .safetensors weights only.
        device: as torch names it; by default a GPU where there is one.
        min_agreement: least IoU, in [0, 1], of a new mask with the object's own.

    Raises:
        ModelError: there is no such model, it is of a kind that takes no boxes and points, or it cannot be loaded; no
            such device.
    """

    def __init__(
        self, model: str, device: str | None = None, min_agreement: float = DEFAULT_SETTINGS.min_agreement
    ) -> None:
        from diffucurate.generator.models.load import checked_device, default_device

        device = checked_device(device or default_device()[0])
        loaded, self._processor = _load(model)
        self._model = loaded.eval().to(device)
        self._device, self._min_agreement = device, min_agreement

    def refine(self, image: NDArray[np.uint8], labels: Labels, heatmaps: Mapping[str, NDArray[np.floating]]) -> Labels:
        """The labels of an image with the outlines of its objects redrawn where the model agrees with them.

        Confidences stay. Where new masks overlap, the more confident object has the pixels; see ``refined``.

        Args:
            image: (H, W, 3) uint8 RGB.
            labels: of that image.
            heatmaps: class -> (h, w) raw map at any resolution, for every class that has an instance.

        Raises:
            LabelError: an image that is not uint8 (H, W, 3) of the labels' size, or a class without a heatmap.
        """
        shape = labels.semantic.shape
        if image.dtype != np.uint8 or image.shape != (*shape, 3):
            raise LabelError(f"image is {image.dtype} {image.shape}, expected uint8 {(*shape, 3)}")
        if not labels.instances:
            return labels
        names = dict.fromkeys(instance.label for instance in labels.instances)
        if missing := [name for name in names if name not in heatmaps]:
            raise LabelError(f"there is no heatmap of {', '.join(missing)}; pass those the labels were made from")
        heat = normalised_heatmaps({name: heatmaps[name] for name in names}, (shape[0], shape[1]))
        boxes = [instance.box for instance in labels.instances]
        points = [hottest_points(heat[instance.label], instance.mask, POINTS) for instance in labels.instances]
        return refined(labels, self._masks(image, boxes, points), self._min_agreement)

    def draw_in_boxes(self, image: NDArray[np.uint8], labels: Labels) -> Labels:
        """The labels of an image whose masks are whole boxes, with the object drawn that the model sees in each box.

        Of the masks that the model offers, the one whose own box is most like the box is taken; where none is like it
        (``BOX_AGREEMENT``), the whole box stays. Confidences stay. Objects may overlap.

        Args:
            image: (H, W, 3) uint8 RGB.
            labels: of that image.
        """
        if not labels.instances:
            return labels
        masks = self._masks(image, [instance.box for instance in labels.instances], None)
        return drawn_in_boxes(labels, masks, BOX_AGREEMENT)

    def _masks(
        self, image: NDArray[np.uint8], boxes: list[tuple[int, int, int, int]], points: list[NDArray[np.float32]] | None
    ) -> list[NDArray[np.bool_]]:
        """For each object the masks that the model offers, (n, H, W) bool; by its box alone without ``points``."""
        import torch

        masks: list[NDArray[np.bool_]] = []
        with torch.inference_mode():
            embeddings: Any = None
            for start in range(0, len(boxes), _AT_ONCE):
                shown: dict[str, Any] = {
                    "input_boxes": [[list(map(float, box)) for box in boxes[start : start + _AT_ONCE]]]
                }
                if points is not None:
                    shown["input_points"] = [[spots.tolist() for spots in points[start : start + _AT_ONCE]]]
                    shown["input_labels"] = [[[1] * POINTS for _ in points[start : start + _AT_ONCE]]]
                inputs = self._processor(images=image, **shown, return_tensors="pt")
                if embeddings is None:
                    embeddings = self._model.get_image_embeddings(inputs["pixel_values"].to(self._device))
                for name in shown:
                    kind = None if name == "input_labels" else torch.float32
                    shown[name] = inputs[name].to(self._device, kind)
                offered = self._model(image_embeddings=embeddings, **shown, multimask_output=True).pred_masks
                masks += list(self._at_full_size(offered, inputs))
        return masks

    def _at_full_size(self, masks: Tensor, inputs: Mapping[str, Any]) -> NDArray[np.bool_]:
        """The (1, objects, n, h, w) logits of an image as (objects, n, H, W) bool."""
        # SAM pads an image to a square, so it needs the size without padding; the others stretch the image.
        sizes = [inputs[name] for name in ("original_sizes", "reshaped_input_sizes") if name in inputs]
        return np.asarray(self._processor.post_process_masks(masks.cpu(), *sizes)[0].numpy(), np.bool_)


def _load(model: str) -> tuple[Any, Any]:
    """The model and its processor."""
    remedy = "save model and processor there with .safetensors weights"
    return load_local_first(model, locate_segmenter(model), _from_pretrained, folder_help=remedy)


def _from_pretrained(name: str, local_only: bool) -> tuple[Any, Any]:
    import transformers

    from diffucurate.generator.models.whole_weights import load_whole

    config, _ = transformers.PretrainedConfig.get_config_dict(name, local_files_only=local_only)
    kind = config.get("model_type")
    check_segmenter(name, kind)
    if not all(hasattr(transformers, wanted) for wanted in SEGMENTERS[kind]):
        raise ModelError(f"'{name}' needs a newer transformers than {transformers.__version__}; upgrade it")
    model, processor = (getattr(transformers, wanted) for wanted in SEGMENTERS[kind])
    return (
        load_whole(model, name, name, local_files_only=local_only),
        processor.from_pretrained(name, local_files_only=local_only, trust_remote_code=False),
    )
