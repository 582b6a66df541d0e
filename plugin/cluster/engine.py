"""Where work is done: in this process, or by the actors of a Ray cluster. Light: forms ask, and nothing is started."""

from __future__ import annotations

import os
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Literal, TypeAlias

from diffucurate.generator.errors import InvalidSetting, ModelError

#: The address of a cluster, for whoever names none; the App offers Ray where it is set.
ADDRESS_VARIABLE = "DIFFUCURATE_RAY_ADDRESS"

#: The address by which Ray is started on this machine, and ended with the work.
LOCAL = "local"


@dataclass(frozen=True)
class RayEngine:
    """A Ray cluster, and how many actors work there.

    Attributes:
        address: ``auto`` for a cluster that this machine is a part of, ``host:6379`` or ``ray://host:10001`` for
            another; ``local`` starts one on this machine. By default what ``DIFFUCURATE_RAY_ADDRESS`` says, else local.
        actors: each loads the model once. By default one for each GPU of the cluster, or one where it has none.

    Raises:
        InvalidSetting: ``actors`` is no number, or below 1.
    """

    address: str | None = None
    actors: int | None = None

    def __post_init__(self) -> None:
        if self.actors is not None and (not isinstance(self.actors, int) or self.actors < 1):
            raise InvalidSetting("actors", self.actors, "give a number of actors, at least 1")

    @property
    def where(self) -> str:
        """The address that is used."""
        return self.address or configured_address() or LOCAL


#: What verbs take as ``engine``: None is this process.
Engine: TypeAlias = Literal["ray"] | RayEngine | None


def configured_address() -> str | None:
    """The address of the cluster that is set for this machine."""
    return os.environ.get(ADDRESS_VARIABLE) or None


def is_installed() -> bool:
    """Whether Ray is, without importing it."""
    return find_spec("ray") is not None


def chosen_engine(engine: Engine, *, share: bool = False) -> RayEngine | None:
    """The engine as settings; None for this process.

    Raises:
        InvalidSetting: there is no such engine, or it does not go together with ``share``.
        ModelError: Ray is not installed.
    """
    if engine is None:
        return None
    if engine != "ray" and not isinstance(engine, RayEngine):
        raise InvalidSetting("engine", engine, "use 'ray', a RayEngine, or None for this process")
    if share:
        raise InvalidSetting("share", share, "one process leases jobs to Ray's actors; leave share or engine out")
    if not is_installed():
        raise ModelError("engine 'ray' needs Ray (Apache-2.0): pip install 'diffucurate[ray]'")
    return RayEngine() if engine == "ray" else engine
