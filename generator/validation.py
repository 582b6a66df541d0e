"""Strict settings, and what is wrong with them in one plain sentence. Knows pydantic, but no particular settings."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from difflib import get_close_matches
from types import UnionType
from typing import TYPE_CHECKING, Any, ClassVar, Self, Union, get_args, get_origin

from pydantic import BaseModel, ConfigDict, ValidationError

from diffucurate.generator.errors import InvalidSetting

_EXPECTED = {
    "bool_type": "write true or false",
    "string_type": "write a text; put it in quotes if it looks like a number, a date or yes/no",
    "string_too_short": "it must not be empty",
    "int_type": "write a whole number without quotes",
    "int_from_float": "write a whole number",
    "float_type": "write a number without quotes",
    "finite_number": "write a finite number",
    "list_type": "write a list, as in [red, blue]",
    "sequence_str": "give a list, as in ['car', 'bus']",
    "too_short": "name at least one",
    "tuple_type": "give a tuple, as in (0, 1)",
    "model_type": "write a mapping of its keys, as in {path: file.safetensors}",
    "dict_type": "write a mapping, as in {colour: [red, blue]}",
}

#: Of several problems, the one that most likely explains the others comes first: what our own checks raise, which know
#: most; an unknown key before a missing one, since a slip in a key's name causes both.
_ORDER = {"value_error": 0, "extra_forbidden": 1, "missing": 3}

#: How pydantic calls the ends of a range, in words.
_BOUNDS = {"ge": "at least", "gt": "above", "le": "at most", "lt": "below"}


class StrictSettings(BaseModel):
    """The base of all settings: frozen, without unknown keys, and no value is taken for one of another type.

    Validators of a subclass raise ``ValueError`` with the remedy alone where they check one field, or what ``wrong``
    makes where they check several.

    Raises:
        InvalidSetting: one sentence on the field, its value and what would be right; however settings are made (by a
            call, ``model_validate``, ``model_validate_json`` or ``changed``).
    """

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid", allow_inf_nan=False)

    #: Where the settings stand in larger ones, with which the dotted names of their fields begin.
    prefix: ClassVar[str] = ""
    #: What the settings are called where a key is not one of theirs.
    called: ClassVar[str] = "these settings"
    #: What is raised; ``RecipeError`` for parts of a recipe.
    error: ClassVar[type[InvalidSetting]] = InvalidSetting

    if not TYPE_CHECKING:  # type checkers make the constructor from the fields

        def __init__(self, /, **values: Any) -> None:
            with _in_one_sentence(type(self)):
                super().__init__(**values)

        # By this mark pydantic knows a constructor that does no more than its own. Settings inside of others are then
        # checked in place, and the error knows the whole path to a field.
        __init__.__pydantic_base_init__ = True

    @classmethod
    def model_validate(cls, obj: Any, **options: Any) -> Self:
        """The settings of a mapping. Raises ``InvalidSetting``."""
        with _in_one_sentence(cls):
            return super().model_validate(obj, **options)

    @classmethod
    def model_validate_json(cls, json_data: str | bytes | bytearray, **options: Any) -> Self:
        """The settings of a JSON text. Raises ``InvalidSetting``."""
        with _in_one_sentence(cls):
            return super().model_validate_json(json_data, **options)

    def changed(self, **values: Any) -> Self:
        """A copy with other values, checked as a whole; ``model_copy`` checks nothing. Raises ``InvalidSetting``."""
        return type(self)(**{name: getattr(self, name) for name in self.model_fields_set} | values)

    def wrong(self, field: str, remedy: str) -> InvalidSetting:
        """The error to raise for a field whose value does not go with the others."""
        return self.error(dotted([*_place(type(self)), field]), getattr(self, field), remedy)


def bounds(settings: type[BaseModel], name: str) -> dict[str, float]:
    """Of a field, each bound that it has: ``ge``, ``gt``, ``le`` or ``lt`` -> value."""
    field = settings.model_fields.get(name)
    if field is None:
        return {}
    # The bounds of a field that may be None stand within its annotation; those of a mapping are its values'.
    parts = get_args(field.annotation) if get_origin(field.annotation) in (Union, UnionType) else ()
    inner = [info for part in parts for info in getattr(part, "__metadata__", ())]
    items = [*field.metadata, *(item for info in inner for item in getattr(info, "metadata", ()))]
    return {bound: getattr(item, bound) for bound in _BOUNDS for item in items if hasattr(item, bound)}


def limits(settings: type[BaseModel]) -> dict[str, tuple[float, float]]:
    """Field -> (least, greatest) value, for those that are bounded on both sides."""
    ends = {name: bounds(settings, name) for name in settings.model_fields}
    return {name: (float(own["ge"]), float(own["le"])) for name, own in ends.items() if {"ge", "le"} <= own.keys()}


@contextmanager
def _in_one_sentence(settings: type[StrictSettings]) -> Iterator[None]:
    """Raise pydantic's errors as one ``InvalidSetting``, or as that which a validator raised."""
    try:
        yield
    except ValidationError as error:
        problem = min(error.errors(), key=lambda item: _ORDER.get(item["type"], 2))
        raise _invalid_setting(problem, settings) from None


