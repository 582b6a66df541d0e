"""What a full disk, a folder without permission or a dead database is called: one sentence that names the place."""

from __future__ import annotations

import os
import re

from diffucurate.plugin.environment.database import configured_uri

#: How pymongo's errors of a server that is gone are called, and FiftyOne's own; by name, as neither is imported here.
_UNREACHABLE = ("AutoReconnect", "ConnectionFailure", "NetworkTimeout", "ServerSelectionTimeoutError")


def machine_problem(error: BaseException) -> str | None:
    """One sentence for an error of the machine instead of the program's; None for others."""
    if isinstance(error, ConnectionError) and "mongod" in str(error):  # FiftyOne's own, which names no server
        uri = (configured_uri() or "FiftyOne's own server").partition("?")[0]
        return f"the database does not answer ({re.sub('//.*@', '//', uri)[:160]}); start its server, and try again"
    if any(kind.__name__ in _UNREACHABLE for kind in type(error).__mro__):
        text = " ".join(str(error).split()).split(", Timeout")[0]
        return f"the database does not answer ({text[:160]}); start its server, and the same command goes on from there"
    if not isinstance(error, OSError) or error.errno is None:
        return None
    reason = (error.strerror or os.strerror(error.errno)).lower()
    place = f"'{error.filename}'" if error.filename is not None else "a file"
    return f"{place} cannot be read or written: {reason}; what was made before is kept"
