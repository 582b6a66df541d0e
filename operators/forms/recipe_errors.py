"""Which field of the recipe form an error of the recipe belongs to, and the sentence that stands there."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from diffucurate.generator.errors import InvalidSetting
from diffucurate.generator.recipe.sizes import MAX_SIDE
from diffucurate.generator.text.parsing import join_values
from diffucurate.operators.forms.error_texts import on_field, with_label
from diffucurate.operators.forms.recipe_params import EXAMPLE, SHOWN


def field_and_message(error: InvalidSetting, mapping: Mapping[str, Any]) -> tuple[str, str]:
    """The name of the field, such as ``attributes.colour``, and the message to put there.

    ``mapping`` is the recipe that was refused.
    """
    message = on_field(error).removesuffix(" without quotes")
    root, _, rest = error.field.partition(".")
    root = re.sub(r"^(tokens|loras)\[\d+\]$", r"\1", root)
    if root == "canvas" and (field := {"regions": "regions_most", "background": "background"}.get(rest)):
        return field, message
    if root.partition("[")[0] not in SHOWN:  # a key that goes through the form, which has no field for it
        return root, with_label(error, None)
    if root == "captions" and mapping.get("captions") == {}:
        return "captions", "name a file of captions, or write some, one per line"
    if root == "captions":
        field = "captions_path" if "path" in mapping["captions"] else "captions"
        return {"class_prompt": "class_prompt", "instances": "instances_path"}.get(rest, field), message
    if not mapping["templates"] and "captions" not in mapping and not mapping.keys() - SHOWN:
        return "templates", f"write at least one prompt, such as {EXAMPLE['templates'][0]}"
    if line := re.fullmatch(r"templates\[(\d+)\]", error.field):
        return "templates", message if len(mapping["templates"]) == 1 else f"line {int(line[1]) + 1}: {message}"
    if root == "attributes":
        # Without a value's index the name itself is wrong; the person wrote that in the templates.
        return (f"attributes.{rest.partition('[')[0]}", message) if rest else ("templates", message)
    if root == "classes" and not error.value:
        return "classes", "name at least one class, such as car"
    if root == "classes" and isinstance(error.value, list):
        return "classes", f"{rest or join_values(error.value)}: {error.remedy}"
    if root == "tokens" and error.value == "":
        return "tokens", "write each as its word and its file, as in <piano>=/home/me/piano.safetensors"
    if error.field == "sample":
        return "seeds", "these choices make more images than one recipe may hold; use fewer values or fewer seeds"
    if root == "dataset" and not error.value:
        return "dataset", "give the dataset a name"
    if root == "size" and "size" in mapping:
        return _of_size(error, mapping["size"], message)
    return {"sample": f"sample_{rest}"}.get(root, root), message


def _of_size(error: InvalidSetting, size: list[Any], message: str) -> tuple[str, str]:
    """``size`` is one size, or a list of sizes of which the first has fields of its own."""
    first = size[0] if isinstance(size[0], list) else size
    if first is not size and (error.value != first or first in size[1:]):
        return "more_sizes", message
    return ("height" if _is_side(first[0]) else "width"), message if None not in first else _BOTH


#: What is said where a size lacks a side.
_BOTH = "give width and height in pixels, such as 128 and 96"


def _is_side(pixels: Any) -> bool:
    return isinstance(pixels, int) and pixels % 8 == 0 and 8 <= pixels <= MAX_SIDE
