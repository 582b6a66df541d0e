"""The built-in world: its renderer, and the small models trained on what it draws.

from diffucurate.generator import tiny
scenes = tiny.real_scenes(200, seed=7)      # images with exact masks, the project's ground truth
pipe = StableDiffusionPipeline.from_pretrained(tiny.pipeline_folder())
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from diffucurate.generator.tiny.shapes import CLASSES, RARE_CLASSES

if TYPE_CHECKING:
    from diffucurate.generator.tiny.scenes import Scene, real_scenes

__all__ = ["CLASSES", "RARE_CLASSES", "Scene", "pipeline_folder", "rare_yolo_path", "real_scenes", "yolo_path"]

_WEIGHTS = Path(__file__).parent / "weights"


def pipeline_folder() -> Path:
    """The folder of the built-in text-to-image model, in diffusers' own format."""
    return _WEIGHTS / "pipeline"


def yolo_path() -> Path:
    """The checkpoint of the built-in YOLOv8n-seg: a pickle, made by this project's own training script."""
    return _WEIGHTS / "yolov8n-seg-tiny.pt"


def rare_yolo_path() -> Path:
    """The checkpoint of a YOLOv8n-seg that knows pianos too: a pickle, made by ``tiny.train_rare``."""
    return _WEIGHTS / "yolov8n-seg-piano.pt"


def __getattr__(name: str) -> Any:
    # The renderer needs OpenCV, which whoever only asks for a path should not pay for.
    if name in ("Scene", "real_scenes"):
        from diffucurate.generator.tiny import scenes

        return getattr(scenes, name)
    raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
