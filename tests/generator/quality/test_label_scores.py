"""cleanlab's scores against their published formulas, worked out here."""

from __future__ import annotations

import math

import numpy as np
import pytest

pytest.importorskip("cleanlab")

from diffucurate.generator.errors import ModelError
from diffucurate.generator.labels.model import Instance, Labels
from diffucurate.generator.quality import label_scores
from diffucurate.generator.quality.label_scores import OBJECT_KINDS, score_objects, score_pixels

LEFT, RIGHT, FAR = (0.0, 0.0, 10.0, 10.0), (20.0, 0.0, 30.0, 10.0), (60.0, 60.0, 70.0, 70.0)


def softmin(scores: list[float]) -> float:
    weights = [math.exp((1 - score) / 0.1) for score in scores]
    return sum(score * weight for score, weight in zip(scores, weights, strict=True)) / sum(weights)


def test_each_kind_of_fault_lowers_its_score():
    truth = [(LEFT, "car", 1.0), (RIGHT, "bus", 1.0)]
    images = {
        "right": [(LEFT, "car", 0.99), (RIGHT, "bus", 0.99)],
        "overlooked": [(LEFT, "car", 0.99), (RIGHT, "bus", 0.99), (FAR, "car", 0.99)],
        "badloc": [(LEFT, "car", 0.99), ((24.0, 0.0, 34.0, 10.0), "bus", 0.99)],
        "swap": [(LEFT, "car", 0.99), (RIGHT, "car", 0.99)],
    }
    scores = score_objects([truth] * 4, list(images.values()))
    assert set(scores) == set(OBJECT_KINDS)
    by_image = {name: {kind: scores[kind][index] for kind in scores} for index, name in enumerate(images)}
    for kind in ("overlooked", "badloc", "swap"):
        assert by_image[kind][kind] < 0.75 < by_image["right"][kind], kind
        assert by_image[kind]["quality"] < by_image["right"]["quality"]
    # Similarity is 0.9 IoU + 0.1 (1 - distance), with the IoU of 6/14 and four pixels off; pooled by softmin.
    bad = by_image["badloc"]["badloc"]
    assert softmin([1.0, 0.9 * 6 / 14]) < bad < softmin([1.0, 0.9 * 6 / 14 + 0.1])


def test_nothing_is_wrong_where_nothing_is():
    scores = score_objects([[], []], [[], []])
    assert all(scores[kind].tolist() == [1, 1] for kind in OBJECT_KINDS)
    mixed = score_objects([[(LEFT, "car", 1.0)], []], [[(LEFT, "car", 0.9)], []])
    assert mixed["quality"][1] == 1 and all(len(values) == 2 for values in mixed.values())
    assert score_objects([], [])["swap"].size == 0


def test_pixels_are_pooled_by_softmin():
    masks = [np.zeros((2, 4), np.bool_) for _ in range(2)]
    masks[0][:, :2], masks[1][:, :1] = True, True
    labels = Labels.from_instances([Instance("car", masks[0], 1.0)], ("car",), (2, 4))
    prediction = Instance("car", masks[1], 0.8)
    # Two pixels of the car are seen with 0.8, two not at all, four are background.
    assert score_pixels(labels, [prediction]) == pytest.approx(softmin([0.8] * 2 + [0.0] * 2 + [1.0] * 4))
    assert score_pixels(labels, [Instance("car", masks[0], 1.0)]) == pytest.approx(1)
    unknown = Instance("bus", masks[1], 0.9)  # of no class that is labelled
    assert score_pixels(labels, [unknown]) == score_pixels(labels, [])
    opened = Labels(np.where(labels.semantic == 1, np.uint8(255), labels.semantic), (), ("car",))
    assert score_pixels(opened, []) == pytest.approx(1)


def test_without_cleanlab_one_sentence(monkeypatch):
    monkeypatch.setattr(label_scores, "CLEANLAB", label_scores.CLEANLAB._replace(module="not_installed"))
    with pytest.raises(ModelError, match=r"Label quality needs cleanlab .*pip install 'diffucurate\[cleanlab\]'"):
        score_objects([[]], [[]])
