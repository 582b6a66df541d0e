"""The one module that uses FiftyOne's private names: each function works, and no other module uses any."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from importlib.metadata import version
from itertools import pairwise
from pathlib import Path

import fiftyone as fo
import pytest
from packaging.specifiers import SpecifierSet

from diffucurate.plugin import fiftyone_private as private

ROOT = Path(__file__).parents[2]
PRIVATE = "plugin/fiftyone_private.py"

#: FiftyOne's evaluation in parts, which tests/plugin/comparison/test_fiftyone_coco.py holds to the original.
EVALUATION = "plugin/comparison/fiftyone_coco.py"

#: What FiftyOne documents for plugins and scripts. Everything else below ``fiftyone`` may change without notice.
PUBLIC = ("fiftyone.brain", "fiftyone.operators", "fiftyone.plugins", "fiftyone.types", "fiftyone.zoo")

#: Public methods of named tuples, which begin with an underscore so that they cannot be fields.
NAMED_TUPLE = {"_asdict", "_replace", "_fields"}


def test_the_installed_version_was_checked() -> None:
    """A newer one is no failure as long as the other tests of this file pass with it, but it is said."""
    installed = version("fiftyone")
    if installed not in SpecifierSet(private.CHECKED):
        pytest.skip(
            f"FiftyOne {installed} is not one of those that {PRIVATE} was checked for ({private.CHECKED}): see in "
            "its source that each private name there still takes and returns the same, then change CHECKED"
        )


def test_the_lowest_version_that_is_declared_was_checked() -> None:
    declared = next(line for line in (ROOT / "pyproject.toml").read_text().splitlines() if '"fiftyone' in line)
    lowest = declared.split(">=")[1].split('"')[0].split(",")[0]
    assert lowest in SpecifierSet(private.CHECKED)


def test_database_holds_the_datasets(dataset: fo.Dataset) -> None:
    assert private.database().datasets.find_one({"name": dataset.name})["_id"]


def test_names_in_samples_are_those_of_every_text_field(dataset: fo.Dataset) -> None:
    detections = fo.Detections(detections=[fo.Detection(label="car", mask_path="/m/a.png"), fo.Detection(label="bus")])
    other = fo.Dataset()
    try:
        other.add_sample(
            fo.Sample(
                filepath="/m/b.png",
                tags=["/m/c.png"],
                mask=fo.Segmentation(mask_path="/m/d.png"),
                objects=detections,
                notes=["/m/e.png", "other"],
                number=3,
            )
        )
        dataset.add_sample(fo.Sample(filepath="/m/f.png"))
        expected = {(other.name, f"/m/{name}.png") for name in "abcde"} | {(dataset.name, "/m/f.png")}
        below = {"$regex": "^/m/"}
        found = {(name, text) for name, text in private.names_in_samples(below) if text.startswith("/m/")}
        assert found == expected
        assert {name for name, _ in private.names_in_samples({"$in": ["/m/a.png"]})} == {other.name}
        assert {name for name, _ in private.names_in_samples(below, without=dataset)} == {other.name}
        assert list(private.names_in_samples({"$in": ["/nowhere"]})) == []
    finally:
        other.delete()


def test_slug_is_the_part_of_the_apps_address(dataset: fo.Dataset) -> None:
    assert private.slug("My Cars_2") == "my-cars-2"
    assert private.slug(dataset.name) == dataset.slug
    with pytest.raises(ValueError):
        private.slug("!")


def test_dataset_behind_a_view_is_the_dataset(filled: fo.Dataset) -> None:
    assert private.dataset_behind(filled) is filled
    assert private.dataset_behind(filled.limit(1)) is filled


def test_id_of_a_dataset_outlives_its_name_and_is_no_clones(filled: fo.Dataset) -> None:
    before = private.dataset_id(filled)
    filled.name = f"{filled.name} renamed"
    clone = filled.clone()
    assert private.dataset_id(filled) == before == private.database().datasets.find_one({"name": filled.name})["_id"]
    assert private.dataset_id(clone) != before
    assert private.is_stored(filled) and private.is_stored(clone)
    clone.delete()


def test_info_is_set_part_by_part_and_nothing_older_is_saved(dataset: fo.Dataset) -> None:
    def stored() -> dict:
        return private.database().datasets.find_one({"name": dataset.name})

    private.set_info(dataset, "ours", {"a": 1})
    private.database().datasets.update_one({"name": dataset.name}, {"$set": {"info.ours.b": 2}})  # another process
    private.set_info(dataset, "ours", {"c": [3]})
    assert dataset.info["ours"] == stored()["info"]["ours"] == {"a": 1, "b": 2, "c": [3]}
    private.database().datasets.update_one({"name": dataset.name}, {"$set": {"info.ours.b": 4}})
    dataset.info["mine"] = 5
    dataset.save()
    assert stored()["info"] == {"ours": {"a": 1, "b": 4, "c": [3]}, "mine": 5}
    for value in (None, [], "text"):
        dataset.info = {"ours": value}
        private.set_info(dataset, "ours", {"a": 1})
        assert dataset.info["ours"] == stored()["info"]["ours"] == {"a": 1}


def test_mask_targets_are_set_one_by_one(dataset: fo.Dataset) -> None:
    dataset.add_sample_field("masks", fo.EmbeddedDocumentField, embedded_doc_type=fo.Segmentation)
    private.set_mask_targets(dataset, "masks", {1: "car"})
    change = {"$set": {"mask_targets.masks.2": "tree"}}
    private.database().datasets.update_one({"name": dataset.name}, change)  # another process
    private.set_mask_targets(dataset, "masks", {1: "car"})
    assert dataset.mask_targets == {"masks": {1: "car", 2: "tree"}}
    dataset.reload()
    assert dataset.mask_targets == {"masks": {1: "car", 2: "tree"}}


def test_saved_views_are_repaired(filled: fo.Dataset) -> None:
    db = private.database()
    filled.save_view("one", filled.limit(1))
    filled.save_view("two", filled.limit(2))
    identifier = db.views.find_one({"name": "one", "_dataset_id": filled._doc.id})["_id"]
    db.views.delete_one({"_id": identifier})  # as a kill in the midst of deleting it leaves it
    filled.reload()
    private.repair_saved_views(filled)
    assert filled.list_saved_views() == ["two"] and len(filled.load_saved_view("two")) == 2
    db.datasets.update_one({"_id": filled._doc.id}, {"$set": {"saved_views": []}})  # in the midst of saving it
    private.repair_saved_views(filled)
    assert filled.list_saved_views() == ["two"]


def test_name_of_a_samples_dataset(filled: fo.Dataset) -> None:
    sample = filled.limit(1).first()
    assert isinstance(sample, private.SampleView) and not isinstance(sample, fo.Sample)
    assert private.dataset_name_of(sample) == filled.name
    assert private.dataset_name_of(filled.to_patches("boxes").first()) == filled.name


def test_state_of_a_dataset_differs_after_each_change(filled: fo.Dataset) -> None:
    states = [private.dataset_state(filled)]
    assert private.dataset_state(filled) == states[0]
    sample = filled.first()
    sample["number"] = 7
    sample.save()
    states.append(private.dataset_state(filled))
    filled.register_run("a_run", filled.init_run(method="test"))
    states.append(private.dataset_state(filled))
    filled.delete_run("a_run")
    filled.delete_samples([filled.last().id])
    states.append(private.dataset_state(filled))
    assert all(before != after for before, after in pairwise(states))


def test_patches_are_no_whole_images(filled: fo.Dataset) -> None:
    assert not private.shows_patches_or_frames(filled.limit(1))
    assert private.shows_patches_or_frames(filled.to_patches("boxes"))


def test_stages_come_back_as_the_same_view(filled: fo.Dataset) -> None:
    view = filled.sort_by("number", reverse=True).limit(2)
    assert [type(stage) for stage in private.view_stages(view)] == [fo.SortBy, fo.Limit]
    assert private.view_stages(filled) == []
    stages = private.stages_of(view)
    assert stages == private.stages_of(filled.sort_by("number", reverse=True).limit(2))
    assert stages != private.stages_of(filled.limit(2))
    assert private.view_of(filled, stages).values("number") == view.values("number") == [2, 1]


def test_saved_stages_are_those_of_the_saved_view(filled: fo.Dataset) -> None:
    filled.save_view("a", filled.limit(1))
    filled.save_view("b", filled.limit(1))
    filled.save_view("c", filled.limit(2))
    a, b, c = (private.saved_stages(filled, name) for name in "abc")
    assert a and a != c
    assert len(a) == len(b) == 1 and all(isinstance(stage, str) for stage in a)
    with pytest.raises(ValueError):
        private.saved_stages(filled, "d")


def test_aggregation_sees_the_views_samples_only(filled: fo.Dataset) -> None:
    total = {"$group": {"_id": None, "sum": {"$sum": "$number"}}}
    assert private.aggregate(filled, [total]) == [{"_id": None, "sum": 3}]
    assert private.aggregate(filled.skip(1), [{"$match": {"number": {"$lt": 2}}}, total]) == [{"_id": None, "sum": 1}]


def test_fields_are_added_at_any_depth(dataset: fo.Dataset) -> None:
    document = {"facts": private.new_field("facts", fo.DynamicEmbeddedDocument)}
    private.add_fields(dataset, document)
    private.add_fields(dataset, {"facts.size": private.new_field("facts.size", fo.FloatField)})
    assert isinstance(dataset.get_field("facts.size"), fo.FloatField)
    private.add_fields(dataset, {"mask": private.new_field("mask", fo.Segmentation)})
    assert dataset.get_field("mask").document_type is fo.Segmentation


def test_slow_servers_raise_an_error_that_can_be_caught() -> None:
    assert issubclass(private.ServiceListenTimeout, Exception)


def test_settings_of_runs_are_those_of_all_datasets() -> None:
    datasets = [fo.Dataset(), fo.Dataset()]
    try:
        for number, dataset in enumerate(datasets):
            for method, settings in (("mine/verb", {"number": number}), ("mine/verb", None), ("mine/other", {})):
                config = dataset.init_run(method=method, settings=settings)
                dataset.register_run(f"run{len(dataset.list_runs())}", config)
        assert private.settings_of_runs("mine/verb") == [{"number": 0}, {"number": 1}]
    finally:
        for dataset in datasets:
            dataset.delete()


@pytest.mark.parametrize("name", [name for name in private.__all__ if name.islower()])
def test_every_function_is_called_here(name: str) -> None:
    assert f"private.{name}(" in Path(__file__).read_text(encoding="utf-8")


def test_no_other_module_uses_private_names() -> None:
    paths = [path for folder in ("plugin", "operators") for path in sorted((ROOT / folder).rglob("*.py"))]
    assert len(paths) > 100
    allowed = {ROOT / PRIVATE, ROOT / EVALUATION}
    uses = [use for path in paths if path not in allowed for use in _private_uses(path)]
    assert not uses, f"move them to {PRIVATE}: {uses}"


def test_private_names_are_found(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "import fiftyone.core.odm as foo\nfrom fiftyone import core\nfrom fiftyone.core.view import DatasetView\n"
        "import fiftyone.server\nview._serialize()\nfo.core.odm\nself._own\nrow._asdict()\nimport fiftyone.brain\n"
    )
    assert [use.rpartition(":")[0].rpartition(":")[2] for use in _private_uses(script)] == list("123456")


def _private_uses(path: Path) -> Iterator[str]:
    """``<file>:<line>: <what>`` of each private attribute of another object, and each import of a private module."""
    nodes = [node for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if hasattr(node, "lineno")]
    for node in sorted(nodes, key=lambda node: node.lineno):
        where = f"{path.name}:{node.lineno}"
        if isinstance(node, ast.Attribute):
            own = isinstance(node.value, ast.Name) and node.value.id in ("self", "cls")
            hidden = node.attr.startswith("_") and not node.attr.startswith("__") and node.attr not in NAMED_TUPLE
            inside = isinstance(node.value, ast.Name) and (node.value.id, node.attr) == ("fo", "core")
            if (hidden and not own) or inside:
                yield f"{where}: {ast.unparse(node)}"
        elif isinstance(node, ast.Import):
            yield from (f"{where}: {alias.name}" for alias in node.names if not _is_public(alias.name))
        elif isinstance(node, ast.ImportFrom):
            names = [f"{node.module}.{alias.name}" for alias in node.names]
            yield from (f"{where}: {name}" for name in names if not _is_public(name))


def _is_public(module: str) -> bool:
    """Whether a module, or a name in one, is none of FiftyOne's inside."""
    if not module.startswith("fiftyone."):
        return True
    return module.startswith(PUBLIC) or (module.count(".") == 1 and module not in ("fiftyone.core", "fiftyone.server"))


