"""Guidance and a negative prompt change an image where the model's configurations say so: with the real classes."""

from __future__ import annotations

import json
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from diffusers import Flux2KleinPipeline, LatentConsistencyModelPipeline, LCMScheduler
from untrained import untrained_flux, untrained_pipeline, untrained_pixart, untrained_sd3, untrained_xl
from untrained_chat import untrained_flux2, untrained_klein, untrained_qwen_image, untrained_z_image

from diffucurate.generator.jobs.jobs import Job
from diffucurate.generator.models.defaults import ModelDefaults, defaults_of
from diffucurate.generator.painting.painter import paint


def image(pipe: Any, guidance: float, negative: str) -> np.ndarray:
    content = {"task": "txt2img", "prompt": "a red car", "phrases": {"car": ("car",)}, "attributes": {}, "seed": 1}
    content |= {"size": (64, 64), "steps": 2, "guidance": guidance, "negative_prompt": negative, "model": "any"}
    (painting,) = paint([Job.of(**content)], pipe=pipe)
    return painting.image


def told(pipe: Any, folder: Path) -> ModelDefaults:
    """What is known of a pipeline by its configurations."""
    part = "unet" if getattr(pipe, "unet", None) is not None else "transformer"
    distilled = {"is_distilled": pipe.config.is_distilled} if isinstance(pipe, Flux2KleinPipeline) else {}
    parts = {part: getattr(pipe, part), "scheduler": pipe.scheduler, "vae": pipe.vae}
    for name, model in parts.items():
        (folder / name).mkdir(parents=True)
        file = "scheduler_config.json" if name == "scheduler" else "config.json"
        content = {**model.config, "_class_name": type(model).__name__}
        (folder / name / file).write_text(json.dumps(content, default=str))
    index = {"_class_name": type(pipe).__name__, part: ["diffusers", "X"], **distilled}
    (folder / "model_index.json").write_text(json.dumps(index))
    return defaults_of(str(folder))


def lcm(tokenizer: Any) -> Any:
    pipe = untrained_pipeline(tokenizer, kind=LatentConsistencyModelPipeline, time_cond_proj_dim=32)
    pipe.scheduler = LCMScheduler()
    return pipe


def distilled_klein(tokenizer: Any) -> Any:
    pipe = untrained_klein()
    pipe.register_to_config(is_distilled=True)
    return pipe


PIPES: dict[str, Callable[[Any], Any]] = {
    "sd": untrained_pipeline,
    "lcm": lcm,
    "xl": lambda tokenizer: untrained_xl(deepcopy(tokenizer), deepcopy(tokenizer)),
    "sd3": untrained_sd3,
    "flux": untrained_flux,
    "pixart": lambda tokenizer: untrained_pixart(),
    "flux2": lambda tokenizer: untrained_flux2(),
    "klein": lambda tokenizer: untrained_klein(),
    "distilled klein": distilled_klein,
    "qwen": lambda tokenizer: untrained_qwen_image(),
    "z-image": lambda tokenizer: untrained_z_image(),
}


@pytest.mark.parametrize("name", PIPES)
def test_what_is_said_to_change_an_image_does(name: str, tokenizer: Any, tmp_path: Path) -> None:
    pipe = PIPES[name](tokenizer)
    defaults = told(pipe, tmp_path / "model")
    plain = image(pipe, 6.0, "")
    assert defaults.guided is not np.array_equal(plain, image(pipe, 2.0, ""))
    assert defaults.negative is not np.array_equal(plain, image(pipe, 6.0, "a bus at night"))
    if defaults.negative:
        off = [image(pipe, defaults.off, negative) for negative in ("", "a bus at night")]
        assert np.array_equal(*off)
