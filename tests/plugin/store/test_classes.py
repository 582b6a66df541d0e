"""Class ids: given once, in the database, whoever asks and however old what they hold is."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import fiftyone as fo
import pytest

from diffucurate.plugin.store.classes import extend_classes, read_classes
from diffucurate.plugin.store.schema import declare_label_fields

_OTHER_PROCESS = """
import sys
import fiftyone as fo
from diffucurate.plugin.store.classes import extend_classes
from diffucurate.plugin.store.schema import declare_label_fields

dataset = fo.load_dataset(sys.argv[1])
declare_label_fields(dataset, "truth", extend_classes(dataset, {name: [name] for name in sys.argv[2:]}))
"""


def elsewhere(dataset: fo.Dataset, *names: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", _OTHER_PROCESS, dataset.name, *names])


def ids(dataset: fo.Dataset) -> dict[int, str]:
    return {1 + index: name for index, name in enumerate(read_classes(dataset))}


def stored(dataset: fo.Dataset) -> dict[int, str]:
    """The mask targets as the database has them."""
    from diffucurate.plugin.fiftyone_private import database

    targets = database().datasets.find_one({"name": dataset.name})["mask_targets"]["truth_mask"]
    return {int(value): name for value, name in targets.items()}


def test_a_session_that_holds_an_older_list_does_not_write_it_back(dataset: fo.Dataset) -> None:
    declare_label_fields(dataset, "truth", extend_classes(dataset, {"car": ["car"]}))
    assert elsewhere(dataset, "tree").wait() == 0
    assert dataset.info["diffucurate"]["classes"] == [{"name": "car", "phrases": ["car"]}]  # this session's
    declare_label_fields(dataset, "truth", extend_classes(dataset, {"house": ["house"]}))
    dataset.info["mine"] = 1
    dataset.save()
    expected = {1: "car", 2: "tree", 3: "house"}
    assert ids(dataset) == stored(dataset) == dataset.mask_targets["truth_mask"] == expected
    dataset.reload()
    assert [item["name"] for item in dataset.info["diffucurate"]["classes"]] == list(expected.values())
    assert dataset.info["mine"] == 1


def test_an_older_list_of_classes_cannot_take_names_from_values(dataset: fo.Dataset) -> None:
    """A process declares its fields with the classes that it read, after another has added more."""
    early = extend_classes(dataset, {"car": ["car"]})
    late = extend_classes(dataset, {"tree": ["tree"]})
    declare_label_fields(dataset, "truth", late)
    declare_label_fields(dataset, "truth", early)
    assert stored(dataset) == {1: "car", 2: "tree"}


def test_processes_that_add_classes_at_once_get_different_ids(dataset: fo.Dataset) -> None:
    extend_classes(dataset, {"car": ["car"]})
    names = [f"class {index}" for index in range(12)]
    processes = [elsewhere(dataset, *names[index::3]) for index in range(3)]
    assert [process.wait() for process in processes] == [0, 0, 0]
    assert sorted(read_classes(dataset)) == sorted(["car", *names]) and next(iter(read_classes(dataset))) == "car"
    assert stored(dataset) == ids(dataset)


def test_a_person_who_writes_over_the_notes_changes_no_id(dataset: fo.Dataset) -> None:
    extend_classes(dataset, {"car": ["car"], "tree": ["tree"]})
    dataset.info = {}
    assert list(extend_classes(dataset, {"house": ["house"]})) == ["car", "tree", "house"]
    dataset.info["diffucurate"] = {"classes": [{"name": "house", "phrases": []}]}
    dataset.save()
    assert ids(dataset) == {1: "car", 2: "tree", 3: "house"}


@pytest.mark.parametrize("with_notes", [True, False])
def test_a_clone_begins_with_the_ids_of_its_masks(dataset: fo.Dataset, with_notes: bool) -> None:
    declare_label_fields(dataset, "truth", extend_classes(dataset, {"car": ["car", "sedan"], "tree": ["tree"]}))
    clone = dataset.clone()
    try:
        if not with_notes:
            clone.info = {}
        extend_classes(dataset, {"house": ["house"]})
        assert list(extend_classes(clone, {"bus": ["bus"]})) == ["car", "tree", "bus"]
        assert read_classes(clone)["car"] == (("car", "sedan") if with_notes else ("car",))
        assert list(read_classes(dataset)) == ["car", "tree", "house"]
    finally:
        clone.delete()


@pytest.mark.parametrize(
    ("noted", "names"),
    [
        (None, []),
        ([], []),
        ("text", []),
        ({"classes": 3}, []),
        ({"classes": [{"name": "car"}, {"name": "bus", "phrases": "bus"}]}, ["car", "bus"]),
        ({"classes": [{"name": "car", "phrases": [1, None]}, {"phrases": []}, {"name": "bus"}]}, ["car"]),
        ({"classes": [{"name": "car"}, {"name": "car"}, {"name": "bus"}]}, ["car"]),
        ({"classes": [{"name": ["car"]}]}, []),
    ],
)
def test_what_others_noted_is_read_with_care(dataset: fo.Dataset, noted: Any, names: list[str]) -> None:
    dataset.info = {"diffucurate": noted}
    assert list(read_classes(dataset)) == names
    assert list(extend_classes(dataset, {"tree": ["tree"]})) == [*names, "tree"]
    dataset.reload()
    assert [item["name"] for item in dataset.info["diffucurate"]["classes"]] == [*names, "tree"]
    assert json.dumps(dataset.info["diffucurate"])
