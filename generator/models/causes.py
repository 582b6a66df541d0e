"""Why a model could not be loaded, in words that say what to do, for the errors that many people meet."""

from __future__ import annotations

from collections.abc import Iterator

#: The Hub client's errors, by their names, as messages say little of the cause.
_GATED, _ABSENT = "GatedRepoError", "RepositoryNotFoundError"


def hub_problem(model: str, error: BaseException) -> str | None:
    """One sentence where the hub has no such repository, or shows it to nobody who has not accepted its licence."""
    kinds = {type(each).__name__ for each in _chain(error)}
    if _GATED in kinds:
        return (
            f"'{model}' is shown only to who accepts its licence: do so at https://huggingface.co/{model} and log in "
            "with `hf auth login`"
        )
    if _ABSENT in kinds:
        return (
            f"there is neither a folder '{model}' here nor a repository of that name on huggingface.co; check the "
            "name, or log in with `hf auth login` where it is private"
        )
    return None


def local_problem(error: BaseException) -> str | None:
    """What is missing on this machine or in the model, in words; None for other errors."""
    text = " ".join(str(each) for each in _chain(error)).lower()
    if any(name in text for name in ("sentencepiece", "protobuf", "tiktoken")):
        return "its tokenizer needs SentencePiece and protobuf: pip install 'diffucurate[t5]'"
    if ".safetensors" in text and "no file named" in text:
        return (
            "it has no .safetensors weights; pickled ones (.bin) can run any code when they are loaded: where you know "
            "who made them, load and save the pipeline once with diffusers (save_pretrained)"
        )
    return None


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """The error and those that led to it."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__
