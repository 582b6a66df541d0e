"""Provenance: each verb leaves a custom run on the dataset that says what was done, with what, and how it ended.

The run's key is stored with every sample it made and in the names of its files. Knows nothing of the verbs.
"""

from __future__ import annotations

import getpass
import hashlib
import json
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib import metadata
from typing import Any

import fiftyone as fo
import pymongo
from pymongo.errors import ConnectionFailure

from diffucurate.generator.errors import DatasetError
from diffucurate.plugin.fiftyone_private import is_stored
from diffucurate.plugin.store.lease import held

#: Packages whose versions can change an image or a label.
PACKAGES = ("diffucurate", "fiftyone", "torch", "diffusers", "transformers", "ultralytics", "numpy", "opencv-python")

RUNNING, DONE, STOPPED = "running", "done", "stopped"

#: What a process that paints is said to do where another one would paint the same.
DOING = "makes these images"

#: Seconds for which the end of a run may wait for the database.
_LAST_WAIT = 10


def method(verb: str) -> str:
    """The custom run's method, by which FiftyOne can list all runs of a verb."""
    return f"diffucurate/{verb}"


def new_key(verb: str) -> str:
    """A run key: an identifier that sorts by time, to the microsecond, and is used in no other dataset
    either."""
    return f"{verb}_{datetime.now(UTC):%Y%m%d_%H%M%S_%f}_{secrets.token_hex(2)}"


def versions() -> dict[str, str]:
    """Package -> version, of those in ``PACKAGES`` that are installed; none of them is imported."""
    installed = {}
    for name in PACKAGES:
        try:
            installed[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return installed


@dataclass
class Run:
    """A run in progress: its key, and plain facts such as counts that are kept when it ends."""

    key: str
    facts: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Record:
    """A run as it is stored in the dataset. Times are ISO 8601 in UTC; ``ended`` is None for one that was killed.

    ``by`` is the user of the machine that ran it, None for one older than its being recorded.
    """

    key: str
    verb: str
    status: str
    started: str
    ended: str | None
    versions: dict[str, str]
    settings: dict[str, Any]
    facts: dict[str, Any]
    by: str | None = None


def read(dataset: fo.Dataset, key: str) -> Record:
    """The run of that key.

    Raises:
        DatasetError: the dataset has no such run (any more).
    """
    if not dataset.has_run(key):
        raise DatasetError(f"run '{key}' was deleted from dataset '{dataset.name}'; what it recorded is lost")
    config = dataset.get_run_info(key).config
    return Record(
        key=key,
        verb=config.method.rpartition("/")[2],
        status=getattr(config, "status", STOPPED),
        started=str(getattr(config, "started", "")),
        ended=getattr(config, "ended", None),
        versions=_mapping(config, "versions"),
        settings=_mapping(config, "settings"),
        facts=_mapping(config, "facts"),
        by=getattr(config, "by", None),
    )


def read_all(dataset: fo.Dataset) -> list[Record]:
    """All runs of the dataset, the latest first."""
    keys = [key for key in dataset.list_runs() if dataset.get_run_info(key).config.method.startswith(method(""))]
    return sorted((read(dataset, key) for key in keys), key=lambda record: record.started, reverse=True)


def _mapping(config: Any, name: str) -> dict[str, Any]:
    """A part of a run's record; empty where it has none, or anything but a mapping."""
    value = getattr(config, name, None)
    return plain(value) if isinstance(value, Mapping) else {}


def plain(value: Any) -> Any:
    """A run's settings or facts as plain dicts and lists; FiftyOne loads them as subclasses of its database's own."""
    if isinstance(value, Mapping):
        return {name: plain(item) for name, item in value.items()}
    return [plain(item) for item in value] if isinstance(value, list | tuple) else value


def register(dataset: fo.Dataset, verb: str, settings: Mapping[str, Any], key: str, status: str) -> Any:
    """Begin the record of a run, in place of an earlier one of that key; FiftyOne's config of it."""
    config = dataset.init_run(
        method=method(verb), status=status, settings=dict(settings), versions=versions(), started=now(), by=_user()
    )
    dataset.register_run(key, config, overwrite=True)
    return config


@contextmanager
def recorded(dataset: fo.Dataset, verb: str, settings: Mapping[str, Any], *, key: str | None = None) -> Iterator[Run]:
    """Record a run: ``running`` meanwhile, then ``done``, or ``stopped`` when an error or Ctrl-C ends it.

    ``settings`` are plain data: strings, numbers, lists and mappings. With ``key`` an earlier run that did not end is
    continued.

    Raises:
        DatasetError: the dataset was deleted meanwhile.
    """
    run = Run(key or new_key(verb))
    config = register(dataset, verb, settings, run.key, RUNNING)
    status = STOPPED
    with deletion_named(dataset, verb):
        try:
            yield run
            status = DONE
        finally:
            # The driver waits long for a server that is gone; that has been waited for already where it ended the run.
            unsaved = (ConnectionFailure, ValueError) if status == STOPPED else ()
            with suppress(*unsaved), pymongo.timeout(_LAST_WAIT):
                config.status, config.ended, config.facts = status, now(), run.facts
                dataset.update_run_config(run.key, config)


@contextmanager
def deletion_named(dataset: fo.Dataset, verb: str) -> Iterator[None]:
    """Say that the dataset was deleted where FiftyOne and its database have many ways to fail from that."""
    name = dataset.name
    try:
        yield
    except ConnectionFailure:
        raise
    except Exception as error:
        if is_stored(dataset):
            raise
        raise DatasetError(f"dataset '{name}' was deleted while '{verb}' worked on it; open another one") from error


@contextmanager
def continued(dataset: fo.Dataset, verb: str, settings: Mapping[str, Any]) -> Iterator[Run]:
    """``recorded`` for work that goes on where an earlier run with the same settings was stopped or killed.

    Raises:
        DatasetError: that run is living: another process does the same work at this moment.
    """
    with (
        held(dataset, work_of(verb, settings), DOING),
        recorded(dataset, verb, settings, key=unfinished(dataset, verb, settings)) as run,
    ):
        yield run


def work_of(verb: str, settings: Mapping[str, Any]) -> str:
    """What two runs have in common that make the same images, as the name of a lease."""
    # A part of a recipe's images is made of the same images as the whole.
    same = {name: value for name, value in settings.items() if name != "limit"}
    return f"{verb}-{hashlib.sha256(json.dumps(same, sort_keys=True, default=str).encode()).hexdigest()[:16]}"


def unfinished(dataset: fo.Dataset, verb: str, settings: Mapping[str, Any]) -> str | None:
    """The key of the latest run of ``verb`` with these settings that was stopped or killed, or is living still."""
    keys = dataset.list_runs(method=method(verb), settings=dict(settings))
    # File names carry the key, and those of an imported dataset can be any text.
    open_runs = [key for key in keys if key.isidentifier() and dataset.get_run_info(key).config.status != DONE]
    return max(open_runs, default=None)


def _user() -> str | None:
    """The user of the machine, where the system has a name."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return None


def now() -> str:
    """The time as records have it: ISO 8601, UTC."""
    return datetime.now(UTC).isoformat(timespec="seconds")
