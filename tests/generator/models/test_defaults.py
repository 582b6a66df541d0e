"""What a model paints well with, by what its configurations and its name say."""

from __future__ import annotations

import json
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.numpy import save_file
from untrained import untrained_flux, untrained_pipeline, untrained_pixart, untrained_sd3, untrained_xl

from diffucurate.generator.errors import ModelError, RecipeError
from diffucurate.generator.models import load
from diffucurate.generator.models.completed import completed, remarks, values_used
from diffucurate.generator.models.configs import read_configs
from diffucurate.generator.models.defaults import ModelDefaults, defaults_of
from diffucurate.generator.models.few_steps import few_steps
from diffucurate.generator.models.load import native_size
from diffucurate.generator.models.precision import default_dtype
from diffucurate.generator.models.sizes import unit_of
from diffucurate.generator.recipe.model_options import Lora, ModelOptions
from diffucurate.generator.recipe.recipe import Recipe

VAE = {"block_out_channels": [128, 256, 512, 512]}
SD = {"sample_size": 64, "cross_attention_dim": 768}
SD2 = {"sample_size": 96, "cross_attention_dim": 1024}
XL = {"sample_size": 128, "cross_attention_dim": 2048}
LCM = {**SD, "time_cond_proj_dim": 256}
DEV, SCHNELL = {"guidance_embeds": True}, {"guidance_embeds": False}
TRAILING = {"_class_name": "EulerAncestralDiscreteScheduler", "timestep_spacing": "trailing"}
FLOW = {"_class_name": "FlowMatchEulerDiscreteScheduler", "shift": 3.0}


def write(folder: Path, pipeline: str, denoiser: dict[str, Any], scheduler: dict[str, Any], **index: Any) -> Path:
    part = "unet" if "cross_attention_dim" in denoiser else "transformer"
    files = {
        "model_index.json": {"_class_name": pipeline, part: ["diffusers", "X"], **index},
        f"{part}/config.json": denoiser,
        "scheduler/scheduler_config.json": scheduler,
        "vae/config.json": VAE,
    }
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(json.dumps(content))
    return folder


@pytest.mark.parametrize(
    ("pipeline", "denoiser", "scheduler", "family", "numbers"),
    [
        ("StableDiffusionPipeline", SD, {}, "Stable Diffusion 1", (512, 30, 7.5)),
        ("StableDiffusionInpaintPipeline", SD, {}, "Stable Diffusion 1", (512, 30, 7.5)),
        ("StableDiffusionPipeline", SD2, {"prediction_type": "v_prediction"}, "Stable Diffusion 2", (768, 30, 7.5)),
        ("StableDiffusionPipeline", {**SD2, "sample_size": 64}, {}, "Stable Diffusion 2", (512, 30, 7.5)),
        ("StableDiffusionPipeline", {**SD2, "sample_size": 64}, TRAILING, "Stable Diffusion 2 Turbo", (512, 4, 0.0)),
        # Trailing steps of a model with zero terminal SNR are no sign of few steps.
        (
            "StableDiffusionPipeline",
            SD2,
            {**TRAILING, "prediction_type": "v_prediction", "rescale_betas_zero_snr": True},
            "Stable Diffusion 2",
            (768, 30, 7.5),
        ),
        (
            "LatentConsistencyModelPipeline",
            LCM,
            {},
            "Stable Diffusion 1 LCM",
            (512, 4, 8),
        ),
        ("StableDiffusionPipeline", SD, {"_class_name": "LCMScheduler"}, "Stable Diffusion 1 LCM", (512, 4, 1.0)),
        ("StableDiffusionXLPipeline", XL, {}, "Stable Diffusion XL", (1024, 30, 5.0)),
        ("StableDiffusionXLPipeline", {**XL, "sample_size": 64}, TRAILING, "Stable Diffusion XL Turbo", (512, 4, 0.0)),
        ("StableDiffusionXLPipeline", XL, {"_class_name": "EDMEulerScheduler"}, "Playground", (1024, 50, 3.0)),
        ("StableDiffusion3Pipeline", {"sample_size": 128, "num_layers": 24}, FLOW, "Stable Diffusion 3", (1024, 28, 7)),
        (
            "StableDiffusion3Pipeline",
            {"sample_size": 128, "num_layers": 24, "qk_norm": "rms_norm"},
            FLOW,
            "Stable Diffusion 3.5",
            (1024, 40, 4.5),
        ),
        (
            "StableDiffusion3Pipeline",
            {"sample_size": 128, "num_layers": 38, "qk_norm": "rms_norm"},
            FLOW,
            "Stable Diffusion 3.5 Large",
            (1024, 28, 3.5),
        ),
        ("FluxPipeline", DEV, FLOW, "Flux dev", (1024, 28, 3.5)),
        ("FluxPipeline", SCHNELL, FLOW, "Flux schnell", (1024, 4, 0.0)),
        ("Flux2Pipeline", {}, FLOW, "Flux.2", (1024, 50, 4.0)),
        ("Flux2KleinPipeline", {}, FLOW, "Flux.2 klein base", (1024, 50, 4.0)),
        ("QwenImagePipeline", {}, FLOW, "Qwen-Image", (1024, 50, 4.0)),
        ("ZImagePipeline", {}, FLOW, "Z-Image Turbo", (1024, 9, 0.0)),
        ("ZImagePipeline", {}, {**FLOW, "shift": 6.0}, "Z-Image", (1024, 50, 4.0)),
        ("PixArtSigmaPipeline", {"sample_size": 64}, {}, "PixArt", (512, 20, 4.5)),
        ("PixArtAlphaPipeline", {"sample_size": 128}, {"_class_name": "LCMScheduler"}, "PixArt LCM", (1024, 4, 0.0)),
        ("NewPipeline", {"sample_size": [32, 48]}, {}, "NewPipeline", ((384, 256), 30, 5.0)),
    ],
)
def test_families(
    tmp_path: Path,
    pipeline: str,
    denoiser: dict[str, Any],
    scheduler: dict[str, Any],
    family: str,
    numbers: tuple[Any, ...],
) -> None:
    size, steps, guidance = numbers
    defaults = defaults_of(str(write(tmp_path / "model", pipeline, denoiser, scheduler)))
    assert (defaults.family, defaults.steps, defaults.guidance) == (family, steps, guidance)
    assert defaults.size == (size if isinstance(size, tuple) else (size, size))
    assert defaults.dtype == ("bfloat16" if scheduler.get("shift") else "float16")


