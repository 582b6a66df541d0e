"""Sources are told apart by family, classes by shade, also by people who do not see all colours."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from diffucurate.plugin.appearance.palette import FAMILIES, HEAT_SCALE, family_of, heat_table, shades

#: What linear RGB becomes for full deuteranopia and protanopia: Machado, Oliveira and Fernandes, 2009.
VISION = {
    "usual": np.eye(3),
    "deuteranopic": [[0.367, 0.861, -0.228], [0.280, 0.673, 0.047], [-0.012, 0.043, 0.969]],
    "protanopic": [[0.152, 1.053, -0.205], [0.115, 0.786, 0.099], [-0.004, -0.048, 1.052]],
}
TO_CONES = np.array([[0.4122, 0.5363, 0.0514], [0.2119, 0.6807, 0.1074], [0.0883, 0.2817, 0.6300]])
TO_LAB = np.array([[0.2105, 0.7936, -0.0041], [1.9780, -2.4286, 0.4506], [0.0259, 0.7828, -0.8087]])


def lab(colour: str, vision: str = "usual") -> np.ndarray:
    """A colour in OKLab, where equal distances look about equally large; black to white is 1."""
    rgb = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    seen = np.clip(np.array(VISION[vision]) @ linear, 0, 1)
    return TO_LAB @ np.cbrt(TO_CONES @ seen)


def distance(one: str, other: str, vision: str) -> float:
    return float(np.linalg.norm(lab(one, vision) - lab(other, vision)))


@pytest.mark.parametrize("vision", VISION)
def test_attention_and_yolov8_are_never_mistaken(vision):
    warm, cool = FAMILIES[family_of("attention")], FAMILIES[family_of("yolov8")]
    assert min(distance(a, b, vision) for a in warm for b in cool) > 0.09
    assert min(distance(a, b, vision) for a, b in zip(warm, cool, strict=True)) > 0.25  # the same class


@pytest.mark.parametrize("family", FAMILIES)
def test_classes_differ_within_a_family(family):
    assert min(distance(a, b, "usual") for a, b in combinations(FAMILIES[family], 2)) > 0.05
    assert len(set(shades(family, 24))) == 24


def test_more_classes_leave_the_first_ones_as_they_are():
    assert shades("warm", 254)[:8] == shades("warm", 8) == list(FAMILIES["warm"])
    assert shades("warm", 0) == []


def test_each_further_source_has_a_family_of_its_own():
    taken = ["warm", "cool"]
    for name in ("mask2former", "sam", "manual"):
        family = family_of(name, taken)
        assert family not in taken
        taken.append(family)
    assert family_of("one_too_many", taken) == family_of("one_too_many")  # none is free: by name alone
    assert family_of("attention", ["warm"]) == "warm"


def test_heat_goes_from_dark_to_light():
    lightness = [lab(colour)[0] for heat, colour in HEAT_SCALE[1:]]
    assert lightness == sorted(lightness)
    assert [heat for heat, _ in HEAT_SCALE] == sorted(heat for heat, _ in HEAT_SCALE)
    table = heat_table()
    assert len(table) == 256
    assert "#{:02X}{:02X}{:02X}".format(*table[0]) == HEAT_SCALE[0][1]
    assert "#{:02X}{:02X}{:02X}".format(*table[-1]) == HEAT_SCALE[-1][1]
