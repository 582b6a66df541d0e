"""The conversations in which pipelines with a language model write prompts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from diffucurate.generator.attention.capture.chat import ChatTemplate

#: What Qwen's templates write before a prompt, after it, and after an image in it.
QWEN_USER, QWEN_END, QWEN_IMAGE_END = "<|im_start|>user", "<|im_end|>", "<|vision_end|>"


def qwen3(tokenizer: Any, *, thinking: bool, trimmed: bool) -> ChatTemplate:
    """The conversation of one message that Qwen3 is to answer.

    Args:
        tokenizer: the pipeline's, with its chat template.
        thinking: whether the answer may begin with a thought.
        trimmed: whether the diffusion model is not given the states of padding.
    """

    def write(prompts: Sequence[str], length: int) -> tuple[list[list[int]], list[list[int]]]:
        texts = [
            tokenizer.apply_chat_template(
                [{"role": "user", "content": prompt}],
                tokenize=False,
                add_generation_prompt=True,
                enable_thinking=thinking,
            )
            for prompt in prompts
        ]
        rows = tokenizer(texts, padding="max_length", truncation=True, max_length=length)
        return rows.input_ids, rows.attention_mask

    return ChatTemplate(QWEN_USER, QWEN_END, write, trimmed=trimmed)


def mistral(processor: Any, system: str) -> ChatTemplate:
    """The conversation in which Mistral is told by the ``system`` what to do, and by the user what to describe.

    Args:
        processor: the pipeline's, with its chat template.
        system: what the pipeline has the system say.
    """

    def write(prompts: Sequence[str], length: int) -> tuple[list[list[int]], list[list[int]]]:
        messages = [
            [{"role": role, "content": [{"type": "text", "text": text}]} for role, text in turns]
            for turns in ((("system", system), ("user", prompt)) for prompt in prompts)
        ]
        rows = processor.apply_chat_template(
            messages,
            add_generation_prompt=False,
            tokenize=True,
            return_dict=True,
            padding="max_length",
            truncation=True,
            max_length=length,
        )
        return list(rows["input_ids"]), list(rows["attention_mask"])

    return ChatTemplate("[INST]", "[/INST]", write, trimmed=False)
