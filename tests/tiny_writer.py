"""A language model of the real classes that writes captions of the tiny world after a few seconds of training."""

from __future__ import annotations

from pathlib import Path
from random import Random

import torch
from tokenizers import Regex, Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Split
from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast

from diffucurate.generator.tiny.shapes import CLASSES, COLOURS
from diffucurate.generator.tiny.words import PLACES, TIMES, WEATHERS, Mention, caption, vocabulary

END, UNKNOWN = "<end>", "<unknown>"
_STEPS, _BATCH = 90, 48

#: Makes of a request what the model was trained to continue, as the templates of chat models do in their own way.
CHAT = "Captions of photographs:\n{{ messages[0].content.split(' shows ')[1].split('. Use')[0] }}:"


def write_captions(count: int, seed: int) -> list[tuple[tuple[str, ...], str]]:
    """Captions of scenes that nobody renders, each after its one or two classes, called by their own names."""
    rng, made = Random(seed), []
    while len(made) < count:
        labels = tuple(rng.sample(list(CLASSES), rng.choice((1, 2))))
        mentions = [Mention(label, rng.choice(list(COLOURS)), 1) for label in labels]
        text = caption(mentions, rng.choice(PLACES), rng.choice(TIMES), rng.choice(WEATHERS), rng)
        if all(f" {label} " in f" {text} " for label in labels):
            made.append((labels, text))
    return made


def save_writer(folder: Path) -> Path:
    """Train the model on captions as ``expand_captions`` asks for them without examples, and save it.

    It names both of two classes in some 60 of 100 captions: enough to see that the others are dropped.
    """
    words = sorted({*vocabulary(), *"\n:,", "Captions", "photographs"})
    tokens = Tokenizer(WordLevel({word: index for index, word in enumerate([END, UNKNOWN, *words])}, UNKNOWN))
    tokens.pre_tokenizer = Split(Regex(r"\w+|[^\w ]"), "removed", invert=True)
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=tokens, eos_token=END, unk_token=UNKNOWN, pad_token=END)
    torch.manual_seed(0)
    config = GPT2Config(
        vocab_size=len(tokenizer),
        n_positions=128,
        n_embd=64,
        n_layer=1,
        n_head=4,
        initializer_range=0.1,
        eos_token_id=0,
        bos_token_id=0,
        pad_token_id=0,
        resid_pdrop=0,
        embd_pdrop=0,
        attn_pdrop=0,
    )
    model = GPT2LMHeadModel(config)
    known = write_captions(_STEPS * _BATCH, seed=0)
    texts = [f"Captions of photographs:\n{', '.join(labels)}: {text}\n{END}" for labels, text in known]
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2, weight_decay=0, betas=(0.9, 0.98))
    schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1, 0.05, _STEPS)
    colon = tokenizer.convert_tokens_to_ids(":")
    for step in range(_STEPS):
        part = texts[step * _BATCH : (step + 1) * _BATCH]
        batch = tokenizer(part, return_tensors="pt", padding=True, return_token_type_ids=False)
        asked = (batch.input_ids == colon).cumsum(dim=1) < 2
        model(**batch, labels=batch.input_ids.masked_fill(asked | (batch.attention_mask == 0), -100)).loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
