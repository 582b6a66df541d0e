"""One process at a time does a piece of work on a dataset; others are told who does it.

A lease is a document in the database that its holder renews from a thread. It ends with the block; with the process
that holds it, where that was on this machine; or else when it was not renewed for ``SECONDS``. So a killed run can be
taken up, and a living one cannot. Times are the database server's: clocks of several machines need not agree.

Work that several processes ``share`` has a lease for each of them, and nobody holds it alone meanwhile; which of them
does what is agreed in ``plugin.store.job_leases``.
"""

from __future__ import annotations

import os
import platform
import re
import secrets
import time
from collections.abc import Callable, Iterator, Mapping
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
#: How often one who waits for a lease asks again, in seconds.
_ASK_AGAIN = 0.1


@contextmanager
def held(dataset: fo.Dataset, work: str, doing: str, *, wait: float = 0) -> Iterator[None]:
    """A block in which no other process holds the lease of that work.

    Args:
        dataset: whose work it is.
        work: which work, as a name or a digest.
        doing: what the holder does, for the message of the one that comes second.
        wait: seconds to wait for another holder.

    Raises:
        DatasetError: another process, or another thread of this one, holds it, or several share it.
    """
    lease, token = lease_id(dataset, work), new_token()
    until = time.monotonic() + wait
    while (holder := _take(lease, token)) is not None and time.monotonic() < until:
        time.sleep(_ASK_AGAIN)
    if holder is not None:
        raise _refused(holder, dataset.name, doing)
    with _ended(lease, token), renewed_meanwhile(token):
        if holders := living({"_id": _below(lease)}):
            raise _refused(holders[0], dataset.name, doing)
        yield


@contextmanager
def shared(dataset: fo.Dataset, work: str, doing: str) -> Iterator[Callable[[], None]]:
    """A block in which nobody holds the lease of that work alone, but any number of processes may share it.

    It gets a function that ends this process's share before the block does.

    Raises:
        DatasetError: another process holds it alone.
    """
    lease, token = lease_id(dataset, work), new_token()
    own = f"{lease}/{token}"
    _take(own, token)
    with _ended(own, token), renewed_meanwhile(token):
        if holders := living({"_id": lease}):
            raise _refused(holders[0], dataset.name, doing)
        yield lambda: leases().delete_one({"_id": own, "token": token})


def sharers(dataset: fo.Dataset, work: str) -> int:
    """How many processes share a piece of work at this moment."""
    return len(living({"_id": _below(lease_id(dataset, work))}))


def is_held(dataset: fo.Dataset) -> bool:
    """Whether any process, this one included, does a piece of work on the dataset."""
    return bool(living({"_id": _below(str(dataset_id(dataset)))}))


def leases() -> Any:
    """The collection of all leases."""
    return database()[_COLLECTION]


def lease_id(dataset: fo.Dataset, work: str) -> str:
    """The id of the lease of a piece of work on a dataset."""
    return f"{dataset_id(dataset)}/{work}"


def new_token() -> str:
    """A name that one holder alone has."""
    return secrets.token_hex(8)


def claim(token: str) -> list[dict[str, Any]]:
    """The update of MongoDB's that makes a lease this process's, renewed now."""
    return [{"$set": {"token": token, "host": platform.node(), "pid": os.getpid(), "renewed": "$$NOW"}}]


def claimable(holder: Mapping[str, Any]) -> dict[str, Any]:
    """The query that finds a lease as it was seen, if it has ended: of two that find it so one takes it."""
    seen: dict[str, Any] = {"_id": holder["_id"], "token": holder["token"]}
    if not is_gone(holder):
        seen["$expr"] = {"$lt": ["$renewed", _oldest()]}
    return seen


def living(query: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The leases of a query whose holders are alive, as far as that can be known here."""
    renewed = leases().find({**query, "$expr": {"$gte": ["$renewed", _oldest()]}})
    return [holder for holder in renewed if not is_gone(holder)]


def is_gone(holder: Mapping[str, Any]) -> bool:
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


@contextmanager
def renewed_meanwhile(token: str) -> Iterator[None]:
    """A block during which all leases of a token are renewed."""
    ended = Event()
    renewal = Thread(target=_renew, args=(token, ended), daemon=True, name="diffucurate lease")
    renewal.start()
    try:
        yield
    finally:
        ended.set()
        renewal.join()


def _take(lease: str, token: str) -> dict[str, Any] | None:
    """Take a lease, or the one that holds it."""
    holder = leases().find_one({"_id": lease})
    if holder is not None:
        return None if leases().update_one(claimable(holder), claim(token)).matched_count else holder
    try:
        leases().update_one({"_id": lease, "token": token}, claim(token), upsert=True)
    except DuplicateKeyError:  # somebody else was first
        return leases().find_one({"_id": lease}) or {}
    return None


@contextmanager
def _ended(lease: str, token: str) -> Iterator[None]:
    """A block after which a lease is given back."""
    try:
        yield
    finally:
        with suppress(ConnectionFailure), pymongo.timeout(_RENEWAL):  # it ends by itself too
            leases().delete_one({"_id": lease, "token": token})


def _refused(holder: Mapping[str, Any], name: str, doing: str) -> DatasetError:
    who = f"process {holder['pid']} on {holder['host']}" if holder else "another process"
    return DatasetError(
        f"{who} {doing} in dataset '{name}' at this moment; wait until it is done. Where it was killed on another "
        f"machine, start again in {SECONDS} seconds"
    )


def _below(lease: str) -> dict[str, str]:
    return {"$regex": f"^{re.escape(lease)}/"}


def _oldest() -> dict[str, Any]:
    """The moment, as MongoDB computes it, before which a living holder on any machine has not renewed its lease."""
    return {"$subtract": ["$$NOW", 1000 * SECONDS]}


def _renew(token: str, ended: Event) -> None:
    while not ended.wait(_RENEWAL):
        try:
            leases().update_many({"token": token}, [{"$set": {"renewed": "$$NOW"}}])
        except PyMongoError:  # the work itself will say that the database is gone
            continue
