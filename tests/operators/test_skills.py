"""The skills for assistants, as FiftyOne lists them: every operator, parameter and command that they name is there."""

from __future__ import annotations

import ast
import inspect
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.main import get_command

import diffucurate as dc
from diffucurate.operators import OPERATORS

ROOT = Path(__file__).parents[2]
SKILLS = sorted((ROOT / "skills").glob("*/SKILL.md"))

#: Where an operator takes the keywords of one of the library's calls besides its own.
ALSO = {
    "augment_images": dc.augment,
    "curate_samples": dc.curate,
    "train_adapter": dc.train_adapter,
    "train_segmenter": dc.train_segmenter,
    "train_token": dc.train_token,
    "vary_images": dc.img2img,
    "replace_objects": dc.inpaint,
    "paint_by_masks": dc.mask2img,
}


def blocks(skill: Path, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", skill.read_text(encoding="utf-8"), re.DOTALL)


def calls_of_operators(code: str) -> Iterator[tuple[str, ast.Call]]:
    """The calls of operators that were taken from FiftyOne under a name of their own: (operator, call)."""
    tree, names = ast.parse(code), dict[str, str]()
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Call):
            called = node.value
            if isinstance(called.func, ast.Attribute) and called.func.attr == "get_operator":
                names[node.targets[0].id] = ast.literal_eval(called.args[0]).rpartition("/")[2]  # type: ignore[attr-defined]
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in names:
            yield names[node.func.id], node


def test_fiftyone_lists_them(app: Any) -> None:
    import fiftyone.plugins as fop

    manifest = yaml.safe_load((ROOT / "fiftyone.yml").read_text(encoding="utf-8"))
    skills = pytest.importorskip("fiftyone.plugins.skills").list_skills(plugin=manifest["name"])
    assert fop and sorted(skill.name for skill in skills) == sorted(manifest["skills"])
    assert {Path(skill.path).parent.name for skill in skills} == {skill.name for skill in skills}
    assert {path.parent.name for path in SKILLS} == set(manifest["skills"])
    assert all(len(skill.description) > 40 and skill.category for skill in skills)


@pytest.mark.parametrize("skill", SKILLS, ids=lambda path: path.parent.name)
def test_operators_and_parameters_exist(skill: Path) -> None:
    known = {operator.NAME: operator for operator in OPERATORS}
    found = list(calls_of_operators("\n".join(blocks(skill, "python"))))
    assert found
    for name, call in found:
        own = inspect.signature(known[name].__call__)
        keywords = {keyword.arg for keyword in call.keywords}
        accepted = set(own.parameters) | set(inspect.signature(ALSO[name]).parameters if name in ALSO else ())
        assert keywords <= accepted, (name, keywords - accepted)
        values = {keyword.arg: None for keyword in call.keywords}
        own.bind(None, *(None for _ in call.args), **values)  # as many without a name as there are


@pytest.mark.parametrize("skill", SKILLS, ids=lambda path: path.parent.name)
def test_commands_and_options_exist(skill: Path) -> None:
    from diffucurate.plugin.cli.app import app as command_line

    commands = get_command(command_line).commands  # type: ignore[attr-defined]
    lines = [line.removeprefix("$ ") for block in blocks(skill, "console") for line in block.splitlines()]
    assert lines
    for line in lines:
        program, name, *rest = shlex.split(line)
        options = {option for parameter in commands[name].params for option in parameter.opts}
        assert program == "diffucurate" and {part for part in rest if part.startswith("--")} <= options, line


def test_every_operator_that_changes_something_has_a_skill() -> None:
    text = "".join(path.read_text(encoding="utf-8") for path in SKILLS)
    without = {operator.NAME for operator in OPERATORS if operator.NAME not in text}
    assert without == {
        "cancel_run", "expand_captions", "make_mosaics", "preview_threshold", "regenerate_with", "release_models",
        "show_provenance",
    }  # fmt: skip
