"""What is imported when: the package and the plugin stay light until work is to be done."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    import fiftyone as fo

ROOT = Path(__file__).parents[1]
HEAVY = ("torch", "torchvision", "diffusers", "transformers", "ultralytics", "cv2")


def loaded_modules(code: str, *arguments: str, **environment: str) -> set[str]:
    """The names in ``sys.modules`` after ``code`` ran in a Python of its own."""
    script = textwrap.dedent(code) + "\nimport sys, json; print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", script, *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
        env={**os.environ, **environment},
    )
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


#: Public names that hold tensors.
TENSORS = ("AttentionTrace", "Attribution", "ClassToken", "ConceptTrace", "TrainResult")


def test_verbs_and_settings_need_no_models_until_they_run() -> None:
    plain = loaded_modules("import fiftyone, fiftyone.operators")
    loaded = loaded_modules(
        f"import diffucurate as dc; [getattr(dc, name) for name in dc.__all__ if name not in {TENSORS}]"
    )
    assert (loaded - plain) & set(HEAVY) == set()


#: Prints whose import statements ask for heavy modules while the operators are loaded, whoever loaded them before.
ASKED = """
    import builtins
    asked, original = [], builtins.__import__

    def watch(name, globals=None, locals=None, fromlist=(), level=0):
        who = (globals or {}).get("__name__", "")
        if who.startswith("diffucurate") and name.partition(".")[0] in HEAVY:
            asked.append((who, name))
        return original(name, globals, locals, fromlist, level)

    builtins.__import__ = watch
    import diffucurate.operators
    assert asked == [], asked
"""


def test_no_module_that_the_operators_load_asks_for_anything_heavy() -> None:
    """FiftyOne brings cv2 along, so what is loaded afterwards would not tell."""
    loaded = loaded_modules(f"HEAVY = {HEAVY}\n{textwrap.dedent(ASKED)}")
    assert "diffucurate.operators.label_images" in loaded


def test_unknown_name_is_an_attribute_error() -> None:
    import diffucurate

    with pytest.raises(AttributeError, match="no attribute 'paint_it_black'"):
        diffucurate.paint_it_black  # noqa: B018


#: Opens every form with every choice of every menu, and every panel, as the App would on the dataset that is named.
FORMS = """
    import sys
    import fiftyone as fo
    import fiftyone.operators as foo
    from fiftyone.operators.executor import ExecutionContext, Executor

    dataset = fo.load_dataset(sys.argv[1])
    sample = dataset.first().id
    registry = foo.OperatorRegistry()
    assert registry.list_errors() == [], registry.list_errors()
    ours = [o for o in registry.list_operators(builtin=False) if o.plugin_name == "@diffucurate/diffucurate"]

    def context(operator, params):
        request = {"dataset_name": dataset.name, "params": params, "selected": [sample], "current_sample": sample,
                   "view": [], "filters": {}, "extended": None}
        return ExecutionContext(request, Executor(), operator_uri=operator.uri)

    def choices(field):
        if field["type"]["name"] == "Enum":
            return field["type"]["values"]
        return [True, False] if field["type"]["name"] == "Boolean" else []

    def open_everywhere(draw):
        waiting, met, opened = [{}, {"source": "yolov8"}], set(), 0
        while waiting:
            params = waiting.pop()
            opened += 1
            drawn = draw(dict(params))
            if drawn is None:  # a measure of FiftyOne's evaluations has no form
                continue
            for name, field in drawn.to_json()["type"]["properties"].items():
                button = (field["view"] or {}).get("params") or {}
                picks = [(button["name"], button["value"])] if {"name", "value"} <= set(button) else []
                for name, choice in [(name, choice) for choice in choices(field)] + picks:
                    if (name, str(choice)) not in met:
                        met.add((name, str(choice)))
                        waiting.append({**params, name: choice})
        return opened

    def open_form(operator, params):
        return operator.resolve_type(context(operator, params), "inputs")

    def open_panel(panel, state):
        for event in sorted(name for name in dir(panel) if name == "on_load" or name.startswith("on_change")):
            panel.execute(context(panel, {"__method__": event, "panel_id": "panel", "panel_state": state}))
        return panel.render(context(panel, {"panel_id": "panel", "panel_state": state}))

    opened = {}
    for operator in ours:
        draw = open_panel if isinstance(operator, foo.Panel) else open_form
        opened[operator.name] = open_everywhere(lambda params: draw(operator, params))
"""


@pytest.fixture
def compared(dataset: fo.Dataset, tmp_path: Path) -> fo.Dataset:
    """A dataset that leaves no form with nothing to ask: prompts, classes, two sources that were compared."""
    import fiftyone as fo
    import numpy as np

    from diffucurate.plugin.comparison.compare import compare
    from diffucurate.plugin.store.classes import extend_classes
    from diffucurate.plugin.store.media_files import write_png
    from diffucurate.plugin.store.schema import declare_label_fields

    classes = extend_classes(dataset, {"car": ["car"]})
    box = {"label": "car", "bounding_box": [0.25, 0.25, 0.5, 0.5], "mask": np.ones((8, 8), bool)}
    found = [fo.Detections(detections=[fo.Detection(**box, confidence=0.5, area=0.25)]) for _ in range(2)]
    for source in ("attention", "yolov8"):
        declare_label_fields(dataset, source, classes)
    image = write_png(tmp_path / "car.png", np.zeros((16, 16, 3), np.uint8))
    dataset.add_sample(
        fo.Sample(filepath=str(image), prompt="a car", attention_instances=found[0], yolov8_instances=found[1])
    )
    compare(dataset, "attention", "yolov8")
    dataset.persistent = True  # other processes open it
    return dataset


@pytest.mark.slow
def test_registration_and_every_form_and_panel_import_nothing_heavy(compared: fo.Dataset, tmp_path: Path) -> None:
    from diffucurate import operators

    (tmp_path / "plugins").mkdir()
    (tmp_path / "plugins" / "diffucurate").symlink_to(ROOT)
    everything = {operator().name for operator in (*operators.OPERATORS, *operators.METRICS, *operators.PANELS)}
    # FiftyOne imports some heavy modules itself (cv2 at the time of writing): what counts is what we add.
    plain = loaded_modules(FORMS, compared.name, FIFTYONE_PLUGINS_DIR=str(tmp_path / "none"))
    check = f"assert set(opened) == {everything} and min(opened['label_images'], opened['curation']) > 3, opened"
    loaded = loaded_modules(f"{FORMS}\n    {check}", compared.name, FIFTYONE_PLUGINS_DIR=str(tmp_path / "plugins"))
    assert "diffucurate.operators" in loaded
    assert (loaded - plain) & set(HEAVY) == set()