def _invalid_setting(problem: Mapping[str, Any], settings: type[StrictSettings]) -> InvalidSetting:
    kind, value, context = problem["type"], problem["input"], problem.get("ctx", {})
    own = context.get("error")
    if isinstance(own, InvalidSetting):
        return own
    location = [*_place(settings), *problem["loc"]]
    if location and location[-1] == "[key]":
        return settings.error(dotted(location[:-2]), value, "a name must be a text; put it in quotes")
    field = dotted(location) or settings.called
    if own is not None:
        return settings.error(field, value, str(own))
    if kind == "missing":
        return settings.error(field, None, "it is missing and has no default; write it")
    if kind == "literal_error":
        return settings.error(field, value, f"it must be {context['expected']}")
    owner = _owner(settings, problem["loc"])
    if kind == "extra_forbidden":
        names = [part for part in location[:-1] if isinstance(part, str)]
        known = ", ".join(owner.model_fields)
        hint = suggestion(location[-1], owner.model_fields) or f"; the keys are {known}"
        return settings.error(field, value, f"this is not a key of {names[-1] if names else settings.called}{hint}")
    ends = bounds(owner, str(location[-1])) if location else {}
    ends |= {name: bound for name, bound in context.items() if name in _BOUNDS}
    if ends and (kind == "finite_number" or _BOUNDS.keys() & context.keys()):
        return settings.error(field, value, _within(ends))
    return settings.error(field, value, _EXPECTED.get(kind, problem["msg"].lower()))


def _place(settings: type[StrictSettings]) -> list[str]:
    return [settings.prefix] if settings.prefix else []


def _owner(settings: type[BaseModel], location: Sequence[int | str]) -> type[BaseModel]:
    """The settings, in ``settings`` or themselves, that have the field at ``location``."""
    for part in location[:-1]:
        field = settings.model_fields.get(str(part))
        inner = None if field is None else next(_models_in(field.annotation), None)
        settings = settings if inner is None else inner
    return settings


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in get_args(annotation):
        yield from _models_in(argument)


def _within(ends: dict[str, float]) -> str:
    texts = {bound: f"{end:g}" if isinstance(end, float) else str(end) for bound, end in ends.items()}
    if {"ge", "le"} <= texts.keys():
        return f"it must be from {texts['ge']} to {texts['le']}"
    return f"it must be {' and '.join(f'{words} {texts[bound]}' for bound, words in _BOUNDS.items() if bound in texts)}"


def dotted(location: Sequence[int | str]) -> str:
    """``('attributes', 'time', 0)`` -> ``attributes.time[0]``."""
    parts = [f"[{part}]" if isinstance(part, int) else f".{part}" for part in location]
    return "".join(parts).removeprefix(".")


def suggestion(name: object, known: Iterable[str]) -> str:
    """``; did you mean 'steps'?`` for a near miss, else nothing."""
    close = get_close_matches(str(name), list(known), n=1, cutoff=0.6)
    return f"; did you mean '{close[0]}'?" if close else ""
