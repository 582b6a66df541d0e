"""One App for all scenarios of a process: a server that can be asked to show another dataset, and nothing else.

What a person does to the App outlives the page: the server's session keeps the view, the open panels and the selected
samples. ``show`` sets all of that anew, so that a scenario finds the App as it would be found after its start.
"""

from __future__ import annotations

import os
import select
import signal
import socket
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_SCRIPT = """
    import sys
    import time
    import fiftyone as fo
    from fiftyone.core.service import ServiceListenTimeout

    settings = {"address": "127.0.0.1", "port": int(sys.argv[1]), "remote": True}
    answers = open(int(sys.argv[2]), "w")
    try:
        session = fo.launch_app(**settings)
    except ServiceListenTimeout:  # after a minute, which can be too short; a second call finds the server
        session = fo.launch_app(**settings)
    while True:
        try:
            session.dataset = None
            break
        except RuntimeError:  # a thread of the session has not connected yet
            time.sleep(0.2)
    print("started", file=answers, flush=True)
    for line in sys.stdin:
        session.dataset = None  # resets panels and selection; the one before may have been deleted
        session.clear_view()
        if name := line.strip():
            session.dataset = fo.load_dataset(name, reload=True)
        print("shown", file=answers, flush=True)
"""


class AppServer:
    """A running server, asked by a line on its standard input and answering through a pipe.

    Raises:
        RuntimeError: by every method, where the server ended or gives no answer; its log is in the message.
    """

    def __init__(self, process: subprocess.Popen[bytes], answers: int, address: str, log: Path) -> None:
        self._process, self._answers, self._address, self._log = process, answers, address, log
        self._wait(240)  # for FiftyOne to be imported twice and the server to listen

    def show(self, name: str | None) -> str:
        """Forget all that was done in the App, and show this dataset or none; the URL to open."""
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):  # then nobody answers
            self._process.stdin.write(f"{name or ''}\n".encode())
        self._wait(120)
        return f"{self._address}/datasets/{name}" if name else self._address

    def _wait(self, seconds: float) -> None:
        ready, _, _ = select.select([self._answers], [], [], seconds)
        if not ready or not os.read(self._answers, 100):
            raise RuntimeError(f"the App's server gives no answer:\n{self._log.read_text()}")


@contextmanager
def app_server(folder: Path, **environment: str) -> Iterator[AppServer]:
    """A server with these variables added to its environment, its log in ``folder``."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    log, address = folder / "server.log", f"http://127.0.0.1:{port}"
    answers, theirs = os.pipe()
    with log.open("w") as output:
        process = subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(_SCRIPT), str(port), str(theirs)],
            env={**os.environ, **environment},
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=subprocess.STDOUT,
            bufsize=0,
            pass_fds=[theirs],
            start_new_session=True,
        )
        os.close(theirs)
        try:
            yield AppServer(process, answers, address, log)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM)
            process.wait(30)
            assert process.stdin is not None
            process.stdin.close()
            os.close(answers)
