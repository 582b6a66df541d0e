"""Local files first, then the hub, and one sentence where neither has it."""

from __future__ import annotations

import pytest

from diffucurate.generator.errors import ModelError
from diffucurate.generator.models.hub import first_line, load_local_first
from diffucurate.generator.models.names import Place

HUB, FOLDER = Place("hub", "a/b"), Place("folder", "/a")


def test_what_is_in_the_cache_is_not_asked_of_the_network() -> None:
    calls: list[tuple[str, bool]] = []

    def load(name: str, local_only: bool) -> str:
        calls.append((name, local_only))
        return "model"

    assert load_local_first("a/b", HUB, load, folder_help="") == "model"
    assert calls == [("a/b", True)]


def test_what_is_not_in_the_cache_is_downloaded() -> None:
    def load(name: str, local_only: bool) -> str:
        if local_only:
            raise OSError("not cached")
        return name

    assert load_local_first("a/b", HUB, load, folder_help="") == "a/b"


@pytest.mark.parametrize(
    ("place", "message"),
    [
        (
            HUB,
            "'it' could not be loaded: there is no such folder here; tried the local cache (no True) and "
            "huggingface.co (no False); without a network, download it elsewhere and give its local folder",
        ),
        (FOLDER, "'it' could not be loaded: tried the folder (no True); save it there"),
    ],
)
def test_the_error_names_what_was_tried(place: Place, message: str) -> None:
    def load(name: str, local_only: bool) -> str:
        raise RuntimeError(f"no {local_only}\nand a long page")

    with pytest.raises(ModelError) as raised:
        load_local_first("it", place, load, folder_help="save it there")
    assert str(raised.value) == message


def test_an_error_of_our_own_ends_the_search() -> None:
    def load(name: str, local_only: bool) -> str:
        raise ModelError("of another type")

    with pytest.raises(ModelError, match=r"^of another type$"):
        load_local_first("a/b", HUB, load, folder_help="")


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (ValueError("one\ntwo"), "one"),
        (ValueError(""), "ValueError"),
        (KeyError("name"), "'name' is missing"),
    ],
)
def test_the_first_line_of_an_error(error: Exception, line: str) -> None:
    assert first_line(error) == line
