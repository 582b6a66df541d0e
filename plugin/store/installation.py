"""What this installation keeps of a dataset outside of the dataset: nothing that an import brings gets here.

One document per dataset, by the dataset's id, in a collection of the same database. A clone or an import has an id of
its own and so begins without one. Every value is changed in one step in the database, so that of two processes neither
overwrites what the other wrote.
"""

from __future__ import annotations

from typing import Any

import fiftyone as fo
from pymongo.errors import DuplicateKeyError

from diffucurate.plugin.fiftyone_private import database, dataset_id

_COLLECTION = "diffucurate"

MEDIA_FOLDER = "media_folder"
CLASSES = "classes"


def kept(dataset: fo.Dataset, name: str) -> Any:
    """The value of that name, as it is in the database now; None where there is none."""
    document = database()[_COLLECTION].find_one({"_id": dataset_id(dataset)}, {name: True})
    return None if document is None else document.get(name)


def keep(dataset: fo.Dataset, name: str, value: Any, *, instead_of: Any) -> bool:
    """Keep a value instead of an earlier one, None for none; False where it is another one by now."""
    query = {"_id": dataset_id(dataset), name: instead_of}  # None is found where there is no such value too
    try:
        done = database()[_COLLECTION].update_one(query, {"$set": {name: value}}, upsert=instead_of is None)
    except DuplicateKeyError:  # somebody else has kept the first value
        return False
    return bool(done.matched_count or done.upserted_id)


def all_kept(name: str) -> list[Any]:
    """The values of that name of all datasets that there are."""
    found = [document for document in database()[_COLLECTION].find({name: {"$exists": True}}, {name: True})]
    there = {each["_id"] for each in database().datasets.find({}, {"_id": True})}
    return [document[name] for document in found if document["_id"] in there]


def abandon(name: str, value: Any) -> bool:
    """Forget a value that is kept for a dataset that was deleted; False where there is none such."""
    collection = database()[_COLLECTION]
    for document in collection.find({name: value}, {"_id": True}):
        if database().datasets.find_one({"_id": document["_id"]}, {"_id": True}) is None:
            return bool(collection.delete_one({"_id": document["_id"], name: value}).deleted_count)
    return False
