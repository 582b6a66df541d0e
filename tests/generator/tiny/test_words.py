from __future__ import annotations

from pathlib import Path

import pytest

from diffucurate.generator.tiny.scenes import real_scenes
from diffucurate.generator.tiny.train_diffusion import build_tokenizer
from diffucurate.generator.tiny.words import CONTEXT_LENGTH, vocabulary


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory):  # type: ignore[no-untyped-def]
    return build_tokenizer(tmp_path_factory.mktemp("tokenizer"))


def test_every_word_is_one_token(tokenizer) -> None:  # type: ignore[no-untyped-def]
    pieces = {word: tokenizer.tokenize(word) for word in vocabulary()}
    assert {word: tokens for word, tokens in pieces.items() if len(tokens) != 1} == {}


@pytest.mark.parametrize("text", ["piano", "Überholspur", "車", "a-b_c 7%"])
def test_no_text_is_refused(tokenizer, text: str) -> None:  # type: ignore[no-untyped-def]
    tokens = tokenizer.tokenize(text)
    assert len(tokens) > 1
    assert tokenizer.unk_token not in tokens


def test_captions_hold_only_words_of_the_vocabulary_and_fit_the_context(tokenizer) -> None:  # type: ignore[no-untyped-def]
    for scene in real_scenes(200, seed=8):
        assert set(scene.caption.replace(",", "").split()) <= set(vocabulary())
        assert len(tokenizer(scene.caption).input_ids) <= CONTEXT_LENGTH


def test_the_files_are_the_same_each_time(tmp_path: Path) -> None:
    build_tokenizer(tmp_path / "a")
    build_tokenizer(tmp_path / "b")
    for name in ("vocab.json", "merges.txt"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
