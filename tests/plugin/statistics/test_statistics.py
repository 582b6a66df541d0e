"""Every number of the panel is what a plain loop over the samples gives, for whole datasets, views and filters."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from diffucurate.generator.labels.model import Instance, Labels
from diffucurate.generator.tiny.scenes import Scene

if TYPE_CHECKING:
    import fiftyone as fo

A, B = "one", "two"
SHAPE = (32, 32)
#: Sources' bars, (class, first column, one past the last, confidence), per sample; None was not labelled.
BARS: list[tuple[Any, Any]] = [
    ([("car", 0, 8, 0.9), ("bus", 16, 24, 0.35)], [("car", 0, 8, 1.0), ("bus", 16, 22, 0.2)]),
    ([("car", 0, 8, 0.05)], [("bus", 0, 8, 0.55)]),
    ([], []),
    ([("car", 0, 8, 0.6), ("car", 16, 24, 0.61)], [("car", 2, 8, 0.0)]),
    ([("tree", 4, 9, 0.3)], [("car", 5, 13, 0.7)]),
    ([("car", 0, 4, 0.5)], None),
    (None, None),
]
VALUES = [("red", "noon"), ("red", "night"), ("blue", "noon"), ("red", "noon"), ("blue", "night"), None, None]


@pytest.fixture(scope="module")
def bars(fill: Callable[..., None], tmp_path_factory: pytest.TempPathFactory) -> Iterator[fo.Dataset]:
    """Seven samples: two sources, compared, with attributes, and two samples that lack labels."""
    import fiftyone as fo

    from diffucurate.plugin.comparison.compare import compare
    from diffucurate.plugin.store.schema import declare_job_fields

    dataset = fo.Dataset()
    declare_job_fields(dataset, ["colour", "time"], [])
    blank = Scene(np.zeros((*SHAPE, 3), np.uint8), (), "", {}, 0)
    sources = {A: [_labels(one) for one, _ in BARS], B: [_labels(two) for _, two in BARS]}
    fill(dataset, tmp_path_factory.mktemp("bars"), [blank] * len(BARS), **sources)
    for sample, values in zip(dataset, VALUES, strict=True):
        if values is not None:
            sample["attributes"] = fo.DynamicEmbeddedDocument(colour=values[0], time=values[1])
            sample.save()
    compare(dataset, A, B)
    yield dataset
    dataset.delete()


def _labels(spans: list[tuple[str, int, int, float]] | None) -> Labels | None:
    if spans is None:
        return None
    instances = []
    for label, left, right, confidence in spans:
        mask = np.zeros(SHAPE, np.bool_)
        mask[:, left:right] = True
        instances.append(Instance(label, mask, confidence))
    return Labels.from_instances(instances, ("car", "bus", "tree"), SHAPE)


def _views(dataset: fo.Dataset) -> dict[str, Any]:
    from fiftyone import ViewField as F

    return {
        "dataset": dataset,
        "two samples": dataset.limit(2),
        "no samples": dataset.limit(0),
        "without labels": dataset.match(F("two_instances") == None),  # noqa: E711  (a database expression)
        "sure ones only": dataset.filter_labels("one_instances", F("confidence") > 0.4),
        "sorted, some": dataset.sort_by("agreement_one_two", reverse=True).skip(1).limit(4),
    }


VIEWS = ["dataset", "two samples", "no samples", "without labels", "sure ones only", "sorted, some"]


@pytest.fixture(params=VIEWS)
def view(request: pytest.FixtureRequest, bars: fo.Dataset) -> Any:
    return _views(bars)[request.param]


def _instances(view: Any, source: str) -> list[Any]:
    found = [sample[f"{source}_instances"] for sample in view]
    return [one for detections in found if detections is not None for one in detections.detections]


def _bar(value: float) -> int:
    return min(int(value * 20), 19)


def test_counts_and_confidences(view: Any) -> None:
    from diffucurate.plugin.statistics.counts import count_instances

    for source in (A, B):
        result, loop = count_instances(view, source), _instances(view, source)
        assert result.source == source
        assert result.classes == Counter(one.label for one in loop)
        assert result.instances == len(loop)
        bars = Counter(_bar(one.confidence) for one in loop)
        assert result.confidence.counts == tuple(bars[index] for index in range(20))


def test_classes_by_frequency_and_sources_with_confidence() -> None:
    from diffucurate.plugin.statistics.counts import InstanceCounts, classes_by_frequency, sources_with_confidence
    from diffucurate.plugin.statistics.histogram import Histogram

    counts = [
        InstanceCounts("one", {"car": 2, "bus": 1}, Histogram.of({None: 3})),
        InstanceCounts("two", {"bus": 3, "animal": 2}, Histogram.of({4: 5})),
    ]
    assert classes_by_frequency(counts) == ["bus", "animal", "car"]  # equally frequent ones by name
    assert classes_by_frequency([]) == []
    assert sources_with_confidence(counts) == counts[1:]


def test_matches(view: Any) -> None:
    from diffucurate.plugin.statistics.counts import count_matches

    result = count_matches(view, A, B)
    ones, twos = _instances(view, A), _instances(view, B)
    for row in (*result.classes, result.overall):
        here = [one for one in ones if row.label in (one.label, "All classes")]
        there = [two for two in twos if row.label in (two.label, "All classes")]
        assert row.matched == _matches(here).count("tp")
        assert row.only_a == _matches(here).count("fp")
        assert row.only_b == _matches(there).count("fn")
        ious = [one.compare_one_two_iou for one in here if _matches([one]) == ["tp"]]
        assert row.mean_iou == (pytest.approx(np.mean(ious)) if ious else None)
    assert result.not_compared == _matches([*ones, *twos]).count(None)


def _matches(instances: list[Any]) -> list[str | None]:
    return [getattr(one, "compare_one_two", None) for one in instances]


def test_whole_dataset_matches_are_the_comparisons_own(bars: fo.Dataset) -> None:
    from diffucurate.plugin.statistics.counts import count_matches
    from diffucurate.plugin.store.matches import ComparisonRow

    result = count_matches(bars, A, B)
    assert {row.label: (row.matched, row.only_a, row.only_b) for row in result.classes} == {
        "car": (2, 2, 1),
        "bus": (1, 0, 1),
        "tree": (0, 1, 0),
    }
    assert result.overall == ComparisonRow("All classes", 3, 3, 2, pytest.approx((1 + 0.75 + 0.75) / 3))
    assert result.not_compared == 1  # on the sample that only one source labelled


def test_agreement(view: Any) -> None:
    from diffucurate.plugin.statistics.agreement import agreement_scores

    result = agreement_scores(view, A, B)
    scores = [sample.agreement_one_two for sample in view]
    known = [score for score in scores if score is not None]
    bars = Counter(_bar(score) for score in known)
    assert result.histogram.counts == tuple(bars[index] for index in range(20))
    assert result.histogram.without == len(scores) - len(known)
    assert result.mean == (pytest.approx(np.mean(known)) if known else None)


def test_scatter(view: Any) -> None:
    from diffucurate.plugin.statistics.agreement import scatter

    points = scatter(view, A, B, A)
    loop = {}
    for sample in view:
        found = sample.one_instances.detections if sample.one_instances else []
        if found and sample.agreement_one_two is not None:
            loop[sample.id] = (np.mean([one.confidence for one in found]), sample.agreement_one_two)
    assert points.total == len(points.ids) == len(loop)
    for each, confidence, score in zip(points.ids, points.confidences, points.agreements, strict=True):
        assert (confidence, score) == pytest.approx(loop[each])


def test_scatter_of_many_shows_every_nth(bars: fo.Dataset) -> None:
    from diffucurate.plugin.statistics.agreement import scatter

    everything = scatter(bars, A, B, A)
    some = scatter(bars, A, B, A, most=2)
    assert (some.total, len(everything.ids)) == (4, 4)
    assert some.ids == everything.ids[::2]


def test_disagreements_come_worst_first_in_pages(view: Any) -> None:
    from diffucurate.plugin.statistics.agreement import disagreements

    compared = [sample for sample in view if sample.agreement_one_two is not None]
    loop = sorted(compared, key=lambda sample: (sample.agreement_one_two, sample.id))
    pages = [*disagreements(view, A, B, limit=3), *disagreements(view, A, B, skip=3, limit=3)]
    assert [each.id for each in pages] == [sample.id for sample in loop]
    for each, sample in zip(pages, loop, strict=True):
        ones, twos = sample.one_instances.detections, sample.two_instances.detections
        assert each.agreement == sample.agreement_one_two
        assert each.matched == _matches(ones).count("tp")
        assert each.only_a == tuple(one.label for one in ones if one.compare_one_two == "fp")
        assert each.only_b == tuple(two.label for two in twos if two.compare_one_two == "fn")


def test_coverage(view: Any) -> None:
    from diffucurate.generator.recipe.recipe import Recipe
    from diffucurate.plugin.statistics.coverage import cross_table, images_per_value

    pairs = Counter((s.attributes.colour, s.attributes.time) for s in view if s.attributes is not None)
    values = images_per_value(view, ["colour", "time"])
    for index, name in enumerate(("colour", "time")):
        loop: Counter[str] = Counter()
        for pair, count in pairs.items():
            loop[pair[index]] += count
        assert values[name] == loop
    recipe = Recipe.parse(
        "{dataset: d, classes: {car: [car]}, templates: ['a {colour} car at {time}'],"
        " attributes: {colour: [green, red], time: [noon, night]}}"
    )
    table = cross_table(view, "colour", "time", [recipe])
    assert table.xs[:2] == ("green", "red") and table.ys == ("noon", "night")  # the recipe's first, in its order
    for row, time in zip(table.counts, table.ys, strict=True):
        assert row == tuple(pairs[colour, time] for colour in table.xs)
    asked = [("green", "noon"), ("green", "night"), ("red", "noon"), ("red", "night")]
    assert table.missing == tuple(pair for pair in asked if not pairs[pair])


def test_recipes_are_found_once_and_what_they_can_combine(bars: fo.Dataset) -> None:
    from diffucurate.plugin.statistics.coverage import attributes_in, combinations_of, recipes_in
    from diffucurate.plugin.store import runs

    first = {
        "dataset": "d",
        "classes": {"car": ["car"]},
        "templates": ["a {colour} car at {time=dawn}", "a car"],
        "attributes": {"colour": ["red", "blue"]},
    }
    for recipe in (first, first, {**first, "seeds": "many"}):  # the last one breaks a rule
        with runs.recorded(bars, "generate", {"recipe": recipe}):
            pass
    (found,) = recipes_in(bars)
    assert combinations_of(found, "colour", "time") == [("red", "dawn"), ("blue", "dawn")]
    assert attributes_in(bars) == ["colour", "time"]


def test_bars_and_what_is_behind_them_agree(bars: fo.Dataset) -> None:
    from diffucurate.plugin.statistics import drilldown
    from diffucurate.plugin.statistics.agreement import agreement_scores
    from diffucurate.plugin.statistics.counts import count_instances
    from diffucurate.plugin.statistics.histogram import BINS

    confidences = count_instances(bars, B).confidence.counts
    scores = agreement_scores(bars, A, B).histogram.counts
    for index in range(BINS):
        view = drilldown.with_confidence(bars, B, index)
        assert [_bar(one.confidence) for one in _instances(view, B)] == [index] * confidences[index]
        assert len(drilldown.with_agreement(bars, A, B, index)) == scores[index]
        assert len(view) > 0 or confidences[index] == 0
    with pytest.raises(ValueError, match="none of 0 to 19"):
        drilldown.with_agreement(bars, A, B, 20)


@pytest.mark.parametrize(
    ("pick", "places"),
    [
        (lambda p, d: p.with_class(d, [A], "car"), [0, 1, 3, 5]),
        (lambda p, d: p.with_class(d, [A, B], "bus"), [0, 1]),
        (lambda p, d: p.with_class(d, [B], None), [0, 1, 3, 4]),
        (lambda p, d: p.with_match(d, A, B, "car", "matched"), [0, 3]),
        (lambda p, d: p.with_match(d, A, B, "car", "only_a"), [1, 3]),
        (lambda p, d: p.with_match(d, A, B, "car", "only_b"), [4]),
        (lambda p, d: p.with_match(d, A, B, "bus", None), [0, 1]),
        (lambda p, d: p.with_match(d, A, B, None, "only_a"), [1, 3, 4]),
        (lambda p, d: p.with_attributes(d, {"colour": "red", "time": "noon"}), [0, 3]),
        (lambda p, d: p.least_agreeing(d, A, B).limit(2), [1, 4]),
    ],
)
def test_views_behind_numbers(bars: fo.Dataset, pick: Callable[..., Any], places: list[int]) -> None:
    from diffucurate.plugin.statistics import drilldown

    ids = bars.values("id")
    assert sorted(pick(drilldown, bars).values("id")) == sorted(ids[place] for place in places)


def test_views_hold_exactly_the_objects_that_were_counted(bars: fo.Dataset) -> None:
    from diffucurate.plugin.statistics import drilldown
    from diffucurate.plugin.statistics.counts import MATCH_KINDS, count_instances, count_matches

    for source in (A, B):
        for label, count in count_instances(bars, source).classes.items():
            shown = _instances(drilldown.with_class(bars, [source], label), source)
            assert [one.label for one in shown] == [label] * count
    matches = count_matches(bars, A, B)
    for row in (*matches.classes, matches.overall):
        label = None if row is matches.overall else row.label
        for kind in MATCH_KINDS:
            view, count = drilldown.with_match(bars, A, B, label, kind), getattr(row, kind)
            counts = [len(_instances(view, source)) for source in (A, B)]
            assert counts == {"matched": [count, count], "only_a": [count, 0], "only_b": [0, count]}[kind]


def test_side_by_side_marks_what_only_one_found(bars: fo.Dataset) -> None:
    from diffucurate.plugin.statistics.side_by_side import GAP, HEIGHT, side_by_side

    ids = bars.values("id")
    colours = {A: "#FF0000", B: "#0000FF"}
    images = side_by_side(bars, [ids[1], ids[2]], A, B, colours)
    assert list(images) == [ids[1], ids[2]]
    pixels = _pixels(images[ids[1]])
    assert pixels.shape == (HEIGHT, 2 * HEIGHT + GAP, 4)
    left, right = pixels[:, :HEIGHT, :3].max((0, 1)), pixels[:, -HEIGHT:, :3].max((0, 1))
    assert left.tolist() == [255, 0, 0] and right.tolist() == [0, 0, 255]
    inside = pixels[HEIGHT // 2, HEIGHT // 8, :3]  # amid the car that only one found
    assert 100 < inside[0] < 200
    assert not _pixels(images[ids[2]])[..., :3].any()  # both found nothing on a black image


def test_side_by_side_leaves_out_images_without_a_file(bars: fo.Dataset, tmp_path: Path) -> None:
    from diffucurate.plugin.statistics.side_by_side import side_by_side

    sample = bars.first()
    path, sample.filepath = sample.filepath, str(tmp_path / "gone.png")
    sample.save()
    assert side_by_side(bars, [sample.id], A, B, {A: "#FF0000", B: "#0000FF"}) == {}
    sample.filepath = path
    sample.save()


def _pixels(uri: str) -> np.ndarray:
    import base64
    import io

    from PIL import Image

    return np.asarray(Image.open(io.BytesIO(base64.b64decode(uri.split(",")[1]))))


def test_a_snapshot_lasts_until_something_changes(bars: fo.Dataset) -> None:
    from diffucurate.plugin.statistics.snapshot import take_snapshot

    first = take_snapshot(bars.view())
    assert take_snapshot(bars.view()) is first
    assert first.counts is first.counts
    assert take_snapshot(bars.limit(2)) is not first
    sample = bars.first()
    sample["prompt"] = "another"
    sample.save()
    second = take_snapshot(bars.view())
    assert second is not first
    with_run = bars.init_run()
    bars.register_run("anything", with_run)
    assert take_snapshot(bars.view()) is not second
    bars.delete_run("anything")


def test_many_ask_at_once_and_the_database_once(bars: fo.Dataset) -> None:
    from concurrent.futures import ThreadPoolExecutor

    from diffucurate.plugin.statistics.snapshot import take_snapshot

    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: take_snapshot(bars.skip(1)).counts, range(8)))
    assert all(answer is answers[0] for answer in answers)


def test_colours_follow_the_app(bars: fo.Dataset) -> None:
    from diffucurate.plugin.appearance.source_colours import source_colours

    colours = source_colours(bars, ["attention", "yolov8", "ground_truth"])
    assert len(set(colours.values())) == 3
    bars.info["diffucurate"] = {**bars.info.get("diffucurate", {}), "colour_families": {"ground_truth": "green"}}
    assert source_colours(bars, ["ground_truth"]) == {"ground_truth": "#28BD47"}
