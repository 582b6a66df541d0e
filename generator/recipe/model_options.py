"""What is changed about a model before it paints: its sampler, LoRAs, words, how it reads them. Knows no pipeline.

Light on purpose, as the recipe reads it; ``generator.models.adapters`` does to a pipeline what is said here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import PurePath
from typing import Annotated, Any, ClassVar, Literal, TypeAlias

from pydantic import Field

from diffucurate.generator.errors import InvalidSetting, RecipeError
from diffucurate.generator.validation import StrictSettings, suggestion

#: Name of a sampler -> its class in diffusers, without "Scheduler".
SCHEDULERS = {
    "ddim": "DDIM", "ddpm": "DDPM", "deis": "DEISMultistep", "dpm++": "DPMSolverMultistep",
    "dpm++-sde": "DPMSolverSDE", "dpm++-single": "DPMSolverSinglestep", "dpm2": "KDPM2Discrete",
    "dpm2-a": "KDPM2AncestralDiscrete", "euler": "EulerDiscrete", "euler-a": "EulerAncestralDiscrete",
    "flow-euler": "FlowMatchEulerDiscrete", "flow-heun": "FlowMatchHeunDiscrete", "heun": "HeunDiscrete", "lcm": "LCM",
    "lms": "LMSDiscrete", "pndm": "PNDM", "unipc": "UniPCMultistep",
}  # fmt: skip

#: How the steps to take are spread over those of the training.
Spacing: TypeAlias = Literal["leading", "linspace", "trailing"]

#: How the names of files end that are pickles, reading which can run any code.
PICKLES = (".pt", ".pth", ".bin", ".ckpt", ".pkl")

#: How far a LoRA can be turned up; beyond, images are noise.
MAX_SCALE = 10.0


class Lora(StrictSettings):
    """Low-rank changes to a model's weights: a ``.safetensors`` file, a folder with one, or a hub id."""

    called: ClassVar[str] = "a LoRA"
    error: ClassVar[type[InvalidSetting]] = RecipeError

    path: Annotated[str, Field(min_length=1)]
    scale: Annotated[float, Field(ge=-MAX_SCALE, le=MAX_SCALE)] = 1.0


class TextualInversion(StrictSettings):
    """A word learned by textual inversion: a ``.safetensors`` file or a hub id, and how prompts write it."""

    called: ClassVar[str] = "a learned word"
    error: ClassVar[type[InvalidSetting]] = RecipeError

    path: Annotated[str, Field(min_length=1)]
    placeholder: Annotated[str, Field(min_length=1)]


class ModelOptions(StrictSettings):
    """All of it; empty, the model paints as it is."""

    called: ClassVar[str] = "a model's options"
    error: ClassVar[type[InvalidSetting]] = RecipeError

    scheduler: str | None = None
    karras: bool | None = None
    """Whether noise levels are spaced as Karras et al. do."""
    spacing: Spacing | None = None
    """Which of the training's steps are taken."""
    loras: tuple[Lora, ...] = ()
    tokens: tuple[TextualInversion, ...] = ()
    prompt_weights: bool = False

    def to_dict(self) -> dict[str, Any]:
        """Plain data, without what is left at its default."""
        return self.model_dump(mode="json", exclude_defaults=True)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> ModelOptions:
        """What ``to_dict`` wrote."""
        loras, tokens = data.get("loras", ()), data.get("tokens", ())
        return cls(
            scheduler=data.get("scheduler"),
            karras=data.get("karras"),
            spacing=data.get("spacing"),
            loras=tuple(Lora(**lora) for lora in loras),
            tokens=tuple(TextualInversion(**word) for word in tokens),
            prompt_weights=data.get("prompt_weights", False),
        )


def check_model_options(options: ModelOptions) -> None:
    """The sampler is known, no file is a pickle, and each placeholder is one word of its own.

    Raises:
        RecipeError: it is not so.
    """
    if options.scheduler is not None and options.scheduler not in SCHEDULERS:
        hint = suggestion(options.scheduler, SCHEDULERS) or f"; use one of {', '.join(SCHEDULERS)}"
        raise RecipeError("scheduler", options.scheduler, f"there is no such sampler{hint}")
    _check_files("loras", [lora.path for lora in options.loras])
    _check_files("tokens", [word.path for word in options.tokens])
    seen: set[str] = set()
    for index, word in enumerate(options.tokens):
        field = f"tokens[{index}].placeholder"
        if len(word.placeholder.split()) != 1 or word.placeholder != word.placeholder.strip():
            raise RecipeError(field, word.placeholder, "a placeholder is one word, as in <piano>")
        if word.placeholder in seen:
            raise RecipeError(field, word.placeholder, "another learned word has it already; choose a different one")
        seen.add(word.placeholder)


def _check_files(field: str, paths: Sequence[str]) -> None:
    for index, path in enumerate(paths):
        if PurePath(path).suffix.lower() in PICKLES:
            remedy = "the file is a pickle, which can run any code; give a .safetensors file"
            raise RecipeError(f"{field}[{index}].path", path, remedy)
