"""Where the weights of the built-in models lie. Knows paths only; ``generator.tiny`` trains what is there."""

from __future__ import annotations

from pathlib import Path

#: Pipeline, segmenters, words and training curves.
WEIGHTS = Path(__file__).parents[1] / "tiny" / "weights"


def pipeline_folder() -> Path:
    """The folder of the built-in text-to-image model, in diffusers' own format."""
    return WEIGHTS / "pipeline"


def yolo_path() -> Path:
    """The checkpoint of the built-in YOLOv8n-seg: a pickle, made by this project's own training script."""
    return WEIGHTS / "yolov8n-seg-tiny.pt"


def rare_yolo_path() -> Path:
    """The checkpoint of a YOLOv8n-seg that knows pianos too: a pickle, made by ``tiny.train_rare``."""
    return WEIGHTS / "yolov8n-seg-piano.pt"


def mask_network_path() -> Path:
    """The safetensors file of the mask network, which brings class maps to an image's outlines."""
    return WEIGHTS / "mask-network.safetensors"
