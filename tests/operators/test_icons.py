"""Every operator has a drawing of its own, in a light and a dark version, where the App will look for it."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from xml.etree import ElementTree

import pytest

from diffucurate.operators import OPERATORS

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("operator", OPERATORS, ids=[operator.NAME for operator in OPERATORS])
def test_both_versions_are_one_drawing_in_other_colours(operator) -> None:
    config = operator().config
    drawings = []
    for path in (config.light_icon, config.dark_icon):
        text = (ROOT / path.lstrip("/")).read_text()
        assert ElementTree.fromstring(text).get("viewBox") == "0 0 24 24"
        drawings.append(text)
    light, dark = drawings
    assert light != dark
    assert re.sub("#[0-9A-F]{6}", "", light) == re.sub("#[0-9A-F]{6}", "", dark)


def test_the_package_ships_them() -> None:
    data = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["package-data"]["diffucurate"]
    shipped = {path for pattern in data for path in ROOT.glob(pattern)}
    assert shipped >= set((ROOT / "assets").rglob("*.svg"))
