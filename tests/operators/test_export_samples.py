"""Export samples: folders, splits, and files on disk."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    import fiftyone as fo


@pytest.mark.parametrize(
    ("params", "field", "words"),
    [
        ({"out_dir": "exports"}, "out_dir", "'exports' is not a full path"),
        ({"out_dir": "{file}"}, "out_dir", "is a file"),
        ({"out_dir": "{full}"}, "out_dir", "is not empty; choose 'Overwrite'"),
        ({"out_dir": "{full}", "overwrite": True}, None, ""),
        ({"out_dir": "{new}", "splits": "train"}, "splits", "train=0.8,val=0.2"),
        ({"out_dir": "{new}", "splits": "train=0.8,val=0.2"}, None, ""),
        ({"out_dir": "{new}"}, None, ""),
    ],
)
def test_form_errors(app, painted: fo.Dataset, tmp_path: Path, params: dict, field: str | None, words: str) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").touch()
    paths = {"file": tmp_path / "full" / "file", "full": tmp_path / "full", "new": tmp_path / "new"}
    params = {**params, "out_dir": params["out_dir"].format(**paths)}
    problems = app.problems("export_samples", painted, source="attention", format="coco", **params)
    assert list(problems) == ([field] if field else [])
    assert words in "".join(problems.values())


@pytest.mark.parametrize(("format", "file"), [("coco", "**/*.json"), ("yolo", "data.yaml")])
def test_run_writes_the_folder(app, painted: fo.Dataset, tmp_path: Path, format: str, file: str) -> None:
    params = {"source": "attention", "format": format, "out_dir": str(tmp_path / "out"), "splits": "train=0.5,val=0.5"}
    told = app.stream("export_samples", painted, **params)
    assert app.said(told) == ("Success", f"{len(painted)} samples exported to {tmp_path / 'out'}")
    assert list((tmp_path / "out").glob(file))
    assert "reload_dataset" not in dict(told)
