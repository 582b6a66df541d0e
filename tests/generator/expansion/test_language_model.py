"""Language models of others: no code of their folders is run, and their settings of generation are not heeded."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file, save_file

from diffucurate.generator.errors import ModelError
from diffucurate.generator.expansion.language_model import LanguageModel


@pytest.fixture
def folder(writer: str, tmp_path: Path) -> Path:
    shutil.copytree(writer, tmp_path / "writer")
    return tmp_path / "writer"


def change(path: Path, **values: Any) -> None:
    content = json.loads(path.read_text()) if path.exists() else {}
    path.write_text(json.dumps({**content, **values}))


@pytest.mark.parametrize("model_type", ["gpt2", "evil"], ids=["of a known kind", "of an unknown kind"])
def test_code_of_a_folder_is_not_run_whatever_is_answered(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, model_type: str
) -> None:
    monkeypatch.setenv("HF_MODULES_CACHE", str(tmp_path / "modules"))
    monkeypatch.setattr("builtins.input", lambda *_: "y")  # as ``echo y |`` does
    ran = tmp_path / "ran"
    (folder / "custom_generate").mkdir()
    for name in ("evil.py", "custom_generate/generate.py"):
        (folder / name).write_text(f"import os\nos.makedirs({str(ran)!r})\n")
    classes = {"AutoConfig": "evil.Config", "AutoModelForCausalLM": "evil.Model", "AutoTokenizer": ["evil.T", "evil.T"]}
    change(folder / "config.json", auto_map=classes, model_type=model_type)
    change(folder / "tokenizer_config.json", auto_map=classes)
    if model_type == "evil":
        with pytest.raises(ModelError, match="could not be loaded"):
            LanguageModel(str(folder), "cpu")
    else:  # transformers' own class reads it
        assert LanguageModel(str(folder), "cpu").write(["car:"], seed=0)
    assert not ran.exists()


def test_settings_of_generation_in_a_folder_are_not_heeded(writer: str, folder: Path) -> None:
    """Beams, by the million, once took all memory; the sequences and processors beside them are heeded as little."""
    prompt = "Captions of photographs:\ncar:"
    expected = LanguageModel(writer, "cpu").write([prompt], seed=3, most_tokens=12)
    change(
        folder / "generation_config.json",
        num_beams=1_000,  # a million would not show another thing, but take the machine with it
        num_return_sequences=500,
        repetition_penalty=9.0,
        min_new_tokens=100_000,
        max_length=10**9,
        suppress_tokens=list(range(5, 40)),
    )
    assert LanguageModel(str(folder), "cpu").write([prompt], seed=3, most_tokens=12) == expected


@pytest.mark.parametrize("how", ["missing", "of another shape"])
def test_weights_that_do_not_fit_are_an_error(folder: Path, how: str) -> None:
    tensors = load_file(folder / "model.safetensors")
    name = next(key for key in tensors if key.endswith("c_attn.weight"))
    if how == "missing":
        del tensors[name]
    else:
        tensors[name] = tensors[name][:, :3].clone()
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ModelError, match=r"its network do not fit: 1 are missing|could not be loaded"):
        LanguageModel(str(folder), "cpu")
