"""What is imported when: the package and the plugin stay light until work is to be done."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
HEAVY = ("torch", "torchvision", "diffusers", "transformers", "ultralytics", "cv2")


def loaded_modules(code: str, **environment: str) -> set[str]:
    """The names in ``sys.modules`` after ``code`` ran in a Python of its own."""
    import os

    script = textwrap.dedent(code) + "\nimport sys, json; print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True, text=True, check=False, timeout=120, env={**os.environ, **environment},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return set(json.loads(done.stdout.splitlines()[-1]))


def test_importing_the_package_imports_nothing_else() -> None:
    loaded = loaded_modules("import diffucurate as dc; assert {'generate', 'label', 'Recipe'} <= set(dir(dc))")
    third_party = {"numpy", "pydantic", "yaml", "fiftyone", *HEAVY}
    assert not loaded & third_party
    assert {name for name in loaded if name.startswith("diffucurate")} == {"diffucurate"}


def test_recipe_needs_neither_models_nor_fiftyone() -> None:
    loaded = loaded_modules("import diffucurate as dc; dc.Recipe")
    assert not loaded & {"fiftyone", *HEAVY}


def test_verbs_need_no_models_until_they_run() -> None:
    plain = loaded_modules("import fiftyone, fiftyone.operators")
    loaded = loaded_modules("import diffucurate as dc; dc.generate, dc.label, dc.compare, dc.curate, dc.export")
    assert (loaded - plain) & set(HEAVY) == set()


def test_unknown_name_is_an_attribute_error() -> None:
    import diffucurate

    with pytest.raises(AttributeError, match="no attribute 'paint_it_black'"):
        diffucurate.paint_it_black  # noqa: B018


FORMS = """
    import fiftyone as fo
    import fiftyone.operators as foo
    from fiftyone.operators.executor import ExecutionContext, Executor

    dataset = fo.Dataset()
    dataset.add_sample(fo.Sample("a.png", one_instances=fo.Detections(), two_instances=fo.Detections()))
    try:
        registry = foo.OperatorRegistry()
        assert registry.list_errors() == [], registry.list_errors()
        ours = [o for o in registry.list_operators(builtin=False) if o.plugin_name == "@diffucurate/diffucurate"]
        assert len(ours) >= EXPECTED, ours
        for operator in ours:
            for params in ({}, {"source": "yolov8"}, {"recipe": "dataset: x"}, {"out_dir": "/tmp/x"}):
                request = {"dataset_name": dataset.name, "params": params}
                context = ExecutionContext(request, Executor(), operator_uri=operator.uri)
                operator.resolve_type(context, "inputs").to_json()
    finally:
        dataset.delete()
"""


def test_registration_and_every_form_import_nothing_heavy(tmp_path: Path) -> None:
    # FiftyOne imports some heavy modules itself (cv2 at the time of writing): what counts is what we add.
    (tmp_path / "diffucurate").symlink_to(ROOT)
    plain = loaded_modules(FORMS.replace("EXPECTED", "0"), FIFTYONE_PLUGINS_DIR=str(tmp_path / "none"))
    loaded = loaded_modules(FORMS.replace("EXPECTED", "5"), FIFTYONE_PLUGINS_DIR=str(tmp_path))
    assert "diffucurate.operators" in loaded
    assert (loaded - plain) & set(HEAVY) == set()
