"""Words, LoRAs and weights before a model is loaded, against what the loaded model's tokenizer says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from untrained import untrained_tokenizer

from diffucurate.generator.errors import ModelError, RecipeError
from diffucurate.generator.models import adapter_checks
from diffucurate.generator.models.adapter_checks import check_adapters, check_learns_words, check_new_word, has_word
from diffucurate.generator.models.adapters import check_unknown
from diffucurate.generator.recipe.model_options import Lora, ModelOptions, TextualInversion


def is_known(tokenizer: Any, word: str) -> bool:
    try:
        check_unknown(tokenizer, word, "placeholder")
    except RecipeError:
        return True
    return False


def test_a_vocabulary_knows_what_its_tokenizer_knows(tmp_path: Path) -> None:
    tokenizer = untrained_tokenizer(tmp_path)
    words = ["car", "Car", "cars", "street", "piano", "<piano>", "<|endoftext|>", "a", "red car", "x", "!", "trees"]
    by_vocabulary = {word: has_word(tokenizer.get_vocab(), word) for word in words}
    assert by_vocabulary == {word: is_known(tokenizer, word) for word in words}
    assert by_vocabulary["car"] and not by_vocabulary["<piano>"]


def test_the_built_in_model_is_asked_by_its_files() -> None:
    check_new_word("<piano>", "tiny", "placeholder")
    with pytest.raises(RecipeError, match=r"placeholder: 'car' - the model's tokenizer has this word already"):
        check_new_word("car", "tiny", "placeholder")
    check_new_word("car", "nobody/no-such-model", "placeholder")  # it is not here to be asked
    check_learns_words("tiny")
    check_learns_words("nobody/no-such-model")


def test_files_that_are_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "there.safetensors").touch()
    there = str(tmp_path / "there.safetensors")
    word, lora = TextualInversion(path=there, placeholder="<it>"), Lora(path=str(tmp_path))
    check_adapters(ModelOptions(tokens=(word,), loras=(lora, Lora(path="owner/name"))), "tiny")
    gone = ModelOptions(tokens=(word, TextualInversion(path="/nowhere/a.safetensors", placeholder="<b>")))
    with pytest.raises(RecipeError, match=r"tokens\[1\].path: .*there is no such file on this machine"):
        check_adapters(gone, "tiny")
    with pytest.raises(RecipeError, match=r"loras\[0\].path: .*there is no such file"):
        check_adapters(ModelOptions(loras=(Lora(path="style.safetensors"),)), "tiny")
    monkeypatch.setattr(adapter_checks, "find_spec", lambda name: None)
    with pytest.raises(ModelError, match="LoRAs need PEFT"):
        check_adapters(ModelOptions(loras=(lora,)), "tiny")
    with pytest.raises(ModelError, match="weights in prompts need Compel"):
        check_adapters(ModelOptions(prompt_weights=True), "tiny")
