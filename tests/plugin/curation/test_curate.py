from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import fiftyone as fo
import numpy as np
import pytest
from fiftyone import ViewField as F
from pymongo.collection import Collection

from diffucurate.generator.errors import DatasetError, InvalidSetting
from diffucurate.generator.labels.model import Instance, Labels
from diffucurate.plugin.curation.curate import UndoResult, curate, curations, undo_curation
from diffucurate.plugin.curation.rules import Rules
from diffucurate.plugin.curation.selection import count
from diffucurate.plugin.store import runs
from diffucurate.plugin.store.label_sources import compared

SHAPE = (20, 40)
CLASSES = ("car", "bus")


def bars(*spans: tuple[str, float, int]) -> Labels:
    """Labels of full-height bars side by side: (class, confidence, width in pixels of 40)."""
    instances, left = [], 0
    for label, confidence, width in spans:
        mask = np.zeros(SHAPE, np.bool_)
        mask[:, left : left + width] = True
        left += width
        instances.append(Instance(label, mask, confidence))
    return Labels.from_instances(instances, CLASSES, SHAPE)


def label_scenes(dataset, folder, fill, scenes):
    """Samples 0 to 4: two sure cars, a sure and an unsure one, a bus, nothing found, not labelled."""
    found = [
        bars(("car", 0.9, 4), ("car", 0.8, 20)),
        bars(("car", 0.9, 4), ("car", 0.3, 4)),
        bars(("bus", 0.6, 2)),
        bars(),
        None,
    ]
    fill(dataset, folder, scenes[:5], one=found, two=[bars(("car", 1.0, 1))] * 5)
    dataset.add_sample_field("agreement_two_one", fo.FloatField)
    dataset.set_values("agreement_two_one", [0.9, 0.2, 0.7, 1.0, None])
    return dataset


@pytest.fixture(scope="module")
def labelled_once(tmp_path_factory, fill, scenes):
    dataset = label_scenes(fo.Dataset(), tmp_path_factory.mktemp("labelled"), fill, scenes)
    yield dataset
    dataset.delete()


@pytest.fixture
def labelled(labelled_once):
    copy = labelled_once.clone()
    yield copy
    copy.delete()


@pytest.fixture(scope="module")
def table(labelled_once):
    """The same for tests that only curate: each replaces what the one before it made."""
    copy = labelled_once.clone()
    yield copy
    copy.delete()


def numbers(view: fo.DatasetView) -> list[int]:
    return [int(path.rsplit("/", 1)[1].removesuffix(".png")) for path in view.values("filepath")]


@pytest.mark.parametrize(
    ("rules", "kept", "instances"),
    [
        ({}, [0, 1, 2, 3], 5),
        ({"min_confidence": 0.5}, [0, 1, 2], 4),
        ({"min_confidence": 0.85}, [0, 1], 2),
        ({"class_confidence": {"car": 0.85}}, [0, 1, 2], 3),
        ({"min_confidence": 0.95, "class_confidence": {"car": 0.85}}, [0, 1], 2),
        ({"classes": ["bus"]}, [2], 1),
        ({"min_area": 0.1}, [0, 1], 4),
        ({"max_area": 0.1}, [0, 1, 2], 4),
        ({"min_area": 0.09, "max_area": 0.11, "min_confidence": 0.5}, [0, 1], 2),
        ({"min_agreement": 0.7, "against": "two"}, [0, 2, 3], 3),  # both found nothing in 3: that is agreement
        ({"min_agreement": 0.7, "against": "two", "classes": ["car"]}, [0], 2),
        ({"min_confidence": 0.95}, [], 0),
    ],
)
def test_rules_pick_samples_and_hide_instances(table, rules, kept, instances):
    view = curate(table, source="one", **rules)
    assert numbers(view) == kept
    assert view.count("one_instances.detections") == instances
    assert view.count("one_polygons.polylines") == instances
    assert view.name == "curated"
    assert numbers(table.match_tags("curated")) == kept
    assert table.count("one_instances.detections") == 5  # nothing is deleted


def test_curating_again_replaces_tag_and_view(labelled):
    curate(labelled, source="one", min_confidence=0.5)
    curate(labelled, source="one", classes=["bus"])
    assert labelled.list_saved_views() == ["curated"]
    assert numbers(labelled.load_saved_view("curated")) == numbers(labelled.match_tags("curated")) == [2]
    assert labelled.first().tags == []
    assert curate(labelled, source="one", classes=["bus"]).values("tags") == [["curated"]]


def test_names_stand_side_by_side(labelled):
    curate(labelled, source="one", classes=["bus"], save_as="buses")
    curate(labelled, source="one", classes=["car"], save_as="cars")
    assert labelled.count_sample_tags() == {"buses": 1, "cars": 2}
    assert labelled.list_saved_views() == ["buses", "cars"]


