"""Segment Anything 3 (Carion et al., 2025) as a label source: asked for a phrase, it finds each such object's mask.

Each class is asked for by all of its phrases. An object's confidence is the model's own, which has how sure it is that
the image shows anything of that kind in it. The tests build an untrained model.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from diffucurate.generator.errors import InvalidSetting
from diffucurate.generator.labels.model import Instance, Labels
from diffucurate.generator.labels.settings import Sam3Settings
from diffucurate.generator.models.label_models import CONCEPT_SEGMENTERS
from diffucurate.generator.models.load import checked_device, default_device
from diffucurate.generator.sources.transformers_model import USUAL_BATCH, in_batches, load_model

#: Tokens of a phrase that the processor pads to and the text encoder reads, with those that begin and end it.
_MOST_TOKENS = 32


class Sam3Source:
    """Labels images with SAM 3 of transformers; follows the ``LabelSource`` protocol."""

    name = "sam3"

    def __init__(
        self,
        classes: Mapping[str, Sequence[str]],
        segmenter: str,
        device: str | None = None,
        settings: Sam3Settings | None = None,
        batch_size: int | None = None,
    ) -> None:
        """Load the model.

        Args:
            classes: the classes to label and their phrases; ids are 1 + index.
            segmenter: a folder that transformers saved a model and its processor to, or a hub id; .safetensors only.
            device: as torch names it; by default a GPU where there is one.
            settings: which objects become labels.
            batch_size: images of one size that the model looks at together.

        Raises:
            ModelError: there is no such model or device, or the model is of another kind or cannot be loaded.
            InvalidSetting: a phrase without words, or too long for the model.
        """
        self._settings = settings or Sam3Settings()
        self._device = checked_device(device or default_device()[0])
        self.classes, self._segmenter, self._batch = tuple(classes), segmenter, batch_size or USUAL_BATCH
        model, self._processor = load_model(CONCEPT_SEGMENTERS, segmenter, _processor)
        #: (phrase, the class that it means).
        self._phrases = [(phrase.replace("_", " "), name) for name, of_class in classes.items() for phrase in of_class]
        for phrase, _ in self._phrases:
            if not phrase.strip() or len(self._processor.tokenizer(phrase, verbose=False)["input_ids"]) > _MOST_TOKENS:
                remedy = f"use a phrase of words, of at most the {_MOST_TOKENS} tokens that the model reads"
                raise InvalidSetting("classes", phrase, remedy)
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
        shape = (images[0].shape[0], images[0].shape[1])
        pixels = self._processor(images=list(images), return_tensors="pt")["pixel_values"]
        seen = self._model.get_vision_features(pixels.to(self._device))  # once for all phrases
        found: list[list[Instance]] = [[] for _ in images]
        for phrase, name in self._phrases:
            text = self._processor(text=[phrase] * len(images), return_tensors="pt")
            inputs = {key: text[key].to(self._device) for key in ("input_ids", "attention_mask")}
            results = self._processor.post_process_instance_segmentation(
                self._model(vision_embeds=seen, **inputs),
                threshold=self._settings.min_confidence,
                target_sizes=[shape] * len(images),
            )
            for instances, result in zip(found, results, strict=True):
                masks = result["masks"].cpu().numpy().astype(np.bool_)
                scores = result["scores"].float().cpu().tolist()
                instances += [Instance(name, m, min(s, 1.0)) for m, s in zip(masks, scores, strict=True) if m.any()]
        return [Labels.from_instances(self._apart(instances), self.classes, shape) for instances in found]

    def _apart(self, found: Sequence[Instance]) -> list[Instance]:
        """The most certain first, without those that overlap a more certain one of their class by more (IoU): phrases
        of one class find the same objects."""
        kept: list[Instance] = []
        for each in sorted(found, key=lambda instance: -instance.confidence):
            if all(other.label != each.label or _iou(other, each) <= self._settings.max_overlap for other in kept):
                kept.append(each)
        return kept


def _iou(one: Instance, other: Instance) -> float:
    shared = np.count_nonzero(one.mask & other.mask)
    return float(shared / (one.area + other.area - shared))


def _processor(name: str, arguments: dict[str, Any]) -> Any:
    import transformers

    return transformers.Sam3Processor.from_pretrained(name, **arguments)
