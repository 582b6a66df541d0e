"""The forms' choice of a text-to-image model, checked without loading it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fiftyone.operators import types
from fiftyone.operators.executor import ExecutionContext

from diffucurate.generator.errors import ModelError
from diffucurate.generator.models.names import downloaded_models, locate
from diffucurate.operators.forms.fields import param, refuse
from diffucurate.operators.forms.recipe_params import BUILTIN, HUB, LOCAL

_WHAT = {
    BUILTIN: "Small and quick, nothing to download. It paints simple street scenes of "
    "cars, trucks, buses, people, trees, houses, signs and cones.",
    HUB: "Any text-to-image pipeline on huggingface.co that diffusers can load",
    LOCAL: "Full path of a folder that diffusers saved, or of one .safetensors file",
}


def choose_model(inputs: types.Object, defaults: Mapping[str, Any], values: Mapping[str, Any]) -> None:
    """Draw the choice; a model that cannot be loaded is refused on its field."""
    chosen = values["model_from"]
    origin = types.RadioGroup(orientation="horizontal", label="Model", description=_WHAT[chosen])
    origin.add_choice(BUILTIN, label="Built in")
    origin.add_choice(HUB, label="From Hugging Face")
    origin.add_choice(LOCAL, label="From this computer")
    radio = inputs.enum("model_from", origin.values(), default=defaults["model_from"], view=origin)
    if chosen == BUILTIN:
        if problem := _problem("tiny"):
            refuse(radio, problem)
        return
    name = str(values.get("model") or "").strip()
    downloaded = downloaded_models() if chosen == HUB else []
    note = _hub_note(name, downloaded) if chosen == HUB else None
    view: types.View
    if downloaded:
        view = types.AutocompleteView(choices=[types.Choice(model, label=model) for model in downloaded], caption=note)
    else:
        example = "owner/name" if chosen == HUB else "/home/me/models/streets"
        view = types.TextFieldView(placeholder=example, caption=note)
    field = inputs.str("model", default=defaults.get("model"), view=view)
    if not name:
        refuse(field, "name a model, such as owner/name" if chosen == HUB else "give the full path of a model")
    elif problem := _problem(name, chosen):
        refuse(field, problem)


def ask_model(inputs: types.Object, ctx: ExecutionContext, which: str) -> None:
    """A model by its name or path, the built-in one where empty; ``which`` says what it must be. Refused if wrong."""
    models = [types.Choice(model, label=model) for model in downloaded_models()]
    places = "'owner/name' on Hugging Face, or the full path of a folder or .safetensors file; else the built-in one"
    view = types.AutocompleteView(choices=models)
    field = inputs.str("model", label="Model", description=f"{which}: {places}", view=view)
    if (name := param(ctx, "model")) and (problem := _problem(name)):
        refuse(field, problem)


def model_warning(model: str) -> str | None:
    """Why a recipe's model cannot be loaded, or that it has to be downloaded first; None where all is well."""
    problem = _problem(model)
    if problem is None and locate(model).kind == "hub":
        return _hub_note(model, downloaded_models(), only_missing=True)
    return problem


def _problem(model: str, wanted: str | None = None) -> str | None:
    try:
        kind = locate(model).kind
    except ModelError as error:
        return str(error)
    if wanted == HUB and kind != "hub":
        return f"'{model}' is on this computer; choose 'From this computer' for it"
    if wanted == LOCAL and kind == "hub":
        return f"there is no folder or file '{model}' on this computer"
    return None


def _hub_note(name: str, downloaded: list[str], *, only_missing: bool = False) -> str | None:
    if name in downloaded:
        return None if only_missing else "Found on this computer: nothing to download"
    return f"'{name}' is not on this computer yet: it is downloaded first, often several gigabytes" if name else None
