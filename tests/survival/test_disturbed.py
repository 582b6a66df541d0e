"""What else can happen to a run: the database or the files are gone, others write, the dataset is changed meanwhile."""

from __future__ import annotations

import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from survival.test_killed import seconds_of
from survival.world import World

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def half(world: World, recipe: dict[str, Any], painted: dict[str, Any]) -> float:
    """Half of the seconds in which the recipe is painted."""
    once = {**recipe, "dataset": "timed"}
    seconds = seconds_of(world, "generate", recipe=once)
    world.done("delete", dataset="timed")
    return seconds / 2


def assert_whole(world: World, painted: dict[str, Any], dataset: str) -> None:
    """The samples that one run makes that nobody disturbs, with all of their files and no others."""
    state = world.done("state", dataset=dataset)
    assert [row[0] for row in state["rows"]] == [row[0] for row in painted["rows"]]
    assert not state["broken"] and not state["stray"] and set(state["runs"]) == {"done"}


def test_the_database_is_gone_and_comes_back(
    world: World, recipe: dict[str, Any], painted: dict[str, Any], half: float
) -> None:
    mine = {**recipe, "dataset": "no-database"}
    process = world.start("generate", recipe=mine)
    time.sleep(half)
    world.kill_server()
    outcome = world.wait(process)
    world.restart_server()
    assert "does not answer" in outcome["error"], outcome["traceback"]
    world.done("generate", recipe=mine)
    assert_whole(world, painted, "no-database")


def test_the_media_folder_is_gone_and_put_back(
    world: World, recipe: dict[str, Any], painted: dict[str, Any], half: float
) -> None:
    mine = {**recipe, "dataset": "no-media"}
    process = world.start("generate", recipe=mine)
    time.sleep(half)
    media, aside = world.root / "media" / "no-media", world.root / "aside"
    if media.is_dir():
        media.rename(aside)
    outcome = world.wait(process)
    assert outcome.get("error", "") is not None, outcome["traceback"]
    world.done("generate", recipe=mine)
    if aside.is_dir():
        shutil.copytree(aside, media, dirs_exist_ok=True)
    state = world.done("state", dataset="no-media")
    assert [row[0] for row in state["rows"]] == [row[0] for row in painted["rows"]] and not state["broken"]


@pytest.mark.parametrize("share", [False, True])
def test_two_at_once(world: World, recipe: dict[str, Any], painted: dict[str, Any], half: float, share: bool) -> None:
    mine = {**recipe, "dataset": f"two-writers-{share}".lower()}
    first = world.start("generate", recipe=mine, share=share)
    time.sleep(half if not share else 0)
    second = world.start("generate", recipe=mine, share=share)
    outcomes = [world.wait(first), world.wait(second)]
    failed = [outcome for outcome in outcomes if "error" in outcome]
    assert len(failed) <= (0 if share else 1), failed
    assert all("at this moment" in outcome["error"] for outcome in failed), failed
    assert_whole(world, painted, mine["dataset"])


def test_the_dataset_is_deleted_meanwhile(
    world: World, recipe: dict[str, Any], painted: dict[str, Any], half: float
) -> None:
    mine = {**recipe, "dataset": "deleted"}
    process = world.start("generate", recipe=mine)
    time.sleep(half)
    world.done("delete", dataset="deleted")
    outcome = world.wait(process)
    assert outcome.get("error", "") is not None, outcome["traceback"]
    world.done("delete", dataset="deleted")  # a run that was about to make it has made it now
    world.done("generate", recipe=mine)
    state = world.done("state", dataset="deleted")  # FiftyOne leaves the files of datasets that are deleted
    assert [row[0] for row in state["rows"]] == [row[0] for row in painted["rows"]] and not state["broken"]


def test_the_dataset_is_renamed_meanwhile(
    world: World, recipe: dict[str, Any], painted: dict[str, Any], half: float
) -> None:
    mine = {**recipe, "dataset": "renamed"}
    world.done("generate", recipe=mine, count=2)
    process = world.start("generate", recipe=mine)
    time.sleep(half)
    world.done("rename", dataset="renamed", name="renamed again")
    outcome = world.wait(process)
    assert outcome.get("error", "") is not None, outcome["traceback"]
    assert not world.done("state", dataset="renamed again")["broken"]
    world.done("rename", dataset="renamed again", name="renamed")
    world.done("generate", recipe=mine)
    state = world.done("state", dataset="renamed")
    assert [row[0] for row in state["rows"]] == [row[0] for row in painted["rows"]] and not state["broken"]


def test_a_clone_that_is_made_meanwhile_keeps_its_files(
    world: World, recipe: dict[str, Any], painted: dict[str, Any], half: float
) -> None:
    mine = {**recipe, "dataset": "cloned"}
    world.done("generate", recipe=mine, count=4)
    process = world.start("generate", recipe=mine)
    time.sleep(half)
    world.done("clone", dataset="cloned", name="the clone")
    assert "error" not in world.wait(process)
    world.done("label", dataset="cloned", source="attention")  # its files take the place of those that were there
    world.done("generate", recipe=mine)
    state = world.done("state", dataset="cloned")
    assert [row[0] for row in state["rows"]] == [row[0] for row in painted["rows"]] and not state["broken"]
    assert not world.done("state", dataset="the clone")["broken"]


def test_the_disk_is_full(world: World, recipe: dict[str, Any], painted: dict[str, Any], tmp_path: Path) -> None:
    media = tmp_path / "media"
    media.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=160k", "tmpfs", str(media)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("a small file system can only be mounted by root")
    mine = {**recipe, "dataset": "full-disk"}
    try:
        outcome = world.do("generate", recipe=mine, media=str(media))
        assert "No space left" in outcome["error"] or "no space left" in outcome["error"], outcome
        state = world.done("state", dataset="full-disk")
        assert not state["broken"] and not state["stray"]
        subprocess.run(["mount", "-o", "remount,size=16m", str(media)], check=True)
        world.done("generate", recipe=mine, media=str(media))
        assert_whole(world, painted, "full-disk")
    finally:
        subprocess.run(["umount", str(media)], check=True)
