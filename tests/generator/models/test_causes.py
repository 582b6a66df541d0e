"""Errors of loading say the cause and what to do."""

from __future__ import annotations

import pytest

from diffucurate.generator.errors import ModelError
from diffucurate.generator.models.hub import load_local_first
from diffucurate.generator.models.names import Place

# Named as the Hub client names its own, which take a response of the network to be made.
GatedRepoError = type("GatedRepoError", (OSError,), {})
RepositoryNotFoundError = type("RepositoryNotFoundError", (OSError,), {})


def caused_by(cause: Exception) -> Exception:
    try:
        raise OSError("We have no connection") from cause
    except OSError as error:
        return error


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (GatedRepoError("403"), r"accepts its licence: do so at https://huggingface.co/a/b and log in"),
        (caused_by(GatedRepoError("403")), "accepts its licence"),
        (caused_by(RepositoryNotFoundError("404")), r"neither a folder 'a/b' here nor a repository of that name"),
        (ValueError("Couldn't instantiate the backend tokenizer: sentencepiece or tiktoken"), r"diffucurate\[t5\]"),
        (ImportError("requires the protobuf library"), r"pip install 'diffucurate\[t5\]'"),
        (
            OSError("Error no file named model.safetensors found in directory x"),
            r"no .safetensors weights; pickled ones",
        ),
    ],
)
def test_the_cause_is_named(error: Exception, sentence: str) -> None:
    def load(name: str, local_only: bool) -> str:
        if local_only:
            raise OSError("not cached")
        raise error

    with pytest.raises(ModelError, match=sentence) as raised:
        load_local_first("a/b", Place("hub", "a/b"), load, folder_help="")
    assert len(str(raised.value)) < 500
