"""Captions and classes become prompts, each with what finds its classes; what cannot be used is counted.

Dataset Diffusion (Nguyen et al. 2023) paints "caption; class; class" and attributes the pixels by the classes alone,
as captions name things in other words than a list of classes, or not at all. Knows no models:
``painting.prompt_length`` finds prompts that are too long.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

from diffucurate.generator.captions.config import Captions
from diffucurate.generator.captions.files import FIELD, Caption, captions_of, read_captions
from diffucurate.generator.captions.source import CaptionSource
from diffucurate.generator.errors import RecipeError
from diffucurate.generator.text.class_mentions import find_phrases, phrase_forms
from diffucurate.generator.text.counted import counted

#: Names in a remark, and in a run's facts.
_SHOWN, _KEPT = 5, 100


class CaptionPrompt(NamedTuple):
    """What is painted, and the caption behind it."""

    prompt: str
    source: CaptionSource


@dataclass
class CaptionCount:
    """What became of captions: ``read`` of them, of which ``used`` are prompts.

    ``repeated`` are the same prompt again; ``without_class`` name none of the classes. ``unknown``: name that came
    with captions but is none of the classes -> how many captions. ``unsaid``: class that came with captions whose own
    words do not name it, where only the words count -> how many captions.
    """

    read: int = 0
    used: int = 0
    repeated: int = 0
    without_class: int = 0
    unknown: Counter[str] = field(default_factory=Counter)
    unsaid: Counter[str] = field(default_factory=Counter)

    def to_dict(self) -> dict[str, Any]:
        """Plain data for a run's facts, without what there is none of."""
        # As lists: names from files need not be able to be keys of a database.
        named = {
            name: [list(each) for each in getattr(self, name).most_common(_KEPT)] for name in ("unknown", "unsaid")
        }
        return {name: value for name, value in {**vars(self), **named}.items() if value or name in ("read", "used")}

    def remarks(self) -> list[str]:
        """What a person should know, a sentence each."""
        sentences = []
        if self.without_class:
            sentences.append(f"{_captions(self.without_class)} left out that name none of the classes")
        if self.repeated:
            sentences.append(f"{_captions(self.repeated)} left out that are there already")
        if self.unknown:
            sentences.append(f"names that are none of the classes: {_listed(self.unknown)}")
        if self.unsaid:
            sentences.append(f"classes that captions do not say and so are not labelled: {_listed(self.unsaid)}")
        return sentences


class CaptionPrompts(NamedTuple):
    """The prompts of a recipe's captions in the order of the captions."""

    prompts: tuple[CaptionPrompt, ...]
    counted: CaptionCount


def caption_prompts(captions: Captions, classes: Mapping[str, Sequence[str]], *, every: bool = True) -> CaptionPrompts:
    """Read captions and make prompts of those that show a class. Files are read again only when they change.

    Args:
        captions: that part of a recipe.
        classes: class -> the phrases that mean it.
        every: whether each class must be shown by a caption.

    Raises:
        RecipeError: a file is wrong, no caption shows a class, or one of ``every`` class is shown by none.
    """
    stamps = tuple(_stamp(path) for path in (captions.path, captions.instances))
    named = tuple((label, tuple(phrases)) for label, phrases in classes.items())
    return _prompts(captions.model_dump_json(), named, stamps, every)


def class_prompt(names: Sequence[str]) -> str:
    """The text by which pixels are attributed to classes: "a photo of a car and a bus".

    On rendered scenes set aside for choosing, with heads weighed by how sharp they are, labels had mIoU 0.82 by it
    alone and 0.46 by "car; bus", in which the built-in model was never trained.
    """
    nouns = [f"{'an' if name[:1].lower() in 'aeiou' else 'a'} {name}" for name in names]
    return "a photo of " + (f"{', '.join(nouns[:-1])} and {nouns[-1]}" if len(nouns) > 1 else nouns[0])


def balanced(prompts: Sequence[CaptionPrompt], seed: int) -> Iterator[int]:
    """All indices of ``prompts`` in a random order in which, as far as they last, all classes come equally often."""
    rng = Random(seed)
    order = rng.sample(range(len(prompts)), len(prompts))
    waiting: dict[str, list[int]] = {}
    for index in reversed(order):  # the last of each list comes first
        for label in prompts[index].source.classes:
            waiting.setdefault(label, []).append(index)
    shown: Counter[str] = Counter()
    taken: set[int] = set()
    labels = sorted(waiting)
    while labels:
        label = min(labels, key=lambda name: shown[name])
        while waiting[label] and waiting[label][-1] in taken:
            waiting[label].pop()
        if not waiting[label]:
            labels.remove(label)
            continue
        index = waiting[label].pop()
        taken.add(index)
        shown.update(prompts[index].source.classes)
        yield index


