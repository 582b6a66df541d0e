"""A cluster that is not there, on the command line and from Python: one sentence, and soon."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import pytest

from diffucurate.generator.errors import ModelError
from diffucurate.plugin.cluster.connection import connected
from diffucurate.plugin.cluster.engine import RayEngine


def test_an_address_where_nothing_listens_is_named() -> None:
    pytest.importorskip("ray", reason="Ray is not installed: pip install 'diffucurate[ray]'")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{probe.getsockname()[1]}"
        with pytest.raises(ModelError, match=f"no Ray cluster answers at '{address}'"), connected(RayEngine(address)):
            pass


@pytest.mark.parametrize(
    ("arguments", "engine"),
    [
        ([], None),
        (["--ray"], RayEngine()),
        (["--ray-address", "head:6379", "--actors", "3"], RayEngine("head:6379", 3)),
    ],
)
def test_the_command_line_hands_its_options_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], engine: RayEngine | None
) -> None:
    from unittest.mock import MagicMock

    from typer.testing import CliRunner

    from diffucurate.plugin.cli.app import app

    asked: list[RayEngine | None] = []

    def generate(*_: Any, engine: RayEngine | None, **__: Any) -> list[Any]:
        asked.append(engine)
        return []

    monkeypatch.setattr("diffucurate.plugin.generation.generate.generate", generate)
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text("{dataset: d, classes: {car: [car]}, templates: [a car]}")
    CliRunner().invoke(app, ["generate", str(recipe), *arguments], obj=MagicMock())  # a terminal
    assert asked == [engine]
