"""Phrases are found among the tokens of the built-in tokenizer, a real CLIP tokenizer."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from transformers import CLIPTokenizer

from diffucurate.generator.attention.tokens import locate
from diffucurate.generator.errors import ModelError

CLASSES = {
    "car": ["car", "sedan"],
    "bus": ["bus"],
    "person": ["person"],
    "piano": ["piano"],
    "truck": ["fire truck"],
    "house": ["café"],
    "sign": ["日本"],
}


def ids_of(tokenizer: CLIPTokenizer, text: str) -> list[int]:
    return tokenizer(text, padding="max_length", truncation=True).input_ids


@pytest.mark.parametrize(
    ("prompt", "expected"),
    [
        ("a red car", {"car": (3,)}),  # the start token is at 0
        ("A photo of a RED CAR.", {"car": (6,)}),  # capitals, punctuation
        ("two cars, a car and a Sedan!", {"car": (2, 5, 8)}),  # plural, repeated, second phrase
        ("buses and people", {"bus": (1,), "person": (3,)}),  # irregular plurals
        ("a scar on a carpet", {}),  # whole words only
        ("", {}),
        ("a truck in fog", {}),  # half of a phrase
        ("car(bus)", {"car": (1,), "bus": (3,)}),
    ],
)
def test_mentions(tokenizer: CLIPTokenizer, prompt: str, expected: dict[str, tuple[int, ...]]) -> None:
    assert locate(tokenizer, ids_of(tokenizer, prompt), CLASSES).classes == expected


@pytest.mark.parametrize(
    ("prompt", "label", "spelled"),
    [
        ("a piano on a road", "piano", "piano"),  # several tokens for a word out of the vocabulary
        ("two pianos", "piano", "pianos"),
        ("a piano and a Piano", "piano", "pianopiano"),
        ("a fire-truck at noon", "truck", "firetruck"),  # several words, with the hyphen between them left out
        ("a CAFÉ at night", "house", "café"),  # bytes outside ASCII
        ("near 日本 by car", "sign", "日本"),
    ],
)
def test_all_tokens_of_a_mention(tokenizer: CLIPTokenizer, prompt: str, label: str, spelled: str) -> None:
    ids = ids_of(tokenizer, prompt)
    positions = locate(tokenizer, ids, CLASSES).classes[label]
    assert tokenizer.decode([ids[position] for position in positions]).replace(" ", "") == spelled


def test_content_ends_before_padding(tokenizer: CLIPTokenizer) -> None:
    assert locate(tokenizer, ids_of(tokenizer, "a red car"), CLASSES).content == (1, 4)


def test_longer_phrase_of_another_class_wins(tokenizer: CLIPTokenizer) -> None:
    classes = {"truck": ["truck"], "fire truck": ["fire truck"]}
    found = locate(tokenizer, ids_of(tokenizer, "a fire truck by a truck"), classes).classes
    assert set(found) == {"truck", "fire truck"}
    assert max(found["fire truck"]) < min(found["truck"])


def test_what_the_context_cuts_off_is_absent(tokenizer: CLIPTokenizer) -> None:
    filler = "a " * 34
    whole, cut = ids_of(tokenizer, filler + "bus car"), ids_of(tokenizer, filler + "bus the red near piano car")
    assert set(locate(tokenizer, whole, CLASSES).classes) == {"bus", "car"}
    # The first of piano's tokens still fits: a word without its end is not taken for another word.
    assert len(cut) == 40
    assert set(locate(tokenizer, cut, {**CLASSES, "pi": ["pi"]}).classes) == {"bus"}


def test_learned_words(tokenizer: CLIPTokenizer) -> None:
    own = CLIPTokenizer.from_pretrained(tokenizer.name_or_path, model_max_length=40)
    own.add_tokens(["<toy>"])
    ids = own("a photo of a <toy> on a road", padding="max_length").input_ids
    assert locate(own, ids, {"toy": ["<toy>"]}).classes == {"toy": (5,)}


def test_other_kinds_of_tokenizer_are_refused() -> None:
    sentencepiece = SimpleNamespace(convert_tokens_to_ids=lambda token: 2, unk_token_id=2)
    with pytest.raises(ModelError, match="ends of words"):
        locate(sentencepiece, [0, 5, 1], CLASSES)
