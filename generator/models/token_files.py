"""The folder and the file names of learned tokens. Light: forms and the command line list them without torch."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

from safetensors import SafetensorError, safe_open

from diffucurate.generator.errors import InvalidSetting, ModelError

#: Overrides the folder in which tokens go by name.
TOKENS_DIR_VARIABLE = "DIFFUCURATE_TOKENS_DIR"

_SUFFIX = ".safetensors"
_NAME = re.compile(r"[\w-][\w. -]*")


def tokens_folder(folder: str | os.PathLike[str] | None = None) -> Path:
    """The folder of named tokens: ``folder``, else that of DIFFUCURATE_TOKENS_DIR, else ``~/.diffucurate/tokens``."""
    chosen = folder or os.environ.get(TOKENS_DIR_VARIABLE) or Path("~", ".diffucurate", "tokens")
    return Path(os.path.abspath(os.path.expanduser(chosen)))


def token_path(name: str, folder: str | os.PathLike[str] | None = None) -> Path:
    """The file of the token of that name, whether it is there or not.

    Raises:
        InvalidSetting: an empty name, or one that would lead out of the folder.
    """
    if not _NAME.fullmatch(name):
        raise InvalidSetting("token", name, "use letters, digits, spaces, dots, underscores and hyphens, as in 'car-2'")
    return tokens_folder(folder) / f"{name}{_SUFFIX}"


def token_names(folder: str | os.PathLike[str] | None = None) -> list[str]:
    """The names of all tokens in the folder, in alphabetical order; none where there is no folder yet."""
    return sorted(path.name.removesuffix(_SUFFIX) for path in tokens_folder(folder).glob(f"*{_SUFFIX}"))


def existing_token(name: str, folder: str | os.PathLike[str] | None = None) -> Path:
    """The file of the token of that name.

    Raises:
        InvalidSetting: there is none.
    """
    path = token_path(name, folder)
    if not path.is_file():
        there = ", ".join(token_names(folder)) or "none yet"
        raise InvalidSetting("token", name, f"no token of that name is in '{path.parent}'; there are: {there}")
    return path


def token_label(name: str, folder: str | os.PathLike[str] | None = None) -> str:
    """The class that the token of that name finds.

    Raises:
        InvalidSetting: there is no such token.
        ModelError: its file is broken.
    """
    path = existing_token(name, folder)
    try:
        with safe_open(path, framework="numpy") as file:
            return str(json.loads((file.metadata() or {})["token"])["label"])
    except (OSError, SafetensorError, ValueError, KeyError, TypeError) as error:
        raise ModelError(f"'{path}' could not be read as a learned token: {error}") from error
