"""What a language model wrote, as a caption, or why it is none. Knows classes and phrases, no models."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence

from diffucurate.generator.captions.files import plain_text
from diffucurate.generator.text.class_mentions import find_phrases

UNFINISHED, NO_SENTENCE, TOO_LONG = "not written to its end", "no sentence", "too long"
UNNAMED, REPEATED = "a class not named", "said before"

#: Fewer words describe nothing.
_FEWEST_WORDS = 3

_THOUGHT = re.compile(r"<think>.*?(?:</think>|$)", re.DOTALL)
_MARK = re.compile(r"^(?:[-*\u2022]|\d+[.)]|(?:caption|answer)\s*:)\s*", re.IGNORECASE)
_QUOTES = "\"'\u201c\u201d\u2018\u2019`*"
_STRANGE = re.compile(r"[{}<>\[\]|\\\ufffd]|https?:|www\.")
_STUTTER = re.compile(r"\b(\w+)(?:\W+\1\b){2,}", re.IGNORECASE)


def caption_in(text: str) -> str:
    """The caption in an answer: its first line that announces nothing, without list marks, labels and quotes."""
    lines = [line.strip() for line in _THOUGHT.sub("", text).splitlines()]
    line = next((line for line in lines if line and not line.endswith(":")), "")
    line = _MARK.sub("", line).strip()
    return plain_text(line.strip(_QUOTES))


def problem(
    caption: str,
    labels: Collection[str],
    classes: Mapping[str, Sequence[str]],
    existing: Collection[str],
    most_words: int,
) -> str | None:
    """Why a caption is of no use, None where it is.

    Args:
        caption: one line of text.
        labels: the classes that it has to name, each by one of its phrases.
        classes: class -> the phrases that mean it.
        existing: the captions that there are already, as ``folded`` makes them.
        most_words: longer ones are refused.
    """
    words = caption.split()
    if len(words) < _FEWEST_WORDS or _STRANGE.search(caption) or _STUTTER.search(caption):
        return NO_SENTENCE
    if len(words) > most_words:
        return TOO_LONG
    if not set(labels) <= set(find_phrases(caption, classes)):
        return UNNAMED
    return REPEATED if folded(caption) in existing else None


def folded(caption: str) -> str:
    """A caption's words alone: what two have in common that say the same."""
    return " ".join(re.findall(r"\w+", caption.casefold()))
