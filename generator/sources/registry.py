"""The label sources that go by name. Light: whoever lists them loads none of them.

To add one, describe it in a module of this folder as ``SPEC`` and name the module in ``_BUILT_IN``. A program can
``register`` a source of its own, for itself.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

from diffucurate.generator.errors import InvalidSetting
from diffucurate.generator.sources.spec import SourceSpec

#: The modules of this folder that each describe a source, in the order in which sources are offered.
_BUILT_IN = ("attention", "yolov8", "mask2former", "grounding", "sam3", "adapter")

_sources: dict[str, SourceSpec[Any]] = {}


def register(spec: SourceSpec[Any]) -> None:
    """Make a source known by its name, in this process.

    Raises:
        ValueError: a name that is taken or cannot begin the name of a field, a second source for ``painted`` images, or
            an option or setting that is something else in another source.
    """
    if not spec.name.isidentifier() or spec.name.startswith("_"):
        raise ValueError(f"label source '{spec.name}': use letters, digits and underscores only, as in 'yolov8'")
    if spec.name in _sources:
        raise ValueError(f"there is a label source '{spec.name}' already; unregister it first, or choose another name")
    if spec.keeps_maps and any(other.keeps_maps for other in _sources.values()):
        owner = source_of_maps().name
        raise ValueError(
            f"the class maps that images keep are those of '{owner}'; '{spec.name}' can label 'any' images"
        )
    options = spec.command_options()
    for other in _sources.values():
        for name, option in other.command_options().items():
            if name in options and option.clashes(options[name]):
                raise ValueError(f"'{name}' of '{spec.name}' is something else in '{other.name}'; call it otherwise")
    _sources[spec.name] = spec


def unregister(name: str) -> None:
    """Forget a source; labels that it made stay. Does nothing where there is none of that name."""
    _sources.pop(name, None)


def all_sources() -> tuple[SourceSpec[Any], ...]:
    """Those of this package first, then others in the order in which they were registered."""
    return tuple(_sources.values())


def find_source(name: str) -> SourceSpec[Any] | None:
    """The source of that name, None where labels of that name came from elsewhere."""
    return _sources.get(name)


def source_named(name: str) -> SourceSpec[Any]:
    """The source of that name.

    Raises:
        InvalidSetting: there is none.
    """
    if name not in _sources:
        known = ", ".join(_sources)
        raise InvalidSetting("source", name, f"use one of {known}, or pass a label source of your own")
    return _sources[name]


def title_of(name: str) -> str:
    """How labels of that name are called in front of people, whether they came from a source or from elsewhere."""
    spec = find_source(name)
    return name[:1].upper() + name[1:] if spec is None else spec.title


def keeps_maps(name: str) -> bool:
    """Whether the class maps that are kept beside an image are that source's."""
    spec = find_source(name)
    return spec is not None and spec.keeps_maps


def source_of_maps() -> SourceSpec[Any]:
    """The source whose class maps are kept beside images."""
    return next(spec for spec in _sources.values() if spec.keeps_maps)


for _module in _BUILT_IN:
    register(import_module(f"diffucurate.generator.sources.{_module}").SPEC)
