"""What Diffucurate uses of FiftyOne besides its public interface: one function per need, and all of it here.

FiftyOne may rename or change these without notice. ``CHECKED`` says for which versions each name and signature was
compared; ``tests/plugin/test_fiftyone_private.py`` calls every function against the FiftyOne that is installed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, TypeAlias

import fiftyone as fo
import fiftyone.core.odm as foo
import fiftyone.core.utils as fou
from bson import ObjectId
from fiftyone.core.sample import SampleView
from fiftyone.core.service import ServiceListenTimeout

__all__ = [
    "CHECKED",
    "SampleView",
    "ServiceListenTimeout",
    "Stages",
    "add_evaluation_scenarios",
    "add_fields",
    "aggregate",
    "database",
    "dataset_behind",
    "dataset_id",
    "dataset_name_of",
    "dataset_state",
    "evaluation_id",
    "evaluation_scenarios",
    "is_stored",
    "names_in_samples",
    "new_field",
    "repair_saved_views",
    "run_facts",
    "saved_stages",
    "set_info",
    "set_mask_targets",
    "set_on_labels",
    "settings_of_runs",
    "shows_patches_or_frames",
    "slug",
    "stages_of",
    "update_run",
    "view_of",
    "view_stages",
]

#: The FiftyOne versions for which this module was checked.
CHECKED = ">=1.10,<1.23"

#: The stages of a view as plain data: what the App sends, and what FiftyOne stores for a saved view.
Stages: TypeAlias = list[dict[str, Any]]

Samples: TypeAlias = fo.Dataset | fo.DatasetView


def database() -> Any:
    """The pymongo database that holds all datasets.

    FiftyOne's own calls load a dataset before they list its runs; one query of the database covers all datasets.
    """
    return foo.get_db_conn()


def settings_of_runs(method: str) -> list[dict[str, Any]]:
    """The settings of all custom runs of a method, in all datasets, where they are a mapping."""
    found = database().runs.find({"config.method": method}, {"config.settings": True})
    settings = [document.get("config", {}).get("settings") for document in found]
    return [each for each in settings if isinstance(each, dict)]


def names_in_samples(condition: Mapping[str, Any], without: fo.Dataset | None = None) -> Iterator[tuple[str, str]]:
    """The values of text fields, of samples and their labels, that meet a condition of MongoDB's, in all datasets.

    Args:
        condition: such as ``{"$in": [...]}``.
        without: a dataset whose samples do not count.

    Yields:
        The name of the dataset, and the values of the fields of a sample in which at least one meets the condition.
    """
    db = database()
    wanted = {"name": True, "sample_collection_name": True, "sample_fields": True}
    query = {} if without is None else {"_id": {"$ne": without._doc.id}}
    for document in list(db.datasets.find(query, wanted)):
        paths = list(_text_paths(document.get("sample_fields") or []))
        meets = {"$or": [{path: condition} for path in paths]}
        shown = {path: True for path in paths if not any(path.startswith(f"{other}.") for other in paths)}
        for sample in db[document["sample_collection_name"]].find(meets, {**shown, "_id": False}) if paths else ():
            yield from ((document["name"], text) for text in _texts(sample))


def _text_paths(fields: Iterable[Mapping[str, Any]], above: str = "") -> Iterator[str]:
    """The paths of text fields, and of lists of texts, in stored fields."""
    for field in fields:
        path = f"{above}{field.get('db_field') or field['name']}"
        kinds = (field.get("ftype"), field.get("subfield"))
        if "fiftyone.core.fields.StringField" in kinds:
            yield path
        yield from _text_paths(field.get("fields") or [], f"{path}.")


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _texts(item)
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item)


def set_on_labels(dataset: fo.Dataset, sample_id: str, labels: Mapping[str, str], values: Mapping[str, Any]) -> bool:
    """Set values of one sample in a single write, a fifth of the time that ``set_values`` takes for each path.

    Args:
        dataset: of the sample.
        sample_id: its id.
        labels: path of a label in its list, such as ``x.detections.2`` -> its id; they have to be there still.
        values: paths, such as ``x.detections.2.tags`` -> their values. Samples held by this process do not change.

    Returns:
        whether the sample and the labels are there.
    """
    query = {"_id": ObjectId(sample_id), **{f"{path}._id": ObjectId(name) for path, name in labels.items()}}
    change = {**values, "last_modified_at": datetime.now(UTC)}
    return bool(dataset._sample_collection.update_one(query, {"$set": change}).matched_count)


def update_run(dataset: fo.Dataset, key: str, change: Mapping[str, Any]) -> None:
    """Apply an update of MongoDB, such as ``{"$push": {"config.facts.x": 1}}``, to a custom run.

    FiftyOne itself writes a run's whole record each time. What this process holds of the run is not changed.
    """
    database().runs.update_one({"_dataset_id": dataset_id(dataset), "key": key}, dict(change))


def run_facts(dataset: fo.Dataset, key: str) -> dict[str, Any]:
    """The facts of a custom run as the database has them now, which other processes may have changed."""
    query = {"_dataset_id": dataset_id(dataset), "key": key}
    document = database().runs.find_one(query, {"config.facts": True}) or {}
    return dict(document.get("config", {}).get("facts") or {})


def slug(name: str) -> str:
    """The part of the App's address that stands for a dataset of this name; two names can share one.

    Raises:
        ValueError: the name is too long, or has no character that an address can have.
    """
    return str(fou.to_slug(name))


def dataset_behind(samples: Samples) -> fo.Dataset:
    """The dataset that a view is of, or a dataset itself. Asks nothing of the database."""
    return samples._dataset


def dataset_id(dataset: fo.Dataset) -> ObjectId:
    """The id of a dataset: it stays when the dataset is renamed, and a clone or an import gets another."""
    identifier: ObjectId = dataset._doc.id
    return identifier


def is_stored(dataset: fo.Dataset) -> bool:
    """Whether the database has a dataset still, by whatever name."""
    return database().datasets.find_one({"_id": dataset_id(dataset)}, {"_id": True}) is not None


def evaluation_id(dataset: fo.Dataset, key: str) -> str | None:
    """The id by which FiftyOne's panel on evaluations finds one; None where the dataset has none of that key."""
    document = (dataset._doc.evaluations or {}).get(key)
    return None if document is None else str(document.id)


