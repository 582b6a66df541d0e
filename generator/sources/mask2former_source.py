"""Mask2Former and its kin as a label source: masks of objects or of classes, from the image alone.

They have in common that each of some hundred queries says which class it is of, or none, and where: MaskFormer (Cheng
et al., 2021), Mask2Former (Cheng et al., 2022), OneFormer (Jain et al., 2023), EoMT (Kerssies et al., 2025), RF-DETR
(Robinson et al., 2025). SegFormer (Xie et al., 2021) says of each pixel which class it is of.

Of a model made for instance or panoptic segmentation each query is an object, whose confidence is the probability of
its class times the mean probability of its pixels. Of one made for semantic segmentation each connected part of a
class's mask is an object, whose confidence is the mean of its pixels' probabilities of the class.

Masks are enlarged before they are cut, so outlines are as fine as the image; some of transformers' own functions cut
them at 384 x 384 pixels, stretched where the model's input was padded. The tests build untrained models.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn.functional import interpolate

from diffucurate.generator.errors import InvalidSetting
from diffucurate.generator.labels.masks.components import objects
from diffucurate.generator.labels.model import Instance, Labels
from diffucurate.generator.labels.refinement import overlap
from diffucurate.generator.labels.settings import Mask2FormerSettings
from diffucurate.generator.models.label_models import SEGMENTERS
from diffucurate.generator.models.load import checked_device, default_device
from diffucurate.generator.sources.detector_classes import matched_classes, unmapped_classes
from diffucurate.generator.sources.transformers_model import USUAL_BATCH, in_batches, load_model

if TYPE_CHECKING:
    from torch import Tensor


class Mask2FormerSource:
    """Labels images with a segmenter of transformers; follows the ``LabelSource`` protocol."""

    name = "mask2former"

    def __init__(
        self,
        classes: Iterable[str],
        segmenter: str,
        class_map: Mapping[str, str] | None = None,
        device: str | None = None,
        settings: Mask2FormerSettings | None = None,
        batch_size: int | None = None,
    ) -> None:
        """Load the model.

        Args:
            classes: the classes to label; ids are 1 + index.
            segmenter: a folder that transformers saved a model and its processor to, or a hub id; .safetensors only.
            class_map: names of the model's classes -> names in ``classes``, where these differ in more than capitals,
                underscores or the plural.
            device: as torch names it; by default a GPU where there is one.
            settings: which objects become labels.
            batch_size: images of one size that the model looks at together.

        Raises:
            ModelError: there is no such model or device, the model is of another kind or cannot be loaded, or none of
                its classes is wanted.
            InvalidSetting: an entry of ``class_map`` that the model or ``classes`` does not know, or objects asked for
                of a model that tells none apart.
        """
        self._settings = settings or Mask2FormerSettings()
        self._device = checked_device(device or default_device()[0])
        self.classes, self._segmenter, self._batch = tuple(classes), segmenter, batch_size or USUAL_BATCH
        model, self._processor = load_model(SEGMENTERS, segmenter, _processor)
        names = {int(index): str(name) for index, name in model.config.id2label.items()}
        self._targets = matched_classes(names, self.classes, class_map or {}, segmenter)
        #: Those of ``classes`` that the model has no class for.
        self.unseen = tuple(name for name in self.classes if name not in self._targets.values())
        #: The model's own that are none of ``classes``.
        self.unmapped = unmapped_classes(names, self._targets)
        of_classes = "Semantic" in type(model).__name__ or bool(getattr(self._processor, "do_split_image", False))
        self._segmentation = _segmentation(self._settings.segmentation, segmenter, of_classes)
        self._model = model.to(self._device)

    def label(self, images: Sequence[NDArray[np.uint8]], /) -> list[Labels]:
        """Label images of any sizes, each (H, W, 3) uint8 RGB.

        Returns:
            One Labels per image, at its own resolution, the most confident instances first. Where instances overlap,
            the semantic mask shows the more confident one.

        Raises:
            ModelError: memory runs out at a single image.
        """
        with torch.inference_mode():
            return in_batches(images, self._batch, self._labels, self._segmenter)

    def _labels(self, images: Sequence[NDArray[np.uint8]]) -> list[Labels]:
        shape = images[0].shape[:2]
        inputs = self._inputs(images)
        offsets = inputs.pop("patch_offsets", None)
        outputs = self._model(**{name: value.to(self._device) for name, value in inputs.items()})
        chances, masks = _answers(outputs)
        padding = inputs.get("pixel_mask")
        labels = []
        for index in range(len(images)):
            parts = [index] if not offsets else [at for at, offset in enumerate(offsets) if int(offset[0]) == index]
            frame = _Frame(
                shape,
                tuple(inputs["pixel_values"].shape[-2:]),
                None if padding is None else (int(padding[index].any(1).sum()), int(padding[index].any(0).sum())),
                [(0, int(offsets[part][1]), int(offsets[part][2])) for part in parts] if offsets else None,
                self._processor,
            )
            find = self._parts_of_classes if self._segmentation == "semantic" else self._objects
            instances = _apart(find(chances[parts], masks[parts], frame), self._settings.max_overlap)
            labels.append(Labels.from_instances(instances, self.classes, shape))
        return labels

    def _inputs(self, images: Sequence[NDArray[np.uint8]]) -> dict[str, Any]:
        arguments: dict[str, Any] = {"images": list(images), "return_tensors": "pt"}
        if hasattr(self._processor, "tokenizer"):  # OneFormer is told by a sentence what to do
            arguments["task_inputs"] = [self._segmentation] * len(images)
        return dict(self._processor(**arguments))

    def _objects(self, chances: Tensor, masks: Tensor, frame: _Frame) -> list[Instance]:
        """The queries of wanted classes: (1, queries, classes) probabilities and (1, queries, h, w) logits."""
        settings, instances = self._settings, []
        best, indices = chances[0].max(-1)
        for query, (chance, index) in enumerate(zip(best.tolist(), indices.tolist(), strict=True)):
            if index not in self._targets or chance < settings.min_confidence:
                continue
            inside = frame.at_image_size(masks[:, query]).sigmoid().cpu().numpy()
            mask = inside > 0.5
            if not mask.any() or mask.mean() < settings.min_area:
                continue
            confidence = min(chance * float(inside[mask].mean()), 1.0)
            if confidence >= settings.min_confidence:
                instances.append(Instance(self._targets[index], mask, confidence))
        return instances

    def _parts_of_classes(self, chances: Tensor, masks: Tensor, frame: _Frame) -> list[Instance]:
        """The connected parts of wanted classes: (parts, queries, classes) probabilities and (parts, queries, h, w)
        logits of the parts of an image."""
        inside = interpolate(masks, frame.input_size, mode="bilinear", align_corners=False).sigmoid()
        # One class after the other: all of them at the size of the image may be gigabytes.
        highest = np.full(frame.shape, -np.inf, np.float32)
        indices = np.zeros(frame.shape, np.int32)
        for index in range(chances.shape[-1]):
            scores = torch.einsum("pq,pqhw->phw", chances[..., index], inside)
            values = frame.at_image_size(scores).cpu().numpy()
            higher = values > highest
            highest[higher], indices[higher] = values[higher], index
        settings, instances = self._settings, []
        for name in dict.fromkeys(self._targets.values()):
            mask = np.isin(indices, [index for index, target in self._targets.items() if target == name])
            for part in objects(mask, settings.min_area, 0):
                # Queries of one class add up, so a pixel may have a little more than 1.
                confidence = min(float(highest[part].mean()), 1.0)
                if confidence >= settings.min_confidence:
                    instances.append(Instance(name, part, confidence))
        return instances


@dataclass(frozen=True)
class _Frame:
    """How an image stood in the model's input.

    Attributes:
        shape: (height, width) of the image.
        input_size: (height, width) of the input.
        content: (height, width) of the image in it, at its top left; None where the processor has no mask of it.
        offsets: (0, start, end) along the longer side for each part of a resized image that is one input of its own;
            None where there is one.
        processor: what made the input.
    """

    shape: tuple[int, int]
    input_size: tuple[int, int]
    content: tuple[int, int] | None
    offsets: list[tuple[int, int, int]] | None
    processor: Any

    def at_image_size(self, planes: Tensor) -> Tensor:
        """(parts, h, w) values at the model's resolution as (H, W) ones of the image."""
        planes = interpolate(planes[:, None], self.input_size, mode="bilinear", align_corners=False)
        if self.offsets is not None:
            (whole,) = self.processor.merge_image_patches(planes, self.offsets, [self.shape], self.processor.size)
            return whole[0]
        if self.content is None and getattr(self.processor, "do_pad", False):  # EoMT gives no mask of the padding
            (whole,) = self.processor.unpad_image(planes, [self.shape], self.processor.size)
            return whole[0]
        height, width = self.content or self.input_size
        return interpolate(planes[..., :height, :width], self.shape, mode="bilinear", align_corners=False)[0, 0]


