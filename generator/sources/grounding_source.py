"""Detectors that are asked for phrases as a label source: Grounding DINO (Liu et al., 2023), OWLv2 and OWL-ViT
(Minderer et al., 2022 and 2023).

Each class is asked for by all of its phrases, and a box is of the class whose phrase fits it best. They find boxes: the
mask of an object is its whole box, unless a Segment Anything model draws what is in it.

Of Grounding DINO, whose answer is a probability for each token of one text, a phrase's is the mean over its tokens, as
where its makers evaluate it. The tests build untrained models.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from diffucurate.generator.errors import InvalidSetting
from diffucurate.generator.labels.model import Instance, Labels
from diffucurate.generator.labels.refinement import box_overlap
from diffucurate.generator.labels.settings import GroundingSettings
from diffucurate.generator.models.label_models import GROUNDED_DETECTORS
from diffucurate.generator.models.load import checked_device, default_device
from diffucurate.generator.sources.transformers_model import USUAL_BATCH, in_batches, load_model

if TYPE_CHECKING:
    from torch import Tensor

    from diffucurate.generator.labels.refinement import Box
    from diffucurate.generator.labels.segment_anything import SamRefiner

#: What ends a phrase in a text for Grounding DINO, so that no phrase may hold one.
_ENDS = ".?"

#: OWL's detectors were trained with phrases in sentences, of which transformers' documentation names this one.
_SENTENCE = "a photo of a {}"


class GroundingSource:
    """Labels images with a detector of transformers; follows the ``LabelSource`` protocol."""

    name = "grounding"

    def __init__(
        self,
        classes: Mapping[str, Sequence[str]],
        detector: str,
        refiner: str | None = None,
        device: str | None = None,
        settings: GroundingSettings | None = None,
        batch_size: int | None = None,
    ) -> None:
        """Load the models.

        Args:
            classes: the classes to label and their phrases; ids are 1 + index.
            detector: a folder that transformers saved a model and its processor to, or a hub id; .safetensors only.
            refiner: a Segment Anything model, likewise; without one, masks are whole boxes.
            device: as torch names it; by default a GPU where there is one.
            settings: which boxes become labels.
            batch_size: images of one size that the detector looks at together.

        Raises:
            ModelError: there is no such model or device, or a model is of another kind or cannot be loaded.
            InvalidSetting: a phrase without words, or too long for the detector.
        """
        self._settings = settings or GroundingSettings()
        self._device = checked_device(device or default_device()[0])
        self.classes, self._detector, self._batch = tuple(classes), detector, batch_size or USUAL_BATCH
        model, self._processor = load_model(GROUNDED_DETECTORS, detector, _processor)
        phrases = [(phrase.replace("_", " "), name) for name, of_class in classes.items() for phrase in of_class]
        #: The class that each phrase means.
        self._meanings = [name for _, name in phrases]
        self._prompt: _Text | _Sentences
        if "GroundingDino" in type(model).__name__:
            self._prompt = _Text(self._processor, [phrase for phrase, _ in phrases], model.config.max_text_len)
        else:
            padded = "Owlv2" in type(model).__name__
            self._prompt = _Sentences(self._processor, [phrase for phrase, _ in phrases], padded)
        self._model = model.to(self._device)
        self._refiner: SamRefiner | None = None
        if refiner is not None:
            from diffucurate.generator.labels.segment_anything import SamRefiner

            self._refiner = SamRefiner(refiner, self._device)

    def label(self, images: Sequence[NDArray[np.uint8]], /) -> list[Labels]:
        """Label images of any sizes, each (H, W, 3) uint8 RGB.

        Returns:
            One Labels per image, at its own resolution, the most confident instances first. Where instances overlap,
            the semantic mask shows the more confident one.

        Raises:
            ModelError: memory runs out at a single image.
        """
        with torch.inference_mode():
            return in_batches(images, self._batch, self._labels, self._detector)

    def _labels(self, images: Sequence[NDArray[np.uint8]]) -> list[Labels]:
        labels, shape = [], (images[0].shape[0], images[0].shape[1])
        parts = [
            (self._model(**{key: value.to(self._device) for key, value in inputs.items()}), first, inputs)
            for first, inputs in self._prompt.inputs(images)
        ]
        for index, image in enumerate(images):
            found = [
                (float(chance), self._meanings[first + int(phrase)], box)
                for outputs, first, inputs in parts
                for chance, phrase, box in self._boxes(outputs, inputs, index, shape)
            ]
            instances = [
                Instance(name, _rectangle(box, shape), chance)
                for chance, name, box in _apart(found, self._settings.max_overlap)
            ]
            boxed = Labels.from_instances(instances, self.classes, shape)
            labels.append(boxed if self._refiner is None else self._refiner.draw_in_boxes(image, boxed))
        return labels

    def _boxes(
        self, outputs: Any, inputs: Mapping[str, Tensor], index: int, shape: tuple[int, int]
    ) -> list[tuple[float, int, Box]]:
        """(confidence, phrase, box in pixels) of an image's boxes that are certain enough."""
        chances, phrases = self._prompt.chances(outputs.logits[index].float().sigmoid().cpu(), inputs).max(-1)
        width, height = self._prompt.frame(shape)
        across, down, wide, high = outputs.pred_boxes[index].float().cpu().unbind(-1)
        corners = torch.stack([across - wide / 2, down - high / 2, across + wide / 2, down + high / 2], -1)
        corners *= torch.tensor([width, height, width, height])
        limits = torch.tensor([shape[1], shape[0], shape[1], shape[0]], dtype=torch.float32)
        corners = corners.clamp(min=torch.zeros(4), max=limits)
        inside = (corners[:, 2] > corners[:, 0]) & (corners[:, 3] > corners[:, 1])
        keep = inside & (chances >= self._settings.min_confidence)
        return [
            (chance, phrase, (box[0], box[1], box[2], box[3]))
            for chance, phrase, box in zip(
                chances[keep].tolist(), phrases[keep].tolist(), corners[keep].tolist(), strict=True
            )
        ]


