"""Phrases are found among the tokens of the built-in tokenizer, a real CLIP tokenizer, and of one of T5's kind."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from transformers import CLIPTokenizer, T5TokenizerFast
from untrained import untrained_t5_tokenizer

from diffucurate.generator.attention.capture.tokens import PromptTokens, joined, locate
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
    assert locate(tokenizer, ids_of(tokenizer, "a red car"), CLASSES).content == (1, 2, 3)


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


#: Placeholders of learned words beyond ASCII; the last is spelled with a combining accent.
ACCENTED = ["<éclair>", "<piñata>", "<jalapeño-grün>", "<Köter>", "<пёс>", "<寿司>", "<e\u0301clair2>"]


@pytest.mark.parametrize("word", ACCENTED)
def test_learned_words_beyond_ascii(tokenizer: CLIPTokenizer, word: str) -> None:
    """Added tokens are kept as they were added, where the others are written in an alphabet of bytes."""
    own = CLIPTokenizer.from_pretrained(tokenizer.name_or_path, model_max_length=40)
    own.add_tokens([word])
    ids = own(f"a photo of a {word} by a red car", padding="max_length").input_ids
    (position,) = [index for index, token in enumerate(ids) if token == own.convert_tokens_to_ids(word)]
    found = locate(own, ids, {"cake": [word], "car": ["car"], "other": ["<eclair>"]}).classes
    assert found == {"cake": (position,), "car": (position + 4,)}
    pieces = untrained_t5_tokenizer()
    pieces.add_tokens([word])
    ids = pieces(f"a {word} by a red car", padding="max_length", max_length=40).input_ids
    found = locate(pieces, ids, {"cake": [word], "car": ["car"]}).classes
    added = pieces.convert_tokens_to_ids(word)
    assert [ids[at] for at in found["cake"]] == [added]
    assert pieces.convert_ids_to_tokens([ids[at] for at in found["car"]]) == ["▁car"]


@pytest.fixture(scope="module")
def t5() -> T5TokenizerFast:
    return untrained_t5_tokenizer()


@pytest.mark.parametrize(
    ("prompt", "spelled"),
    [
        ("a red car", {"car": "▁car"}),
        ("A photo of a CAR.", {"car": "C A R"}),  # T5 tells capitals apart, a mention does not
        ("two cars, a car and a sedan!", {"car": "▁cars ▁car ▁sedan"}),
        ("buses and a person", {"bus": "▁buses", "person": "▁person"}),
        ("two pianos by a fire-truck", {"piano": "▁pi ano s", "truck": "f i r e t r u c k"}),
        ("car(bus)", {"car": "▁car", "bus": "b u s"}),
        ("a scar on a carpet", {}),
        ("near 日本, in a 東京 café", {}),  # what it has no tokens for is no mention of anything
        ("", {}),
    ],
)
def test_mentions_among_pieces(t5: T5TokenizerFast, prompt: str, spelled: dict[str, str]) -> None:
    ids = t5(prompt, padding="max_length", max_length=40).input_ids
    found = locate(t5, ids, CLASSES)
    pieces = {label: " ".join(t5.convert_ids_to_tokens([ids[k] for k in at])) for label, at in found.classes.items()}
    assert pieces == spelled
    assert found.starts == ()
    assert found.content == tuple(range(ids.index(t5.eos_token_id)))


def test_pieces_that_may_go_on_beyond_the_context_are_absent(t5: T5TokenizerFast) -> None:
    ids = t5("a bus and a car", max_length=6, truncation=True).input_ids  # might be the start of "carpet"
    assert t5.convert_ids_to_tokens(ids)[-2:] == ["▁car", "</s>"]
    assert set(locate(t5, ids, CLASSES).classes) == {"bus"}
    assert set(locate(t5, [*ids, t5.pad_token_id], CLASSES).classes) == {"bus", "car"}


def test_words_added_to_pieces(t5: T5TokenizerFast) -> None:
    own = untrained_t5_tokenizer()
    own.add_tokens(["<toy>"])
    ids = own("a photo of a <toy> on a road", padding="max_length", max_length=20).input_ids
    positions = locate(own, ids, {"toy": ["<toy>"]}).classes["toy"]
    assert own.decode([ids[position] for position in positions]).strip() == "<toy>"


def test_several_encoders() -> None:
    one = PromptTokens({"car": (2,)}, (1, 2), (0,))
    other = PromptTokens({"car": (2,), "bus": (4,)}, (1, 2, 3, 4), (0,))
    pieces = PromptTokens({"bus": (0,)}, (0, 1))
    assert joined([(0, one), (0, other), (8, pieces)]) == PromptTokens(
        {"car": (2,), "bus": (4, 8)}, (1, 2, 3, 4, 8, 9), (0,)
    )


def test_other_kinds_of_tokenizer_are_refused() -> None:
    bytes_alone = SimpleNamespace(convert_tokens_to_ids=lambda token: 2, unk_token_id=2)
    with pytest.raises(ModelError, match="use a model with CLIP, T5, Qwen or Mistral text encoders"):
        locate(bytes_alone, [0, 5, 1], CLASSES)
