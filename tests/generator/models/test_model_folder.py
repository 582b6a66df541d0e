"""Model folders of others: what they name is looked at before it is imported, and what is wrong is one sentence."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file, save_file

from diffucurate.generator.errors import ModelError
from diffucurate.generator.models.load import load_pipeline, release_models
from diffucurate.generator.models.model_folder import check_index


@pytest.fixture(scope="module")
def original(make_pipe: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path: Path = tmp_path_factory.mktemp("model")
    make_pipe().save_pretrained(path)
    return path


@pytest.fixture
def folder(original: Path, tmp_path: Path) -> Path:
    shutil.copytree(original, tmp_path / "model")
    return tmp_path / "model"


@pytest.fixture(autouse=True)
def _nothing_kept() -> None:
    release_models()


def change(path: Path, **values: Any) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


_EVIL = "import os\nos.mkdir(os.environ['EVIL'])\n"


@pytest.mark.parametrize(
    "index",
    [
        {"unet": ["evilmod", "Evil"]},
        {"_class_name": ["pipeline", "EvilPipe"]},
        {"_class_name": "pipeline"},
        {"unet": ["os", "system"]},
        {"unet": ["subprocess", "Popen"]},
        {"unet": ["diffusers", "utils.os.system"]},
        {"unet": ["diffusers", "StableDiffusionPipeline"]},
        {"unet": ["diffusers.utils", "os"]},
        {"unet": ["transformers", "AutoModel"]},
        {"unet": ["transformers", "pipeline"]},
        {"unet": ["diffucurate.generator.models.load", "load_pipeline"]},
        {"unet": ["pipelines", "DiffusionPipeline"]},
    ],
    ids=str,
)
def test_a_folder_that_names_code_is_refused_before_it_is_imported(
    folder: Path, index: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EVIL", str(tmp_path / "ran"))
    for name in ("pipeline.py", "unet/evilmod.py", "evilmod.py", "model_index.py"):
        (folder / name).write_text(_EVIL)
    change(folder / "model_index.json", **index)
    before = set(sys.modules)
    with pytest.raises(ModelError, match=r"cannot be loaded: .*(is not a model, scheduler|is no pipeline)"):
        load_pipeline(str(folder), "cpu")
    assert not (tmp_path / "ran").exists() and not any("evil" in name for name in set(sys.modules) - before)


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda folder: (folder / "model_index.json").write_text("[]"), "holds no names of parts"),
        (lambda folder: (folder / "model_index.json").write_text("[" * 99999), "cannot be read as JSON"),
        (lambda folder: (folder / "model_index.json").write_bytes(b"\xff\xfe"), "cannot be read as JSON"),
        (lambda folder: change(folder / "model_index.json", unet=[1, 2]), "does not name library and class"),
        (lambda folder: change(folder / "model_index.json", unet=["diffusers"]), "does not name library and class"),
        (lambda folder: change(folder / "model_index.json", unet={}), "has a mapping in the place of part 'unet'"),
        (lambda folder: change(folder / "model_index.json", _class_name=3), "'3' in model_index.json is no pipeline"),
        (lambda folder: change(folder / "model_index.json", **{"x" * 999: ["a", "b"]}), "which is not a model"),
        (lambda folder: shutil.rmtree(folder / "unet"), "its part 'unet' is missing"),
        (lambda folder: (folder / "unet" / "config.json").write_text("[]"), "configuration of part 'unet' is no map"),
        (
            lambda folder: change(folder / "unet" / "config.json", quantization_config={"quant_method": "gguf"}),
            "part 'unet' is quantised",
        ),
        (
            lambda folder: change(folder / "text_encoder" / "config.json", _attn_implementation="evil/kernel"),
            "asks for the program 'evil/kernel' from a hub",
        ),
        *(
            (
                lambda folder, steps=steps: change(
                    folder / "scheduler" / "scheduler_config.json", num_train_timesteps=steps
                ),
                "steps .num_train_timesteps., not 1 to 100,000",
            )
            for steps in (0, -1, 10**10, "many", [1000])
        ),
    ],
)
def test_what_is_wrong_with_a_folder_is_one_sentence(
    folder: Path, spoil: Callable[[Path], object], reason: str
) -> None:
    spoil(folder)
    with pytest.raises(ModelError, match=reason) as raised:
        load_pipeline(str(folder), "cpu")
    assert len(str(raised.value)) <= 300 and "object at" not in str(raised.value) and "\n" not in str(raised.value)


@pytest.mark.parametrize("part", ["text_encoder", "unet", "vae"])
@pytest.mark.parametrize("how", ["missing", "foreign", "of another shape"])
def test_weights_that_do_not_fit_are_an_error(folder: Path, part: str, how: str) -> None:
    """Instead of random weights in their place, with which a model paints nonsense."""
    (file,) = (folder / part).glob("*.safetensors")
    tensors = load_file(file)
    name = max(tensors, key=lambda key: tensors[key].numel())
    if how == "missing":
        del tensors[name]
    elif how == "foreign":
        tensors = {f"foreign.{key}": tensor for key, tensor in tensors.items()}
    else:
        tensors[name] = tensors[name][:1].clone()
    save_file(tensors, file, metadata={"format": "pt"})
    with pytest.raises(ModelError, match=r"could not be loaded|do not fit") as raised:
        load_pipeline(str(folder), "cpu")
    assert len(str(raised.value)) <= 400 + len(str(folder)) and "object at" not in str(raised.value)


def test_usual_folders_pass(original: Path) -> None:
    index = json.loads((original / "model_index.json").read_text())
    assert set(check_index("x", index)) >= {"unet", "vae", "text_encoder", "tokenizer", "scheduler"}
    older = {
        "_class_name": "StableDiffusionPipeline",
        "_diffusers_version": "0.6.0",
        "requires_safety_checker": True,
        "image_encoder": [None, None],
        "feature_extractor": ["transformers", "CLIPImageProcessor"],
        "safety_checker": ["stable_diffusion", "StableDiffusionSafetyChecker"],
        "tokenizer": ["transformers", "CLIPTokenizer"],
        "scheduler": ["diffusers", "PNDMScheduler"],
    }
    assert set(check_index("x", older)) == {"feature_extractor", "safety_checker", "tokenizer", "scheduler"}
    flux = {
        "_class_name": "FluxPipeline",
        "text_encoder_2": ["transformers", "T5EncoderModel"],
        "tokenizer_2": ["transformers", "T5TokenizerFast"],
        "transformer": ["diffusers", "FluxTransformer2DModel"],
        "vae": ["diffusers", "AutoencoderKL"],
    }
    assert len(check_index("x", flux)) == 4
    assert load_pipeline(str(original), "cpu").text_encoder.device.type == "cpu"
    assert os.listdir(original)


def test_code_beside_a_part_is_not_run_whatever_is_answered(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """transformers' ``auto_map`` names modules of the folder, in the place of which its own classes are used."""
    monkeypatch.setenv("EVIL", str(tmp_path / "ran"))
    monkeypatch.setattr("builtins.input", lambda *_: "y")
    for part, config in (("text_encoder", "config.json"), ("tokenizer", "tokenizer_config.json")):
        (folder / part / "evil.py").write_text(_EVIL)
        names = ("AutoConfig", "AutoModel", "AutoTokenizer")
        change(folder / part / config, auto_map={name: "evil.Evil" for name in names})
    assert load_pipeline(str(folder), "cpu").device.type == "cpu"
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("prefixed", [True, False])
def test_a_text_encoder_of_older_and_newer_versions_is_the_same(folder: Path, prefixed: bool) -> None:
    """Versions of transformers differ in whether the names of CLIP's weights begin with ``text_model.``."""
    import torch

    (file,) = (folder / "text_encoder").glob("*.safetensors")
    tensors = load_file(file)
    plain = {key.removeprefix("text_model."): tensor for key, tensor in tensors.items()}
    before = load_pipeline(str(folder), "cpu").text_encoder(torch.arange(6)[None]).last_hidden_state
    release_models()
    renamed = {f"text_model.{key}": tensor for key, tensor in plain.items()} if prefixed else plain
    save_file(renamed, file, metadata={"format": "pt"})
    try:
        after = load_pipeline(str(folder), "cpu").text_encoder(torch.arange(6)[None]).last_hidden_state
    except ModelError as error:  # said, where the version does not know the names
        assert "do not fit" in str(error) and not prefixed
    else:
        assert torch.equal(before, after)


