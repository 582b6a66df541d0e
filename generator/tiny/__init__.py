"""The built-in ("tiny") models and the renderer of the scenes that they are trained on.

from diffucurate.generator import tiny
scenes = tiny.real_scenes(200, seed=7)      # images with exact masks, the project's ground truth
pipe = StableDiffusionPipeline.from_pretrained(tiny.pipeline_folder())
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from diffucurate.generator.models.built_in import pipeline_folder, rare_yolo_path, yolo_path
from diffucurate.generator.tiny.shapes import CLASSES, RARE_CLASSES

if TYPE_CHECKING:
    from diffucurate.generator.tiny.scenes import Scene, real_scenes

__all__ = ["CLASSES", "RARE_CLASSES", "Scene", "pipeline_folder", "rare_yolo_path", "real_scenes", "yolo_path"]


def __getattr__(name: str) -> Any:
    # The renderer needs OpenCV, which callers that only ask for a path need not import.
    if name in ("Scene", "real_scenes"):
        from diffucurate.generator.tiny import scenes

        return getattr(scenes, name)
    raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
