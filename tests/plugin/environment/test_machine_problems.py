"""A full disk, a folder without permission and a dead database: one sentence with the place, in bounded time."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
import time

import pytest
from pymongo.errors import AutoReconnect, ServerSelectionTimeoutError

from diffucurate.plugin.environment import database
from diffucurate.plugin.environment.machine_problems import machine_problem


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (OSError(errno.ENOSPC, "No space left on device", "/a/b.png"), "'/a/b.png' cannot be .*: no space left on dev"),
        (PermissionError(errno.EACCES, "Permission denied", "/a"), "'/a' cannot be read or written: permission denied"),
        (OSError(errno.EROFS, "Read-only file system"), "a file cannot be read or written: read-only file system"),
        (AutoReconnect("host:1: connection closed"), "the database does not answer .host:1: connection closed"),
        (ServerSelectionTimeoutError("h:1: refused, Timeout: 30s, Topology: " + "x" * 999), "answer .h:1: refused.;"),
    ],
)
def test_one_sentence(error: Exception, sentence: str) -> None:
    import re

    problem = machine_problem(error)
    assert problem is not None and re.search(sentence, problem) and len(problem) < 300 and "\n" not in problem


def test_errors_of_the_program_are_none_of_the_machine() -> None:
    assert [machine_problem(error) for error in (OSError("no number"), ValueError("x"), KeyError("x"))] == [None] * 3


@pytest.mark.parametrize(
    ("uri", "bounded"),
    [
        ("mongodb://h:1", "mongodb://h:1/?serverSelectionTimeoutMS=5000"),
        ("mongodb://u:p@h:1/db?a=b", "mongodb://u:p@h:1/db?a=b&serverSelectionTimeoutMS=5000"),
        ("mongodb://h/?serverSelectionTimeoutMS=9", "mongodb://h/?serverSelectionTimeoutMS=9"),
    ],
)
def test_a_configured_server_is_waited_for_in_seconds(uri: str, bounded: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FIFTYONE_DATABASE_URI", uri)
    database.bound_waiting()
    assert os.environ["FIFTYONE_DATABASE_URI"] == bounded


def test_a_dead_database_is_one_sentence_in_bounded_time() -> None:
    environment = {**os.environ, "FIFTYONE_DATABASE_URI": "mongodb://127.0.0.1:9"}
    arguments = [sys.executable, "-m", "diffucurate.plugin.cli", "compare", "nothing", "a", "b", "--json"]
    started = time.monotonic()
    done = subprocess.run(arguments, capture_output=True, text=True, check=False, env=environment, timeout=80)
    message = json.loads(done.stdout)["error"]["message"]
    assert done.returncode == 2 and "127.0.0.1:9" in message and len(message) < 400, message
    assert time.monotonic() - started < 60
