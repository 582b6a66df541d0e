"""What the fields for captions hold, and what a recipe says of captions: each made from the other. Draws nothing."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from diffucurate.generator.captions.config import Captions


def caption_params(captions: Captions) -> dict[str, Any] | None:
    """The fields for a recipe's captions; None where they say what no field does."""
    texts = captions.texts
    if captions.per_image is not None or (texts and not all(isinstance(text, str) for text in texts)):
        return None
    found = {
        "captions_path": captions.path,
        "instances_path": captions.instances,
        "class_prompt": captions.class_prompt,
    }
    if texts:
        found["captions"] = "\n".join(" ".join(str(text).split()) for text in texts)
    return {name: value for name, value in found.items() if value is not None}


def captions_in(params: Mapping[str, Any]) -> dict[str, Any] | None:
    """What a recipe says under ``captions``; None where no caption is given."""
    found: dict[str, Any] = {}
    if params.get("captions_path"):
        path = str(params["captions_path"])
        found["path"] = path
        if params.get("instances_path") and Path(path).suffix.lower() == ".json":
            found["instances"] = params["instances_path"]
    elif lines := [line.strip() for line in str(params.get("captions") or "").splitlines() if line.strip()]:
        found["texts"] = lines
    if found and params.get("class_prompt"):
        found["class_prompt"] = params["class_prompt"]
    return found or None
