"""Samplers and their settings: each paints and is traced, what does not suit a model is refused with what does."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from typing import Any

import diffusers
import numpy as np
import pytest
from untrained import untrained_flux, untrained_sd3

from diffucurate.generator.errors import ModelError, RecipeError
from diffucurate.generator.jobs.jobs import Job
from diffucurate.generator.models.load import load_pipeline
from diffucurate.generator.models.samplers import sampling
from diffucurate.generator.painting.painter import paint
from diffucurate.generator.recipe.model_options import SCHEDULERS, ModelOptions

SPACINGS = ("leading", "linspace", "trailing")
FLOW = ("flow-euler", "flow-heun")


def job(options: ModelOptions) -> Job:
    content = {"task": "txt2img", "prompt": "a red car", "negative_prompt": "", "phrases": {"car": ("car",)}}
    content |= {"attributes": {}, "seed": 5, "size": (64, 64), "steps": 3, "guidance": 1.0, "model": "tiny"}
    return Job.of(**content, model_options=options)


def image_of(pipe: Any, options: ModelOptions) -> np.ndarray:
    before = pipe.scheduler
    (painting,) = paint([job(options)], pipe=pipe)
    assert pipe.scheduler is before
    assert np.isfinite(painting.heatmaps["car"]).all() and painting.heatmaps["car"].max() > 0
    return painting.image


def takes(name: str, argument: str) -> bool:
    kind = getattr(diffusers, f"{SCHEDULERS[name]}Scheduler")
    return name != "lcm" and argument in inspect.signature(kind.__init__).parameters  # LCM's leaves spacing aside


@pytest.mark.parametrize("name", [name for name in SCHEDULERS if name not in FLOW])
def test_every_sampler_paints_with_each_of_its_settings(model_folder: str, name: str) -> None:
    pipe = load_pipeline(model_folder, "cpu")
    try:
        with sampling(pipe, ModelOptions(scheduler=name)):
            assert type(pipe.scheduler).__name__ == f"{SCHEDULERS[name]}Scheduler"
    except ModelError as error:
        assert name == "dpm++-sde" and "torchsde" in str(error)
        pytest.skip("torchsde is not installed")
    plain = image_of(pipe, ModelOptions(scheduler=name))
    assert plain.std() > 1
    if takes(name, "use_karras_sigmas"):
        assert not np.array_equal(image_of(pipe, ModelOptions(scheduler=name, karras=True)), plain)
    if takes(name, "timestep_spacing"):
        spaced = [image_of(pipe, ModelOptions(scheduler=name, spacing=spacing)) for spacing in SPACINGS]
        assert len({image.tobytes() for image in spaced}) > 1


@pytest.mark.parametrize("options", [{"scheduler": "flow-euler", "karras": True}, {"scheduler": "flow-heun"}])
def test_flow_samplers_paint_with_flow_models(tokenizer: Any, options: dict[str, Any]) -> None:
    pipe = untrained_sd3(tokenizer)
    assert not np.array_equal(image_of(pipe, ModelOptions(**options)), image_of(pipe, ModelOptions()))


def test_karras_levels_on_flux(tokenizer: Any) -> None:
    pipe = untrained_flux(tokenizer)
    assert not np.array_equal(image_of(pipe, ModelOptions(karras=True)), image_of(pipe, ModelOptions()))


def test_what_is_left_out_is_as_the_model_has_it(make_pipe: Callable[..., Any]) -> None:
    pipe = make_pipe()
    pipe.scheduler = diffusers.EulerDiscreteScheduler.from_config(
        pipe.scheduler.config, timestep_spacing="trailing", use_karras_sigmas=True, use_beta_sigmas=False
    )
    with sampling(pipe, ModelOptions(scheduler="dpm++")):
        assert pipe.scheduler.config.timestep_spacing == "trailing" and pipe.scheduler.config.use_karras_sigmas
    with sampling(pipe, ModelOptions(karras=False, spacing="leading")):
        assert type(pipe.scheduler).__name__ == "EulerDiscreteScheduler"
        assert pipe.scheduler.config.timestep_spacing == "leading" and not pipe.scheduler.config.use_karras_sigmas
    pipe.scheduler = diffusers.EulerDiscreteScheduler.from_config(
        pipe.scheduler.config, use_karras_sigmas=False, use_beta_sigmas=True
    )
    with sampling(pipe, ModelOptions(karras=True)):  # of which a sampler takes one
        assert pipe.scheduler.config.use_karras_sigmas and not pipe.scheduler.config.use_beta_sigmas


@pytest.mark.parametrize(
    ("kind", "options", "field", "words"),
    [
        ("sd", {"scheduler": "flow-euler"}, "scheduler", "it does not suit this model, which can use ddim, .*, lcm,"),
        ("sd3", {"scheduler": "ddim"}, "scheduler", "which can use flow-euler, flow-heun$"),
        ("sd", {"scheduler": "lcm", "spacing": "trailing"}, "spacing", "'lcm' has no such setting"),
        ("flux", {"scheduler": "lcm"}, "scheduler", "which can use flow-euler$"),
        ("flux", {"scheduler": "flow-heun"}, "scheduler", "which can use flow-euler$"),
        ("sd", {"karras": True}, "karras", "'ddim' has no such setting; of this model's have it: deis, dpm\\+\\+, "),
        ("sd", {"scheduler": "dpm++-single", "spacing": "trailing"}, "spacing", "'dpm\\+\\+-single' has no such"),
        ("flux", {"spacing": "leading"}, "spacing", "'flow-euler' has no such setting; of this model's have it: none$"),
    ],
)
def test_what_does_not_suit_a_model_is_said(
    pipe: Any, tokenizer: Any, kind: str, options: dict[str, Any], field: str, words: str
) -> None:
    model = {"sd": lambda: pipe, "sd3": lambda: untrained_sd3(tokenizer), "flux": lambda: untrained_flux(tokenizer)}
    chosen = model[kind]()
    before = chosen.scheduler
    with pytest.raises(RecipeError) as raised, sampling(chosen, ModelOptions(**options)):
        pass
    assert raised.value.field == field and re.search(words, str(raised.value))
    assert chosen.scheduler is before


def test_options_as_data() -> None:
    options = ModelOptions(scheduler="euler", karras=False, spacing="trailing")
    assert options.to_dict() == {"scheduler": "euler", "karras": False, "spacing": "trailing"}
    assert ModelOptions.from_dict(options.to_dict()) == options and ModelOptions().to_dict() == {}