class _Names(dict[str, tuple[str | None, bool]]):
    """A name of a list -> the class that it means, and whether it is one of that class's phrases; each found out once.

    All of the name has to be the phrase, for a hot dog is no dog.
    """

    def __init__(self, classes: Mapping[str, Sequence[str]]) -> None:
        super().__init__()
        self._classes = classes
        self._forms = {
            form: label for label, phrases in classes.items() for phrase in phrases for form in phrase_forms(phrase)
        }

    def __missing__(self, name: str) -> tuple[str | None, bool]:
        label = next((self._forms[form] for form in phrase_forms(name)[:1] if form in self._forms), None)
        self[name] = (name, label == name) if name in self._classes else (label, label is not None)
        return self[name]


@lru_cache(maxsize=2)
def _prompts(
    recipe: str, named: tuple[tuple[str, tuple[str, ...]], ...], stamps: tuple[Any, ...], every: bool
) -> CaptionPrompts:
    """``recipe`` is that of captions as JSON; ``stamps`` differ when a file has changed."""
    captions, classes = Captions.model_validate_json(recipe), dict(named)
    if captions.path is None:
        read = captions_of(captions.texts or [])
    else:
        read = read_captions(captions.path, captions.instances, captions.per_image)
    where = captions.path or "the recipe"
    if not read:
        raise RecipeError(FIELD, where, "it holds no captions; write at least one")
    count = CaptionCount(read=len(read))
    prompts: dict[tuple[str, str | None], CaptionPrompt] = {}
    meant = _Names(classes)
    for caption in read:
        prompt = _prompt(caption, captions, classes, meant, count)
        if prompt is None:
            count.without_class += 1
        elif prompts.setdefault((prompt.prompt, prompt.source.class_prompt), prompt) is not prompt:
            count.repeated += 1
    count.used = len(prompts)
    _check(prompts.values(), classes, where, count, every)
    return CaptionPrompts(tuple(prompts.values()), count)


def _check(
    prompts: Iterable[CaptionPrompt], classes: Mapping[str, Sequence[str]], where: str, count: CaptionCount, every: bool
) -> None:
    shown = {label for prompt in prompts for label in prompt.source.classes}
    hint = f"; names that came with them: {_listed(count.unknown)}" if count.unknown else ""
    if not shown:
        remedy = f"none of its {count.read:,} captions names a class ({', '.join(classes)}); name other classes{hint}"
        raise RecipeError(FIELD, where, remedy)
    if every and (missing := [label for label in classes if label not in shown]):
        raise RecipeError("classes", missing, f"no caption names them; give them other phrases or remove them{hint}")


def _prompt(
    caption: Caption, captions: Captions, classes: Mapping[str, Sequence[str]], meant: _Names, count: CaptionCount
) -> CaptionPrompt | None:
    """The prompt of a caption, None where it shows no class."""
    way = captions.class_prompt or ("none" if caption.classes is None else "append")
    listed = [(name, *meant[name]) for name in caption.classes or ()]
    # The words of a caption are searched only where they matter: a file may hold hundreds of thousands.
    searched = caption.classes is None or way == "none" or not all(plain for _, label, plain in listed if label)
    mentioned = find_phrases(caption.text, classes) if searched else {}
    names = [phrases[0] for phrases in mentioned.values()] if caption.classes is None else []
    labels = dict.fromkeys(mentioned if caption.classes is None or way == "none" else ())
    for name, label, plain in listed:
        if label is None:
            count.unknown[name] += 1
        elif way != "none":
            names.append(name if plain else (mentioned.get(label) or classes[label])[0])
            labels[label] = None
        elif label not in mentioned:
            count.unsaid[label] += 1
    own: dict[str, Any] = {name: getattr(caption, name) for name in ("text", "id", "image_id", "model", "examples")}
    prompt, attributed = caption.text, None
    if way != "none" and names:
        names = list(dict.fromkeys(names))
        attributed, own["names"] = class_prompt(names), tuple(names)
        prompt = "; ".join([caption.text, *names]) if way == "append" else caption.text
    if not labels:
        return None
    own |= {"file": captions.path, "classes": tuple(labels), "class_prompt": attributed}
    return CaptionPrompt(prompt, CaptionSource(**own))


def _stamp(path: str | None) -> tuple[int, int] | None:
    try:
        status = None if path is None else Path(path).stat()
    except (OSError, ValueError):
        return None  # reading it says what is wrong
    return None if status is None else (status.st_mtime_ns, status.st_size)


def _captions(number: int) -> str:
    return counted(number, "caption")


def _listed(names: Counter[str]) -> str:
    shown = ", ".join(f"{name} ({number:,})" for name, number in names.most_common(_SHOWN))
    return shown + (f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else "")
