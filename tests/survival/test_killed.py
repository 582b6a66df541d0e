"""Each step, killed at moments drawn by a seed: nothing lost, nothing doubled, and the rerun ends as if nothing was.

``make survive`` does so 50 times for each; two times for some are a part of the usual tests.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest
from survival.conftest import KILLS, SEED
from survival.world import World

#: Of moments after which a step is killed, as shares of the time it takes: some come too late.
_LATEST = 1.1


def moments(step: str, seconds: float) -> Iterator[float]:
    """When a step is killed, in seconds from its start: evenly spread at first, then at random."""
    random = Random(f"{SEED} {step}")
    for number in range(KILLS):
        share = (number + random.random()) / KILLS
        yield _LATEST * seconds * share


def seconds_of(world: World, step: str, **arguments: Any) -> float:
    """How long a step takes that nobody kills."""
    outcome = world.do(step, **arguments)
    assert "error" not in outcome, outcome["traceback"]
    return float(outcome["seconds"])


def test_generate(world: World, recipe: dict[str, Any], painted: dict[str, Any]) -> None:
    once = {**recipe, "dataset": "once"}
    seconds = seconds_of(world, "generate", recipe=once)
    world.done("delete", dataset="once")
    whole = {row[0] for row in painted["rows"]}
    for number, moment in enumerate(moments("generate", seconds)):
        killed = {**recipe, "dataset": f"killed-{number}"}
        world.do("generate", kill_after=moment, recipe=killed)
        left = world.done("state", dataset=killed["dataset"])
        jobs = [row[0] for row in left["rows"]]
        assert not left["broken"] and len(jobs) == len(set(jobs)) and set(jobs) <= whole
        world.done("generate", recipe=killed)
        after = world.done("state", dataset=killed["dataset"])
        assert {row[0] for row in after["rows"]} == whole and len(after["rows"]) == len(whole)
        assert not after["broken"] and not after["stray"] and set(after["runs"]) == {"done"}
        world.done("delete", dataset=killed["dataset"])


@pytest.mark.parametrize("source", ["attention", pytest.param("yolov8", marks=pytest.mark.slow)])
def test_label(world: World, painted: dict[str, Any], source: str) -> None:
    seconds = seconds_of(world, "label", dataset="survivors", source=source)
    for moment in moments(f"label {source}", seconds):
        world.do("label", kill_after=moment, dataset="survivors", source=source)
        left = world.done("state", dataset="survivors")
        assert labels_of(left) == labels_of(painted) and not left["broken"]
        world.done("label", dataset="survivors", source=source)
        after = world.done("state", dataset="survivors")
        assert labels_of(after) == labels_of(painted) and not after["broken"]
        assert not after["stray"]


@pytest.mark.slow
@pytest.mark.parametrize("step", ["compare", "curate"])
def test_compare_and_curate(world: World, painted: dict[str, Any], step: str) -> None:
    seconds = seconds_of(world, step, dataset="survivors")
    reference = world.done("state", dataset="survivors")
    for moment in moments(step, seconds):
        world.do(step, kill_after=moment, dataset="survivors")
        left = world.done("state", dataset="survivors")
        assert labels_of(left) == labels_of(painted) and not left["broken"]
        world.done(step, dataset="survivors")
        assert world.done("state", dataset="survivors")["rows"] == reference["rows"]


@pytest.mark.parametrize("format", ["coco"] + (["yolo", "voc"] if KILLS > 2 else []))
def test_export(world: World, painted: dict[str, Any], tmp_path: Path, format: str) -> None:
    target = tmp_path / "whole"
    seconds = seconds_of(world, "export", dataset="survivors", folder=str(target), format=format)
    reference = world.done("files", folder=str(target))
    assert reference
    for number, moment in enumerate(moments(f"export {format}", seconds)):
        folder = tmp_path / f"{format}-{number}" / "export"
        world.do("export", kill_after=moment, dataset="survivors", folder=str(folder), format=format)
        assert world.done("files", folder=str(folder)) in ({}, reference)  # whole, or not there at all
        world.done("export", dataset="survivors", folder=str(folder), format=format)
        assert world.done("files", folder=str(folder)) == reference
        assert [path.name for path in folder.parent.iterdir()] == ["export"]  # nothing is left beside it


@pytest.mark.slow
def test_train_segmenter(world: World, painted: dict[str, Any], tmp_path: Path) -> None:
    seconds = seconds_of(world, "train_segmenter", dataset="survivors", folder=str(tmp_path / "whole"))
    reference = set(world.done("files", folder=str(tmp_path / "whole")))
    for number, moment in enumerate(list(moments("train_segmenter", seconds))[:: max(KILLS // 5, 1)]):
        folder = tmp_path / f"killed-{number}"
        world.do("train_segmenter", kill_after=moment, dataset="survivors", folder=str(folder))
        outcome = world.do("train_segmenter", dataset="survivors", folder=str(folder))
        assert "error" not in outcome or "overwrite" in outcome["error"], outcome["traceback"]  # it was done already
        assert set(world.done("files", folder=str(folder))) == reference
    assert labels_of(world.done("state", dataset="survivors")) == labels_of(painted)


def labels_of(state: dict[str, Any]) -> list[Any]:
    """The job of each sample and its labels by both sources, without tags and agreements."""
    return sorted(([row[0], *row[-2:]] for row in state["rows"]), key=str)
