"""The sampler of a pipeline while it paints: another one, or its own with other settings; as it was after that."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import diffusers

from diffucurate.generator.errors import ModelError, RecipeError
from diffucurate.generator.models.hub import first_line
from diffucurate.generator.recipe.model_options import SCHEDULERS, ModelOptions

#: A recipe's key -> the argument of samplers that have such a setting.
_SETTINGS = {"karras": "use_karras_sigmas", "spacing": "timestep_spacing"}

#: Other ways to space noise levels, of which a sampler takes one only.
_INSTEAD_OF_KARRAS = ("use_exponential_sigmas", "use_beta_sigmas")


@contextmanager
def sampling(pipe: Any, options: ModelOptions) -> Iterator[None]:
    """A block in which a pipeline samples as asked; what the options leave out is as the model has it.

    Raises:
        RecipeError: a sampler that does not suit the model, or a setting that the sampler does not have.
        ModelError: the sampler needs a package that is not installed.
    """
    before = pipe.scheduler
    suitable = _suitable(pipe)
    kind = type(before) if options.scheduler is None else _class_of(options.scheduler)
    if kind.__name__ not in suitable:
        names = ", ".join(name for name, stem in SCHEDULERS.items() if f"{stem}Scheduler" in suitable)
        remedy = f"it does not suit this model, which can use {names or 'its own only'}"
        raise RecipeError("scheduler", options.scheduler, remedy)
    settings = _settings(kind, options, suitable)
    if options.scheduler == "pndm":
        settings["skip_prk_steps"] = True  # as Stable Diffusion's own: those need four steps more, of which it has none
    try:
        pipe.scheduler = kind.from_config(before.config, **settings)
    except ImportError as error:  # some samplers need a package that diffusers does not bring
        needed = f"sampler '{options.scheduler}' needs a package that is not installed"
        raise ModelError(f"{needed}: {first_line(error)}") from error
    try:
        yield
    finally:
        pipe.scheduler = before


def _class_of(name: str) -> Any:
    return getattr(diffusers, f"{SCHEDULERS[name]}Scheduler")


def _suitable(pipe: Any) -> set[str]:
    """The names of the classes that a pipeline can sample with: of flow matching, or of noise prediction."""
    before = pipe.scheduler
    classes = {kind.__name__ for kind in before.compatibles}
    if classes > {type(before).__name__}:  # models of noise prediction, to which an LCM LoRA can be added
        return classes | {"LCMScheduler"}
    # Of the pipelines of flow models all others choose the noise levels themselves, which Heun's takes from nobody.
    own_levels = type(pipe).__name__.startswith("StableDiffusion3") and not before.config.get("use_dynamic_shifting")
    if type(before).__name__.startswith("FlowMatch") and own_levels:
        return classes | {"FlowMatchEulerDiscreteScheduler", "FlowMatchHeunDiscreteScheduler"}
    return classes


def _settings(kind: Any, options: ModelOptions, suitable: set[str]) -> dict[str, Any]:
    """The arguments of a sampler that change its settings."""
    arguments: dict[str, Any] = {}
    for key, argument in _SETTINGS.items():
        value = getattr(options, key)
        if value is None:
            continue
        if _has(kind, argument):
            arguments[argument] = value
        elif value is not False:
            own = next((name for name in SCHEDULERS if _class_of(name) is kind), kind.__name__)
            others = [name for name in SCHEDULERS if _has(_class_of(name), argument)]
            names = ", ".join(name for name in others if f"{SCHEDULERS[name]}Scheduler" in suitable) or "none"
            raise RecipeError(key, value, f"sampler '{own}' has no such setting; of this model's have it: {names}")
    if arguments.get("use_karras_sigmas"):
        arguments |= {name: False for name in _INSTEAD_OF_KARRAS if _has(kind, name)}
    return arguments


def _has(kind: Any, argument: str) -> bool:
    if kind.__name__ == "LCMScheduler":  # which takes the spacing and leaves it aside
        return False
    return argument in inspect.signature(kind.__init__).parameters
