"""Actors of a Ray cluster that work through leases: small lists of items, each done by one of them.

Knows nothing of images: a worker is made by a function, and has a method that takes a lease. A lease is worked on at
least once. What an actor held that died goes back, and a new actor takes its place. A lease that fails is tried again
item by item; an item that fails twice is left out, with the reason.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, NamedTuple, TypeVar

from diffucurate.generator.errors import DiffucurateError, ImageError, ModelError
from diffucurate.plugin.cluster.connection import Resources

Item = TypeVar("Item")

#: Leases that an actor has at once: it never waits for the next one.
_AT_ONCE = 2
#: How often an item is tried.
_TRIES = 2
#: Seconds between two looks at actors that do not answer.
_LOOK = 1.0
#: Seconds without any actor after which the listener hears of it, again and again.
_PATIENCE = 20.0


class Done(NamedTuple, Generic[Item]):
    """A lease that was worked on; ``result`` is what the worker returned, in ``seconds``."""

    items: Sequence[Item]
    result: Any
    seconds: float


class LeftOut(NamedTuple, Generic[Item]):
    """An item that failed as often as it is tried, and why."""

    item: Item
    reason: str


@dataclass(eq=False)
class _Lease(Generic[Item]):
    items: Sequence[Item]
    failures: int = 0


@dataclass(eq=False)
class _Actor:
    """An actor of Ray's: ``handle`` is None once it is gone."""

    number: int
    handle: Any
    started: float
    ready: bool = False
    facts: dict[str, Any] = field(default_factory=dict)
    images: int = 0
    seconds: float = 0.0
    pending: dict[Any, Any] = field(default_factory=dict)  # reference to a result -> lease, in the order of its work

    @property
    def has_room(self) -> bool:
        """Whether it takes another lease that was not tried before."""
        return self.ready and len(self.pending) < _AT_ONCE


