"""A database and folders of their own, and commands in them that can be killed. Imports nothing of the library's."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent


class World:
    """A database server, a media folder, and a process that forks one for each command (``victims``)."""

    def __init__(self, root: Path, mongod: str) -> None:
        self.root, self._mongod = root, mongod
        (root / "db").mkdir()
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self._port = int(probe.getsockname()[1])
        self._server = self._start_server()
        self._forker = self._start_forker()

    def start(self, command: str, **arguments: Any) -> int:
        """Begin a command; its process."""
        return int(self._ask({"start": command, "arguments": arguments})["process"])

    def wait(self, process: int, kill_after: float | None = None) -> dict[str, Any]:
        """What became of a command, which is killed where it takes longer than these seconds."""
        return self._ask({"wait": process, "kill_after": kill_after})

    def do(self, command: str, kill_after: float | None = None, **arguments: Any) -> dict[str, Any]:
        """Begin a command and wait for it."""
        return self.wait(self.start(command, **arguments), kill_after)

    def done(self, command: str, **arguments: Any) -> Any:
        """What a command returns that has to succeed."""
        outcome = self.do(command, **arguments)
        assert "error" not in outcome, outcome["traceback"]
        return outcome["result"]

    def kill_server(self) -> None:
        """Let the database be gone at once."""
        self._server.send_signal(signal.SIGKILL)
        self._server.wait()

    def restart_server(self) -> None:
        """Let the database be back, with what it held."""
        self._server = self._start_server()

    def close(self) -> None:
        for process in (self._forker, self._server):
            process.terminate()
            process.wait()
        shutil.rmtree(self.root, ignore_errors=True)

    def _ask(self, content: dict[str, Any]) -> dict[str, Any]:
        assert self._forker.stdin is not None and self._forker.stdout is not None
        self._forker.stdin.write(json.dumps(content) + "\n")
        self._forker.stdin.flush()
        return self._answer()

    def _answer(self) -> dict[str, Any]:
        assert self._forker.stdout is not None
        for line in self._forker.stdout:
            if line.startswith("{"):  # libraries print too
                return dict(json.loads(line))
        raise AssertionError(f"the process that forks is gone: {(self.root / 'log').read_text()[-2000:]}")

    def _start_server(self) -> subprocess.Popen[bytes]:
        options = ["--dbpath", str(self.root / "db"), "--port", str(self._port), "--bind_ip", "127.0.0.1"]
        options += ["--logpath", str(self.root / "mongod.log"), "--nounixsocket", "--wiredTigerCacheSizeGB", "0.25"]
        server = subprocess.Popen([self._mongod, *options], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for _ in range(300):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self._port)) == 0:
                    return server
            time.sleep(0.1)
        raise AssertionError("the database does not start")

    def _start_forker(self) -> subprocess.Popen[str]:
        own = {
            "FIFTYONE_DATABASE_URI": f"mongodb://127.0.0.1:{self._port}",
            "FIFTYONE_DATABASE_NAME": "survival",
            "FIFTYONE_DATABASE_DIR": str(self.root / "db"),
            "FIFTYONE_DEFAULT_DATASET_DIR": str(self.root / "datasets"),
            "DIFFUCURATE_MEDIA_DIR": str(self.root / "media"),
            "FIFTYONE_SHOW_PROGRESS_BARS": "false",
            "FIFTYONE_DO_NOT_TRACK": "1",
            "OMP_NUM_THREADS": "1",
        }
        with open(self.root / "log", "w") as log:
            forker = subprocess.Popen(
                [sys.executable, str(HERE / "victims.py")],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                env={**os.environ, **own},
            )
        self._forker = forker
        self._answer()
        return forker
