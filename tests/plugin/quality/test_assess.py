"""What is measured of samples: the values, how they are stored, and what becomes of them."""

from __future__ import annotations

import numpy as np
import pytest

from diffucurate.generator.errors import DatasetError, InvalidSetting
from diffucurate.generator.labels.model import Instance, Labels
from diffucurate.generator.tiny.scenes import Scene
from diffucurate.plugin.curation.curate import curate
from diffucurate.plugin.labelling.label import label
from diffucurate.plugin.quality.assess import assess

SHAPE = (32, 64)
CLASSES = ("car", "bus")


def bars(*spans, confidence=0.8):
    """Labels of bars: (class, first column, one past the last)."""
    instances = []
    for name, left, right in spans:
        mask = np.zeros(SHAPE, np.bool_)
        mask[:, left:right] = True
        instances.append(Instance(name, mask, confidence))
    return Labels.from_instances(instances, CLASSES, SHAPE)


def scene(level, prompt=""):
    pixels = np.zeros((*SHAPE, 3), np.uint8)
    pixels[:, : SHAPE[1] // 2] = level
    return Scene(pixels, (), prompt, {}, 0)


@pytest.fixture
def labelled(dataset, add_scenes):
    scenes = [scene(255, "a car and a bus"), scene(102, "two cars"), scene(0, "cars and trees")]
    one = [bars(("car", 0, 16), ("bus", 32, 48)), bars(("car", 0, 16), ("car", 8, 24)), None]
    two = [bars(("car", 0, 16)), bars(("bus", 0, 16)), bars(("car", 4, 8))]
    add_scenes(scenes, one=one, two=two)
    return dataset


def test_images_and_masks_are_measured_where_nothing_else_is_asked_for(labelled):
    result = assess(labelled, source="one")
    labelled.reload()
    assert labelled.values("brightness") == pytest.approx([0.5, 0.2, 0])
    assert labelled.values("contrast") == pytest.approx([0.5, 0.2, 0])
    assert labelled.values("sharpness")[2] == 0 < labelled.values("sharpness")[0]
    assert labelled.values("one_coverage") == [0.5, 0.375, None]
    assert labelled.values("one_objects") == [2, 2, None]
    assert labelled.values("one_parts") == [1, 1, None]
    assert labelled.values("one_instances.detections.parts") == [[1, 1], [1, 1], None]
    least = [min(row) for row in labelled.values("one_instances.detections.compactness")[:2]]
    assert labelled.values("one_compactness") == [*least, None]
    assert result.means["brightness"] == pytest.approx(0.7 / 3)
    assert set(result.fields) == set(result.means)
    (run,) = labelled.list_runs(method="diffucurate/assess")
    assert labelled.get_run_info(run).config.facts["means"]["one_objects"] == 2


def test_each_number_has_a_slider_and_says_what_it_is(labelled):
    assess(labelled, source="one")
    labelled.reload()
    assert "one_coverage" in labelled.list_indexes()
    assert labelled.get_field("one_coverage").description == "Share of the image that objects of one cover"
    groups = {group.name: group.paths for group in labelled.app_config.sidebar_groups}
    assert {"brightness", "one_parts"} <= set(groups["Quality"])


def test_numbers_are_rules_of_curation(labelled):
    assess(labelled, source="one")
    kept = curate(labelled, source="one", scores={"brightness": (0.3, None)})
    assert kept.values("prompt") == ["a car and a bus"]


def test_without_a_source_images_alone_are_measured(labelled):
    assert list(assess(labelled[:1]).fields) == ["brightness", "contrast", "sharpness"]
    assert labelled.values("brightness")[1] is None  # not in the view


def test_a_prompt_asks_for_classes_and_for_how_many(labelled):
    assess(labelled, source="two", checks=["prompt"])
    # A car of a car and a bus; no car of two; some cars, whose number was not said.
    assert labelled.values("two_obedience") == [0.5, 0.0, 0.5]
    assess(labelled, source="one", checks=["prompt"])
    assert labelled.values("one_obedience") == [1.0, 1.0, None]


def test_classes_that_the_source_was_not_asked_for_are_not_missed(labelled):
    class Detector:
        name = "two"

        def label(self, images):
            return [bars(("car", 0, 4)) for _ in images]

    label(labelled, source=Detector(), classes=["car"])
    assess(labelled, source="two", checks=["prompt"])
    assert labelled.values("two_obedience") == [1.0, 0.5, 1.0]


def test_labels_of_the_mirrored_image_are_turned_back(labelled):
    class Detector:
        """Finds a car where the image is bright, and a bus on the left of any that is not black."""

        name = "one"

        def label(self, images):
            bright = [np.flatnonzero(image[0, :, 0] > 50) for image in images]
            return [bars(("car", part[0], part[-1] + 1), ("bus", 0, 8)) if part.size else bars() for part in bright]

    label(labelled, source=Detector())
    assess(labelled, source=Detector(), checks=["flip"])
    # The car moves with the image, the bus does not; where nothing is found, nothing changes.
    assert labelled.values("one_flip_iou") == [0.5, 0.5, 1.0]


def test_the_model_that_painted_looks_at_the_mirrored_images(generated):
    assess(generated, source="attention", checks=["flip"])
    assert all(0 <= value <= 1 for value in generated.values("attention_flip_iou"))
    sample = generated.last()
    sample.job_id = None  # as one that was not painted
    sample.save()
    with pytest.raises(InvalidSetting, match="no single model painted these images"):
        assess(generated, source="attention", checks=["flip"])


def test_a_database_without_room_for_more_indexes_is_no_obstacle(labelled, monkeypatch):
    monkeypatch.setattr("diffucurate.plugin.store.indexes.MOST", 0)
    assess(labelled, checks=["image"])
    assert "brightness" not in labelled.list_indexes() and labelled.values("brightness")[0] == pytest.approx(0.5)


def test_new_labels_clear_what_was_measured_of_the_old(labelled):
    class Detector:
        name = "one"

        def label(self, images):
            return [bars() for _ in images]

    assess(labelled, source="one")
    label(labelled[:1], source=Detector())
    labelled.reload()
    assert labelled.values("one_coverage") == [None, 0.375, None]
    assert labelled.values("brightness")[0] == pytest.approx(0.5)


def test_a_second_source_says_what_is_mistaken(labelled):
    for _ in range(2):  # the second time replaces the first
        assess(labelled, source="one", checks=["mistakenness"], against="two")
        labelled.reload()
        # An equal box with the same class: (1 - 0.8) / 2; with another class: (1 + 0.8) / 2.
        assert labelled.values("mistakenness_one_two") == pytest.approx([0.1, 0.9, None], nan_ok=True)
        assert labelled.values("spurious_one_two") == [1, 1, None]
        assert labelled.values("missing_one_two")[:2] == [0, 0]
        (car, _), (other, _) = labelled.values("one_instances.detections.mistakenness_one_two")[:2]
        assert (car, other) == (pytest.approx(0.1), pytest.approx(0.9))
    assert "mistakenness_one_two" in labelled.list_indexes()


def test_labels_are_ranked_by_what_others_predict(labelled):
    assess(labelled, source="one", checks=["noise"], against="two")
    labelled.reload()
    # Of the first image the car is alike and the bus has no match; of the second no class has one.
    assert labelled.values("noise_iou_one_two") == [0.5, 0, None]
    # Cars have IoUs of 1 and 0, buses of 0 and 0: each is no better than both.
    assert labelled.values("noise_rank_one_two") == [1, 0.5, None]
    assert curate(labelled, source="one", scores={"noise_rank_one_two": (0.7, None)}).values("id") == [
        labelled.first().id
    ]


def test_images_that_cannot_be_read_have_no_values(labelled, tmp_path):
    sample = labelled.first()
    sample.filepath = str(tmp_path / "gone.png")
    sample.save()
    result = assess(labelled, source="one", checks=["image"])
    assert result.unreadable == (sample.filepath,)
    assert labelled.values("brightness")[0] is None


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"checks": "image"}, InvalidSetting, "checks: 'image' - name some of image, masks"),
        ({"checks": []}, InvalidSetting, "name some of"),
        ({"checks": ["beauty"]}, InvalidSetting, "there is no such check"),
        ({"checks": ["masks"]}, InvalidSetting, "source: None - the check 'masks' needs it"),
        ({"source": "one", "checks": ["mistakenness"]}, InvalidSetting, "against: None"),
        ({"source": "one", "against": "one", "checks": ["mistakenness"]}, InvalidSetting, "other than the one"),
        ({"checks": ["clip"]}, InvalidSetting, "clip_model: None"),
        ({"source": "three"}, DatasetError, "has no field 'three_instances'"),
        ({"source": "one", "checks": ["flip"]}, InvalidSetting, "labels of 'one' came from elsewhere"),
    ],
)
def test_mistakes_are_one_sentence_and_change_nothing(labelled, options, error, message):
    before = set(labelled.get_field_schema())
    with pytest.raises(error, match=message):
        assess(labelled, **options)
    labelled.reload()
    assert set(labelled.get_field_schema()) == before


def test_label_quality_is_a_number_of_each_image_and_a_rule(labelled):
    pytest.importorskip("cleanlab")
    labelled.set_values("one_instances.detections.label", [["CAR", "Bus"], ["car", "car"], None])
    result = assess(labelled, source="one", checks=["label_quality"], against="two")
    names = [f"label_quality_one{kind}" for kind in ("", "_overlooked", "_badloc", "_swap", "_pixels")]
    assert list(result.fields) == names
    labelled.reload()
    values = {name: labelled.values(name) for name in names}
    assert all(column[2] is None and all(0 <= value <= 1 for value in column[:2]) for column in values.values())
    # In the first image the bus is not seen, in the second both cars are a bus by the second source.
    assert values["label_quality_one_pixels"][0] < 0.5
    assert len(curate(labelled, source="one", scores={"label_quality_one_pixels": (0.99, None)})) == 0
    label(labelled, source=_Labeller(), classes=["car"])  # new labels of either source make it void
    assert labelled.values("label_quality_one") == [None] * 3


class _Labeller:
    name = "two"

    def label(self, images):
        return [bars(("car", 0, 16)) for _ in images]