def test_view_restricts_and_its_filters_stay(labelled):
    sure = labelled.filter_labels("one_instances", F("confidence") > 0.5).limit(2)
    view = curate(sure, source="one", min_agreement=0.1, against="two")
    assert numbers(view) == [0, 1]
    assert view.count("one_instances.detections") == 3


def test_relabelling_does_not_change_who_is_curated(labelled):
    view = curate(labelled, source="one", min_confidence=0.5)
    counts = labelled.values(F("one_instances.detections").length())
    labelled.set_values("one_instances.detections.confidence", [[0.1] * (count or 0) for count in counts])
    assert numbers(view) == [0, 1, 2]
    assert view.count("one_instances.detections") == 0


def test_the_users_own_tags_and_views_are_safe(labelled):
    labelled.limit(1).tag_samples("mine")
    labelled.save_view("my view", labelled.limit(1))
    with pytest.raises(DatasetError, match="tag 'mine' that curate did not set"):
        curate(labelled, source="one", save_as="mine")
    with pytest.raises(DatasetError, match="saved view 'my view' that curate did not make"):
        curate(labelled, source="one", save_as="my view")
    assert len(labelled.load_saved_view("my view")) == 1
    assert labelled.list_runs() == []


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        ({"min_confidence": 1.5}, "min_confidence: 1.5"),
        ({"class_confidence": {"car": 1.5}}, "class_confidence.car: 1.5"),
        ({"class_confidence": {"tram": 0.5}}, "class_confidence: 'tram' - the dataset has no such class"),
        ({"min_agreement": -1, "against": "two"}, "min_agreement: -1"),
        ({"min_agreement": 0.5}, "against: None - name the label source"),
        ({"against": "two"}, "min_agreement: None"),
        ({"classes": []}, "classes"),
        ({"classes": ["zebra"]}, "zebra.*there are"),
        ({"min_area": 0.5, "max_area": 0.2}, "min_area: 0.5 - it must not exceed"),
        ({"save_as": " "}, "save_as"),
    ],
)
def test_bad_rule_is_named(table, rules, message):
    with pytest.raises(InvalidSetting, match=message):
        curate(table, source="one", **rules)


def test_missing_labels_or_comparison_are_named(table):
    with pytest.raises(DatasetError, match="no field 'three_instances'"):
        curate(table, source="three")
    with pytest.raises(DatasetError, match="'one' and 'three' were not compared yet"):
        curate(table, source="one", min_agreement=0.5, against="three")


# -- Undoing


def state(dataset: fo.Dataset) -> tuple:
    """Who has which tag, and every saved view with its stages, name and description."""
    dataset.reload()
    views = {name: dataset.load_saved_view(name) for name in dataset.list_saved_views()}
    described = {name: dataset.get_saved_view_info(name)["description"] for name in views}
    return (
        dataset.values("tags"),
        {name: view._serialize(include_uuids=False) for name, view in views.items()},
        described,
    )


@pytest.mark.parametrize("name", ["Good ones!", "good_ones", "good  ones"])
def test_a_view_whose_address_the_name_shares_stays(labelled, name):
    """FiftyOne takes the place of any view that has the same address in the App."""
    labelled.save_view(name, labelled.limit(2), description="mine")
    before = state(labelled)
    with pytest.raises(DatasetError, match=f"would share its address in the App with the saved view '{name}'"):
        curate(labelled, source="one", save_as="good-ones")
    assert state(labelled) == before and labelled.list_runs() == []


def test_undo_does_not_put_a_view_in_the_place_of_another(labelled):
    curate(labelled, source="one", classes=["car"], save_as="good-ones")
    curate(labelled, source="one", classes=["bus"], save_as="good-ones")
    labelled.delete_saved_view("good-ones")
    labelled.save_view("Good ones!", labelled.limit(2))
    assert undo_curation(labelled, "good-ones").view == "kept"
    with pytest.raises(DatasetError, match="would share its address"):
        curate(labelled, source="one", save_as="good-ones")
    assert labelled.list_saved_views() == ["Good ones!"] and len(labelled.load_saved_view("Good ones!")) == 2


@pytest.mark.parametrize("name", ["日本", "!", "a" * 2000, "curated,", "", " "])
def test_a_name_that_cannot_be_is_refused_before_anything_changes(labelled, name):
    before = state(labelled)
    with pytest.raises(InvalidSetting, match="save_as: "):
        curate(labelled, source="one", save_as=name)
    assert state(labelled) == before and labelled.list_runs() == []


