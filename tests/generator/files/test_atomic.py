"""A file is there whole or not at all: after errors, after a kill, and for those who read meanwhile."""

from __future__ import annotations

import errno
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from diffucurate.generator.files.atomic import replacing_file, write_bytes, write_text

_KILLED = """
import os, signal, sys
from pathlib import Path
from diffucurate.generator.files.atomic import replacing_file

with replacing_file(Path(sys.argv[1])) as part:
    part.write_bytes(b"ne")
    os.kill(os.getpid(), signal.SIGKILL)
"""


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_content_is_written_and_replaced_in_folders_made_for_it(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "c.bin"
    assert write_bytes(path, b"old") == path and path.read_bytes() == b"old"
    assert write_bytes(path, b"new") == path and path.read_bytes() == b"new"
    assert names(path.parent) == ["c.bin"]


def test_text_is_utf_8_as_it_is(tmp_path: Path) -> None:
    assert write_text(tmp_path / "a.txt", "größer\n").read_bytes() == "größer\n".encode()


def test_a_reader_sees_the_old_file_until_the_new_one_is_whole(tmp_path: Path) -> None:
    path = write_bytes(tmp_path / "a.bin", b"old")
    with replacing_file(path) as part:
        part.write_bytes(b"new")
        assert part.parent == path.parent and path.read_bytes() == b"old"
    assert path.read_bytes() == b"new" and names(tmp_path) == ["a.bin"]


@pytest.mark.parametrize("before", [b"old", None])
def test_an_error_leaves_the_old_file_and_no_other(tmp_path: Path, before: bytes | None) -> None:
    path = tmp_path / "a.bin"
    if before is not None:
        write_bytes(path, before)
    with pytest.raises(ValueError, match="halfway"), replacing_file(path) as part:
        part.write_bytes(b"ne")
        raise ValueError("halfway")
    assert names(tmp_path) == ([] if before is None else ["a.bin"])
    assert before is None or path.read_bytes() == before


@pytest.mark.parametrize("write", [lambda path: write_bytes(path, b"new"), lambda path: write_text(path, "new")])
def test_a_full_disk_leaves_the_old_file_and_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write: Callable[[Path], Path]
) -> None:
    path = write_bytes(tmp_path / "a.bin", b"old")

    def full_disk(self: Path, content: bytes) -> int:
        with self.open("wb") as file:
            file.write(content[:1])
        raise OSError("No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full_disk)
    with pytest.raises(OSError, match="No space"):
        write(path)
    assert path.read_bytes() == b"old" and names(tmp_path) == ["a.bin"]


def test_a_kill_halfway_leaves_the_old_file_and_the_next_write_succeeds(tmp_path: Path) -> None:
    path = write_bytes(tmp_path / "a.bin", b"old")
    done = subprocess.run([sys.executable, "-c", _KILLED, str(path)], capture_output=True, timeout=60, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()
    assert path.read_bytes() == b"old" and len(names(tmp_path)) == 2, "it did write half of a file"
    assert write_bytes(path, b"new").read_bytes() == b"new"
    assert names(tmp_path) == ["a.bin"], "half of a file is left"


def test_an_error_that_names_no_file_is_given_its_path(tmp_path: Path) -> None:
    """A full disk is told by the write, which knows no path."""
    with (
        pytest.raises(OSError, match=r"No space left on device: '.*b\.bin'") as raised,
        replacing_file(tmp_path / "b.bin"),
    ):
        raise OSError(errno.ENOSPC, "No space left on device")
    assert raised.value.errno == errno.ENOSPC and list(tmp_path.iterdir()) == []
