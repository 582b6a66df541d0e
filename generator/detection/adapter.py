"""A trained head with the model whose features it reads: images in, labels out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor
from torch.nn import functional

from diffucurate.generator.detection.decode import instances
from diffucurate.generator.detection.features import FeatureReader
from diffucurate.generator.detection.files import read_config
from diffucurate.generator.detection.head import DetectionHead, Predictions
from diffucurate.generator.errors import ModelError
from diffucurate.generator.labels.model import Instance
from diffucurate.generator.models.load import load_pipeline


class DetectionAdapter:
    """A head on a model's features.

    Attributes:
        reader: reads the features.
        head: the network.
        classes: names by their ids.
        masks: whether masks were learned, not boxes alone.
    """

    def __init__(self, reader: FeatureReader, head: DetectionHead, classes: Sequence[str], masks: bool = True) -> None:
        self.reader, self.head, self.classes, self.masks = reader, head, tuple(classes), masks

    def predict(self, images: Sequence[NDArray[np.uint8]], features: Sequence[Tensor] | None = None) -> Predictions:
        """What the head says of (H, W, 3) uint8 RGB images of any sizes, whose features are read unless given."""
        features = self.reader.read(images) if features is None else features
        result: Predictions = self.head(features, self.pixels(images).to(features[0]))
        return result

    def pixels(self, images: Sequence[NDArray[np.uint8]]) -> Tensor:
        """Images as the head sees them, (N, 3, 2G, 2G) in [-1, 1]."""
        size = (2 * self.head.grid, 2 * self.head.grid)
        planes = [torch.tensor(image).permute(2, 0, 1)[None].float() for image in images]
        return torch.cat([functional.interpolate(each, size, mode="area") for each in planes]) / 127.5 - 1

    @torch.no_grad()
    def find(
        self,
        images: Sequence[NDArray[np.uint8]],
        *,
        min_confidence: float,
        max_overlap: float,
        features: Sequence[Tensor] | None = None,
    ) -> list[list[Instance]]:
        """The objects of each image; see ``decode.instances`` and ``predict``."""
        training = self.head.training
        self.head.eval()
        try:
            predictions = self.predict(images, features)
        finally:
            self.head.train(training)
        options: dict[str, Any] = {"min_confidence": min_confidence, "max_overlap": max_overlap, "masks": self.masks}
        return [
            instances(predictions, index, (image.shape[0], image.shape[1]), self.classes, **options)
            for index, image in enumerate(images)
        ]


def load_adapter(weights: Path, device: str | None = None, pipe: Any = None) -> DetectionAdapter:
    """An adapter from its files, with its diffusion model; with ``pipe``, that is its diffusion model.

    Raises:
        ModelError: the files are broken or of something else, or the model cannot be loaded or does not fit the head.
    """
    config = read_config(weights)
    pipe = load_pipeline(config["model"], device) if pipe is None else pipe
    reader = FeatureReader(pipe, float(config["noise"]))
    try:
        head = DetectionHead(config["channels"], len(config["classes"]), config["width"], config["finest"])
        head.load_state_dict(load_file(weights))
    except (OSError, SafetensorError, RuntimeError, TypeError, ValueError) as error:
        raise ModelError(f"the adapter '{weights}' does not fit its config; train it again") from error
    found = [each.shape[1] for each in reader.read([np.zeros((64, 64, 3), np.uint8)])]
    if found != list(config["channels"]):
        raise ModelError(f"the adapter '{weights}' was trained on another model than '{config['model']}' is now")
    return DetectionAdapter(reader, head.to(reader.device).eval(), config["classes"], bool(config["masks"]))
