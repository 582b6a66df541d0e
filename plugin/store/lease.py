"""One process at a time does a piece of work on a dataset; others are told who does it.

A lease is a document in the database that its holder renews from a thread. It ends with the block; with the process
that holds it, where that was on this machine; or else when it was not renewed for ``SECONDS``. So a killed run can be
taken up, and a living one cannot. Times are the database server's: clocks of several machines need not agree.
"""

from __future__ import annotations

import os
import platform
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from threading import Event, Thread
from typing import Any

import fiftyone as fo
import pymongo
from pymongo.errors import ConnectionFailure, DuplicateKeyError, PyMongoError

from diffucurate.generator.errors import DatasetError
from diffucurate.plugin.fiftyone_private import database, dataset_id

_COLLECTION = "diffucurate.leases"

#: How long a lease outlives its holder on another machine.
SECONDS = 120
#: How often a holder renews it.
_RENEWAL = 20


@contextmanager
def held(dataset: fo.Dataset, work: str, doing: str) -> Iterator[None]:
    """A block in which no other process holds the lease of that work.

    Args:
        dataset: whose work it is.
        work: which work, as a name or a digest.
        doing: what the holder does, for the message of the one that comes second.

    Raises:
        DatasetError: another process, or another thread of this one, holds it.
    """
    lease, token = f"{dataset_id(dataset)}/{work}", secrets.token_hex(8)
    _take(lease, token, dataset.name, doing)
    ended = Event()
    renewal = Thread(target=_renew, args=(lease, token, ended), daemon=True, name="diffucurate lease")
    renewal.start()
    try:
        yield
    finally:
        ended.set()
        renewal.join()
        with suppress(ConnectionFailure), pymongo.timeout(_RENEWAL):  # it ends by itself too
            _leases().delete_one({"_id": lease, "token": token})


def is_held(dataset: fo.Dataset) -> bool:
    """Whether any process, this one included, does a piece of work on the dataset."""
    held_ones = _leases().find({"_id": {"$regex": f"^{dataset_id(dataset)}/"}})
    return any(not _is_gone(holder) for holder in held_ones)


def _leases() -> Any:
    return database()[_COLLECTION]


def _take(lease: str, token: str, name: str, doing: str) -> None:
    own = {"token": token, "host": platform.node(), "pid": os.getpid()}
    holder = _leases().find_one({"_id": lease})
    if holder is None:
        taken = _made(lease, own)
    else:
        # Replaced only as it was seen, so that of two that find it ended one takes it.
        seen: dict[str, Any] = {"_id": lease, "token": holder["token"]}
        if not _is_gone(holder):
            seen["$expr"] = {"$lt": ["$renewed", {"$subtract": ["$$NOW", 1000 * SECONDS]}]}
        taken = bool(_leases().update_one(seen, _renewed(own)).matched_count)
    if not taken:
        who = "another process" if holder is None else f"process {holder['pid']} on {holder['host']}"
        raise DatasetError(
            f"{who} {doing} in dataset '{name}' at this moment; wait until it is done. Where it was killed on another "
            f"machine, start again in {SECONDS} seconds"
        )


def _made(lease: str, own: Mapping[str, Any]) -> bool:
    try:
        _leases().update_one({"_id": lease, "token": own["token"]}, _renewed(own), upsert=True)
    except DuplicateKeyError:  # somebody else was first
        return False
    return True


def _renewed(values: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [{"$set": {**values, "renewed": "$$NOW"}}]


def _is_gone(holder: Mapping[str, Any]) -> bool:
    """Whether a holder's process has ended, as far as that can be known here."""
    if holder["host"] != platform.node() or os.name == "nt":  # where the question would end the process
        return False
    try:
        os.kill(holder["pid"], 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return False


def _renew(lease: str, token: str, ended: Event) -> None:
    while not ended.wait(_RENEWAL):
        try:
            _leases().update_one({"_id": lease, "token": token}, _renewed({}))
        except PyMongoError:  # the work itself will say that the database is gone
            continue
