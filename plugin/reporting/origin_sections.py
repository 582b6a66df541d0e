"""The sections of a report on where images came from: what prompts cover, and what was thrown away."""

from __future__ import annotations

from itertools import combinations
from typing import Any

from diffucurate.generator.reporting.page import Html, Section, paragraph, table
from diffucurate.plugin.curation.curate import curations
from diffucurate.plugin.reporting.scope import Scope
from diffucurate.plugin.statistics.coverage import attributes_in, cross_table, images_per_value, recipes_in
from diffucurate.plugin.store import runs

#: Attributes that are crossed with each other, and lines that are listed.
_CROSSED, _MOST = 6, 60

#: Facts of runs that list what was left out -> what that is, in words.
_LEFT_OUT = {
    "unreadable": "images that cannot be read",
    "left_out": "instances that cannot be read",
    "failed": "init images that cannot be used",
}


def coverage(scope: Scope) -> Section:
    """The images of each value of each attribute, and combinations that recipes can make and no image has."""
    title = "Coverage of the prompts' attributes"
    names = attributes_in(scope.dataset)
    if not names:
        return Section(title, why="The images have no attributes: they were not painted from templates.")
    recipes = recipes_in(scope.dataset)
    counts = images_per_value(scope.samples, names)
    asked = {name: [value for recipe in recipes for value in recipe.listed_attributes.get(name, ())] for name in names}
    lines: list[tuple[str, str, int]] = []
    for name in names:
        values = dict.fromkeys([*counts[name], *asked[name]])
        lines += [(name, value, counts[name].get(value, 0)) for value in values]
    parts: list[Html] = [table(("Attribute", "Value", "Images"), lines[:_MOST])]
    missing: list[tuple[Any, ...]] = []
    possible = 0
    for x, y in combinations(names[:_CROSSED], 2):
        crossed = cross_table(scope.samples, x, y, recipes)
        possible += len(crossed.missing) + sum(1 for row in crossed.counts for count in row if count)
        missing += [(x, first, y, second) for first, second in crossed.missing]
    if possible:
        parts.append(paragraph(f"{len(missing):,} of {possible:,} combinations of two values have no image."))
    if missing:
        parts.append(table(("Attribute", "Value", "Attribute", "Value without images"), missing[:_MOST]))
    without = sum(1 for _, _, count in lines if not count)
    return Section(title, parts, figures=(("values_without_images", without), ("pairs_without_images", len(missing))))


def thrown_away(scope: Scope) -> Section:
    """What curation removed and by which rules, and what runs left out."""
    title = "What was thrown away, and why"
    parts: list[Html] = []
    for curation in curations(scope.dataset):
        headline = curation.count.headline() if curation.count is not None else "not finished"
        parts.append(paragraph(f"Curation '{curation.name}' ({curation.rules}): {headline}."))
        if curation.count is not None and curation.count.removed:
            parts.append(paragraph(f"{curation.count.reasons()}."))
    lines: dict[tuple[str, str], int] = {}
    for key in scope.dataset.list_runs():
        config = scope.dataset.get_run_info(key).config
        verb = str(config.method or "").removeprefix("diffucurate/")
        facts = runs.plain(getattr(config, "facts", None) or {})
        for fact, words in _LEFT_OUT.items():
            listed = facts.get(fact) if isinstance(facts, dict) else None
            if isinstance(listed, list | dict) and listed and verb != config.method:
                lines[verb, words] = max(lines.get((verb, words), 0), len(listed))
    if lines:
        parts.append(table(("Verb", "Left out", "At most"), [(*key, count) for key, count in sorted(lines.items())]))
    if not parts:
        return Section(title, why="Nothing was curated, and no run left anything out.")
    return Section(title, parts)
