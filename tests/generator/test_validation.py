"""Every class of settings refuses what it must, in one sentence, wherever it is made."""

from __future__ import annotations

import json
from collections.abc import Iterator
from importlib import import_module
from pkgutil import walk_packages
from typing import Any

import pytest

from diffucurate import generator, plugin
from diffucurate.generator.errors import DiffucurateError, InvalidSetting, RecipeError
from diffucurate.generator.labels.settings import LabelSettings, YoloSettings
from diffucurate.generator.recipe.recipe import Recipe
from diffucurate.generator.validation import StrictSettings, bounds, dotted, limits

#: What settings cannot be made without. A class that needs something must stand here.
NEEDED: dict[str, dict[str, Any]] = {
    "Augmentation": {"field": "truth"},
    "Inversion": {"placeholder": "<piano>"},
    "Lora": {"path": "a.safetensors"},
    "Objects": {"field": "truth"},
    "RandomSeeds": {"count": 2},
    "Recipe": {"dataset": "cars", "classes": {"car": ["car"]}, "templates": ["a car"]},
    "Rules": {"source": "attention"},
    "Sample": {"count": 2},
    "TextualInversion": {"path": "a.safetensors", "placeholder": "<piano>"},
}


def subclasses(base: type[StrictSettings]) -> Iterator[type[StrictSettings]]:
    for settings in base.__subclasses__():
        if not settings.__name__.startswith("_"):
            yield settings
        yield from subclasses(settings)


def all_settings() -> list[type[StrictSettings]]:
    for package in (generator, plugin):
        for module in walk_packages(package.__path__, f"{package.__name__}."):
            if ".__main__" not in module.name:
                import_module(module.name)
    ours = (settings for settings in subclasses(StrictSettings) if settings.__module__.startswith("diffucurate."))
    return sorted(ours, key=lambda settings: settings.__name__)


SETTINGS = all_settings()


def field_of(settings: type[StrictSettings], name: str) -> str:
    return dotted([*([settings.prefix] if settings.prefix else []), name])


def refused(settings: type[StrictSettings], name: str, value: Any) -> InvalidSetting:
    """The error for one value, which must be the same wherever the settings are made."""
    content = NEEDED.get(settings.__name__, {}) | {name: value}
    with pytest.raises(InvalidSetting) as called:
        settings(**content)
    with pytest.raises(InvalidSetting) as validated:
        settings.model_validate(content)
    with pytest.raises(InvalidSetting) as changed:
        settings(**NEEDED.get(settings.__name__, {})).changed(**{name: value})
    assert str(called.value) == str(validated.value) == str(changed.value)
    error = called.value
    assert type(error) is settings.error and isinstance(error, DiffucurateError) and isinstance(error, ValueError)
    assert error.__cause__ is None and "\n" not in str(error) and "pydantic" not in str(error)
    assert str(error).startswith(f"{error.field}: {error.value!r}"[:100]) and error.remedy
    return error


def test_there_are_settings_of_all_kinds() -> None:
    names = {settings.__name__ for settings in SETTINGS}
    wanted = {"Captions", "InitImages", "LabelSettings", "QuerySettings", "TraceSettings", "YoloSettings", "Rules"}
    assert names >= wanted | NEEDED.keys()


@pytest.mark.parametrize("settings", SETTINGS, ids=lambda settings: settings.__name__)
def test_unknown_keys(settings: type[StrictSettings]) -> None:
    error = refused(settings, "no_such_key", 7)
    assert (error.field, error.value) == (field_of(settings, "no_such_key"), 7)
    assert "this is not a key of " in error.remedy
    with pytest.raises(InvalidSetting, match=r"no_such_key: 7 - this is not a key of "):
        settings.model_validate_json(json.dumps({**NEEDED.get(settings.__name__, {}), "no_such_key": 7}))


@pytest.mark.parametrize("settings", SETTINGS, ids=lambda settings: settings.__name__)
def test_values_of_another_type(settings: type[StrictSettings]) -> None:
    value = object()
    for name in settings.model_fields:
        error = refused(settings, name, value)
        assert (error.field, error.value) == (field_of(settings, name), value)


@pytest.mark.parametrize("settings", SETTINGS, ids=lambda settings: settings.__name__)
def test_values_out_of_range(settings: type[StrictSettings]) -> None:
    for name in settings.model_fields:
        for bound, end in bounds(settings, name).items():
            value = end + {"ge": -1, "gt": 0, "le": 1, "lt": 0}[bound]
            error = refused(settings, name, value)
            assert (error.field, error.value) == (field_of(settings, name), value)
            assert error.remedy.startswith("it must be ") and f"{end:.15g}" in error.remedy


@pytest.mark.parametrize("settings", SETTINGS, ids=lambda settings: settings.__name__)
def test_a_changed_copy_keeps_the_rest(settings: type[StrictSettings]) -> None:
    own = settings(**NEEDED.get(settings.__name__, {}))
    assert own.changed() == own
    for name in settings.model_fields:
        with pytest.raises(ValueError, match="frozen"):
            setattr(own, name, None)


def test_a_changed_copy() -> None:
    settings = LabelSettings(floor=0.5)
    assert settings.changed(split=0.0) == LabelSettings(floor=0.5, split=0.0)
    assert settings.changed(split=0.0).model_fields_set == {"floor", "split"} and settings.split != 0


def test_keys_of_settings_within_settings() -> None:
    with pytest.raises(RecipeError) as raised:
        Recipe(**NEEDED["Recipe"], loras=[{"path": "a.safetensors", "scales": 1.0}])
    assert raised.value.field == "loras[0].scales"
    assert raised.value.remedy == "this is not a key of loras; did you mean 'scale'?"


def testbounds_on_both_sides_are_limits() -> None:
    assert limits(YoloSettings) == {"min_confidence": (0.0, 1.0), "max_overlap": (0.0, 1.0)}