def set_info(dataset: fo.Dataset, key: str, values: Mapping[str, Any]) -> None:
    """Set parts of the mapping ``dataset.info[key]`` in the database, each in one step.

    Its other parts stay as the database has them, also where this process holds older ones; afterwards it holds the
    same.
    """
    for path in ("info", f"info.{key}"):
        _in_database(dataset, {path: {}}, only_if={path: {"$not": {"$type": "object"}}})
    _in_database(dataset, {f"info.{key}.{name}": value for name, value in values.items()})
    _hold_as_stored(dataset, "info", key)


def set_mask_targets(dataset: fo.Dataset, path: str, targets: Mapping[int, str]) -> None:
    """Name mask values of a field in the database, each in one step; other values keep their names."""
    for name in ("mask_targets", f"mask_targets.{path}"):
        _in_database(dataset, {name: {}}, only_if={name: {"$not": {"$type": "object"}}})
    _in_database(dataset, {f"mask_targets.{path}.{value}": name for value, name in targets.items()})
    _hold_as_stored(dataset, "mask_targets", path)


def _in_database(dataset: fo.Dataset, values: Mapping[str, Any], only_if: Mapping[str, Any] | None = None) -> None:
    if values:
        database().datasets.update_one({"_id": dataset._doc.id, **(only_if or {})}, {"$set": dict(values)})


def _hold_as_stored(dataset: fo.Dataset, root: str, key: str) -> None:
    """Take one entry of a mapping over from the database, not as a change of this process that is to be saved."""
    document = dataset._doc
    stored = database().datasets.find_one({"_id": document.id}, {root: True})
    if stored is not None:
        held = document._fields[root].to_python(stored[root])[key]
        getattr(document, root)[key] = held
        document._changed_fields = [path for path in document._changed_fields if path != f"{root}.{key}"]


def dataset_name_of(sample: SampleView) -> str:
    """The name of the dataset that a view's sample is from, also where the view shows patches of it."""
    return str(sample._view.dataset_name)


