"""The Ray cluster in the forms: offered where it is set up, taken unless a person decides otherwise."""

from __future__ import annotations

from typing import Any

import pytest

from diffucurate.operators.generate_images import EXAMPLE
from diffucurate.plugin.cluster.engine import RayEngine


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("diffucurate.operators.forms.engine.is_installed", lambda: True)
    monkeypatch.setenv("DIFFUCURATE_RAY_ADDRESS", "head:6379")


def test_without_a_cluster_nothing_is_asked(app: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DIFFUCURATE_RAY_ADDRESS", raising=False)
    assert "on_ray" not in app.form("generate_images", None, recipe=EXAMPLE)


def test_the_cluster_is_offered_with_its_address(app: Any, cluster: None) -> None:
    form = app.form("generate_images", None, recipe=EXAMPLE)
    assert form["on_ray"]["default"] is True and "head:6379" in form["on_ray"]["view"]["description"]
    assert "actors" in form
    assert "actors" not in app.form("generate_images", None, recipe=EXAMPLE, on_ray=False)


@pytest.mark.parametrize(
    ("params", "engine"),
    [({}, RayEngine()), ({"actors": 3}, RayEngine(actors=3)), ({"on_ray": False, "actors": 3}, None)],
)
def test_a_run_takes_the_cluster_unless_it_is_told_otherwise(
    app: Any, cluster: None, monkeypatch: pytest.MonkeyPatch, params: dict[str, Any], engine: RayEngine | None
) -> None:
    """Delegated ones too: what runs them calls the same."""
    asked: list[RayEngine | None] = []

    def generate(*_: Any, engine: RayEngine | None, **__: Any) -> Any:
        asked.append(engine)
        raise KeyboardInterrupt

    monkeypatch.setattr("diffucurate.plugin.generation.generate.generate", generate)
    operator, context = (
        app._operator("generate_images"),
        app._context("generate_images", None, {"recipe": EXAMPLE, **params}),
    )
    with pytest.raises(KeyboardInterrupt):
        operator.run(context, None)
    assert asked == [engine]
