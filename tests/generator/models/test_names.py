"""What a model's name stands for, from the disk alone; ``test_models`` has the names that are refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from diffucurate.generator.errors import ModelError
from diffucurate.generator.models.names import downloaded_models, locate


def test_places(tmp_path: Path) -> None:
    (tmp_path / "model_index.json").touch()
    file = tmp_path / "single.safetensors"
    file.touch()
    assert locate("tiny").kind == "folder"
    assert locate(str(tmp_path)) == ("folder", str(tmp_path))
    assert locate(str(file)) == ("file", str(file))
    assert locate("owner/name") == ("hub", "owner/name")


@pytest.mark.parametrize("name", ["", "nonsense", "~nobody-of-that-name/x/y", "x" * 5000, "a\0b", "owner/name.ckpt"])
def test_no_place(name: str) -> None:
    with pytest.raises(ModelError):
        locate(name)


def test_what_is_downloaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import constants

    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    for folder in ("models--owner--a-model/snapshots/1", "models--b--c--d/snapshots/1", "models--owner--words"):
        (tmp_path / folder).mkdir(parents=True)
    for folder in tmp_path.glob("*/snapshots/1"):
        (folder / "model_index.json").touch()
    assert downloaded_models() == ["b/c--d", "owner/a-model"]
    # Where nothing is set, the cache is where the Hub's own client has it.
    for name in ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "HF_HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".cache/huggingface/hub/models--x--y/snapshots/1").mkdir(parents=True)
    (tmp_path / ".cache/huggingface/hub/models--x--y/snapshots/1/model_index.json").touch()
    assert downloaded_models() == ["x/y"]
    assert Path(constants.HF_HUB_CACHE).parts[-2:] == ("huggingface", "hub")
