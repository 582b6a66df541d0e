"""Prompts are found in the conversations that chat templates write, and phrases among a language model's tokens."""

from __future__ import annotations

import unicodedata
from typing import Any

import pytest
from untrained_chat import untrained_mistral_processor, untrained_qwen_tokenizer

from diffucurate.generator.attention.capture.chat import ChatTemplate, TokenRow
from diffucurate.generator.attention.capture.tokens import locate
from diffucurate.generator.attention.families.conversations import mistral, qwen3

CLASSES = {
    "car": ["car", "sedan"],
    "bus": ["bus"],
    "person": ["person"],
    "piano": ["piano"],
    "truck": ["fire truck"],
    "house": ["café"],
    "sign": ["日本"],
}


@pytest.fixture(scope="module")
def qwen() -> Any:
    return untrained_qwen_tokenizer()


@pytest.mark.parametrize(
    ("prompt", "label", "spelled"),
    [
        ("a red car", "car", "car"),
        ("A photo of a RED CAR.", "car", "CAR"),
        ("two cars, a car and a Sedan!", "car", "carscarSedan"),
        ("buses and people", "bus", "buses"),
        ("two pianos", "piano", "pianos"),
        ("a fire-truck at noon", "truck", "firetruck"),
        ("car(bus)", "bus", "bus"),
        ("the café", "house", "café"),
        (unicodedata.normalize("NFD", "the café"), "house", "café"),
        ("near 日本 by car", "sign", "日本"),
    ],
)
def test_all_tokens_of_a_mention(qwen: Any, prompt: str, label: str, spelled: str) -> None:
    ids = qwen(prompt).input_ids
    positions = locate(qwen, ids, CLASSES, (0, len(ids))).classes[label]
    found = qwen.decode([ids[position] for position in positions]).replace(" ", "")
    assert unicodedata.normalize("NFC", found) == spelled


def test_whole_words_only(qwen: Any) -> None:
    for prompt in ("a scar on a carpet", "a truck in fog", "fire and a truck", ""):
        ids = qwen(prompt).input_ids
        assert locate(qwen, ids, CLASSES, (0, len(ids))).classes == {}
    ids = qwen("a bus and a car").input_ids
    assert list(locate(qwen, ids, CLASSES, (0, len(ids)), cut=True).classes) == ["bus"]


def test_words_that_were_added() -> None:
    tokenizer = untrained_qwen_tokenizer()
    tokenizer.add_tokens(["<my-car>", "café"])
    ids = tokenizer("a <my-car> by a café").input_ids
    found = locate(tokenizer, ids, {"mine": ["<my-car>"], "house": ["café"]}, (0, len(ids))).classes
    spelled = {label: tokenizer.convert_ids_to_tokens([ids[k] for k in places]) for label, places in found.items()}
    assert spelled == {"mine": ["<my-car>"], "house": ["café"]}


def content(chat: ChatTemplate, tokenizer: Any, row: TokenRow) -> str:
    assert row.content is not None
    return tokenizer.decode(row.ids[slice(*row.content)])


@pytest.mark.parametrize("trimmed", [True, False])
@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("prompt", ["a red car", "\na red car", "who is the user, said the user"])
def test_the_prompt_in_a_conversation_with_qwen(trimmed: bool, side: str, prompt: str) -> None:
    tokenizer = untrained_qwen_tokenizer()
    tokenizer.padding_side = side
    chat = qwen3(tokenizer, thinking=False, trimmed=trimmed)
    ids, masks = chat.write([prompt], 80)
    row = chat.row(tokenizer, ids[0], masks[0])
    assert len(ids[0]) == 80 and len(row.ids) == (sum(masks[0]) if trimmed else 80)
    assert (content(chat, tokenizer, row), row.cut) == (prompt.strip(), False)
    assert chat.span(masks[0]) == (
        (0, 80) if not trimmed else (80 - sum(masks[0]), 80) if side == "left" else (0, sum(masks[0]))
    )


def test_the_prompt_in_a_conversation_with_mistral() -> None:
    processor = untrained_mistral_processor()
    chat = mistral(processor, "You describe cars and buses.")
    ids, masks = chat.write(["a red car", "a bus"], 64)
    rows = [chat.row(processor.tokenizer, *each) for each in zip(ids, masks, strict=True)]
    assert [content(chat, processor.tokenizer, row) for row in rows] == ["a red car", "a bus"]
    found = [locate(processor.tokenizer, row.ids, CLASSES, row.content, row.cut) for row in rows]
    assert [list(each.classes) for each in found] == [["car"], ["bus"]]
    assert found[0].starts == tuple(range(64 - 4))  # the padding, what the system says, the opening


def test_what_a_template_begins_with_is_dropped(qwen: Any) -> None:
    beginning = "<|im_start|>system\nDescribe cars.<|im_end|>\n<|im_start|>user\n"
    dropped = len(qwen(beginning).input_ids)
    chat = ChatTemplate("<|im_start|>user", "<|im_end|>", lambda *_: ([], []), media="<|vision_end|>", dropped=dropped)
    for picture in ("", "Picture 1: <|vision_start|><|image_pad|><|image_pad|><|vision_end|>"):
        ids = qwen(f"{beginning}{picture}a red car<|im_end|>\n<|im_start|>assistant\n").input_ids
        row = chat.row(qwen, [0, *ids, 0], [0, *[1] * len(ids), 0])
        assert row.ids == ids[dropped:]
        assert content(chat, qwen, row) == "a red car"


def test_a_prompt_that_is_cut_off(qwen: Any) -> None:
    chat = qwen3(qwen, thinking=True, trimmed=True)
    ids, masks = chat.write(["a red car and a bus"], 9)
    row = chat.row(qwen, ids[0], masks[0])
    assert (content(chat, qwen, row), row.cut) == ("a red car and", True)
