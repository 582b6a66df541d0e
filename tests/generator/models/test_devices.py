"""Devices before torch is imported."""

from __future__ import annotations

import subprocess
import sys
import types

import pytest

from diffucurate.generator.errors import ModelError
from diffucurate.generator.models import devices
from diffucurate.generator.models.devices import check_device, devices_here


def stand_in(cuda: bool, mps: bool) -> types.SimpleNamespace:
    """Of torch, what is asked."""
    there = types.SimpleNamespace(is_available=lambda: mps)
    return types.SimpleNamespace(
        cuda=types.SimpleNamespace(is_available=lambda: cuda), backends=types.SimpleNamespace(mps=there)
    )


@pytest.mark.parametrize(
    ("cuda", "mps", "there"),
    [(False, False, ["cpu"]), (True, False, ["cpu", "cuda"]), (False, True, ["cpu", "mps"])],
)
def test_torch_has_the_say_once_it_is_imported(
    monkeypatch: pytest.MonkeyPatch, cuda: bool, mps: bool, there: list[str]
) -> None:
    monkeypatch.setitem(sys.modules, "torch", stand_in(cuda, mps))
    assert devices_here() == there


@pytest.mark.parametrize(
    ("version", "drivers", "there"),
    [("2.9.0", ["/dev/nvidia0"], True), ("2.9.0", [], False), ("2.9.0+cpu", ["/dev/nvidia0"], False)],
)
def test_before_that_a_driver_and_a_build_for_it(
    monkeypatch: pytest.MonkeyPatch, version: str, drivers: list[str], there: bool
) -> None:
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    monkeypatch.setattr(devices.metadata, "version", lambda name: version)
    monkeypatch.setattr(devices, "glob", lambda pattern: [path for path in drivers if pattern == "/dev/nvidia*"])
    assert ("cuda" in devices_here()) is there


def test_both_agree_here() -> None:
    """What can be there holds all that is there."""
    script = "from diffucurate.generator.models.devices import devices_here as d; a = d(); import torch; print(a, d())"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    before, after = (set(part.strip("[ ]").replace("'", "").split(", ")) for part in done.stdout.split("] ["))
    assert {name.strip("[]\n'") for name in after} <= {name.strip("[]\n'") for name in before}


@pytest.mark.parametrize("device", ["gpu", "CUDA", "cuda:", "cuda:x", "", "xpu", "cpu "])
def test_what_torch_has_no_name_for(device: str) -> None:
    with pytest.raises(ModelError, match=r"is unknown; use cpu, cuda, cuda:<number> or mps"):
        check_device(device)


def test_what_is_not_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", stand_in(cuda=False, mps=True))
    for device in ("cpu", "cpu:0", "mps"):
        check_device(device)
    with pytest.raises(ModelError, match="'cuda:1' is not available here; use cpu or mps"):
        check_device("cuda:1")
