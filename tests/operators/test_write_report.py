"""Write report: files, choices, and the page."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    import fiftyone as fo


@pytest.mark.parametrize(
    ("params", "field", "words"),
    [
        ({"path": "page.html"}, "path", "'page.html' is not a full path"),
        ({"path": "{tmp}"}, "path", "is a folder; name a file in it"),
        ({"path": "{tmp}/mine.html"}, "path", "is there already and no report"),
        ({"path": "{tmp}/mine.html", "overwrite": True}, "path", "no report"),
        ({"path": "{tmp}/new.html", "source": "nobody"}, "source", "'nobody' is not there; choose one of attention"),
        ({"path": "{tmp}/new.html", "reference": "gone"}, "reference", "'gone' is not there"),
        ({"path": "{tmp}/new.html", "embeddings": "clip"}, "embeddings", "'clip' is not there; choose one of none"),
        ({"path": "{tmp}/new.html"}, None, ""),
    ],
)
def test_form_errors(app, painted: fo.Dataset, tmp_path: Path, params: dict, field: str | None, words: str) -> None:
    (tmp_path / "mine.html").write_text("mine")
    params = {**params, "path": params["path"].format(tmp=tmp_path)}
    problems = app.problems("write_report", painted, **params)
    assert list(problems) == ([field] if field else [])
    assert words in "".join(problems.values())


def test_run_writes_the_page(app, painted: fo.Dataset, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    steps = app.stream("write_report", painted, path=str(page), source="attention")
    assert app.said(steps) == ("Success", f"Report on {len(painted)} images written to {page}")
    assert page.read_text().startswith("<!DOCTYPE html>")
    assert app.problems("write_report", painted, path=str(page))["path"].endswith("choose 'Overwrite' or another file")
    assert app.problems("write_report", painted, path=str(page), overwrite=True) == {}