@pytest.fixture
def filled(dataset: fo.Dataset) -> fo.Dataset:
    box = fo.Detection(label="car", bounding_box=[0, 0, 0.5, 0.5])
    dataset.add_samples(
        [fo.Sample(filepath=f"/{i}.png", number=i, boxes=fo.Detections(detections=[box.copy()])) for i in range(3)]
    )
    return dataset


def test_scenarios_are_those_of_the_panel(filled: fo.Dataset) -> None:
    from plugins.utils.model_evaluation import get_scenarios

    scenario = {"id": "1" * 24, "name": "By weather", "type": "sample_field", "field": "weather", "subsets": ["fog"]}
    private.add_evaluation_scenarios(filled, {"1" * 24: scenario})
    private.add_evaluation_scenarios(filled, {"2" * 24: {**scenario, "id": "2" * 24}})
    assert list(private.evaluation_scenarios(filled)) == ["1" * 24, "2" * 24]

    class Context:
        dataset = filled

    assert get_scenarios(Context())["1" * 24] == scenario


def test_a_run_is_changed_in_the_database_alone(filled: fo.Dataset) -> None:
    filled.register_run("one", filled.init_run(method="x", facts={"counts": {}}))
    private.update_run(filled, "one", {"$push": {"config.facts.steps": 1}, "$set": {"config.status": "done"}})
    assert private.run_facts(filled, "one") == {"counts": {}, "steps": [1]}
    assert private.run_facts(filled, "none") == {}
    filled.reload()
    assert filled.get_run_info("one").config.status == "done"


def test_evaluations_have_ids(filled: fo.Dataset) -> None:
    assert private.evaluation_id(filled, "none") is None
    filled.clone_sample_field("boxes", "others")
    filled.evaluate_detections("boxes", gt_field="others", eval_key="both")
    assert len(private.evaluation_id(filled, "both") or "") == 24


def test_labels_are_set_where_they_are_still_there(filled: fo.Dataset) -> None:
    sample = filled.first()
    path, (label,) = "boxes.detections.0", sample.boxes.detections
    before = filled.last().last_modified_at
    values = {f"{path}.tags": ["x"], "tags": ["y"]}
    assert private.set_on_labels(filled, sample.id, {path: label.id}, values)
    assert not private.set_on_labels(filled, sample.id, {path: sample.id}, values)
    assert not private.set_on_labels(filled, label.id, {}, values)
    sample.reload()
    assert (sample.boxes.detections[0].tags, sample.tags) == (["x"], ["y"])
    assert sample.last_modified_at > before
