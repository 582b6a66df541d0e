"""Learned tokens as files: what comes back, what is refused, and where they go by name."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from untrained import untrained_pipeline, untrained_tokenizer

from diffucurate.generator.attention.class_tokens.calibration import Calibration
from diffucurate.generator.attention.class_tokens.class_tokens import ClassToken, Provenance, find_token, fingerprint
from diffucurate.generator.attention.trace.attribution import attributable
from diffucurate.generator.errors import InvalidSetting, ModelError
from diffucurate.generator.models.token_files import TOKENS_DIR_VARIABLE, token_names, token_path, tokens_folder


def token(label: str = "car", family: Any = None) -> ClassToken:
    about = Provenance(
        model="streets",
        fingerprint="none" if family is None else fingerprint(family),
        samples=("a.png", "b.png"),
        rivals=("bus",),
        timesteps=(100, 300),
        seed=3,
        optimiser="L-BFGS",
        loss=0.25,
        iou=0.75,
        made="2026-01-02",
    )
    return ClassToken(label, torch.linspace(-1, 1, 64).reshape(2, 32), about)


def test_comes_back_from_its_file(tmp_path: Path) -> None:
    made = token()
    path = made.save(tmp_path / "new" / "car.safetensors")
    back = ClassToken.load(path)
    assert (back.label, back.provenance) == ("car", made.provenance)
    assert torch.equal(back.embedding, made.embedding)
    assert [entry.name for entry in path.parent.iterdir()] == ["car.safetensors"]


def test_a_learned_threshold_comes_back_too(tmp_path: Path) -> None:
    made = replace(token(), calibration=Calibration(8.5, 6.0, -9.25, 3))
    assert ClassToken.load(made.save(tmp_path / "car.safetensors")).calibration == made.calibration
    assert ClassToken.load(token().save(tmp_path / "older.safetensors")).calibration is None
    both = replace(made, contrasted=Calibration(8.0, 3.0, -10.0, 3, 6.0))
    assert ClassToken.load(both.save(tmp_path / "both.safetensors")).contrasted == both.contrasted
    assert made.reading(True) == made.calibration  # learned before there was contrast
    path = tmp_path / "car.safetensors"
    for broken in ('"mean": NaN', '"mean": "high"', '"median": 8.5'):
        made.save(path)
        with safe_open(path, "pt") as file:
            about = file.metadata()["token"].replace('"mean": 8.5', broken)
        save_file({"embedding": made.embedding}, path, {"token": about})
        with pytest.raises(ModelError, match="could not be read as a learned token"):
            ClassToken.load(path)


@pytest.mark.parametrize(
    ("embedding", "words"),
    [
        (torch.zeros(3, 32), r"float32 \(3, 32\)"),
        (torch.zeros(2, 32, dtype=torch.float16), "float16"),
        (torch.zeros(64), r"\(64,\)"),
        (torch.full((2, 32), torch.nan), "not finite"),
    ],
)
def test_an_embedding_that_is_none(tmp_path: Path, embedding: torch.Tensor, words: str) -> None:
    good = token()
    with pytest.raises(ModelError, match=words):
        ClassToken("car", embedding, good.provenance)


def test_files_of_another_kind(tmp_path: Path) -> None:
    (tmp_path / "text.safetensors").write_text("no tensors here")
    save_file({"embedding": torch.zeros(2, 32)}, tmp_path / "bare.safetensors")
    save_file({"other": torch.zeros(2)}, tmp_path / "half.safetensors", {"token": '{"format": "diffucurate-token-1"}'})
    for name, words in (
        ("text", "could not be read"),
        ("bare", "holds no learned token"),
        ("half", "could not be read"),
    ):
        with pytest.raises(ModelError, match=words):
            ClassToken.load(tmp_path / f"{name}.safetensors")
    with pytest.raises(ModelError, match="could not be read"):
        ClassToken.load(tmp_path / "missing.safetensors")


def test_is_refused_by_another_model(tmp_path: Path) -> None:
    tokenizer = untrained_tokenizer(tmp_path)
    small, same, wide, deep = (
        attributable(untrained_pipeline(tokenizer, **options))
        for options in ({}, {}, {"width": 40}, {"channels": (32, 32, 64)})
    )
    made = token(family=small)
    made.check(same)
    for other in (wide, deep):
        with pytest.raises(ModelError, match="learned with 'streets', whose layers are not those"):
            made.check(other)


def test_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(TOKENS_DIR_VARIABLE, str(tmp_path / "tokens"))
    assert token_names() == []
    for name in ("car at night", "bus"):
        token(name[:3]).save(token_path(name))
    assert token_names() == ["bus", "car at night"]
    assert find_token("car at night").label == "car"
    assert tokens_folder(tmp_path / "mine") == tmp_path / "mine"
    with pytest.raises(InvalidSetting, match="there are: bus, car at night"):
        find_token("tree")
    for name in ("../bus", "a/b", "", ".hidden", " bus"):
        with pytest.raises(InvalidSetting, match="use letters"):
            token_path(name)


def test_the_folder_is_the_users_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(TOKENS_DIR_VARIABLE, raising=False)
    assert tokens_folder() == Path.home() / ".diffucurate" / "tokens"
