"""Rules that make sense, and how many samples each of them removes: the database and plain Python count alike."""

from __future__ import annotations

import math
import random

import fiftyone as fo
import pytest

from diffucurate.generator.errors import DatasetError, InvalidSetting
from diffucurate.plugin.curation.class_limit import over_limit
from diffucurate.plugin.curation.curate import curate
from diffucurate.plugin.curation.rules import BoundRules, Rules
from diffucurate.plugin.curation.selection import Count, count

CLASSES = ("car", "bus", "tree")


@pytest.fixture(scope="module")
def crowd() -> fo.Dataset:
    """120 samples of every kind: unlabelled, empty, without score or confidence; labels and a field of another tool."""
    chance, samples = random.Random(5), []
    for index in range(120):
        found = [
            fo.Detection(
                label=chance.choice(CLASSES),
                bounding_box=[0, 0, 0.5, 0.5],
                area=chance.randrange(33) / 32,
                confidence=chance.choice([None, *(step / 16 for step in range(17))]),
            )
            for _ in range(chance.randrange(4))
        ]
        samples.append(
            fo.Sample(
                f"{index}.png",
                ground_truth=fo.Detections(detections=found) if index % 10 else None,
                other_instances=fo.Detections(),
                agreement_ground_truth_other=chance.choice([None, *(step / 8 for step in range(9))]),
                uniqueness=chance.choice([None, math.nan, -1.0, 0.25, 0.5, 0.75]),
                views=chance.randrange(5),
            )
        )
    made = fo.Dataset()
    made.add_samples(samples)
    made.add_sample_field("ground_truth.detections.area", fo.FloatField)
    yield made
    made.delete()


def random_rules(chance: random.Random) -> dict[str, object]:
    """Each rule is there half of the time."""
    agreement = {"against": "other", "min_agreement": chance.choice([0.0, 0.25, 0.5])}
    scores = {"uniqueness": chance.choice([(0.25, None), (None, 0.5), (0.25, 0.5)]), "views": (1, None)}
    candidates = [
        agreement,
        {"min_confidence": chance.choice([0.0, 0.25, 0.5])},
        {"class_confidence": {name: chance.choice([0.0, 0.5, 0.75]) for name in chance.sample(CLASSES, 2)}},
        {"classes": chance.sample(CLASSES, 2)},
        {"min_area": 0.125},
        {"max_area": 0.75},
        {"scores": scores},
        {"max_per_class": chance.choice([1, 5, 20])},
    ]
    return {name: value for part in candidates if chance.random() < 0.5 for name, value in part.items()}


def broken(sample: fo.Sample, rules: Rules) -> str:
    """The first rule that a sample breaks, or nothing: the same as the database, one sample at a time."""
    if sample.ground_truth is None:
        return "unlabelled"
    agreement = sample.agreement_ground_truth_other
    if rules.against and (agreement is None or agreement < rules.min_agreement):
        return "agreement"
    for name, (low, high) in rules.scores.items():
        value = sample[name]
        if (
            value is None
            or math.isnan(value)
            or not (-9 if low is None else low) <= value <= (9 if high is None else high)
        ):
            return f"scores.{name}"
    found = sample.ground_truth.detections
    for name, passes in instance_tests(rules):
        found = [one for one in found if passes(one)]
        if not found:
            return name
    return ""


def instance_tests(rules: Rules) -> list:
    tests = []
    if rules.min_confidence is not None or rules.class_confidence:
        least = rules.min_confidence or 0
        tests.append(
            (
                "confidence",
                lambda one: one.confidence is None or one.confidence >= rules.class_confidence.get(one.label, least),
            )
        )
    if rules.classes is not None:
        tests.append(("classes", lambda one: one.label in rules.classes))
    if rules.min_area is not None or rules.max_area is not None:
        low, high = rules.min_area or 0, 1 if rules.max_area is None else rules.max_area
        tests.append(("area", lambda one: low <= one.area <= high))
    return tests


def best_of(samples: list[fo.Sample], rules: Rules) -> set[str]:
    """The ids that stay under the limit per class, the best first."""

    def shown(sample: fo.Sample) -> list[fo.Detection]:
        return [
            one for one in sample.ground_truth.detections if all(passes(one) for _, passes in instance_tests(rules))
        ]

    def rank(sample: fo.Sample) -> tuple:
        known = [one.confidence for one in shown(sample) if one.confidence is not None]
        sure = sum(known) / len(known) if known else float(bool(shown(sample)))
        agreement = sample.agreement_ground_truth_other if rules.against else None
        return (agreement is None, -(agreement or 0), -sure, sample.id)

    taken, numbers = set(), dict.fromkeys(CLASSES, 0)
    for sample in sorted(samples, key=rank):
        classes = {one.label for one in shown(sample)}
        if all(numbers[name] < rules.max_per_class for name in classes):
            taken.add(sample.id)
            for name in classes:
                numbers[name] += 1
    return taken


