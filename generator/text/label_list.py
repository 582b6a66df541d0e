"""The labels of an image as a text: ``two cars, a bus and an umbrella``. English, as class mentions are."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from diffucurate.generator.text.class_mentions import word_forms

_NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")


def label_list(labels: Iterable[str], classes: Mapping[str, Sequence[str]]) -> str:
    """The labels of ``classes`` among ``labels``, each with its number, by the first phrase of its class.

    Above ten, "many". A learned word, which has signs around it, has no plural.

    Args:
        labels: of the objects of one image, in any order.
        classes: class name -> the phrases that mean it; the order of the list.

    Returns:
        Such as ``two cars and a bus``; empty where none of the labels is a class.
    """
    named = list(labels)
    counts = {label: named.count(label) for label in classes}
    parts = [_counted(count, classes[label][0]) for label, count in counts.items() if count]
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}" if parts else ""


def _counted(count: int, phrase: str) -> str:
    if count == 1:
        return f"{'an' if phrase[:1].casefold() in 'aeiou' else 'a'} {phrase}"
    number = _NUMBERS[count] if count < len(_NUMBERS) else "many"
    before, space, last = phrase.rpartition(" ")
    plural = word_forms(last)[1] if last.isalpha() else last
    return f"{number} {before}{space}{plural}"
