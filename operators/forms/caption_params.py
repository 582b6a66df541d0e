"""The values of the fields for captions and a recipe's ``captions``, each converted to the other. Draws nothing."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from diffucurate.generator.captions.config import Captions


def caption_params(captions: Captions) -> dict[str, Any] | None:
    """The fields for a recipe's captions; None where they hold something that no field can."""
    texts = captions.texts
    if captions.per_image is not None or (texts and not all(isinstance(text, str) for text in texts)):
        return None
    params = {
        "captions_path": captions.path,
        "instances_path": captions.instances,
        "class_prompt": captions.class_prompt,
    }
    if texts:
        params["captions"] = "\n".join(" ".join(str(text).split()) for text in texts)
    return {name: value for name, value in params.items() if value is not None}


def captions_in(params: Mapping[str, Any]) -> dict[str, Any] | None:
    """The recipe's ``captions``; None where neither a file nor a text is named."""
    captions: dict[str, Any] = {}
    if params.get("captions_path"):
        path = str(params["captions_path"])
        captions["path"] = path
        if params.get("instances_path") and Path(path).suffix.lower() == ".json":
            captions["instances"] = params["instances_path"]
    elif lines := [line.strip() for line in str(params.get("captions") or "").splitlines() if line.strip()]:
        captions["texts"] = lines
    if captions and params.get("class_prompt"):
        captions["class_prompt"] = params["class_prompt"]
    return captions or None