def dataset_state(dataset: fo.Dataset) -> list[Any]:
    """Values that differ after a sample or the dataset was written to, and after samples or runs were deleted."""
    collection = dataset._sample_collection
    newest = collection.find_one({}, {"last_modified_at": True, "_id": False}, sort=[("last_modified_at", -1)])
    runs = dataset._doc.runs and sorted(dataset._doc.runs)
    return [str(dataset._doc.id), dataset.last_modified_at, newest, collection.estimated_document_count(), runs]


def shows_patches_or_frames(view: fo.DatasetView) -> bool:
    """Whether a view's samples are not those of its dataset, but patches, frames or clips made of them."""
    return bool(view._is_generated)


def view_stages(samples: Samples) -> list[fo.ViewStage]:
    """The stages of a view in their order; none for a dataset."""
    return list(samples._stages) if isinstance(samples, fo.DatasetView) else []


def stages_of(view: fo.DatasetView) -> Stages:
    """The stages of a view as plain data, the same for equal views."""
    stages: Stages = view._serialize(include_uuids=False)
    return stages


def view_of(dataset: fo.Dataset, stages: Sequence[Mapping[str, Any]]) -> fo.DatasetView:
    """The view with these stages, given as ``stages_of`` gives them or as the App sends them."""
    return fo.DatasetView._build(dataset, stages)


def repair_saved_views(dataset: fo.Dataset) -> None:
    """Make the list of a dataset's saved views that of the views that there are, as the database has both.

    A process that was killed while it saved or deleted a view leaves them different, and another process may have saved
    a view since the dataset was loaded here.
    """
    foo.patch_saved_views(dataset.name)
    dataset._doc.reload("saved_views")


def saved_stages(dataset: fo.Dataset, name: str) -> list[str]:
    """The stages of a saved view as they are stored, each as JSON, also where they no longer fit the dataset.

    Raises:
        ValueError: there is no saved view of that name.
    """
    return list(dataset._get_saved_view_doc(name).view_stages)


def aggregate(samples: Samples, stages: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The documents that stages of a MongoDB aggregation give on the samples of a view.

    FiftyOne's own aggregations cannot group by two values at once.
    """
    return list(samples._aggregate(post_pipeline=list(stages)))


def new_field(path: str, kind: type[Any]) -> fo.Field:
    """A field that is not in a schema yet, for ``add_fields``.

    Args:
        path: where it will be, such as ``attributes.weather``; its last part becomes the field's name.
        kind: a type of field, or of the documents that it will hold.
    """
    name = path.rpartition(".")[2]
    if issubclass(kind, fo.Field):
        return foo.create_field(name, kind)
    return foo.create_field(name, fo.EmbeddedDocumentField, embedded_doc_type=kind)


def add_fields(dataset: fo.Dataset, fields: Mapping[str, fo.Field]) -> None:
    """Add fields to a dataset's schema by their paths, all at once.

    The public ``add_sample_field`` stores and reads the whole schema again for every field, which takes minutes for a
    few hundred classes.
    """
    dataset._merge_sample_field_schema(dict(fields))


def add_evaluation_scenarios(dataset: fo.Dataset, scenarios: Mapping[str, Mapping[str, Any]]) -> None:
    """Add scenarios to those that the Model Evaluation panel offers for a dataset, or replace those of the same ids.

    Args:
        dataset: whose evaluations they compare.
        scenarios: id -> ``id``, ``name``, ``type`` (such as ``sample_field``), ``field`` and ``subsets``, its values.
    """
    from fiftyone.operators import ExecutionStore

    store = ExecutionStore.create("model_evaluation_panel_builtin", dataset_id(dataset))
    store.set("scenarios", {**(store.get("scenarios") or {}), **{key: dict(value) for key, value in scenarios.items()}})


def evaluation_scenarios(dataset: fo.Dataset) -> dict[str, dict[str, Any]]:
    """The scenarios that the Model Evaluation panel offers for a dataset, by their ids."""
    from fiftyone.operators import ExecutionStore

    return dict(ExecutionStore.create("model_evaluation_panel_builtin", dataset_id(dataset)).get("scenarios") or {})
