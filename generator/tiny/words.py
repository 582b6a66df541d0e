"""The vocabulary of rendered scenes: words, captions, and the tokenizer's files.

Every word of the vocabulary is one token of the tokenizer; any other word (say, "piano") falls back to one token per
byte, so no prompt is refused. Knows nothing of pixels.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from graphlib import TopologicalSorter
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import NamedTuple

from diffucurate.generator.tiny.shapes import CLASSES, COLOURS

#: Other words for a class, used in some captions so that a class can have several phrases.
SYNONYMS: dict[str, str] = {"car": "sedan", "truck": "lorry", "bus": "coach", "person": "pedestrian"}
PLURALS: dict[str, str] = {"person": "people", "bus": "buses", "coach": "coaches", "lorry": "lorries"}
PLACES: tuple[str, ...] = ("road", "beach", "park", "desert", "city")
TIMES: tuple[str, ...] = ("noon", "sunset", "night")
WEATHERS: tuple[str, ...] = ("clear", "fog", "rain", "snow")
NUMBERS: dict[int, str] = {2: "two", 3: "three", 4: "four"}

#: Tokens a prompt may have, start and end included. CLIP's 77 would only cost time here.
CONTEXT_LENGTH = 40

START, END = "<|startoftext|>", "<|endoftext|>"


class Mention(NamedTuple):
    """``number`` objects of one class and colour, as a caption names them."""

    label: str
    colour: str
    number: int


#: Words that say nothing of what is in the picture.
FILLERS: tuple[str, ...] = (
    "a", "an", "the", "of", "on", "in", "at", "and", "with", "no", "one", "near", "by", "to", "its", "it", "is",
    "many", "some", "image", "photo", "picture", "scene", "view", "street", ".", ",",
)  # fmt: skip


def plural(word: str) -> str:
    """The plural the captions use for a class word or its synonym."""
    return PLURALS.get(word, word + "s")


def caption(mentions: Sequence[Mention], place: str, time: str, weather: str, rng: Random) -> str:
    """One caption of a scene; wording, order, synonyms and left-out details vary with ``rng``."""
    phrases = []
    for label, colour, number in rng.sample(list(mentions), len(mentions)):
        noun = SYNONYMS[label] if label in SYNONYMS and rng.random() < 0.2 else label
        adjective = "" if rng.random() < 0.1 else colour + " "
        phrases.append(f"a {adjective}{noun}" if number == 1 else f"{NUMBERS[number]} {adjective}{plural(noun)}")
    things = phrases[0] if len(phrases) == 1 else ", ".join(phrases[:-1]) + " and " + phrases[-1]
    start = rng.choice(("a photo of ", "a photo of ", "a picture of ", ""))
    where = f" {rng.choice(('on', 'on', 'in'))} a {place}"
    when = "" if rng.random() < 0.1 else f" at {time}"
    sky = "" if weather == "clear" else f" in {weather}"
    return start + things + where + when + sky


def vocabulary() -> list[str]:
    """Every word a caption or a prompt of the tiny world can be expected to hold, without repeats."""
    nouns = [*CLASSES, *SYNONYMS.values()]
    words = [
        *nouns,
        *(plural(noun) for noun in nouns),
        *COLOURS,
        *PLACES,
        *TIMES,
        *WEATHERS,
        *NUMBERS.values(),
        *(word for word in FILLERS if word.isalpha()),
    ]
    return list(dict.fromkeys(words))


def _byte_characters() -> list[str]:
    """The 256 printable characters that byte-level BPE (GPT-2, CLIP) writes for the bytes 0..255."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    spare = iter(range(256, 512))
    return [chr(byte) if byte in printable else chr(next(spare)) for byte in range(256)]


def _merges(words: Sequence[str]) -> list[tuple[str, str]]:
    """Byte-pair merges, in order of rank, that build every word from its left end, letter by letter.

    BPE always applies the merge of lowest rank. So at each step of each word the merge meant must rank
    before every other merge possible there, such as "se" (of "sedan") inside "buses": a partial order.
    """
    steps: dict[tuple[str, str], list[set[tuple[str, str]]]] = {}
    for word in words:
        left, *letters = [*word[:-1], word[-1] + "</w>"]
        while letters:
            steps.setdefault((left, letters[0]), []).append(set(pairwise(letters)))
            left += letters.pop(0)
    order: TopologicalSorter[tuple[str, str]] = TopologicalSorter({merge: () for merge in steps})
    for merge, rivals in steps.items():
        for rival in sorted(set().union(*rivals) & steps.keys() - {merge}):
            order.add(rival, merge)
    return list(order.static_order())


def write_tokenizer_files(folder: Path) -> None:
    """Write ``vocab.json`` and ``merges.txt`` of a CLIP tokenizer in which each world word is one token."""
    characters = _byte_characters()
    merges = _merges(vocabulary())
    tokens = [*characters, *(character + "</w>" for character in characters)]
    tokens += [left + right for left, right in merges] + [START, END]
    folder.mkdir(parents=True, exist_ok=True)
    ids = {token: index for index, token in enumerate(dict.fromkeys(tokens))}
    (folder / "vocab.json").write_text(json.dumps(ids, ensure_ascii=False), encoding="utf-8")
    lines = ["#version: 0.2", *(f"{left} {right}" for left, right in merges)]
    (folder / "merges.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
