"""One world for all tests of this folder, and a dataset in it that is painted and labelled already."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest
from survival.world import World

#: How often each step is killed; ``make survive`` sets 50.
KILLS = int(os.environ.get("SURVIVE_KILLS", "2"))

#: What moments and orders are drawn from.
SEED = int(os.environ.get("SURVIVE_SEED", "0"))


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    from conftest import _mongod

    made = World(tmp_path_factory.mktemp("world"), _mongod())
    yield made
    made.close()


@pytest.fixture(scope="session")
def recipe(model_folder: str) -> dict[str, Any]:
    """Twelve images of noise, in the time of a few hundred milliseconds."""
    return {
        "dataset": "survivors",
        "model": model_folder,
        "size": [64, 64],
        "steps": 1,
        "seeds": 6,
        "classes": {"car": ["car"], "bus": ["bus"]},
        "templates": ["a red {object}"],
        "attributes": {"object": ["car", "bus"]},
    }


@pytest.fixture(scope="session")
def painted(world: World, recipe: dict[str, Any]) -> dict[str, Any]:
    """The recipe's dataset with labels of both sources, as one run leaves it that nobody disturbs."""
    world.done("generate", recipe=recipe)
    world.done("label", dataset="survivors", source="yolov8")
    state = world.done("state", dataset="survivors")
    assert len(state["rows"]) == 12 and not state["broken"] and not state["stray"]
    return dict(state)