@pytest.mark.parametrize(
    "kind",
    [
        "StableDiffusionControlNetPipeline",
        "StableDiffusionXLImg2ImgPipeline",
        "FluxFillPipeline",
        "FluxKontextPipeline",
        "FluxControlPipeline",
        "StableDiffusionUpscalePipeline",
        "StableDiffusionInstructPix2PixPipeline",
    ],
)
def test_pipelines_that_paint_not_from_text_alone_are_named(folder: Path, kind: str) -> None:
    change(folder / "model_index.json", _class_name=kind)
    with pytest.raises(ModelError, match=f"{kind} paints no images from text alone"):
        load_pipeline(str(folder), "cpu")


def test_inpainting_and_text_to_image_pipelines_pass(original: Path) -> None:
    index = json.loads((original / "model_index.json").read_text())
    for kind in ("StableDiffusionInpaintPipeline", "StableDiffusionXLPipeline", "LatentConsistencyModelPipeline"):
        assert check_index("x", {**index, "_class_name": kind})


def test_pickled_parts_and_missing_tokenizers_are_said(folder: Path) -> None:
    (weights,) = (folder / "unet").glob("*.safetensors")
    weights.rename(weights.with_suffix(".bin"))
    with pytest.raises(ModelError, match=r"weights of part 'unet' are pickled .*save_pretrained"):
        load_pipeline(str(folder), "cpu")
    change(folder / "model_index.json", tokenizer=[None, None])
    with pytest.raises(ModelError, match="it has a text_encoder and no tokenizer"):
        load_pipeline(str(folder), "cpu")


@pytest.mark.parametrize("only", [("unet", "vae", "text_encoder"), ("unet",)], ids=["all parts", "one part"])
def test_half_precision_alone_is_loaded_whatever_precision_is_wanted(folder: Path, only: tuple[str, ...]) -> None:
    import torch

    for part in only:
        (weights,) = (folder / part).glob("*.safetensors")
        weights.rename(weights.with_suffix(".fp16.safetensors"))
    for dtype in (torch.float16, torch.float32):
        pipe = load_pipeline(str(folder), "cpu", dtype)
        assert {pipe.unet.dtype, pipe.vae.dtype, pipe.text_encoder.dtype} == {dtype}
        release_models()


def test_where_there_are_both_precisions_that_which_is_wanted_is_read(folder: Path) -> None:
    import torch

    (weights,) = (folder / "unet").glob("*.safetensors")
    tensors = load_file(weights)
    name = next(iter(tensors))
    save_file(
        {key: tensor.half() + (key == name) for key, tensor in tensors.items()},
        weights.with_suffix(".fp16.safetensors"),
        metadata={"format": "pt"},
    )
    read = {}
    for dtype in (torch.float16, torch.float32):
        read[dtype] = load_pipeline(str(folder), "cpu", dtype).unet.state_dict()[name].float()
        release_models()
    assert torch.equal(read[torch.float32], tensors[name])
    assert torch.equal(read[torch.float16], (tensors[name].half() + 1).float())
