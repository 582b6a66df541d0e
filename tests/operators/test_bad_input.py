"""What a person can get wrong in a form, and what can change behind it: one plain sentence, never a traceback."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from diffucurate.operators import OPERATORS, PANELS
from diffucurate.operators.runtime.uris import OPEN_FORM

if TYPE_CHECKING:
    import fiftyone as fo

PREFIX = "@diffucurate/diffucurate/"
NAMES = [operator.NAME for operator in OPERATORS]

#: What each kind of field is filled with that no form offers.
ABSURD: dict[str, list[Any]] = {
    "Number": [-1, 10**12, 1e300, "many"],
    "String": [" ", "/nowhere/at/all", "{", "'\"; \x00", "ü" * 300],
    "Boolean": [None],
    "List": [["no-such-thing"], ["", " "]],
    "Object": [None, {}],
}

#: Menus whose choices come from the dataset, so that what was chosen can be gone.
MENUS = ("source", "a", "b", "against", "curation", "pair")

#: Operator, what is filled in, what the one sentence has to speak of. ``<tmp>`` is an empty folder of the test's own
#: in which ``file`` is a file and ``full`` a folder that holds something.
MISTAKES: list[tuple[str, dict[str, Any], str]] = [
    ("generate_images", {"templates": ""}, "prompt|template"),
    ("generate_images", {"templates": "a {colour car"}, "[{}]"),
    ("generate_images", {"templates": "a {colour} car", "attributes": {"colour": ""}}, "colour|value"),
    ("generate_images", {"classes": []}, "class"),
    ("generate_images", {"classes": ["piano"]}, "piano"),
    ("generate_images", {"dataset": ""}, "name|dataset"),
    ("generate_images", {"seeds": "0"}, "0"),
    ("generate_images", {"seeds": "many"}, "many"),
    ("generate_images", {"seeds": "100000000000"}, "100000000000|fewer"),
    ("generate_images", {"seeds": "5 random from 1 to 3"}, "^5: from 1 to 3 there are 3 seeds"),
    ("generate_images", {"advanced": True, "more_sizes": "big"}, "^big: .* such as 128x96"),
    ("generate_images", {"advanced": True, "loras": ["a.safetensors=99"]}, "from -10 to 10"),
    ("generate_images", {"width": 0}, "0"),
    ("generate_images", {"width": 10**9}, "1000000000"),
    ("generate_images", {"width": 130}, "130"),
    ("generate_images", {"advanced": True, "steps": 0}, "0"),
    ("generate_images", {"advanced": True, "steps": 10**9}, "1000000000"),
    ("generate_images", {"advanced": True, "guidance": 1e300}, "guidance|1e"),
    ("generate_images", {"advanced": True, "count": -5}, "-5"),
    ("generate_images", {"advanced": True, "device": "toaster"}, "toaster"),
    ("generate_images", {"model_from": "local", "model": "/nowhere/model"}, "/nowhere/model"),
    ("generate_images", {"model_from": "local", "model": "<tmp>/file"}, "<tmp>/file"),
    ("generate_images", {"model_from": "hub", "model": "no such name"}, "no such name"),
    ("generate_images", {"recipe_from": "pasted", "recipe": "{"}, "YAML|recipe"),
    ("generate_images", {"recipe_from": "pasted", "recipe": "oops: 1"}, "oops"),
    ("generate_images", {"recipe_from": "file", "recipe_path": "/nowhere.yaml"}, "/nowhere.yaml"),
    ("generate_images", {"recipe_from": "file", "recipe_path": "<tmp>"}, "<tmp>"),
    ("generate_images", {"recipe_from": "file", "recipe_path": "<tmp>/file"}, "<tmp>/file|recipe"),
    ("label_images", {"use_attention": False}, "source"),
    (
        "label_images",
        {"use_yolov8": True, "show_settings": True, "weights": "/nowhere/weights.pt"},
        "/nowhere/weights.pt",
    ),
    ("label_images", {"use_yolov8": True, "show_settings": True, "weights": "<tmp>/file"}, "<tmp>/file"),
    ("label_images", {"show_settings": True, "model": "/nowhere/model"}, "/nowhere/model"),
    ("label_images", {"show_settings": True, "attention_min_area": -3}, "-3|0"),
    ("compare_sources", {"a": "attention", "b": "attention"}, "attention"),
    ("compare_sources", {"a": "gone", "b": "attention"}, "gone|choose"),
    ("evaluate_labels", {"prediction": "attention", "truth": "attention"}, "attention"),
    ("evaluate_labels", {"prediction": "gone"}, "gone|choose"),
    ("evaluate_labels", {"iou": 7}, "7|1"),
    ("fuse_sources", {"sources": ["attention", "gone"]}, "gone"),
    ("fuse_sources", {"sources": ["attention"]}, "at least two"),
    ("fuse_sources", {"sources": ["attention", "shifted"], "into": "shifted"}, "shifted"),
    ("fuse_sources", {"sources": ["attention", "shifted"], "into": "not a name"}, "not a name"),
    ("fuse_sources", {"sources": ["attention", "shifted"], "lone": 7}, "7|1"),
    ("assess_samples", {"source": "gone"}, "gone|choose"),
    ("assess_samples", {"check_image": False, "check_masks": False}, "at least one"),
    ("assess_samples", {"check_clip": True, "clip_model": "/nowhere/clip"}, "/nowhere/clip"),
    ("assess_samples", {"check_mistakenness": True, "against": "attention"}, "attention"),
    ("curate_samples", {"source": "gone"}, "gone|choose"),
    ("curate_samples", {"min_area": 0.5, "max_area": 0.1}, "0.1"),
    ("curate_samples", {"min_confidence": 7}, "7|1"),
    ("curate_samples", {"against": "shifted", "min_agreement": 0.5}, "compare"),
    ("curate_samples", {"save_as": "  "}, "name"),
    ("make_mosaics", {"grids": "2by2"}, "2x2"),
    ("make_mosaics", {"count": 0}, "above 0"),
    ("export_samples", {"out_dir": "here"}, "full path"),
    ("export_samples", {"out_dir": "<tmp>/file"}, "is a file"),
    ("export_samples", {"out_dir": "<tmp>/file/below"}, "<tmp>/file"),
    ("export_samples", {"out_dir": "<tmp>/full"}, "not empty|hold"),
    ("export_samples", {"out_dir": "/proc/nowhere/export"}, "/proc/nowhere"),
    ("export_samples", {"out_dir": "<tmp>/new", "splits": "train=2"}, "train"),
    ("export_samples", {"out_dir": "<tmp>/new", "splits": "a,b=,=c"}, "a"),
    ("export_samples", {"out_dir": "<tmp>/new", "splits": "train=0.8"}, "splits train=0.8: give each a share"),
    ("export_samples", {"out_dir": "<tmp>/new", "source": "gone"}, "gone|choose"),
    ("write_report", {"path": "page.html"}, "full path"),
    ("write_report", {"path": "<tmp>/file"}, "no report"),
    ("write_report", {"path": "<tmp>/file/below"}, "<tmp>/file"),
    ("write_report", {"path": "<tmp>/full"}, "is a folder"),
    ("write_report", {"path": "/proc/nowhere/page.html"}, "/proc/nowhere|/proc"),
    ("write_report", {"path": "<tmp>/new.html", "source": "gone"}, "gone"),
    ("write_report", {"path": "<tmp>/new.html", "reference": "gone"}, "gone"),
    ("write_report", {"path": "<tmp>/new.html", "embeddings": "gone"}, "gone"),
]


class Form:
    """An operator's form as the App holds it: what is not filled in has the form's own default."""

    def __init__(self, name: str, dataset: str | None, params: dict[str, Any], **state: Any) -> None:
        import fiftyone.operators as foo

        self.uri, self.operator = PREFIX + name, foo.get_operator(PREFIX + name)
        self.request = {
            "dataset_name": dataset,
            "filters": {},
            "extended": None,
            "view": [],
            "selected": [],
            "current_sample": None,
            **state,
            "params": params,
        }
        for _ in range(2):  # a default can unfold fields that have defaults of their own
            self.fields = self._resolve()
            self.request["params"] = with_defaults(self.fields, self.request["params"])
        self.fields = self._resolve()

    def _resolve(self, **changes: Any) -> dict[str, Any]:
        from fiftyone.operators.executor import ExecutionContext, Executor

        # A copy, since a form takes the target out of its parameters.
        request = {**self.request, "params": {**self.request["params"], **changes}}
        form = self.operator.resolve_type(ExecutionContext(request, Executor(), operator_uri=self.uri), "inputs")
        return form.to_json()["type"]["properties"]

    def refusals(self, **changes: Any) -> list[str]:
        """The messages on the fields, also on those inside of others; after ``changes`` where there are any."""

        def below(fields: dict[str, Any]) -> Iterator[str]:
            for prop in fields.values():
                if prop["invalid"]:
                    yield prop["error_message"]
                yield from below(prop["type"].get("properties") or {})

        return list(below(self._resolve(**changes) if changes else self.fields))

    def send(self) -> str:
        """What the App says when the form is sent off: the refusals, else the sentence that ends the run."""
        from fiftyone.operators.executor import ExecutionError, execute_or_delegate_operator

        if refused := self.refusals():
            return " ".join(refused)
        try:
            told = [
                message.body for message in asyncio.run(execute_or_delegate_operator(self.uri, self.request)).result
            ]
        except ExecutionError as error:  # FiftyOne's own check of the form, which the App shows on the field
            assert "Validation error" in str(error), error
            return "This is not what the form asks for"
        shown = [body.params for body in told if body.operator_uri == "show_output"]
        if told[-1].operator_uri == OPEN_FORM:  # another form opens, which says it
            return f"The form of {told[-1].params['operator_uri'].rpartition('/')[2]} opens"
        (dialog,) = [params for params in shown if "progress" not in params["results"]]
        headline = dialog["outputs"]["type"]["properties"]["headline"]["view"]
        return headline.get("description") or headline["label"]


def with_defaults(fields: dict[str, Any], params: Any) -> dict[str, Any]:
    """What the App fills in where nothing was entered, also inside of fields that hold others."""
    filled = dict(params or {})
    for name, prop in fields.items():
        if inner := prop["type"].get("properties"):
            filled[name] = with_defaults(inner, filled.get(name))
        elif prop["default"] is not None:
            filled.setdefault(name, prop["default"])
    return filled


def is_sentence(text: str) -> bool:
    """One line for people: no traceback, no class of an exception, no pointer to a log."""
    jargon = r"Traceback|server's log|\b[A-Z]\w+(Error|Exception)\b|object at 0x|\bNone\b|diffucurate\.\w+\."
    return 5 < len(text) < 600 and "\n" not in text.strip() and not re.search(jargon, text)


#: How Python and recipe files write lists, mappings and the like, which no field takes.
SYNTAX = re.compile(r"\{['\w]+: |\{['\"]|\[['\"]|\[\d+, ?\d|\[\]|\{\}|\(\d[\d.]*, ?\d|\b(True|False|None)\b")

#: Fields that take a recipe as a file has it.
OF_FILES = {"recipe", "recipe_path"}


def as_typed(text: str) -> bool:
    """Whether a message speaks as the form does: values as fields take them."""
    return SYNTAX.search(text) is None


@pytest.mark.parametrize(
    ("text", "right"),
    [
        ("3 random: ask for fewer", True),
        ("write what {colour} can be", True),
        ("128x100: try 128x96", True),
        ("seeds: {'count': 3} - ask for fewer", False),
        ("give a list or {count: 3}", False),
        ("try [128, 96]", False),
        ("classes: ['car'] - no such class", False),
        ("iou: None - give a number", False),
        ("(5, 2): the least value", False),
    ],
)
def test_the_scan_knows_the_library_s_syntax(text: str, right: bool) -> None:
    assert as_typed(text) is right


@pytest.fixture
def scene_of_mistakes(tmp_path: Path) -> Path:
    (tmp_path / "mistakes" / "full").mkdir(parents=True)
    for name in ("file", "full/something"):
        (tmp_path / "mistakes" / name).write_bytes(b"\x89not what was asked for\x00")
    return tmp_path / "mistakes"


@pytest.mark.usefixtures("app")
@pytest.mark.parametrize("name", dict.fromkeys(name for name, _, _ in MISTAKES))
def test_a_mistake_gets_one_sentence(twice_labelled: fo.Dataset, scene_of_mistakes: Path, name: str) -> None:
    def placed(value: Any) -> Any:
        return value.replace("<tmp>", str(scene_of_mistakes)) if isinstance(value, str) else value

    wrong = []
    for params, about in ((params, about) for operator, params, about in MISTAKES if operator == name):
        said = Form(name, twice_labelled.name, {key: placed(value) for key, value in params.items()}).send()
        typed = bool(OF_FILES & params.keys()) or as_typed(said)
        if not is_sentence(said) or not typed or not re.search(placed(about), said, re.IGNORECASE):
            wrong.append(f"{params}: {said}")
    assert not wrong, "\n".join(wrong)


@pytest.mark.usefixtures("app")
@pytest.mark.parametrize("name", NAMES)
def test_any_field_can_hold_anything(twice_labelled: fo.Dataset, name: str) -> None:
    form = Form(name, twice_labelled.name, {}, selected=twice_labelled.limit(1).values("id"))
    for field, prop in form.fields.items():
        values = ["gone-meanwhile"] if field in MENUS else ABSURD.get(prop["type"]["name"], [])
        for value in values:
            for message in form.refusals(**{field: value}):
                assert is_sentence(message), (field, value, message)
                assert field in OF_FILES or as_typed(message.replace(str(value), "")), (field, value, message)


def meanwhile(dataset: fo.Dataset) -> dict[str, tuple[str | None, dict[str, Any]]]:
    """What can change while a form is open: its name -> the dataset that the App shows, and what else it shows."""
    copy = dataset.clone()
    copy.delete()
    view = dataset.match_tags("no-such-tag")._serialize()
    gone = "0" * 24
    return {
        "nothing is open": (None, {}),
        "dataset deleted": (copy.name, {}),
        "view emptied": (dataset.name, {"view": view}),
        "sample deleted": (dataset.name, {"selected": [gone], "current_sample": gone}),
    }


@pytest.mark.usefixtures("app")
@pytest.mark.parametrize(
    "name", [name for name in NAMES if name not in ("generate_images", "release_models", "cancel_run")]
)
def test_what_changed_meanwhile_is_said(twice_labelled: fo.Dataset, tmp_path: Path, name: str) -> None:
    params = {"export_samples": {"out_dir": str(tmp_path / "export")}}.get(name, {})
    for change, (dataset, state) in meanwhile(twice_labelled).items():
        said = Form(name, dataset, params, **state).send()
        assert is_sentence(said), (change, said)


@pytest.mark.usefixtures("app")
def test_panels_and_forms_without_samples_survive_it(twice_labelled: fo.Dataset) -> None:
    import fiftyone.operators as foo
    from fiftyone.operators.executor import ExecutionContext, Executor

    for dataset, state in meanwhile(twice_labelled).values():
        for name in ("generate_images", "release_models"):
            assert Form(name, dataset, {}, **state).fields
        for panel in PANELS:
            params = {"panel_id": "one", "panel_state": {}}
            request = {"dataset_name": dataset, "filters": {}, "extended": None, "view": [], **state, "params": params}
            context = ExecutionContext(request, Executor(), operator_uri=PREFIX + panel.NAME)
            assert foo.get_operator(PREFIX + panel.NAME).render(context).to_json()["type"]["properties"]