def test_a_view_that_another_session_saved_meanwhile_stays(labelled):
    """This session's list of saved views is older."""
    from diffucurate.plugin.fiftyone_private import database

    database().views.insert_one(
        {"_dataset_id": labelled._doc.id, "name": "Curated!", "slug": "curated", "view_stages": []}
    )
    view = database().views.find_one({"_dataset_id": labelled._doc.id, "name": "Curated!"})["_id"]
    database().datasets.update_one({"_id": labelled._doc.id}, {"$push": {"saved_views": view}})
    with pytest.raises(DatasetError, match="share its address in the App with the saved view 'Curated!'"):
        curate(labelled, source="one")


def test_undo_goes_back_one_curation_at_a_time(labelled):
    labelled.limit(2).tag_samples("mine")
    labelled.save_view("my view", labelled.limit(1))
    states = []
    for rules in ({"classes": ["car"]}, {"min_confidence": 0.5}, {"min_agreement": 0.1, "against": "two"}):
        states.append(state(labelled))
        curate(labelled, source="one", **rules)
    curate(labelled, source="one", save_as="beside it")
    made = [(curation.name, curation.rules, curation.count.headline()) for curation in curations(labelled)]
    assert made == [
        ("beside it", "labels of one", "4 of 5 images kept"),
        ("curated", "labels of one, agreement with two at least 0.1", "4 of 5 images kept"),
    ]
    assert curations(labelled)[1].count.reasons() == "Dropped: 1 without labels of this source"
    assert undo_curation(labelled, "beside it").view == "removed"
    for before in reversed(states):
        undo_curation(labelled)
        assert state(labelled) == before
    with pytest.raises(DatasetError, match="no curation 'curated' to undo; there are none"):
        undo_curation(labelled)


def test_each_step_back_restores_exactly_what_was_there(labelled):
    curate(labelled, source="one", classes=["car"])
    before = state(labelled)
    curate(labelled, source="one", classes=["bus"])
    assert undo_curation(labelled) == UndoResult("curated", untagged=1, tagged=2, view="restored")
    assert state(labelled) == before


def test_undo_leaves_what_somebody_made_since(labelled):
    curate(labelled, source="one", classes=["bus"])
    labelled.limit(1).tag_samples("curated")
    labelled.save_view("curated", labelled.limit(3), overwrite=True)
    assert undo_curation(labelled) == UndoResult("curated", untagged=1, tagged=0, view="kept")
    assert numbers(labelled.match_tags("curated")) == [0]
    assert len(labelled.load_saved_view("curated")) == 3
    with pytest.raises(DatasetError, match="saved view 'curated' that curate did not make"):
        curate(labelled, source="one")


def test_a_run_that_was_killed_is_undone_or_never_was(labelled):
    with pytest.raises(KeyboardInterrupt), runs.recorded(labelled, "curate", {"source": "one", "view": "curated"}):
        raise KeyboardInterrupt  # before anything was remembered
    assert curations(labelled) == []
    curate(labelled, source="one", classes=["car"])
    (made,) = curations(labelled)
    config = labelled.get_run_info(made.run_key).config
    config.status, config.facts = runs.RUNNING, {}
    labelled.update_run_config(made.run_key, config)  # as a kill in the midst of tagging leaves it
    labelled.delete_saved_view("curated")
    assert undo_curation(labelled) == UndoResult("curated", untagged=2, tagged=0, view="removed")


class Killed(BaseException):
    """Ends everything, as a kill does: nothing is written from here on, by no ``finally`` either."""


_WRITES = ("insert_one", "insert_many", "update_one", "update_many", "replace_one", "delete_one", "delete_many",
           "bulk_write")  # fmt: skip


@contextmanager
def killed_before_write(number: int) -> Iterator[list[str]]:
    """Whoever writes to the database for that time, from 0 on, is killed; the list tells of the writes before."""
    done: list[str] = []
    with pytest.MonkeyPatch.context() as patch:
        for name in _WRITES:
            patch.setattr(Collection, name, _counted(name, getattr(Collection, name), number, done))
        yield done


def _counted(name, real, number, done):
    def write(collection, *args, **kwargs):
        if len(done) >= number:
            raise Killed
        done.append(f"{collection.name}.{name}")
        return real(collection, *args, **kwargs)

    return write


