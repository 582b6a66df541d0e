"""The fields that ask for captions. Shared by the forms of ``generate_images`` and ``expand_captions``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from fiftyone.operators import types

from diffucurate.operators.forms.fields import choose

WAYS = {
    "append": "The names of their classes, painted too (Dataset Diffusion)",
    "separate": "The names of their classes, which are not painted",
    "none": "The captions' own words",
}


def ask_captions(
    inputs: types.Object, values: Mapping[str, Any], *, defaults: Mapping[str, Any] = MappingProxyType({})
) -> types.Property:
    """Ask for a file of captions, or captions, one per line; returns the field that holds them."""
    path = inputs.str(
        "captions_path",
        label="File of captions",
        description="Full path of a text file with one caption per line, a JSON list, or COCO's captions JSON",
        default=defaults.get("captions_path"),
    )
    if not values.get("captions_path"):
        return inputs.str(
            "captions",
            label="Or captions, one per line",
            default=defaults.get("captions"),
            view=types.TextFieldView(multiline=True, rows=4),
        )
    if Path(str(values["captions_path"])).suffix.lower() == ".json":
        inputs.str(
            "instances_path",
            label="File of instances",
            description="COCO's instances JSON of the same images, which says what each shows; for COCO captions",
            default=defaults.get("instances_path"),
        )
    return path


def ask_class_prompt(inputs: types.Object, *, default: str | None = None) -> None:
    """Ask how classes are found in images painted from captions."""
    choose(
        inputs,
        "class_prompt",
        WAYS,
        label="Classes are found by",
        description="Where none is chosen: by names for captions that come with classes, else by the captions' words",
        default=default,
        required=False,
    )