class Pool(Generic[Item]):
    """Actors that hold a worker each.

    Args:
        ray: the module, connected.
        resources: how many actors there are, and what they reserve.
        make: makes an actor's worker, there; an error of the library that it raises ends all.
        say: is called with what a person should know.
    """

    def __init__(self, ray: Any, resources: Resources, make: Callable[[], Any], say: Callable[[str], None]) -> None:
        self._ray, self._resources, self._make, self._say = ray, resources, make, say
        self._lost_in_a_row = 0
        self._numbers = 0
        self._pending: dict[Any, tuple[_Actor, _Lease[Item] | None]] = {}
        self._gone: list[_Actor] = []
        self._actors = [self._new_actor() for _ in range(resources.actors)]

    def ask(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """What a function returns of the worker and these arguments, in the first actor that answers.

        Raises:
            DiffucurateError: the worker cannot be made, or the function's own.
        """
        while True:
            while not any(each.ready for each in self._actors):
                for reference in self._wait():
                    list(self._finished(reference, deque()))
            actor = next(each for each in self._actors if each.ready)
            reference = actor.handle.ask.remote(function, arguments)
            try:
                return self._ray.get(reference)
            except self._ray.exceptions.RayActorError as error:
                self._replace(actor, error)
            except self._ray.exceptions.RayTaskError as error:
                raise _own(error) or error from None

    def results(self, leases: Iterable[Sequence[Item]]) -> Iterator[Done[Item] | LeftOut[Item]]:
        """Work through leases, in any order; ends when each of their items is done or left out.

        Args:
            leases: is asked for the next one when an actor is free.

        Raises:
            DiffucurateError: of a worker; no lease is tried after that. ``ImageError`` alone is an item's own.
            ModelError: actors die one after the other, whatever they are given.
        """
        coming, again, ended = iter(leases), deque[_Lease[Item]](), False
        while True:
            for actor in self._actors:
                while actor.has_room and not ended:
                    items = next(coming, None)
                    ended = items is None
                    if items is not None:
                        self._submit(actor, _Lease(items))
                # What failed is tried alone, so that it is known what an actor was at that dies.
                if ended and again and actor.ready and not actor.pending:
                    self._submit(actor, again.popleft())
            if ended and not again and not any(actor.pending for actor in self._actors):
                return
            for reference in self._wait():
                yield from self._finished(reference, again)

    def facts(self) -> list[dict[str, Any]]:
        """What each actor did: the images, their pace, and what its worker says of itself."""
        return [
            {**actor.facts, "images": actor.images, "images_per_second": round(pace, 3)}
            for actor in (*self._gone, *self._actors)
            if actor.facts
            for pace in [actor.images / actor.seconds if actor.seconds else 0.0]
        ]

    @property
    def seconds(self) -> float:
        """What all actors have worked for, added up."""
        return round(sum(actor.seconds for actor in (*self._gone, *self._actors)), 3)

    def close(self) -> None:
        """End all actors at once, whatever they are at."""
        for actor in self._actors:
            self._ray.kill(actor.handle)
        self._actors, self._pending = [], {}

    def _new_actor(self) -> _Actor:
        remote = self._ray.remote(num_cpus=self._resources.cpus, num_gpus=self._resources.gpus, max_restarts=0)(Holder)
        actor = _Actor(self._numbers, remote.remote(self._make), time.monotonic())
        self._numbers += 1
        self._pending[actor.handle.load.remote()] = (actor, None)
        return actor

    def _submit(self, actor: _Actor, lease: _Lease[Item]) -> None:
        reference = actor.handle.work.remote(list(lease.items))
        actor.pending[reference] = lease
        self._pending[reference] = (actor, lease)

    def _wait(self) -> list[Any]:
        """The references to results that are there; of several leases of an actor in their order."""
        started = time.monotonic()
        while True:
            ready, _ = self._ray.wait(list(self._pending), num_returns=1, timeout=_LOOK)
            if ready:
                return list(ready)
            if not any(actor.ready for actor in self._actors) and time.monotonic() - started > _PATIENCE:
                self._say("no actor has started yet: it waits for a free place in the cluster, or loads the model")
                started = time.monotonic()

    def _finished(self, reference: Any, again: deque[_Lease[Item]]) -> Iterator[Done[Item] | LeftOut[Item]]:
        """What became of a lease, or of making a worker where there is none."""
        actor, lease = self._pending.pop(reference, (None, None))
        if actor is None:  # of an actor that was replaced meanwhile
            return
        before = [each for each in actor.pending if each != reference]
        try:
            result = self._ray.get(reference)
        except self._ray.exceptions.RayActorError as error:
            for other in before:  # which it may have ended before it died
                if other in self._pending and self._ended_well(other):
                    yield from self._finished(other, again)
            lost = list(actor.pending.values())
            self._replace(actor, error)
            again.extend(lost[1:])  # which it had not begun
            if lost:
                yield from self._failed(lost[0], f"its actor died ({_cause(error)})", again)
            return
        except self._ray.exceptions.RayTaskError as error:
            own = _own(error)
            if lease is None or (own is not None and not isinstance(own, ImageError)):
                raise own or ModelError(f"an actor cannot make its worker: {_cause(error)}") from None
            del actor.pending[reference]
            yield from self._failed(lease, _cause(error), again)
            return
        self._lost_in_a_row = 0
        if lease is None:
            actor.ready, actor.facts = True, result
            return
        del actor.pending[reference]
        value, seconds = result
        actor.images += len(lease.items)
        actor.seconds += seconds
        yield Done(lease.items, value, seconds)

    def _ended_well(self, reference: Any) -> bool:
        """Whether a result of an actor that is dead is there."""
        try:
            self._ray.get(reference)
        except self._ray.exceptions.RayError:
            return False
        return True

    def _replace(self, actor: _Actor, error: BaseException) -> None:
        self._lost_in_a_row += 1
        if self._lost_in_a_row > 2 * len(self._actors) + 2:
            raise ModelError(f"actors die as soon as they are started: {_cause(error)}") from error
        self._say(f"actor {actor.number} was lost ({_cause(error)}); another one takes its place")
        for reference in [each for each, (owner, _) in self._pending.items() if owner is actor]:
            del self._pending[reference]
        self._gone.append(actor)
        self._actors[self._actors.index(actor)] = self._new_actor()

    def _failed(self, lease: _Lease[Item], reason: str, again: deque[_Lease[Item]]) -> Iterator[LeftOut[Item]]:
        if lease.failures + 1 >= _TRIES:
            for item in lease.items:
                yield LeftOut(item, f"tried {_TRIES} times: {reason}")
        else:
            again.extend(_Lease([item], lease.failures + 1) for item in lease.items)


class Holder:
    """What an actor is: it makes its worker when asked to, so that errors come back as they are."""

    def __init__(self, make: Callable[[], Any]) -> None:
        self._make = make
        self._worker: Any = None

    def load(self) -> dict[str, Any]:
        """Make the worker; what it says of itself."""
        import platform

        self._worker = self._make()
        return {"node": platform.node(), **self._worker.facts()}

    def ask(self, function: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
        return function(self._worker, *arguments)

    def work(self, items: Sequence[Any]) -> tuple[Any, float]:
        """What the worker makes of a lease, and the seconds it took."""
        started = time.monotonic()
        result = self._worker.work(items)
        return result, time.monotonic() - started


def _own(error: BaseException) -> DiffucurateError | None:
    """The library's own error that an actor's task ended in."""
    cause = getattr(error, "cause", None)
    return cause if isinstance(cause, DiffucurateError) else None


def _cause(error: BaseException) -> str:
    """An error of Ray's in one clause."""
    cause = getattr(error, "cause", None) or error
    lines = [line.strip() for line in str(cause).splitlines() if line.strip()]
    text = lines[0] if lines else ""
    return f"{type(cause).__name__}: {text[:160]}" if text else type(cause).__name__
