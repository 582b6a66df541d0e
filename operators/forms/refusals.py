"""A form refuses what the run refuses, by the library's own checks: an error stands on the field that it is about.

with refused(inputs, {"size": "width"}):
    check_model(recipe)
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType

from fiftyone.operators import types

from diffucurate.generator.errors import DiffucurateError, InvalidSetting
from diffucurate.operators.forms.error_texts import on_field, with_label
from diffucurate.operators.forms.fields import refuse

#: Where the form says what is wrong that belongs to none of its fields.
NOT_READY = "not_ready"


@contextmanager
def refused(
    inputs: types.Object, places: Mapping[str, str] = MappingProxyType({}), otherwise: str | None = None
) -> Iterator[None]:
    """A block whose ``DiffucurateError`` is put on a field; the block ends there. Fields are drawn before.

    Args:
        inputs: the form.
        places: the library's name of a setting -> the name of its field, where that is another one.
        otherwise: the field for errors about a setting without a field, and for those about none; by default they get
            a line of their own.
    """
    try:
        yield
    except DiffucurateError as error:
        put(inputs, error, places, otherwise)


def put(
    inputs: types.Object,
    error: DiffucurateError,
    places: Mapping[str, str] = MappingProxyType({}),
    otherwise: str | None = None,
) -> types.Property:
    """Put an error on the field that it is about, as ``refused`` does; returns the field. What stands there stays."""
    name = field_of(error, places)
    field = inputs.properties.get(name) if name is not None else None
    message = on_field(error)
    if field is None:
        if isinstance(error, InvalidSetting):
            message = with_label(error, None)
        field = inputs.properties.get(otherwise) if otherwise is not None else None
    if field is None:
        field = inputs.view(NOT_READY, types.Error(label="Not ready yet", description=message))
    if not field.invalid:
        refuse(field, message)
    return field


def is_refused(inputs: types.Object) -> bool:
    """Whether a field of the form, or one inside of another, is refused."""
    return any(
        field.invalid or (isinstance(field.type, types.Object) and is_refused(field.type))
        for field in inputs.properties.values()
    )


def field_of(error: DiffucurateError, places: Mapping[str, str]) -> str | None:
    """The name of the field that an error is about, None where it is about no setting."""
    if not isinstance(error, InvalidSetting):
        return None
    root = re.split(r"[.\[]", error.field)[0]
    return places.get(error.field, places.get(root, root))
