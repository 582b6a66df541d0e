"""Learn token: what the form offers and refuses, and a token that the label form then offers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from diffucurate.generator.models.token_files import TOKENS_DIR_VARIABLE, token_names

if TYPE_CHECKING:
    import fiftyone as fo

FIELDS = ["attention_instances", "attention_mask", "attention_polygons"]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(TOKENS_DIR_VARIABLE, str(tmp_path / "tokens"))
    return tmp_path / "tokens"


def test_form_offers_the_fields_with_masks(app, painted: fo.Dataset) -> None:
    form = app.form("learn_token", painted)
    assert form["field"]["type"]["values"] == FIELDS
    assert form["field"]["default"] == FIELDS[0]
    assert form["images"]["view"]["label"] == "Learned from 4 images"
    assert app.problems("learn_token", painted) == {}


@pytest.mark.parametrize(
    ("params", "field", "words"),
    [
        ({"field": "gone"}, "field", "no masks 'gone' any more"),
        ({"name": "../car"}, "name", "use letters"),
        ({"model": "/nowhere/model"}, "model", "neither a folder nor a file"),
    ],
)
def test_what_the_form_refuses(app, painted: fo.Dataset, params: dict[str, str], field: str, words: str) -> None:
    problems = app.problems("learn_token", painted, **params)
    assert list(problems) == [field] and words in problems[field]


def test_without_masks_there_is_nothing_to_learn_from(app, dataset: fo.Dataset, painted: fo.Dataset) -> None:
    painted.set_values("attention_mask", [None] * 4)
    assert "no sample has labels" in app.problems("learn_token", painted, field="attention_mask")["field"]
    for field in FIELDS:
        painted.delete_sample_field(field)
    assert "holds no masks yet" in app.problems("learn_token", painted)["no_masks"]


def test_learned_token_is_offered_for_labelling(app, painted: fo.Dataset, scenes, random_pipeline: Path) -> None:
    name = scenes[0].objects[0].label
    told = app.stream(
        "learn_token", painted, field="attention_mask", classes=[name], name="my token", model=str(random_pipeline)
    )
    headline, sentence = app.said(told)
    assert headline == "Success" and sentence.startswith("Learned from 4 images: my token (IoU ")
    assert told[-1][1]["results"]["tokens"] == "my token"
    assert token_names() == ["my token"]

    form = app.form("label_images", painted, show_settings=True)
    assert [choice["value"] for choice in form["tokens"]["view"]["choices"]] == ["my token"]
    assert app.problems("label_images", painted, tokens=["gone"])["tokens"].endswith("there are: my token")
    plan = app.form("label_images", painted, tokens=["my token"])["attention_plan"]["view"]["label"]
    assert "looked at by the model that the tokens were learned with" in plan and "my token" in plan
    before = painted.values("attention_maps")
    app.stream("label_images", painted, tokens=["my token"])
    painted.reload()
    assert not set(before) & set(painted.values("attention_maps"))


def test_the_same_from_python(app, painted: fo.Dataset, scenes, random_pipeline: Path) -> None:
    import fiftyone.operators as foo

    operator = foo.get_operator("@diffucurate/diffucurate/learn_token")
    name = scenes[0].objects[0].label
    result = operator(painted, "attention_instances", name, model=str(random_pipeline))
    assert result["tokens"] == name and set(result["iou"]) == {name}
