"""A local text-generation model that continues texts or answers messages. Knows nothing of captions.

Torch and transformers are imported when a model is loaded and not before. No code of a model's repository is run, and
weights are read from .safetensors files only.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from diffucurate.generator.errors import ModelError
from diffucurate.generator.models.hub import load_local_first
from diffucurate.generator.models.names import locate_writer


class Written(NamedTuple):
    """What a model wrote after a prompt, and whether it came to an end before its tokens ran out."""

    text: str
    finished: bool


class LanguageModel:
    """A causal language model with its tokenizer, loaded once.

    Args:
        model: a folder that transformers saved both to, or a hub id.
        device: as torch names it; by default a GPU where there is one. Weights are float16 on CUDA, else float32.

    Raises:
        ModelError: there is no such model, it cannot be loaded, or no such device.
    """

    def __init__(self, model: str, device: str | None = None) -> None:
        import torch
        import transformers

        from diffucurate.generator.models.load import checked_device, default_device

        self.name = model
        self._device = checked_device(device or default_device()[0])
        dtype = torch.float16 if self._device.startswith("cuda") else torch.float32
        loaded, self._tokenizer = _load(model, dtype)
        self._model = loaded.eval().to(self._device)
        ends = getattr(self._model.generation_config, "eos_token_id", None)  # of answers, which may differ from texts'
        self._ends = {*(ends if isinstance(ends, list) else [ends]), self._tokenizer.eos_token_id} - {None}
        # All that else a model's own settings of generation say, such as a million beams, is left unheard.
        self._model.generation_config = transformers.GenerationConfig(eos_token_id=sorted(self._ends) or None)
        if self._tokenizer.eos_token_id is None:
            raise ModelError(f"the tokenizer of '{model}' has no end token, so nobody can tell when it is done")
        self._tokenizer.padding_side = "left"  # so that what is written follows the prompt in every row
        if self._tokenizer.pad_token_id is None:
            self._tokenizer.pad_token = self._tokenizer.eos_token

    @property
    def chats(self) -> bool:
        """Whether it answers messages, rather than continue a text."""
        return bool(self._tokenizer.chat_template)

    def write(
        self, prompts: Sequence[str], *, seed: int, temperature: float = 1.0, most_tokens: int = 80
    ) -> list[Written]:
        """What the model samples after each prompt: an answer to a message, or the rest of the line.

        Args:
            prompts: messages where it ``chats``, else texts to be continued.
            seed: of the samples, which are the same for the same prompts in the same batch on the same machine.
            temperature: above 0; 0.1 writes the same again and again, 2 writes nonsense.
            most_tokens: after so many it is cut off.

        Raises:
            ModelError: the prompts and an answer are longer than the model reads.
        """
        import torch

        inputs = self._encoded(prompts)
        length = inputs["input_ids"].shape[1]
        most = getattr(self._model.config, "max_position_embeddings", None)
        if isinstance(most, int) and length + most_tokens > most:
            raise ModelError(
                f"'{self.name}' reads {most} tokens at once, which a prompt of {length} and an answer of {most_tokens} "
                "exceed; show it fewer examples or ask for shorter captions"
            )
        devices = [self._device] if self._device.startswith("cuda") else []
        with torch.random.fork_rng(devices), torch.inference_mode():
            torch.manual_seed(seed)
            tokens = self._model.generate(
                **inputs,
                do_sample=True,
                temperature=temperature,
                top_p=0.95,
                top_k=0,
                max_new_tokens=most_tokens,
                pad_token_id=self._tokenizer.pad_token_id,
                stopping_criteria=None if self.chats else [self._line_ends],
            )
        return [self._written(row[length:].tolist()) for row in tokens]

    def _encoded(self, prompts: Sequence[str]) -> Any:
        texts = list(prompts)
        if self.chats:
            texts = [
                self._tokenizer.apply_chat_template(
                    [{"role": "user", "content": text}], tokenize=False, add_generation_prompt=True
                )
                for text in texts
            ]
        # A chat template writes the start token itself.
        inputs = self._tokenizer(
            texts, return_tensors="pt", padding=True, add_special_tokens=not self.chats, return_token_type_ids=False
        )
        return inputs.to(self._device)

    def _line_ends(self, ids: Any, scores: Any, **_: Any) -> Any:
        """Which rows have written a line: transformers asks after each token."""
        import torch

        # The prompt's own lines are all longer than the tail that is read: one token.
        tail = self._tokenizer.batch_decode(ids[:, -1:])
        return torch.tensor(["\n" in text for text in tail], device=ids.device)

    def _written(self, ids: list[int]) -> Written:
        end = next((place for place, token in enumerate(ids) if token in self._ends), None)
        text, finished = self._tokenizer.decode(ids[:end], skip_special_tokens=True), end is not None
        if not self.chats:
            text, line_end, _ = text.lstrip("\n").partition("\n")
            finished = finished or bool(line_end)
        return Written(text.strip(), finished)


def _load(model: str, dtype: Any) -> tuple[Any, Any]:
    """The model and its tokenizer."""
    import transformers

    from diffucurate.generator.models.whole_weights import load_whole

    def from_pretrained(name: str, local_only: bool) -> tuple[Any, Any]:
        # Where this is not said, transformers asks whether to run the code of a model's folder.
        tokenizer = transformers.AutoTokenizer.from_pretrained(
            name, local_files_only=local_only, trust_remote_code=False
        )
        writer = load_whole(transformers.AutoModelForCausalLM, name, model, local_files_only=local_only, dtype=dtype)
        return writer, tokenizer

    remedy = "save model and tokenizer there with .safetensors weights"
    return load_local_first(model, locate_writer(model), from_pretrained, folder_help=remedy)
