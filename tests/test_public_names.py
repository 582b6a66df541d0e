"""What ``import diffucurate as dc`` offers: all verbs, errors, settings and results, with every keyword spelled out."""

from __future__ import annotations

import ast
import inspect
from importlib import import_module
from pathlib import Path

import pytest

import diffucurate as dc
from diffucurate.generator import errors
from diffucurate.generator.validation import StrictSettings

ROOT = Path(__file__).parents[1]
VERBS = sorted(name for name in dc.__all__ if inspect.isfunction(getattr(dc, name)))


def subclasses(base: type) -> set[type]:
    found = set(base.__subclasses__())
    return found.union(*(subclasses(each) for each in found))


def test_every_name_is_listed_once_and_typed_as_it_is_loaded() -> None:
    """Type checkers read the imports, programs ``_HOMES``: both name the same modules."""
    tree = ast.parse((ROOT / "__init__.py").read_text())
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.level == 0]
    typed = {
        alias.asname or alias.name: (node.module, alias.name)
        for node in imports
        if node.module and node.module.startswith("diffucurate.")
        for alias in node.names
    }
    loaded = {name: (f"diffucurate.{home}", dc._THERE.get(name, name)) for name, home in dc._HOMES.items()}
    assert typed == loaded
    assert sorted(dc.__all__) == sorted(typed)
    assert all(getattr(dc, name) is not None for name in dc.__all__)


def test_every_error_is_public() -> None:
    names = {name for name, value in vars(errors).items() if inspect.isclass(value) and issubclass(value, Exception)}
    assert names - {"DiffucurateError"} and names <= set(dc.__all__)


def test_every_settings_class_is_public() -> None:
    for path in [*(ROOT / "generator").rglob("*.py"), *(ROOT / "plugin").rglob("*.py")]:
        if "StrictSettings" in path.read_text() and path.name != "validation.py":
            import_module(".".join(("diffucurate", *path.relative_to(ROOT).with_suffix("").parts)))
    ours = {each for each in subclasses(StrictSettings) if each.__module__.startswith("diffucurate.")}
    names = {each.__name__ for each in ours if not each.__name__.startswith("_")}
    assert {"Recipe", "LabelSettings", "Rules", "TraceSettings"} <= names
    assert names <= set(dc.__all__)


def test_verbs_are_those_of_the_command_line() -> None:
    from typer.main import get_command

    from diffucurate.plugin.cli.app import app

    commands = {name.replace("-", "_") for name in get_command(app).commands}
    assert commands - {"demo", "demo_rare", "doctor"} <= set(VERBS)
    assert set(VERBS) - commands <= {"repaint", "register_source"}  # `provenance --repaint`; for programs


@pytest.mark.parametrize("verb", VERBS)
def test_keywords_are_spelled_out(verb: str) -> None:
    for parameter in inspect.signature(getattr(dc, verb)).parameters.values():
        assert parameter.kind not in (parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL)
        assert parameter.annotation not in (parameter.empty, "Any")


@pytest.mark.parametrize("verb", VERBS)
def test_what_a_verb_returns_is_public(verb: str) -> None:
    returned = inspect.signature(getattr(dc, verb)).return_annotation
    names = {node.id for node in ast.walk(ast.parse(returned)) if isinstance(node, ast.Name)}
    assert names <= {*dc.__all__, "fo", "list", "dict", "str"}


def test_training_has_the_defaults_of_its_settings() -> None:
    parameters = inspect.signature(dc.train_token).parameters
    for name, field in dc.Inversion.model_fields.items():
        if name != "placeholder":
            assert parameters[name].default == field.default, name
