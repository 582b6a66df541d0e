"""The forms' choice of a text-to-image model, checked without loading it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import fiftyone as fo
from fiftyone import ViewField as F
from fiftyone.operators import types
from fiftyone.operators.executor import ExecutionContext

from diffucurate.generator.errors import ModelError
from diffucurate.generator.models.names import downloaded_models, locate
from diffucurate.generator.recipe.by_model import BUILT_IN
from diffucurate.generator.sources.spec import SourceSpec
from diffucurate.operators.forms.fields import param, refuse
from diffucurate.operators.forms.recipe_params import BUILTIN, HUB, LOCAL
from diffucurate.plugin.fiftyone_private import dataset_behind
from diffucurate.plugin.store import field_names

#: All that the built-in models know, in a sentence.
WORLD = "simple drawn street scenes of cars, trucks, buses, people, trees, houses, signs and cones"

_WHAT = {
    BUILTIN: f"Small and quick, nothing to download. It paints {WORLD}, and nothing else.",
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
    places = "'owner/name' on Hugging Face, or the full path of a folder or .safetensors file; else the built-in one, "
    places += f"which knows {WORLD} only"
    view = types.AutocompleteView(choices=models)
    field = inputs.str("model", label="Model", description=f"{which}: {places}", view=view)
    if (name := param(ctx, "model")) and (problem := _problem(name)):
        refuse(field, problem)


def labels_of_another_world(
    samples: fo.Dataset | fo.DatasetView, source: SourceSpec[Any], options: Mapping[str, Any]
) -> str | None:
    """That a built-in model will label images that it did not paint; None where it labels none of those."""
    if source.built_in is None or not source.built_in(options):
        return None
    dataset = dataset_behind(samples)
    own = samples.match(F(field_names.MODEL) == BUILT_IN) if dataset.has_sample_field(field_names.MODEL) else ()
    if not (foreign := len(samples) - len(own)):
        return None
    images = "1 image was" if foreign == 1 else f"{foreign:,} images were"
    return (
        f"The built-in model knows {WORLD} only. {images} not painted by it: on photographs it is sure of objects that "
        "are not there. Name a model of your own in the settings."
    )


def download_note(model: str) -> str | None:
    """That a model has to be downloaded first; None where it need not, or cannot be had."""
    if _problem(model) is None and locate(model).kind == "hub":
        return _hub_note(model, downloaded_models(), only_missing=True)
    return None


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
