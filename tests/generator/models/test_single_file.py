"""Models in one file: told apart by their tensors, loaded by what is here before a network is asked."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import StableDiffusionPipeline, StableDiffusionXLPipeline
from original_layout import save_original
from safetensors.torch import load_file, save_file

from diffucurate.generator.errors import ModelError
from diffucurate.generator.models.load import load_pipeline, release_models
from diffucurate.generator.models.single_file import other_kind

_UNET = "model.diffusion_model.input_blocks.0.0.weight"


@pytest.mark.parametrize(
    ("names", "kind"),
    [
        ([_UNET, "cond_stage_model.transformer.x", "first_stage_model.decoder.x"], None),
        ([_UNET, "conditioner.embedders.0.transformer.x", "conditioner.embedders.1.model.x"], None),
        ([_UNET, "conditioner.embedders.0.model.transformer.x"], "the refiner of Stable Diffusion XL"),
        (["model.diffusion_model.joint_blocks.0.x", "text_encoders.clip_l.x"], "Stable Diffusion 3"),
        (["double_blocks.0.img_attn.qkv.weight", "img_in.weight"], "Flux"),
        (["model.diffusion_model.double_blocks.0.x"], "Flux"),
        (["first_stage_model.decoder.conv_in.weight"], "an autoencoder"),
        (["decoder.conv_in.weight", "encoder.conv_in.weight", "quant_conv.weight"], "an autoencoder"),
        (["lora_unet_down_blocks_0.lora_down.weight"], "a LoRA"),
        (["unet.down_blocks.0.to_q.lora_A.weight"], "a LoRA"),
        (["emb_params"], "a learned word"),
        (["clip_l", "clip_g"], "a learned word"),
        (["control_model.input_blocks.0.0.weight"], "a ControlNet"),
        ([f"layers.{index}.weight" for index in range(9)], "no Stable Diffusion"),
        ([], "no Stable Diffusion"),
    ],
)
def test_what_a_file_is(names: list[str], kind: str | None) -> None:
    found = other_kind(names)
    assert found is None if kind is None else found is not None and found.startswith(kind)


def test_another_kind_is_named_and_the_network_is_not_blamed(tmp_path: Path) -> None:
    save_file({"lora_unet_x.lora_down.weight": torch.zeros(2, 2)}, tmp_path / "style.safetensors")
    with pytest.raises(ModelError, match=r"style.safetensors' is a LoRA; name it under loras") as raised:
        load_pipeline(str(tmp_path / "style.safetensors"), "cpu")
    assert "hub" not in str(raised.value)


def test_a_real_file_offline_is_its_folders_pipeline(tmp_path: Path, model_folder: str) -> None:
    """In the layout that most people's files have, with configurations and vocabulary of a few kilobytes beside it."""
    release_models()
    pipe = load_pipeline(model_folder, "cpu")
    save_original(pipe, tmp_path / "one.safetensors")
    shutil.copytree(model_folder, tmp_path / "one", ignore=shutil.ignore_patterns("*.safetensors"))
    other = load_pipeline(str(tmp_path / "one.safetensors"), "cpu")
    assert other is not pipe and type(other) is type(pipe)
    for part in ("unet", "vae", "text_encoder"):
        expected = getattr(pipe, part).state_dict()
        for name, tensor in getattr(other, part).state_dict().items():
            assert torch.equal(tensor, expected[name]), f"{part}.{name}"
    images = [
        each("a red car", num_inference_steps=2, generator=torch.Generator().manual_seed(1), output_type="np").images
        for each in (pipe, other)
    ]
    assert (images[0] == images[1]).all()
    release_models()


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch, model_folder: str) -> list[tuple[type, Path, dict[str, Any]]]:
    """What diffusers is asked for; only a folder of configurations or the network has what it needs."""
    asked: list[tuple[type, Path, dict[str, Any]]] = []

    def from_single_file(cls: type, path: str, **arguments: Any) -> Any:
        assert load_file(path)
        asked.append((cls, Path(path), arguments))
        if arguments.get("local_files_only") and "config" not in arguments:
            raise OSError("not cached")
        return StableDiffusionPipeline.from_pretrained(model_folder)

    monkeypatch.setattr(StableDiffusionPipeline, "from_single_file", classmethod(from_single_file))
    monkeypatch.setattr(StableDiffusionXLPipeline, "from_single_file", classmethod(from_single_file))
    release_models()
    return asked


@pytest.mark.parametrize("ending", [".safetensors", ".SAFETENSORS"])
def test_the_cache_is_asked_before_the_network(
    tmp_path: Path, calls: list[tuple[type, Path, dict[str, Any]]], ending: str
) -> None:
    save_file({_UNET: torch.zeros(1)}, tmp_path / f"one{ending}")
    assert load_pipeline(str(tmp_path / f"one{ending}"), "cpu").device.type == "cpu"
    assert [arguments.get("local_files_only", False) for _, _, arguments in calls] == [True, False]
    assert all(
        path.suffix == ".safetensors" for _, path, _ in calls
    )  # of other endings diffusers takes it for a pickle


def test_a_folder_of_configurations_beside_the_file_needs_no_network(
    tmp_path: Path, calls: list[tuple[type, Path, dict[str, Any]]], model_folder: str
) -> None:
    save_file({_UNET: torch.zeros(1), "conditioner.embedders.1.x": torch.zeros(1)}, tmp_path / "one.safetensors")
    shutil.copytree(model_folder, tmp_path / "one", ignore=shutil.ignore_patterns("*.safetensors"))
    load_pipeline(str(tmp_path / "one.safetensors"), "cpu")
    ((kind, _, arguments),) = calls
    assert kind is StableDiffusionXLPipeline
    assert (arguments["config"], arguments["local_files_only"]) == (str(tmp_path / "one"), True)
    release_models()
    (tmp_path / "one" / "model_index.json").write_text('{"_class_name": "os.system"}')
    with pytest.raises(ModelError, match="is no pipeline of diffusers"):  # it is looked at as any model folder is
        load_pipeline(str(tmp_path / "one.safetensors"), "cpu")
