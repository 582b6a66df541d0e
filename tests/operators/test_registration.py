"""All operators and panels register, tell what they do, and offer background runs only where those work."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from diffucurate.operators import METRICS, OPERATORS, PANELS

if TYPE_CHECKING:
    import fiftyone as fo

NAMES = [operator.NAME for operator in OPERATORS]

#: Operators whose stored name does not say enough to tell them apart.
CALLED = {"learn_token": "optimise_class_token", "train_token": "teach_a_new_word"}


def test_all_register_without_errors(app) -> None:
    import fiftyone.operators as foo

    registry = foo.OperatorRegistry()
    assert registry.list_errors() == []
    ours = [op for op in registry.list_operators(builtin=False) if op.plugin_name == "@diffucurate/diffucurate"]
    assert [type(op) for op in ours] == [*OPERATORS, *METRICS, *PANELS]
    panels = [op for op in registry.list_operators(builtin=False, type="panel") if op in ours]
    assert [panel.name for panel in panels] == [panel.NAME for panel in PANELS]


@pytest.mark.parametrize("panel", PANELS)
def test_panel_config_is_complete(panel) -> None:
    config = panel().config
    assert config.label == config.name.replace("_", " ").capitalize()
    assert config.icon and config.help_markdown


@pytest.mark.parametrize("operator", OPERATORS, ids=NAMES)
def test_config_is_complete(operator) -> None:
    config = operator().config
    assert config.label[0].isupper() and config.label[1:] == config.label[1:].lower()  # a sentence, not a title
    assert config.label.lower().replace(" ", "_") == CALLED.get(config.name, config.name)
    assert config.to_json()["risk_level"] in ("low", "medium", "high")
    assert config.description and config.icon
    assert config.dynamic and config.execute_as_generator


@pytest.mark.parametrize(
    ("words", "operators"),
    [
        ("heatmap", {"generate_images", "label_images", "preview_threshold"}),
        ("inpaint", {"replace_objects"}),
        ("mask2img", {"paint_by_masks"}),
        ("img2img", {"vary_images"}),
        ("textual inversion", {"train_token"}),
        ("token", {"learn_token", "train_token"}),
        ("duplicates", {"curate_samples"}),
        ("yolo", {"label_images", "export_samples", "train_segmenter"}),
    ],
)
def test_searching_finds_who_does_it(words: str, operators: set[str]) -> None:
    """The operator browser looks for the text in label, address and description, whatever its case."""
    configs = [operator().config for operator in OPERATORS]
    found = {config.name for config in configs if words in f"{config.label} {config.name} {config.description}".lower()}
    assert found == operators


@pytest.mark.parametrize("legacy", [False, True])
def test_delegation_is_offered_where_it_works(app, dataset: fo.Dataset, monkeypatch, legacy: bool) -> None:
    import fiftyone as fo

    monkeypatch.setattr(fo.config, "allow_legacy_orchestrators", legacy)
    offered = app.options("label_images", dataset, from_app=True)
    assert offered.allow_immediate_execution
    assert offered.allow_delegated_execution is legacy
    assert app.options("label_images", dataset, from_app=False).allow_delegated_execution


@pytest.mark.parametrize(
    "name",
    [name for name in NAMES if name not in ("generate_images", "expand_captions", "release_models", "cancel_run")],
)
def test_without_a_dataset_the_form_says_so(app, name: str) -> None:
    assert app.problems(name, None) == {"no_dataset": "open a dataset first"}


@pytest.mark.parametrize("name", ["compare_sources", "evaluate_labels", "curate_samples", "export_samples"])
def test_without_labels_the_form_says_what_to_do(app, dataset: fo.Dataset, name: str) -> None:
    (message,) = app.problems(name, dataset).values()
    assert "Label images" in message
