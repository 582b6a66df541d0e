"""What Diffucurate uses of FiftyOne besides its public interface: one function per need, and all of it here.

FiftyOne may rename or change these without notice. ``CHECKED`` says for which versions each name and signature was
compared; ``tests/plugin/test_fiftyone_private.py`` calls every function against the FiftyOne that is installed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeAlias

import fiftyone as fo
import fiftyone.core.odm as foo
import fiftyone.core.utils as fou
from fiftyone.core.sample import SampleView
from fiftyone.core.service import ServiceListenTimeout

__all__ = [
    "CHECKED",
    "SampleView",
    "ServiceListenTimeout",
    "Stages",
    "add_fields",
    "aggregate",
    "database",
    "dataset_behind",
    "dataset_name_of",
    "dataset_state",
    "names_in_samples",
    "new_field",
    "saved_stages",
    "shows_patches_or_frames",
    "slug",
    "stages_of",
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


def slug(name: str) -> str:
    """The part of the App's address that stands for a dataset of this name; two names can share one.

    Raises:
        ValueError: the name is too long, or has no character that an address can have.
    """
    return str(fou.to_slug(name))


def dataset_behind(samples: Samples) -> fo.Dataset:
    """The dataset that a view is of, or a dataset itself. Asks nothing of the database."""
    return samples._dataset


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
