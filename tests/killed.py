"""A process that is killed while it writes one of its files, as a full memory or a power cut would end it."""

from __future__ import annotations

import signal
import subprocess
import sys

_KILLED = """
import os, signal, sys
from diffucurate.generator.files.atomic import replacing_file
from diffucurate.plugin.store import media_files

writes = 0
write_bytes = media_files.write_bytes

def write_then_die(path, content):
    global writes
    writes += 1
    if writes == int(sys.argv[1]):
        with replacing_file(path) as part:
            part.write_bytes(content[:10])
            os.kill(os.getpid(), signal.SIGKILL)
    return write_bytes(path, content)

media_files.write_bytes = write_then_die
"""


def killed_while_writing(number: int, code: str, *arguments: str) -> None:
    """Run ``code`` until its file of that number, from 1 on, is half written; its arguments are ``sys.argv[2:]``."""
    command = [sys.executable, "-c", _KILLED + code, str(number), *arguments]
    done = subprocess.run(command, capture_output=True, timeout=240, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()