def test_a_distilled_klein(tmp_path: Path) -> None:
    defaults = defaults_of(str(write(tmp_path, "Flux2KleinPipeline", {}, FLOW, is_distilled=True)))
    assert (defaults.family, defaults.steps, defaults.guidance, defaults.guided) == ("Flux.2 klein", 4, 1.0, False)


def test_sizes_are_those_that_pipelines_have_themselves(tokenizer: Any, tmp_path: Path) -> None:
    pipes = {
        "sd": untrained_pipeline(tokenizer),
        "xl": untrained_xl(deepcopy(tokenizer), deepcopy(tokenizer)),
        "sd3": untrained_sd3(tokenizer),
        "flux": untrained_flux(tokenizer),
        "pixart": untrained_pixart(),
    }
    for name, pipe in pipes.items():
        folder, denoiser = tmp_path / name, getattr(pipe, "unet", None) or pipe.transformer
        write(folder, type(pipe).__name__, dict(denoiser.config), dict(pipe.scheduler.config))
        (folder / "vae" / "config.json").write_text(json.dumps(dict(pipe.vae.config)))
        assert defaults_of(str(folder)).size == native_size(pipe), name
        kind = "unet" if getattr(pipe, "unet", None) is not None else "transformer"
        index = json.loads((folder / "model_index.json").read_text())
        (folder / "model_index.json").write_text(json.dumps({**index, kind: ["diffusers", type(denoiser).__name__]}))
        assert unit_of(read_configs(str(folder))) == load._unit(pipe), name


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("stabilityai/sdxl-turbo", ("Turbo", 4, False)),
        ("/models/DreamShaperXL_v21TurboDPMSDE.safetensors", ("Turbo", 4, False)),
        ("ByteDance/SDXL-Lightning", ("Lightning", 4, False)),
        ("sdxl_lightning_8step_lora.safetensors", ("Lightning", 8, False)),
        ("Hyper-SDXL-8steps-CFG-lora.safetensors", ("Hyper", 8, True)),
        ("latent-consistency/lcm-lora-sdv1-5", ("LCM", 4, False)),
        ("/loras/lcm/pytorch_lora_weights.safetensors", ("LCM", 4, False)),
        ("black-forest-labs/FLUX.1-schnell", ("schnell", 4, False)),
        ("someone/hyperreal-streets", None),
        ("someone/turbocharged-cars-12steps", ("Turbo", 12, False)),
        ("/turbo/streets", None),
        ("stabilityai/stable-diffusion-xl-base-1.0", None),
        ("/loras/balcmony.safetensors", None),
    ],
)
def test_names(name: str, kind: tuple[str, int, bool] | None) -> None:
    assert few_steps(name) == kind


