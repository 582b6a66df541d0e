"""A connection to a Ray cluster, or a small one of this machine's own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from diffucurate.generator.errors import ModelError
from diffucurate.plugin.cluster.engine import LOCAL, RayEngine

#: Bytes of shared memory of a cluster that is started here: results of a few batches.
_OBJECT_STORE = 256 * 1024**2


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
    quiet = {"log_to_driver": False, "logging_level": "ERROR"}
    try:
        if engine.where == LOCAL:
            ray.init(address=LOCAL, include_dashboard=False, object_store_memory=_OBJECT_STORE, **quiet)
        else:
            ray.init(address=engine.where, **quiet)
    except (ConnectionError, ValueError, RuntimeError) as error:
        reason = str(error).strip().partition("\n")[0][:200]
        raise ModelError(
            f"no Ray cluster answers at '{engine.where}' ({reason}); start one with `ray start --head`, name another "
            f"address, or '{LOCAL}'"
        ) from error
    try:
        yield ray
    finally:
        ray.shutdown()


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