class _Text:
    """Phrases for Grounding DINO: one text after the other, each with as many phrases as it may hold."""

    def __init__(self, processor: Any, phrases: Sequence[str], max_tokens: int) -> None:
        self._processor, tokenizer = processor, processor.tokenizer
        #: The tokens that are of no phrase.
        self._between = {tokenizer.cls_token_id, tokenizer.sep_token_id, tokenizer.pad_token_id}
        self._between |= {*tokenizer.convert_tokens_to_ids(list(_ENDS))}
        #: (the index of its first phrase, text).
        self._texts: list[tuple[int, str]] = []
        for index, phrase in enumerate(phrases):
            text = " ".join(phrase.lower().translate(dict.fromkeys(map(ord, _ENDS), " ")).split()) + "."
            tokens = tokenizer(text, verbose=False)["input_ids"]
            if len(tokens) > max_tokens or self._between.issuperset(tokens):
                remedy = f"use a phrase of words, of at most the {max_tokens} tokens that the detector reads"
                raise InvalidSetting("classes", phrase, remedy)
            longer = f"{self._texts[-1][1]} {text}" if self._texts else ""
            if longer and len(tokenizer(longer, verbose=False)["input_ids"]) <= max_tokens:
                self._texts[-1] = (self._texts[-1][0], longer)
            else:
                self._texts.append((index, text))

    def inputs(self, images: Sequence[NDArray[np.uint8]]) -> list[tuple[int, dict[str, Tensor]]]:
        return [
            (first, dict(self._processor(images=list(images), text=[text] * len(images), return_tensors="pt")))
            for first, text in self._texts
        ]

    def chances(self, tokens: Tensor, inputs: Mapping[str, Tensor]) -> Tensor:
        """(boxes, tokens) probabilities as (boxes, phrases) ones."""
        spans: list[list[int]] = [[]]
        for at, token in enumerate(inputs["input_ids"][0].tolist()):
            if token not in self._between:
                spans[-1].append(at)
            elif spans[-1]:
                spans.append([])
        return torch.stack([tokens[:, span].mean(-1) for span in spans if span], -1)

    def frame(self, shape: tuple[int, int]) -> tuple[int, int]:
        return shape[1], shape[0]


class _Sentences:
    """Phrases for OWLv2, whose boxes are relative to an image that is ``padded`` to a square, and for OWL-ViT."""

    def __init__(self, processor: Any, phrases: Sequence[str], padded: bool) -> None:
        self._processor, self._padded = processor, padded
        self._sentences = [_SENTENCE.format(phrase.lower()) for phrase in phrases]

    def inputs(self, images: Sequence[NDArray[np.uint8]]) -> list[tuple[int, dict[str, Tensor]]]:
        text = [self._sentences] * len(images)
        return [(0, dict(self._processor(images=list(images), text=text, truncation=True, return_tensors="pt")))]

    def chances(self, phrases: Tensor, inputs: Mapping[str, Tensor]) -> Tensor:
        return phrases

    def frame(self, shape: tuple[int, int]) -> tuple[int, int]:
        """(width, height) in pixels of what boxes are relative to."""
        return (max(shape), max(shape)) if self._padded else (shape[1], shape[0])


def _processor(name: str, arguments: dict[str, Any]) -> Any:
    import transformers

    return transformers.AutoProcessor.from_pretrained(name, **arguments)


def _rectangle(box: Box, shape: tuple[int, int]) -> NDArray[np.bool_]:
    """The pixels that a box inside an image touches, (H, W) bool."""
    mask = np.zeros(shape, np.bool_)
    left, top, right, bottom = box
    mask[int(np.floor(top)) : int(np.ceil(bottom)), int(np.floor(left)) : int(np.ceil(right))] = True
    return mask


def _apart(found: Sequence[tuple[float, str, Box]], max_overlap: float) -> list[tuple[float, str, Box]]:
    """The most certain first, without those that overlap a more certain one of their class by more (IoU)."""
    kept: list[tuple[float, str, Box]] = []
    for chance, name, box in sorted(found, key=lambda each: -each[0]):
        if all(other != name or box_overlap(box, place) <= max_overlap for _, other, place in kept):
            kept.append((chance, name, box))
    return kept