def test_a_kill_at_any_moment_leaves_curations_that_can_be_undone_and_made_again(labelled):
    """Killed while it replaces its own view: both steps back work, and so does the next curation."""
    untouched = state(labelled)
    with killed_before_write(999) as every:
        curate(labelled, source="one", classes=["car"])
        del every[:]
        curate(labelled, source="one", classes=["bus"])
    undo_curation(labelled)
    first = state(labelled)
    assert len(every) > 8
    for number in range(len(every)):
        with pytest.raises(Killed), killed_before_write(number):
            curate(labelled, source="one", classes=["bus"])
        labelled.reload()
        if number % 2:  # it goes on with another curation, which can be undone
            assert numbers(curate(labelled, source="one", classes=["car"])) == [0, 1], every[number]
            undo_curation(labelled)
        while len(curations(labelled)) and state(labelled) != first:
            undo_curation(labelled)
        assert state(labelled) == first, every[number]
    while curations(labelled):
        undo_curation(labelled)
    assert state(labelled) == untouched


@pytest.mark.parametrize(
    ("settings", "facts"),
    [(None, {}), ({}, {}), ([1], []), ({"view": "x", "source": "s", "no": 1}, {}), ({"view": "x", "source": "s"}, [1])],
)
def test_runs_that_curate_did_not_write_are_no_curations(labelled, settings, facts):
    """What an import or another version may hold, beside a curation of ours."""
    curate(labelled, source="one", save_as="good")
    config = labelled.init_run(method="diffucurate/curate", status="done", settings=settings, facts=facts)
    labelled.register_run("curate_odd", config)
    config = labelled.init_run(method="diffucurate/compare", status="done", settings=settings, facts=facts)
    labelled.register_run("compare_odd", config)
    config = labelled.init_run(method="diffucurate/compare", status="done", settings={"a": 1, "b": "../x"})
    labelled.register_run("compare_odder", config)
    assert [curation.name for curation in curations(labelled)] == ["good"]
    assert all(isinstance(a, str) for a, _ in compared(labelled))
    assert runs.read(labelled, "curate_odd").versions == {}
    assert undo_curation(labelled, "good").name == "good"


def test_undo_survives_deleted_samples_and_views(labelled):
    curate(labelled, source="one", classes=["car"])
    curate(labelled, source="one", classes=["bus"])
    labelled.delete_samples(labelled.limit(1))
    labelled.delete_saved_view("curated")
    assert undo_curation(labelled).view == "restored"
    assert numbers(labelled.load_saved_view("curated")) == numbers(labelled.match_tags("curated")) == [1]


def test_a_deleted_dataset_is_named(tmp_path, fill, scenes):
    made = label_scenes(fo.Dataset(), tmp_path, fill, scenes)
    view, name = made.limit(3), made.name
    made.delete()
    for samples in (view, made):
        with pytest.raises(DatasetError, match=f"dataset '{name}' was deleted meanwhile"):
            curate(samples, source="one")


@pytest.fixture
def empties(dataset):
    """Ten images: six with a sure car, one with an unsure one, one with a bus, two with nothing."""

    def found(label, confidence):
        box = [0, 0, 0.5, 0.5]
        return fo.Detections(detections=[fo.Detection(label=label, bounding_box=box, confidence=confidence)])

    rows = [found("car", 0.9)] * 6 + [found("car", 0.2), found("bus", 0.9)] + [fo.Detections()] * 2
    dataset.add_samples([fo.Sample(f"{index}.png", truth=row.copy()) for index, row in enumerate(rows)])
    return dataset


@pytest.mark.parametrize(
    ("rules", "kept", "removed"),
    [
        ({"min_confidence": 0.5}, {0, 1, 2, 3, 4, 5, 7}, {"confidence": 3}),
        # Hard negatives: nothing was found in them, not even an unsure car.
        ({"min_confidence": 0.5, "backgrounds": 0.3}, {0, 1, 2, 3, 4, 5, 7, 8, 9}, {"confidence": 1}),
        ({"classes": ["car"], "backgrounds": 0.3}, {*range(10)}, {}),
        (
            {"min_confidence": 0.5, "classes": ["car"], "backgrounds": 0.34},
            {0, 1, 2, 3, 4, 5, 7, 8, 9},
            {"confidence": 1},
        ),
        ({"backgrounds": 0}, {*range(8)}, {"backgrounds": 2}),
        ({}, {*range(10)}, {}),
    ],
)
def test_backgrounds_are_kept_up_to_their_share(empties, rules, kept, removed):
    view = curate(empties, source="truth", **rules)
    assert {int(path.split("/")[-1].split(".")[0]) for path in view.values("filepath")} == kept
    counted = count(empties, Rules(source="truth", **rules))
    assert counted.kept == len(kept) and counted.considered == 10
    assert counted.removed == removed


def test_only_so_many_backgrounds_as_the_share_allows(empties):
    assert len(curate(empties, source="truth", classes=["car"], backgrounds=0.2)) == 8  # 7 with cars, 1 of 3 without
    assert len(curate(empties, source="truth", classes=["car"], backgrounds=0.0)) == 7
