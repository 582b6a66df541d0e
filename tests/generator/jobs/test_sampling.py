"""Balanced samples: exact counts per value, no repeats, and no listing of huge products."""

from __future__ import annotations

from collections import Counter
from math import prod
from random import Random

import pytest

from diffucurate.generator.jobs.sampling import balanced_rows, even_targets, shares


@pytest.mark.parametrize(
    ("count", "capacities", "dealt"),
    [
        (10, [5, 5], [5, 5]),
        (7, [1, 100], [1, 6]),
        (6, [2, 2, 2], [2, 2, 2]),
        (5, [100, 1, 2], [2, 1, 2]),
        (0, [3], [0]),
    ],
)
def test_shares(count: int, capacities: list[int], dealt: list[int]) -> None:
    assert shares(count, capacities) == dealt


@pytest.mark.parametrize("seed", range(20))
def test_shares_are_complete_within_capacity_and_even(seed: int) -> None:
    rng = Random(seed)
    capacities = [rng.randrange(1, 50) for _ in range(rng.randrange(1, 8))]
    count = rng.randrange(sum(capacities) + 1)
    dealt = shares(count, capacities)
    assert sum(dealt) == count
    assert all(share <= capacity for share, capacity in zip(dealt, capacities, strict=True))
    free = [share for share, capacity in zip(dealt, capacities, strict=True) if share < capacity]
    assert not free or max(dealt) - min(free) <= 1


def test_targets_even_out_what_was_used_before() -> None:
    targets = even_targets(4, [3, 1, 2], Random(0))
    assert targets == [1, 2, 1]


@pytest.mark.parametrize(
    "sizes", [(3,), (2, 2), (3, 3), (2, 5), (2, 3, 4), (1, 4, 1, 3), (7, 5, 3), (2, 2, 2, 2, 2, 2)]
)
def test_every_count_is_met_exactly_without_repeats(sizes: tuple[int, ...]) -> None:
    for count in range(1, prod(sizes) + 1):
        rng = Random(count)
        targets = [even_targets(count, [0] * size, rng) for size in sizes]
        rows = balanced_rows(targets, rng)
        assert len(rows) == count
        for axis, target in enumerate(targets):
            seen = Counter(row[axis] for row in rows)
            assert [seen[value] for value in range(len(target))] == target


def test_a_huge_product_is_never_listed() -> None:
    rng = Random(0)
    targets = [even_targets(2000, [0] * 1000, rng) for _ in range(12)]  # 1000 ** 12 rows
    assert len(balanced_rows(targets, rng)) == 2000
