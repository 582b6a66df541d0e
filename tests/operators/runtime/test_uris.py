"""Buttons lead to operators that there are."""

from __future__ import annotations

import ast
from pathlib import Path

import yaml

from diffucurate.operators.runtime.next_steps import step
from diffucurate.operators.runtime.uris import PLUGIN, uri_of

ROOT = Path(__file__).parents[3]


def test_every_address_is_an_operator_of_the_manifest() -> None:
    manifest = yaml.safe_load((ROOT / "fiftyone.yml").read_text(encoding="utf-8"))
    assert manifest["name"] == PLUGIN
    calls = [
        node
        for path in (ROOT / "operators").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and getattr(node.func, "id", None) in (uri_of.__name__, step.__name__)
    ]
    last = [call.args[0] if call.func.id == uri_of.__name__ else call.args[1] for call in calls]
    names = {argument.value for argument in last if isinstance(argument, ast.Constant)}
    assert {"undo_curation", "cancel_run", "train_segmenter"} <= names <= set(manifest["operators"])
    assert uri_of("cancel_run") == "@diffucurate/diffucurate/cancel_run"
