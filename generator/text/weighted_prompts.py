"""The syntax of weighted prompts, ``a red car++ on a (road)1.3`` or ``(road:1.3)``, checked before Compel parses it.

Compel's parser takes minutes for brackets in brackets, and longer for one that is not closed. A look at each letter
says what it could not read in time. Knows no pipeline.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

#: Brackets in brackets beyond which parsing takes seconds, each more taking several times as long.
MOST_NESTED = 3

#: Brackets in one prompt; parsing takes a millisecond for each.
MOST_BRACKETS = 100

#: Letters of one prompt.
MOST_LETTERS = 10_000

#: The end of a weight as AUTOMATIC1111's web UI writes it.
_COLON_WEIGHT = re.compile(r"\s{0,9}:\s{0,9}(\d{1,3}(?:\.\d{0,9})?|\.\d{1,9})\s{0,9}\)(?P<glued>(?=[^\W_]))?")

_OPERATOR = re.compile(r"\.(?:blend|swap|and|add)\s*\(|(?:use|with)Lora\s*\(")


def unread_weight(prompts: Iterable[str]) -> str | None:
    """What to say of prompts that are painted without weights although one of them writes some with a colon, as in
    ``(car:1.3)``; None where none does."""
    for prompt in prompts:
        for end in _COLON_WEIGHT.finditer(prompt):
            if "(" in prompt[: end.start()]:
                weight = prompt[prompt.rindex("(", 0, end.start()) : end.end()]
                return f"'{weight}' is read letter by letter, not as a weight; set prompt_weights, or leave it out"
    return None


def compel_syntax(prompt: str) -> str:
    """A prompt with its weights as Compel writes them: ``(car:1.3)`` becomes ``(car)1.3``."""
    return _COLON_WEIGHT.sub(lambda end: f"){end[1]}" + (" " if end["glued"] is not None else ""), prompt)


def weights_problem(prompt: str) -> str | None:
    """Why a prompt cannot be read as a weighted one, and what would be right; None where it can."""
    if len(prompt) > MOST_LETTERS:
        return f"it has {len(prompt):,} letters; use at most {MOST_LETTERS:,}"
    if operator := _OPERATOR.search(prompt):
        return (
            f"{operator[0]}...) changes more than weights, so that words are not found again in the image; write each "
            "prompt as one of its own, and LoRAs under loras"
        )
    opened: list[int] = []
    brackets = 0
    escaped = False
    for place, sign in enumerate(prompt, 1):
        if sign == "(" and not escaped:
            opened.append(place)
            brackets += 1
        elif sign == ")" and not escaped:
            if not opened:
                return rf"the bracket at letter {place} closes none; write \) for a bracket in the text"
            opened.pop()
        if len(opened) > MOST_NESTED:
            return f"at letter {place} more than {MOST_NESTED} brackets stand in one another; one weight is enough"
        if brackets > MOST_BRACKETS:
            return f"it has more than {MOST_BRACKETS} brackets; weigh fewer words"
        escaped = sign == "\\" and not escaped
    if opened:
        return rf"the bracket at letter {opened[-1]} is not closed; write \( for a bracket in the text"
    return None