@pytest.mark.parametrize("seed", range(25))
def test_database_and_plain_python_agree_on_random_rules(crowd: fo.Dataset, seed: int) -> None:
    chosen = random_rules(random.Random(seed))
    rules = Rules(source="ground_truth", **chosen)
    verdicts = {sample.id: broken(sample, rules) for sample in crowd}
    kept = {sample_id for sample_id, verdict in verdicts.items() if not verdict}
    removed = {name: list(verdicts.values()).count(name) for name in set(verdicts.values()) - {""}}
    if rules.max_per_class is not None:
        passing, few = kept, best_of([sample for sample in crowd if sample.id in kept], rules)
        kept, removed = few, removed | ({"images per class": len(passing - few)} if passing - few else {})
    counted = count(crowd, rules)
    assert (counted.considered, counted.kept, dict(counted.removed)) == (120, len(kept), removed)
    if seed % 5 == 0:  # curating writes, which takes longer than all the rest
        assert set(curate(crowd, source="ground_truth", **chosen).values("id")) == kept


def test_count_in_words() -> None:
    removed = {"confidence": 30, "scores.uniqueness": 2, "unlabelled": 1200}
    counted = Count(1432, 200, removed)
    assert counted.headline() == "200 of 1,432 images kept"
    words = "Dropped: 30 by confidence, 2 by uniqueness, 1,200 without labels of this source"
    assert counted.reasons() == words
    assert Count(1, 1, {}, ("near-duplicates",)).headline() == "At most 1 of 1 image kept"
    assert Count(1, 1).reasons() == ""


def test_what_reads_images_is_not_counted(crowd: fo.Dataset) -> None:
    plain = count(crowd, Rules(source="ground_truth", min_confidence=0.5))
    waiting = count(crowd, Rules(source="ground_truth", min_confidence=0.5, near_duplicates=True, max_per_class=1))
    assert (waiting.kept, waiting.pending) == (plain.kept, ("near-duplicates", "images per class"))


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        ({"min_confidence": math.nan}, "min_confidence: nan - it must be from 0 to 1"),
        ({"min_area": "much"}, "min_area: 'much' - write a number"),
        ({"max_area": -0.1}, "max_area: -0.1"),
        ({"against": "one", "min_agreement": 0.5}, "against: 'one' - name a source other than"),
        ({"scores": {"uniqueness": (0.5, 0.2)}}, r"scores\.uniqueness: \(0.5, 0.2\) - the least value must not exceed"),
        ({"scores": {"uniqueness": (math.inf, None)}}, r"scores\.uniqueness\[0\]: inf - write a finite number"),
        ({"scores": {"uniqueness": (None, None)}}, r"scores\.uniqueness: \(None, None\) - give a least"),
        ({"scores": {"uniqueness": 0.5}}, r"scores\.uniqueness: 0.5 - give a least"),
        ({"max_per_class": 0}, "max_per_class: 0 - it must be at least 1"),
        ({"max_per_class": 2.5}, "max_per_class: 2.5"),
        ({"near_duplicates": 0.0}, "near_duplicates: 0.0 - give a distance above 0"),
        ({"near_duplicates": math.nan}, "near_duplicates: nan"),
        ({"embeddings": "clip"}, "near_duplicates: False - say how near counts"),
    ],
)
def test_absurd_rules_are_named(rules: dict, message: str) -> None:
    with pytest.raises(InvalidSetting, match=message):
        Rules(source="one", **rules)


def test_what_the_dataset_lacks_is_named(crowd: fo.Dataset) -> None:
    with pytest.raises(
        InvalidSetting, match=r"scores\.beauty: .* no such field of numbers; there are .*uniqueness, views"
    ):
        BoundRules(crowd, Rules(source="ground_truth", scores={"beauty": (0, 1)}))
    with pytest.raises(DatasetError, match=r"the view of dataset .* has no samples"):
        count(crowd.limit(0), Rules(source="ground_truth"))


@pytest.mark.parametrize(
    ("images", "limit", "dropped"),
    [
        ([("a", ["car"]), ("b", ["car"]), ("c", ["car"])], 2, {"c"}),
        ([("a", ["car", "car"]), ("b", ["car"])], 2, set()),  # images are counted, not instances
        ([("a", ["car", "bus"]), ("b", ["bus"]), ("c", ["tree"])], 1, {"b"}),
        ([("a", ["car"]), ("b", ["car", "bus"]), ("c", ["bus"])], 1, {"b"}),  # what b would have used c may
        ([("a", []), ("b", []), ("c", ["car"])], 1, set()),
    ],
)
def test_no_class_has_more_images_than_the_limit(images: list, limit: int, dropped: set[str]) -> None:
    assert over_limit(images, limit) == dropped
