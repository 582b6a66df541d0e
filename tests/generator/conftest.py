"""Untrained pipelines for every test of the generator."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from diffusers import StableDiffusionPipeline
from transformers import CLIPTokenizer
from untrained import untrained_pipeline, untrained_tokenizer

from diffucurate.generator.tiny.words import CONTEXT_LENGTH


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)  # these models are too small to share


@pytest.fixture(scope="session")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> CLIPTokenizer:
    return untrained_tokenizer(tmp_path_factory.mktemp("tokenizer"))


@pytest.fixture(scope="session")
def make_pipe(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., StableDiffusionPipeline]:
    """A pipeline with these levels of cross-attention and this context length."""

    def make(channels: tuple[int, ...] = (32, 64), context: int = CONTEXT_LENGTH) -> StableDiffusionPipeline:
        words: Path = tmp_path_factory.mktemp("words")
        return untrained_pipeline(untrained_tokenizer(words, context), channels=channels)

    return make


@pytest.fixture
def pipe(make_pipe: Callable[..., StableDiffusionPipeline]) -> StableDiffusionPipeline:
    return make_pipe()