def _processor(name: str, arguments: dict[str, Any]) -> Any:
    import transformers

    config, _ = transformers.PretrainedConfig.get_config_dict(name, **arguments)
    if config.get("model_type") != "oneformer":
        return transformers.AutoImageProcessor.from_pretrained(name, **arguments)
    # The names of its classes, which only training needs, would be downloaded from a repository of their own.
    images = transformers.AutoImageProcessor.from_pretrained(name, class_info_file=None, **arguments)
    tokenizer = transformers.AutoTokenizer.from_pretrained(name, **arguments)
    return transformers.OneFormerProcessor(images, tokenizer, task_seq_length=config.get("task_seq_len", 77))


def _answers(outputs: Any) -> tuple[Tensor, Tensor]:
    """Of each image and query the probability of each class, (images, queries, classes), and of each of the image's
    pixels as a logit, (images, queries, h, w)."""
    if hasattr(outputs, "class_queries_logits"):  # the last class is: none
        return outputs.class_queries_logits.float().softmax(-1)[..., :-1], outputs.masks_queries_logits.float()
    if hasattr(outputs, "pred_masks"):  # RF-DETR, whose classes do not exclude each other
        return outputs.logits.float().sigmoid(), outputs.pred_masks.float()
    # SegFormer: as many queries as classes, each of which is about one.
    logits = outputs.logits.float()
    same = torch.eye(logits.shape[1], device=logits.device).expand(len(logits), -1, -1)
    return same, logits.softmax(1).logit(eps=1e-6)


def _segmentation(asked: str, segmenter: str, of_classes: bool) -> str:
    """What the model was trained for; ``of_classes``: for semantic segmentation, as its files say.

    Raises:
        InvalidSetting: objects are asked for of one that tells none apart.
    """
    if of_classes and asked in ("instance", "panoptic"):
        raise InvalidSetting("settings.segmentation", asked, f"'{segmenter}' tells no objects apart; use semantic")
    if asked != "auto":
        return asked
    words = re.split("[^a-z]+", Path(segmenter).name.lower())
    return "semantic" if of_classes or "semantic" in words else "panoptic" if "panoptic" in words else "instance"


def _apart(instances: Sequence[Instance], max_overlap: float) -> list[Instance]:
    """The most confident first, without those that overlap a more confident one of their class by more (IoU)."""
    kept: list[Instance] = []
    for instance in sorted(instances, key=lambda instance: -instance.confidence):
        twins = (other for other in kept if other.label == instance.label)
        if all(overlap(other.mask, instance.mask) <= max_overlap for other in twins):
            kept.append(instance)
    return kept
