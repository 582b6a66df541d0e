"""Calibrated maps: heat and chance, and labels cut where it was learned."""

from __future__ import annotations

import numpy as np
import pytest

from diffucurate.generator.labels.from_heatmaps import labels_from_heatmaps
from diffucurate.generator.labels.maps.calibrated_maps import EVEN, chances, heat_of
from diffucurate.generator.labels.settings import LabelSettings

Y, X = np.mgrid[:64, :64] + 0.5
DISTANCE = np.hypot(X - 32, Y - 32)
#: The chance is one half at a distance of 20; the peak in the middle is far above that.
CONE = heat_of((20 - DISTANCE) / 4)
LEARNED = LabelSettings(cut="learned")
GREY = np.full((64, 64, 3), 128, np.uint8)


def test_the_chance_is_that_of_the_logit() -> None:
    logits = np.array([-8.0, -1.0, 0.0, 1.0, 4.0])
    found = chances(np.sqrt(heat_of(logits)))
    np.testing.assert_allclose(found**2, 1 / (1 + np.exp(-logits)), rtol=1e-4)
    assert found[2] == pytest.approx(EVEN) and heat_of(np.array([-1e6]))[0] == 0
    assert (chances(np.sqrt(heat_of(logits)), 0.1) < found).all()


@pytest.mark.parametrize("image", [None, GREY])
def test_cut_where_it_was_learned_whatever_the_peak(image: np.ndarray | None) -> None:
    settings = LEARNED.model_copy(update={"surround": 0.0, "edge_reach": 0.02})

    def found(maps: np.ndarray, calibrated: tuple[str, ...], settings: LabelSettings = settings) -> float:
        labels = labels_from_heatmaps({"car": maps}, (64, 64), ["car"], settings, image, calibrated=calibrated)
        return float((np.count_nonzero(labels.semantic) / np.pi) ** 0.5)

    capped = np.minimum(CONE, heat_of(np.array(1.0)))  # the same outline with a lower peak
    assert found(CONE, ("car",)) == pytest.approx(20, abs=1) == found(capped, ("car",))
    assert found(CONE, ()) < 17 < 23 < found(capped, ())  # otherwise the peak decides
    assert found(CONE, ("car",), settings.model_copy(update={"cut": "otsu"})) == found(CONE, ())
    higher = settings.model_copy(update={"floor": settings.floor + 0.1})
    assert found(CONE, ("car",), higher) < 18
