"""A connection to a Ray cluster, or a small one of this machine's own."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from diffucurate.generator.errors import ModelError
from diffucurate.plugin.cluster.engine import LOCAL, RayEngine

#: Bytes of shared memory of a cluster that is started here: results of a few batches.
_OBJECT_STORE = 256 * 1024**2

#: Seconds in which a cluster has to answer.
_ANSWER = 10


class Resources(NamedTuple):
    """What each actor reserves, and how many of them there are."""

    actors: int
    gpus: float
    cpus: float


@contextmanager
def connected(engine: RayEngine) -> Iterator[Any]:
    """A block with the module ``ray``, connected as an engine says; what was connected already stays so.

    Raises:
        ModelError: no cluster answers at that address.
    """
    import ray

    if ray.is_initialized():
        yield ray
        return
    _check_answers(engine.where)
    quiet = {"log_to_driver": False, "logging_level": "ERROR"}
    try:
        if engine.where == LOCAL:
            ray.init(address=LOCAL, include_dashboard=False, object_store_memory=_OBJECT_STORE, **quiet)
        else:
            ray.init(address=engine.where, **quiet)
    except (ConnectionError, ValueError, RuntimeError) as error:
        reason = str(error).strip().partition("\n")[0][:200]
        raise _no_cluster(engine.where, reason) from error
    try:
        yield ray
    finally:
        ray.shutdown()


def _check_answers(address: str) -> None:
    """See that something listens at ``host:port``: Ray itself waits for a minute, and then ends the whole process.

    Raises:
        ModelError: nothing does.
    """
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not host or not port.isdecimal():
        return
    try:
        socket.create_connection((host, int(port)), timeout=_ANSWER).close()
    except (OSError, OverflowError) as error:
        raise _no_cluster(address, str(error)) from error


def _no_cluster(address: str, reason: str) -> ModelError:
    return ModelError(
        f"no Ray cluster answers at '{address}' ({reason}); start one with `ray start --head`, name another "
        f"address, or '{LOCAL}'"
    )


def resources(ray: Any, engine: RayEngine, device: str | None) -> Resources:
    """What actors reserve: a GPU each, or their share of the cluster's processors where it has none, or ``device`` is
    ``cpu``."""
    total = ray.cluster_resources()
    gpus, cpus = int(total.get("GPU", 0)), float(total.get("CPU", 1))
    if gpus and device != "cpu":
        count = engine.actors or gpus
        return Resources(count, min(1.0, gpus / count), 1.0)
    count = engine.actors or 1
    share = cpus / count
    return Resources(count, 0.0, float(int(share)) if share >= 1 else share)
