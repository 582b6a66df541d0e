"""Names become pipelines, or one clear sentence."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import DDPMPipeline, DDPMScheduler, UNet2DModel
from huggingface_hub import constants

from diffucurate.generator.errors import ModelError, RecipeError
from diffucurate.generator.models import built_in, load, sizes
from diffucurate.generator.models.card import card_of
from diffucurate.generator.models.load import check_size, default_batch, default_device, load_pipeline, release_models


@pytest.fixture(scope="session")
def folder(make_pipe: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path: Path = tmp_path_factory.mktemp("model")
    make_pipe().save_pretrained(path)
    return path


@pytest.fixture(autouse=True)
def _nothing_kept() -> Iterator[None]:
    release_models()
    yield
    release_models()


def test_a_folder_is_loaded_once(folder: Path) -> None:
    pipe = load_pipeline(str(folder), "cpu")
    assert (pipe.device.type, pipe.dtype) == ("cpu", torch.float32)
    assert load_pipeline(str(folder), "cpu") is pipe
    assert load_pipeline(str(folder), "cpu", torch.bfloat16).dtype == torch.bfloat16
    assert release_models() == 2
    assert load_pipeline(str(folder), "cpu") is not pipe


def test_only_the_last_used_are_kept(folder: Path) -> None:
    first = load_pipeline(str(folder), "cpu")
    second = load_pipeline(str(folder), "cpu", torch.bfloat16)
    assert load_pipeline(str(folder), "cpu") is first  # now the more recent one
    load_pipeline(str(folder), "cpu", torch.float16)
    assert load_pipeline(str(folder), "cpu") is first
    assert load_pipeline(str(folder), "cpu", torch.bfloat16) is not second


def test_the_built_in_model(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(built_in, "WEIGHTS", tmp_path)
    with pytest.raises(ModelError, match="make train-tiny"):
        load_pipeline("tiny", "cpu")
    (tmp_path / "pipeline").symlink_to(folder)
    assert load_pipeline("tiny", "cpu").unet.config.sample_size == 16


@pytest.mark.parametrize("suffix", [".ckpt", ".pt", ".pth", ".bin"])
def test_pickles_are_refused(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"model{suffix}"
    torch.save({}, path)
    with pytest.raises(ModelError, match=r"pickle.*convert it to \.safetensors"):
        load_pipeline(str(path), "cpu")


def test_pickles_in_a_folder_are_refused(make_pipe: Any, tmp_path: Path) -> None:
    make_pipe().save_pretrained(tmp_path, safe_serialization=False)
    (tmp_path / "text_encoder" / "model.safetensors").unlink(missing_ok=True)
    assert list((tmp_path / "unet").glob("*.bin"))
    with pytest.raises(ModelError, match="safetensors"):
        load_pipeline(str(tmp_path), "cpu")


def test_what_is_not_a_model(tmp_path: Path) -> None:
    broken = tmp_path / "model.safetensors"
    broken.write_bytes(b"nothing of the kind")
    nameless = tmp_path / "nameless"
    nameless.mkdir()
    (nameless / "model_index.json").write_text("{}")
    for name, complaint in (
        (str(tmp_path), "no model_index.json"),
        (str(nameless), "'_class_name' is missing"),
        (str(broken), "not a .safetensors file"),
        (str(tmp_path / "missing.safetensors"), "neither a folder nor a file"),
        ("nonsense", "neither a folder nor a file"),
    ):
        with pytest.raises(ModelError, match=complaint):
            load_pipeline(name, "cpu")


def test_without_a_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from safetensors.torch import save_file

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(ModelError, match=r"tried the local cache .* and huggingface.co .*give its local folder"):
        load_pipeline("nobody/no-such-model", "cpu")
    save_file({"model.diffusion_model.input_blocks.0.0.weight": torch.zeros(1)}, tmp_path / "single.safetensors")
    with pytest.raises(ModelError, match="give a diffusers folder"):
        load_pipeline(str(tmp_path / "single.safetensors"), "cpu")


def test_devices(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    device, reason = default_device()
    assert device in ("cpu", "cuda", "mps")
    assert reason.startswith("found")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ModelError, match="'cuda:0' is not available here"):
        load_pipeline(str(folder), "cuda:0")
    with pytest.raises(ModelError, match="'gpu' is unknown"):
        load_pipeline(str(folder), "gpu")


@pytest.mark.parametrize(
    ("size", "nearest"),
    [((128, 128), None), ((96, 160), None), ((100, 128), "96x128"), ((0, 128), "8x128"), ((128, 3), "128x8")],
)
def test_sizes(pipe: Any, size: tuple[int, int], nearest: str | None) -> None:
    if nearest is None:
        check_size(pipe, size)
    else:
        with pytest.raises(RecipeError) as raised:
            check_size(pipe, size)
        assert raised.value.field == "size"
        assert nearest in str(raised.value)


def test_default_batch_shrinks_with_the_size(pipe: Any) -> None:
    assert [default_batch(pipe, size) for size in ((128, 128), (256, 256), (512, 512), (1024, 1024))] == [8, 4, 1, 1]


def test_kept_is_bounded() -> None:
    assert load.KEPT == 2


def test_a_size_beyond_the_memory_is_said_before_it_is_tried(pipe: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a CPU's memory the system tells nobody: it ends the process."""
    monkeypatch.setattr(sizes, "free_on_cpu", lambda: 6 * 2**30)
    check_size(pipe, (1024, 1024))
    width = pipe.vae.config.block_out_channels[0]
    assert load._decoding_memory(pipe, (64, 32)) == 3 * width * 64 * 32 * 4
    monkeypatch.setattr(sizes, "free_on_cpu", lambda: 3 * width * 4096 * 4096 * 4 - 1)
    with pytest.raises(
        RecipeError, match=r"size: \[4096, 4096\] - one image takes about .* GiB of memory, .* are free"
    ):
        check_size(pipe, (4096, 4096))
    monkeypatch.undo()
    free = card_of("cpu").free()
    assert free is None or 2**20 < free < 2**50


def test_a_pipeline_of_another_kind_is_named(tmp_path: Path) -> None:
    """One that paints pixels, without any text."""
    blocks = {"block_out_channels": (8, 8), "norm_num_groups": 4, "sample_size": 8, "layers_per_block": 1}
    unet = UNet2DModel(**blocks, down_block_types=("DownBlock2D",) * 2, up_block_types=("UpBlock2D",) * 2)
    DDPMPipeline(unet, DDPMScheduler()).save_pretrained(tmp_path)
    with pytest.raises(ModelError, match="is a DDPMPipeline, without a UNet or transformer and an autoencoder"):
        load_pipeline(str(tmp_path), "cpu")
    assert not load._loaded
