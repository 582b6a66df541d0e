"""Which of a detector's own classes are those that were asked for. Knows names only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from diffucurate.generator.errors import InvalidSetting, ModelError
from diffucurate.generator.text.class_mentions import phrase_forms
from diffucurate.generator.text.class_names import folded, some_of


def matched_classes(
    names: Mapping[int, str], classes: Sequence[str], class_map: Mapping[str, str], model: str
) -> dict[int, str]:
    """The ids of a model's classes that are wanted -> names in ``classes``.

    Names match whatever their capitals and whatever stands between their words, as in ``Traffic_Light``; a class that
    has no such match is found by a plural or singular, as in ``cars``.

    Args:
        names: the model's classes by their ids.
        classes: those that are asked for.
        class_map: names of the model's classes -> names in ``classes``, where neither of these says it.
        model: what the model is called in messages.

    Raises:
        InvalidSetting: an entry of ``class_map`` that the model or ``classes`` does not know.
        ModelError: none of the model's classes is wanted.
    """
    targets: dict[int, str] = {}
    for source, target in class_map.items():
        meant = [index for index, name in names.items() if folded(name) == folded(source)]
        if not meant:
            raise InvalidSetting("class_map", source, f"{model} has the classes {some_of(names.values())}")
        if target not in classes:
            raise InvalidSetting(f"class_map.{source}", target, f"use one of {some_of(classes)}")
        targets |= dict.fromkeys(meant, target)
    for index, name in names.items():
        alike = [each for each in classes if folded(each) == folded(name)]
        if alike and index not in targets:
            targets[index] = name if name in alike else alike[0]
    unmatched = [each for each in classes if each not in targets.values()]
    for index, name in names.items():
        forms = {" ".join(words) for words in phrase_forms(name)}
        alike = [each for each in unmatched if forms.intersection(" ".join(words) for words in phrase_forms(each))]
        if alike and index not in targets:
            targets[index] = alike[0]
    if not targets:
        raise ModelError(
            f"{model} knows none of {some_of(classes)}; it has {some_of(names.values())}: name a class_map"
        )
    return targets


def unmapped_classes(names: Mapping[int, str], targets: Mapping[int, str]) -> tuple[str, ...]:
    """The model's classes that ``matched_classes`` has no target for, each name once."""
    return tuple(dict.fromkeys(name for index, name in names.items() if index not in targets))
