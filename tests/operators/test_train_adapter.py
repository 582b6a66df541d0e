"""Train adapter: what the form asks and refuses, and what a run leaves."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    import fiftyone as fo


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DIFFUCURATE_ADAPTERS_DIR", str(tmp_path / "adapters"))


def test_form(app: Any, painted: fo.Dataset) -> None:
    form = app.form("train_adapter", painted, val=0.5, show_more=True)
    assert form["steps"]["default"] == 1500 and "the adapter goes to" in form["summary"]["view"]["label"]
    assert set(app.problems("train_adapter", painted, steps=0, val=0.5)) == {"steps"}
    assert set(app.problems("train_adapter", painted, noise=3.0, val=0.5)) == {"noise"}
    assert set(app.problems("train_adapter", painted, name="a/b", val=0.5)) == {"name"}


def test_run(app: Any, painted: fo.Dataset, tmp_path: Path) -> None:
    told = app.stream("train_adapter", painted, source="attention", steps=2, val=0.5, batch_size=2, name="two")
    outcome, message = app.said(told)
    assert outcome == "Success" and "after 2 steps" in message, message
    assert (tmp_path / "adapters" / "two" / "two.safetensors").is_file()
