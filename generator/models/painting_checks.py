"""What is wrong with a recipe that its model's files tell before the model is loaded: devices, sizes, adapters, parts.

The run asks before it loads a model, and forms ask at every keystroke, so nothing is downloaded and no torch imported.
What only the loaded model can tell is found then (``models.load``, ``models.adapters``, ``models.samplers``).
"""

from __future__ import annotations

from diffucurate.generator.errors import ModelError, RecipeError
from diffucurate.generator.models.adapter_checks import check_adapters
from diffucurate.generator.models.completed import completed
from diffucurate.generator.models.configs import Configs, read_configs
from diffucurate.generator.models.devices import check_device, devices_here
from diffucurate.generator.models.names import locate, snapshot
from diffucurate.generator.models.sizes import check_memory, check_sides, decoding_memory, unit_of
from diffucurate.generator.recipe.recipe import Recipe

#: Bytes of a number of a CPU's weights, which are in float32.
_ON_CPU = 4


def check_painting(recipe: Recipe, device: str | None = None) -> None:
    """Refuse what can be seen to be wrong with a recipe's model, or with what the recipe asks of it.

    A model that is not on this machine yet is not asked.

    Raises:
        ModelError: no such model or device, or a package is not installed.
        RecipeError: the key of the recipe that the model cannot follow.
    """
    if device is not None:
        check_device(device)
    place = locate(recipe.model)
    check_adapters(recipe.model_options, recipe.model)
    if place.kind == "hub" and snapshot(place.name) is None:
        return
    try:
        configs = read_configs(recipe.model, local_only=True)
        complete = completed(recipe, local_only=True)
    except ModelError:
        if place.kind == "hub":  # a part of it is not here yet
            return
        raise
    on_cpu = (device or "cuda") == "cpu" or devices_here() == ["cpu"]
    for size in complete.sizes:
        check_sides(size, unit_of(configs))
        if on_cpu:
            check_memory(size, decoding_memory(_first_channels(configs), size, _ON_CPU))
    _check_parts(recipe, configs)


def _check_parts(recipe: Recipe, configs: Configs) -> None:
    """What the pipeline would need that its index does not name; a single file has no index."""
    if not configs.index:
        return
    if recipe.safety_checker and not (configs.index.get("safety_checker") or [None])[0]:
        remedy = "this model has none; leave it out, or use a model with one, such as Stable Diffusion 1.5"
        raise RecipeError("safety_checker", recipe.safety_checker, remedy)
    if recipe.prompt_weights and not (configs.index.get("unet") and configs.index.get("text_encoder")):
        remedy = f"{configs.pipeline} has text encoders whose words cannot be weighted; leave it out"
        raise RecipeError("prompt_weights", True, remedy)


def _first_channels(configs: Configs) -> int:
    widths = configs.vae.get("block_out_channels")
    return int(widths[0]) if isinstance(widths, list) and widths and isinstance(widths[0], int) else 128
