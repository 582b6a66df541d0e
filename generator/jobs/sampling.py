"""Balanced samples of a product of choices, without ever listing a huge product.

A row is one choice per axis, given by its index. Knows nothing of what the axes mean.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import product
from math import prod
from random import Random

Row = tuple[int, ...]


def row_at(position: int, sizes: Sequence[int]) -> Row:
    """The row at ``position`` of the product of axes of these sizes, the last of which turns fastest."""
    row = []
    for size in reversed(sizes):
        position, index = divmod(position, size)
        row.append(index)
    return tuple(row[::-1])


def shares(count: int, capacities: Sequence[int]) -> list[int]:
    """Deal ``count``, at most the sum of the capacities, out as evenly as these allow."""
    result = [0] * len(capacities)
    for position, index in enumerate(sorted(range(len(capacities)), key=capacities.__getitem__)):
        even = (count - sum(result)) // (len(capacities) - position)
        result[index] = min(even, capacities[index])
    return result


def even_targets(count: int, used: Sequence[int], rng: Random) -> list[int]:
    """How often each value of an axis should come in ``count`` rows: equally, the rest to those least used so far."""
    base, rest = divmod(count, len(used))
    order = sorted(range(len(used)), key=lambda value: (used[value], rng.random()))
    extra = set(order[:rest])
    return [base + (value in extra) for value in range(len(used))]


def balanced_rows(targets: Sequence[Sequence[int]], rng: Random) -> set[Row]:
    """Different rows in which value ``v`` of axis ``a`` comes ``targets[a][v]`` times.

    The targets of every axis have the same sum, which is at most the number of rows there are. Columns with the
    right counts are shuffled independently; repeated rows are then resolved by swapping one value between two
    rows, which keeps all counts. In the rare case that this finds no way out, fewer rows are returned.
    """
    total, count = prod(len(target) for target in targets), sum(targets[0])
    if 2 * count > total:
        # Dense samples leave little room for swaps: choose what to leave out instead.
        left_out = balanced_rows([[total // len(target) - n for n in target] for target in targets], rng)
        return set(product(*(range(len(target)) for target in targets))) - left_out
    columns = []
    for target in targets:
        column = [value for value, times in enumerate(target) for _ in range(times)]
        rng.shuffle(column)
        columns.append(column)
    rows: list[Row] = list(zip(*columns, strict=True))
    counts = Counter(rows)
    repeated = [index for index, row in enumerate(rows) if counts[row] > 1]
    tries = 1000 + 100 * count
    while repeated and tries:
        i = repeated[-1]
        if counts[rows[i]] == 1:
            repeated.pop()
            continue
        tries -= 1
        j, axis = rng.randrange(count), rng.randrange(len(targets))
        a, b = list(rows[i]), list(rows[j])
        a[axis], b[axis] = b[axis], a[axis]
        new_a, new_b = tuple(a), tuple(b)
        if new_a == new_b or counts[new_a] or counts[new_b]:
            continue
        counts[rows[i]] -= 1
        counts[rows[j]] -= 1
        rows[i], rows[j] = new_a, new_b
        counts[new_a] = counts[new_b] = 1
    return set(rows)