def test_a_name_counts_where_the_configurations_say_nothing(tmp_path: Path) -> None:
    turbo = defaults_of(str(write(tmp_path / "street-xl-turbo", "StableDiffusionXLPipeline", XL, {})))
    assert (turbo.size, turbo.steps, turbo.guidance, turbo.reason) == ((1024, 1024), 4, 0.0, "by its name")
    named = defaults_of(str(write(tmp_path / "flux-turbo-8steps", "FluxPipeline", DEV, FLOW)))
    assert (named.steps, named.guidance) == (8, 3.5)  # an input of the network


@pytest.mark.parametrize(
    ("path", "scheduler", "numbers"),
    [
        ("someone/lcm-lora-sdv1-5", "lcm", (4, 1.0)),
        ("someone/lcm-lora-sdv1-5", None, (30, 7.5)),
        ("Hyper-SD15-8steps-lora.safetensors", None, (8, 0.0)),
        ("Hyper-SD15-8steps-CFG-lora.safetensors", None, (8, 7.5)),
        ("style.safetensors", "lcm", (30, 7.5)),
    ],
)
def test_loras(tmp_path: Path, path: str, scheduler: str | None, numbers: tuple[int, float]) -> None:
    options = ModelOptions(scheduler=scheduler, loras=(Lora(path=path),))
    defaults = defaults_of(str(write(tmp_path / "model", "StableDiffusionPipeline", SD, {})), options)
    assert (defaults.steps, defaults.guidance) == numbers


def test_single_files_by_their_tensors(tmp_path: Path) -> None:
    import numpy as np

    keys = "model.diffusion_model.input_blocks.{}.1.transformer_blocks.0.attn2.to_k.weight"

    def defaults(name: str, shapes: dict[str, tuple[int, ...]]) -> ModelDefaults:
        save_file({tensor: np.zeros(shape, np.float16) for tensor, shape in shapes.items()}, tmp_path / name)
        return defaults_of(str(tmp_path / name))

    sd = {keys.format(1): (2, 768), "first_stage_model.decoder.x": (1,)}
    xl = {keys.format(4): (2, 2048), "conditioner.embedders.1.model.x": (1,)}
    assert defaults("streets.safetensors", sd).size == (512, 512)
    assert defaults("streets2.safetensors", {keys.format(1): (2, 1024)}).size == (768, 768)
    assert defaults("streetsXL.safetensors", xl).size == (1024, 1024)
    assert defaults("streetsTurboXL.safetensors", xl).steps == 4
    assert defaults("sd_xl_turbo_1.0_fp16.safetensors", xl).size == (512, 512)
    lcm = defaults("dreams.safetensors", {**sd, "model.diffusion_model.time_embed.cond_proj.weight": (2, 256)})
    assert (lcm.family, lcm.guidance, lcm.negative) == ("Stable Diffusion 1 LCM", 8.0, False)
    with pytest.raises(ModelError, match="is a LoRA"):
        defaults("style.safetensors", {"lora_unet_x.lora_down.weight": (2, 2)})
    write(tmp_path / "beside", "StableDiffusionPipeline", {**SD, "sample_size": 48}, {})
    assert defaults("beside.safetensors", sd).size == (384, 384)
    (tmp_path / "text.safetensors").write_text("no tensors")
    with pytest.raises(ModelError, match=r"text.safetensors' is not a \.safetensors file"):
        defaults_of(str(tmp_path / "text.safetensors"))


def test_the_cache_of_the_hub_is_read_and_nothing_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import huggingface_hub

    asked: list[tuple[str, bool]] = []

    def download(repo: str, name: str, *, local_files_only: bool, **_: Any) -> str:
        asked.append((name, local_files_only))
        if local_files_only:
            raise FileNotFoundError("not in the cache")
        return str(write(tmp_path / "downloaded", "FluxPipeline", DEV, FLOW) / name)

    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(huggingface_hub, "hf_hub_download", download)
    monkeypatch.setattr(huggingface_hub.HfApi, "model_info", lambda self, repo, timeout: None)
    with pytest.raises(ModelError, match="'owner/name' is not in the local cache"):
        defaults_of("owner/name", local_only=True)
    assert asked == []
    assert defaults_of("owner/name").family == "Flux dev"
    assert [name for name, local_only in asked if not local_only] == [
        "model_index.json",
        "transformer/config.json",
        "scheduler/scheduler_config.json",
        "vae/config.json",
    ]
    asked.clear()
    write(tmp_path / "models--owner--name" / "snapshots" / "abc", "StableDiffusionXLPipeline", XL, {})
    assert defaults_of("owner/name", local_only=True).family == "Stable Diffusion XL" and asked == []


