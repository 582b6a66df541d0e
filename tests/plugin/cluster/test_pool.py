"""Leases in a real Ray cluster: each item once in the result, whatever happens to the actors."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from diffucurate.generator.errors import ModelError
from diffucurate.plugin.cluster.connection import Resources
from diffucurate.plugin.cluster.pool import LeftOut, Pool

pytestmark = pytest.mark.slow

TWO = Resources(2, 0.0, 1.0)


def worker(folder: Path) -> Callable[[], Any]:
    """Makes a worker that returns what it is given; the name of an item says what happens to it."""

    class Worker:
        def facts(self) -> dict[str, Any]:
            return {"kind": "test"}

        def work(self, items: list[str]) -> list[str]:
            import os
            import signal

            from diffucurate.generator.errors import ModelError as Refused

            for item in items:
                first = not (folder / item).exists()
                (folder / item).touch()
                if item == "deadly" or (item == "deadly once" and first):
                    os.kill(os.getpid(), signal.SIGKILL)
                if item == "wrong":
                    raise ValueError("a wrong item")
                if item == "fatal":
                    raise Refused("the model is broken")
            return [item.upper() for item in items]

    return Worker


@pytest.fixture
def pool(ray: Any, tmp_path: Path) -> Iterator[tuple[Pool[str], list[str]]]:
    notes: list[str] = []
    made: Pool[str] = Pool(ray, TWO, worker(tmp_path), notes.append)
    yield made, notes
    made.close()


def test_every_lease_is_done_once(pool: tuple[Pool[str], list[str]]) -> None:
    leases = [[f"{number}a", f"{number}b"] for number in range(6)]
    results = list(pool[0].results(leases))
    assert sorted(each.result for each in results) == [[f"{number}A", f"{number}B"] for number in range(6)]
    assert sum(each["images"] for each in pool[0].facts()) == 12
    assert pool[0].ask(lambda worker, name: (type(worker).__name__, name), "x") == ("Worker", "x")


def test_what_an_actor_had_that_died_is_done_by_others(pool: tuple[Pool[str], list[str]]) -> None:
    results = list(pool[0].results([["a", "deadly once"], ["b"], ["c"], ["d"]]))
    assert sorted(item for each in results for item in each.result) == ["A", "B", "C", "D", "DEADLY ONCE"]
    assert len(pool[1]) == 1 and "was lost" in pool[1][0]


def test_an_item_that_fails_twice_is_named_and_left_out(pool: tuple[Pool[str], list[str]]) -> None:
    results = list(pool[0].results([["a", "wrong"], ["b", "deadly"], ["c", "d"]]))
    assert sorted(item for each in results if not isinstance(each, LeftOut) for item in each.result) == list("ABCD")
    reasons = {each.item: each.reason for each in results if isinstance(each, LeftOut)}
    assert reasons["wrong"] == "tried 2 times: ValueError: a wrong item"
    assert reasons["deadly"].startswith("tried 2 times: its actor died (")


def test_an_error_of_the_library_ends_all(pool: tuple[Pool[str], list[str]]) -> None:
    with pytest.raises(ModelError, match=r"^the model is broken$"):
        list(pool[0].results([["fatal"], ["b"]]))


def test_a_worker_that_cannot_be_made_says_why(ray: Any) -> None:
    def broken() -> Any:
        from diffucurate.generator.errors import InvalidSetting

        raise InvalidSetting("device", "cuda", "there is none")

    pool: Pool[str] = Pool(ray, TWO, broken, print)
    with pytest.raises(Exception, match=r"^device: 'cuda' - there is none$"):
        list(pool.results([["a"]]))
    pool.close()
