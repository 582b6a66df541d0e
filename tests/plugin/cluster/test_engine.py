"""What is chosen as an engine, before anything is started."""

from __future__ import annotations

import pytest

from diffucurate.generator.errors import InvalidSetting, ModelError
from diffucurate.plugin.cluster import engine
from diffucurate.plugin.cluster.engine import RayEngine, chosen_engine


def test_without_an_engine_this_process_works() -> None:
    assert chosen_engine(None) is None
    assert chosen_engine(None, share=True) is None


def test_the_address_is_what_is_given_then_what_is_set_then_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "is_installed", lambda: True)
    monkeypatch.delenv("DIFFUCURATE_RAY_ADDRESS", raising=False)
    assert chosen_engine("ray") == RayEngine() and RayEngine().where == "local"
    monkeypatch.setenv("DIFFUCURATE_RAY_ADDRESS", "head:6379")
    assert RayEngine().where == "head:6379" and RayEngine("auto").where == "auto"


@pytest.mark.parametrize(
    "wrong, message",
    [
        (lambda: chosen_engine("spark"), "engine: 'spark' - use 'ray'"),  # type: ignore[arg-type]
        (lambda: RayEngine(actors=0), "actors: 0 - give a number of actors, at least 1"),
        (lambda: chosen_engine("ray", share=True), "share: True - one process leases jobs"),
    ],
)
def test_what_is_wrong_is_said_at_once(wrong, message, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "is_installed", lambda: True)
    with pytest.raises(InvalidSetting, match=message):
        wrong()


def test_without_ray_one_sentence_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "is_installed", lambda: False)
    with pytest.raises(ModelError, match=r"^engine 'ray' needs Ray \(Apache-2.0\): pip install 'diffucurate\[ray\]'$"):
        chosen_engine("ray")