def test_a_hub_out_of_reach_is_asked_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A download would be tried for minutes."""
    import huggingface_hub

    def out_of_reach(*arguments: Any, timeout: float) -> None:
        assert timeout <= 10
        raise ConnectionError("timed out")

    def download(repo: str, name: str, *, local_files_only: bool, **_: Any) -> str:
        assert local_files_only
        raise FileNotFoundError("not in the cache")

    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(huggingface_hub.HfApi, "model_info", out_of_reach)
    monkeypatch.setattr(huggingface_hub, "hf_hub_download", download)
    with pytest.raises(ModelError, match=r"tried the local cache \(.*\) and huggingface.co \(timed out\)"):
        defaults_of("owner/name")


def recipe(model: Path | str, **changes: Any) -> Recipe:
    content = {"dataset": "d", "model": str(model), "classes": {"car": ["car"]}, "templates": ["a car"], **changes}
    return Recipe.from_mapping(content)


def test_a_recipe_is_completed_by_its_model(tmp_path: Path) -> None:
    written = recipe(write(tmp_path, "StableDiffusionXLPipeline", XL, {}), steps=12)
    complete = completed(written)
    assert (complete.size, complete.steps, complete.guidance) == ((1024, 1024), 12, 5.0)
    assert written.size is None and completed(complete) is complete
    assert values_used(written, complete) == "1024 x 1024 px, guidance 5: as suits Stable Diffusion XL"
    assert values_used(complete, complete) is None
    source = recipe(tmp_path, task="img2img", source={"dataset": "p"}, strength=0.6)
    assert (completed(source).size, completed(source).steps) == ("source", 30)


def test_the_built_in_model_needs_no_look() -> None:
    written = recipe("tiny")
    assert completed(written) is written and written.left_to_model == ("size", "steps", "guidance")
    assert values_used(written, written) is None


def test_a_strength_that_leaves_no_step_of_the_models(tmp_path: Path) -> None:
    model = write(tmp_path, "FluxPipeline", SCHNELL, FLOW)
    with pytest.raises(RecipeError, match=r"strength: 0.2 - of 4 steps it leaves none"):
        completed(recipe(model, task="img2img", source={"dataset": "p"}, strength=0.2))


@pytest.mark.parametrize(
    ("pipeline", "denoiser", "changes", "words"),
    [
        (
            "FluxPipeline",
            DEV,
            {"negative_prompt": "fog"},
            ["negative_prompt: 'fog' - .*takes none"],
        ),
        ("FluxPipeline", DEV, {"guidance": 7.0}, []),
        (
            "FluxPipeline",
            SCHNELL,
            {"guidance": 7.0},
            ["guidance: 7 - it changes nothing with model '.*"],
        ),
        ("FluxPipeline", SCHNELL, {}, []),
        ("StableDiffusionPipeline", SD, {"negative_prompt": "fog"}, []),
        (
            "StableDiffusionPipeline",
            SD,
            {"negative_prompt": "fog", "guidance": 1.0},
            ["at guidance 1; set guidance above 1"],
        ),
        ("StableDiffusionPipeline", LCM, {"guidance": 4.0}, []),
        ("StableDiffusionPipeline", LCM, {"negative_prompt": "fog"}, ["takes none"]),
        ("StableDiffusionPipeline", SD, {"loras": [{"path": "lcm-lora.safetensors"}]}, ["write scheduler: lcm"]),
        ("StableDiffusionPipeline", SD, {"loras": [{"path": "lcm-lora.safetensors"}], "scheduler": "lcm"}, []),
    ],
)
def test_what_changes_nothing_is_said_once(
    tmp_path: Path, pipeline: str, denoiser: dict[str, Any], changes: dict[str, Any], words: list[str]
) -> None:
    import re

    written = recipe(write(tmp_path / "model", pipeline, denoiser, {}), **changes)
    sentences = remarks(written, completed(written))
    assert len(sentences) == len(words)
    assert all(re.search(pattern, sentence) for pattern, sentence in zip(words, sentences, strict=True))


def test_no_model_no_values(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="neither a folder nor a file"):
        completed(recipe(tmp_path / "missing.safetensors"))
    (tmp_path / "model_index.json").write_text("{}")
    with pytest.raises(ModelError, match="'_class_name' is missing"):
        completed(recipe(tmp_path))


def test_precision_by_family_and_device(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    flux = str(write(tmp_path / "flux", "FluxPipeline", DEV, FLOW))
    sd = str(write(tmp_path / "sd", "StableDiffusionPipeline", SD, {}))
    capability = [8]
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (capability[0], 0))
    assert default_dtype(flux, "cuda:0") is torch.bfloat16 and default_dtype(sd, "cuda:0") is torch.float16
    assert default_dtype(flux, "cpu") is default_dtype(sd, "mps") is torch.float32
    capability[0] = 7
    assert default_dtype(flux, "cuda:0") is torch.float16
    assert default_dtype(str(tmp_path / "none"), "cuda:0") is torch.float16
