"""Which image belongs to which split. Knows ids and shares only. Light."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from hashlib import sha256
from pathlib import Path

from diffucurate.generator.errors import ExportError, InvalidSetting

#: Letters of a split's name: file systems take 255 bytes, and a letter can have four.
_MOST_LETTERS = 60


def parse_splits(text: str) -> dict[str, float]:
    """``train=0.8,val=0.2`` as a mapping; ``check_splits`` says which names and shares are valid.

    Raises:
        InvalidSetting: the text is not of this form, or a name comes twice.
    """
    shares: dict[str, float] = {}
    for part in text.split(","):
        name, _, share = (piece.strip() for piece in part.partition("="))
        try:
            value = float(share)
        except ValueError:
            raise InvalidSetting("splits", text, "give names and shares, as in train=0.8,val=0.2") from None
        if not name or name in shares:
            raise InvalidSetting("splits", text, "give each share one name of its own, as in train=0.8,val=0.2")
        shares[name] = value
    return shares


def assign_splits(
    ids: Iterable[str], fractions: Mapping[str, float], groups: Mapping[str, str] | None = None
) -> dict[str, str]:
    """A split for each id, by the order of the ids' hashes, so the order of ``ids`` does not matter.

    The sizes are exact: each is its fraction of the number of ids, rounded so that they add up (largest remainder).
    Groups stay whole and are assigned the largest first, each to the split that lacks most; the sizes are then as near
    as that comes.

    Args:
        ids: what is to be split.
        fractions: split -> share.
        groups: id -> a text that those have in common which belong to one split; an id that is missing stands alone.

    Raises:
        ExportError: as ``check_splits`` does.
    """
    check_splits(fractions)
    ids = set(ids)
    members: dict[str, list[str]] = {}
    for value in sorted(ids):
        members.setdefault((groups or {}).get(value, value), []).append(value)
    if len(members) < len(ids):
        return _whole_groups(list(members.values()), fractions)
    order = sorted(set(ids), key=lambda value: (sha256(value.encode()).digest(), value))
    exact = {name: Fraction(share).limit_denominator(10**6) * len(order) for name, share in fractions.items()}
    sizes = {name: int(size) for name, size in exact.items()}
    by_remainder = sorted(fractions, key=lambda name: sizes[name] - exact[name])
    for name in by_remainder[: len(order) - sum(sizes.values())]:
        sizes[name] += 1
    names = [name for name, size in sizes.items() for _ in range(size)]
    return dict(zip(order, names, strict=True))


def _whole_groups(groups: Sequence[Sequence[str]], fractions: Mapping[str, float]) -> dict[str, str]:
    total = sum(map(len, groups))
    lacking = {name: share * total for name, share in fractions.items()}
    splits: dict[str, str] = {}
    for group in sorted(groups, key=lambda each: (-len(each), sha256(each[0].encode()).digest())):
        name = max(lacking, key=lambda each: lacking[each])
        lacking[name] -= len(group)
        splits |= dict.fromkeys(group, name)
    return splits


def check_splits(fractions: Mapping[str, float]) -> None:
    """Raise an ExportError unless there are splits with plain names, each with a share above 0, that add up to 1."""
    # The valid range is tested, as every comparison with NaN is false.
    if not (all(share > 0 for share in fractions.values()) and abs(sum(fractions.values()) - 1) <= 1e-6):
        shares = ", ".join(f"{name}={share:g}" for name, share in fractions.items())
        raise ExportError(f"splits {shares}: give each a share above 0, with a sum of 1")
    for name in fractions:
        check_split_name(name)


def check_split_name(name: str) -> None:
    """Raise an ExportError unless ``name`` is a plain folder name: of printable characters, and not too long."""
    plain = 0 < len(name) <= _MOST_LETTERS and name.isprintable() and Path(name).name == name and "\\" not in name
    if not plain or name in (".", ".."):
        shown = name if len(name) <= _MOST_LETTERS else f"{name[:_MOST_LETTERS]}..."
        raise ExportError(f"split {shown!r}: use a plain name such as 'train', of at most {_MOST_LETTERS} letters")
