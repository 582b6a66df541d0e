"""How sure a CLIP model is that an image shows what it should (OVAM's filter, Marcos-Manchon et al. 2024).

Knows images and texts. Torch and transformers are imported when a model is loaded.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from diffucurate.generator.models.label_models import CLIP_MODELS
from diffucurate.generator.sources.transformers_model import in_batches, load_model

if TYPE_CHECKING:
    from torch import Tensor

#: Images that share a batch: at 224 to 336 px a side, more gain little.
_BATCH = 16

_Image = NDArray[np.uint8]


class ClipScorer:
    """Compares images with phrases.

    Args:
        model: a folder that transformers saved a CLIP model and its processor to, or a hub id such as
            ``openai/clip-vit-base-patch32``.
        device: as torch names it; by default a GPU where there is one.
        batch_size: images that are looked at together.

    Raises:
        ModelError: there is no such model, it is of another kind, or it cannot be loaded; no such device.
    """

    def __init__(self, model: str, device: str | None = None, batch_size: int | None = None) -> None:
        from diffucurate.generator.models.load import checked_device, default_device

        def processor_of(name: str, options: dict[str, Any]) -> Any:
            from transformers import CLIPProcessor

            return CLIPProcessor.from_pretrained(name, **options)

        self._device = checked_device(device or default_device()[0])
        self._name, self._batch = model, batch_size or _BATCH
        loaded, self._processor = load_model(CLIP_MODELS, model, processor_of)
        self._model = loaded.to(self._device)
        self._texts: dict[str, Tensor] = {}

    def scores(self, images: Sequence[_Image], phrases: Sequence[Sequence[str]]) -> list[float | None]:
        """For each image the least score of its phrases, in [0, 1]; None without a phrase.

        The score of a phrase X is the softmax of "a X" against "not a X", 0.5 where the model cannot tell.

        Args:
            images: (H, W, 3) uint8 RGB each.
            phrases: of each image, what it should show, such as ``["red car", "bus"]``.

        Raises:
            ModelError: memory runs out at a single image.
        """
        features = in_batches(images, self._batch, self._image_features, self._name)
        return [
            min((self._score(feature, phrase) for phrase in asked), default=None)
            for feature, asked in zip(features, phrases, strict=True)
        ]

    def _score(self, image: Tensor, phrase: str) -> float:
        logits = self._model.logit_scale.detach().exp() * (self._text_features(phrase) @ image)
        return float(logits.softmax(dim=0)[0])

    def _image_features(self, images: Sequence[_Image]) -> list[Tensor]:
        import torch

        inputs = self._processor(images=list(images), return_tensors="pt").to(self._device)
        with torch.inference_mode():
            vision = self._model.vision_model(pixel_values=inputs["pixel_values"])
            return list(_unit(self._model.visual_projection(vision.pooler_output)))

    def _text_features(self, phrase: str) -> Tensor:
        """(2, width): of "a X" and of "not a X"."""
        import torch

        if phrase not in self._texts:
            texts = [f"a {phrase}", f"not a {phrase}"]
            inputs = self._processor(text=texts, padding=True, truncation=True, return_tensors="pt").to(self._device)
            with torch.inference_mode():
                text = self._model.text_model(
                    input_ids=inputs["input_ids"], attention_mask=inputs.get("attention_mask")
                )
                self._texts[phrase] = _unit(self._model.text_projection(text.pooler_output))
        return self._texts[phrase]


def _unit(vectors: Tensor) -> Tensor:
    return vectors / vectors.norm(dim=-1, keepdim=True)
