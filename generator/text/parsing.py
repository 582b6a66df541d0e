"""Text that a person types, in a form or on the command line, as values. Knows no option and no field.

``split_...`` takes lists apart and refuses nothing. ``parse_...`` reads texts of a certain form; what seeds and sizes
may be is left to the recipe, so what cannot be read as one comes back for it to refuse.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

from diffucurate.generator.errors import InvalidSetting

_SEED = r"-?\d{1,12}"
_RANDOM_SEEDS = re.compile(
    r"\s*(\d{1,12}) random(?: from (\d{1,12}) to (\d{1,12}))?(?:, mix (\d{1,12}))?\s*",
)


def split_lines(text: str | Sequence[str] | None) -> list[str]:
    """A text of several lines, or a list, without blank ones."""
    parts = text.splitlines() if isinstance(text, str) else text or []
    return [part.strip() for part in parts if part.strip()]


def split_values(text: str | Sequence[str] | None) -> list[str]:
    """``"red, blue"`` or a list -> ``["red", "blue"]``; where there is a semicolon, it separates instead of commas."""
    if isinstance(text, str):
        text = re.split(r"[;\n]" if ";" in text else r"[,\n]", text)
    return [part.strip() for part in text or [] if part.strip()]


def join_values(values: Sequence[str]) -> str:
    """The text that ``split_values`` reads as that list."""
    if not any("," in value for value in values):
        return ", ".join(values)
    return "; ".join(values) + (";" if len(values) == 1 else "")


def parse_names(texts: Iterable[str] | None, field: str) -> list[str] | None:
    """``["car,bus", "tree"]`` -> ``["car", "bus", "tree"]``; None where there is no text.

    Raises:
        InvalidSetting: of ``field``: an empty name, or phrases where there can only be names.
    """
    if texts is None:
        return None
    names = []
    for text in texts:
        parts = [part.strip() for part in text.split(",")]
        if not all(parts) or "=" in text:
            raise InvalidSetting(field, text, "give names with one comma between them, as in car,bus")
        names += parts
    return names or None


def parse_pairs(texts: Iterable[str] | None) -> list[str] | None:
    """``["sedan=car,van=car", "oak=tree"]`` -> ``["sedan=car", "van=car", "oak=tree"]``, which are left to whoever
    reads them; None where there is no text."""
    pairs = [pair for text in texts or () for pair in split_values(text)]
    return pairs or None


def parse_classes(texts: Iterable[str] | None) -> list[str] | dict[str, list[str]] | None:
    """Class names, or names with the phrases that mean them.

    ``["car,bus", "person=person,pedestrian"]`` -> ``{"car": ["car"], "bus": ["bus"], "person": ["person",
    "pedestrian"]}``. A text is a list of names, or one class, ``=`` and its phrases. A list where no text has phrases,
    None where there is no text.

    Raises:
        InvalidSetting: of ``classes``: an empty name or phrase, or several names before ``=``.
    """
    if texts is None:
        return None
    classes: dict[str, list[str]] = {}
    phrased = False
    for text in texts:
        name, equals, phrases = text.partition("=")
        if not equals:
            classes |= {each: [each] for each in parse_names([text], "classes") or ()}
            continue
        phrased, parts = True, [part.strip() for part in phrases.split(",")]
        if "," in name or not name.strip() or not all(parts):
            raise InvalidSetting(
                "classes", text, "give names, as in car,bus, or one class and its phrases: bus=bus,coach"
            )
        classes[name.strip()] = parts
    if not classes:
        return None
    return classes if phrased else list(classes)


def parse_attributes(texts: Iterable[str] | None) -> dict[str, list[str]]:
    """``["time=night,dusk"]`` -> ``{"time": ["night", "dusk"]}``; of one attribute's texts all values are taken.

    Raises:
        InvalidSetting: of ``attributes``: a text without ``=``.
    """
    attributes: dict[str, list[str]] = {}
    for text in texts or ():
        name, equals, values = str(text).partition("=")
        if not equals:
            raise InvalidSetting("attributes", text, "give an attribute and its values, as in time=night,dusk")
        attributes.setdefault(name.strip(), []).extend(value.strip() for value in values.split(","))
    return attributes


def parse_scores(texts: Iterable[str] | None) -> dict[str, tuple[float | None, float | None]]:
    """``["uniqueness=0.2:0.9"]`` -> ``{"uniqueness": (0.2, 0.9)}``: (least, greatest) value; None where left out.

    Raises:
        InvalidSetting: of ``scores``: a text of another form.
    """
    scores = {}
    for text in texts or ():
        name, _, span = (piece.strip() for piece in text.partition("="))
        ends = [end.strip() for end in span.split(":")]
        try:
            if not name or len(ends) != 2:
                raise ValueError
            low, high = (float(end) if end else None for end in ends)
        except ValueError:
            remedy = "give a field and its limits, as in uniqueness=0.2: or seed=1:9"
            raise InvalidSetting("scores", text, remedy) from None
        scores[name] = low, high
    return scores


def parse_class_confidence(texts: Iterable[str] | None) -> dict[str, float]:
    """``["car=0.7"]`` -> ``{"car": 0.7}``.

    Raises:
        InvalidSetting: of ``class_confidence``: a text of another form.
    """
    limits = {}
    for text in texts or ():
        name, _, least = (piece.strip() for piece in text.rpartition("="))
        try:
            limits[name] = float(least if name else "")
        except ValueError:
            remedy = "give a class and its least confidence, as in car=0.7"
            raise InvalidSetting("class_confidence", text, remedy) from None
    return limits


def parse_strength(text: str | float | None) -> float | list[float] | None:
    """``"0.6"`` -> 0.6, ``"0.4, 0.8"`` -> ``[0.4, 0.8]``.

    Raises:
        InvalidSetting: of ``strength``: a part that is no number.
    """
    if text is None:
        return None
    try:
        values = [float(part) for part in str(text).split(",")]
    except ValueError:
        raise InvalidSetting("strength", text, "give numbers above 0 and at most 1, such as 0.4, 0.8") from None
    return values[0] if len(values) == 1 else values


def parse_sizes(text: str | None) -> list[list[int | str]]:
    """``"64x96, 96x64"`` -> ``[[64, 96], [96, 64]]``, pixels; sides that are no numbers stay text."""
    sizes: list[list[int | str]] = []
    for part in split_values(text):
        sides = part.lower().split("x")
        sizes.append([int(side) if side.strip().isdecimal() else side for side in sides])
    return sizes


def parse_seeds(text: Any) -> Any:
    """``"3"`` -> 3, ``"3, 7"`` or ``"3,"`` -> a list, ``"3 random from 0 to 99, mix 2"`` or a part of that -> random
    ones, as a recipe has them; anything else stays."""
    if not isinstance(text, str):
        return text
    if re.fullmatch(rf"\s*{_SEED}\s*", text):
        return int(text)
    if random := _RANDOM_SEEDS.fullmatch(text):
        names = ("count", "lowest", "highest", "seed")
        return {name: int(part) for name, part in zip(names, random.groups(), strict=True) if part is not None}
    parts = split_values(text)
    return [int(part) for part in parts] if all(re.fullmatch(_SEED, part) for part in parts) else text
