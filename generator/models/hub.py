"""What is loaded by a name: from a folder, or from the local cache and then huggingface.co. Knows nothing of models.

The cache comes first, so that nothing is asked of the network for what is there already.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TypeVar

from diffucurate.generator.errors import ModelError
from diffucurate.generator.models.causes import hub_problem, local_problem
from diffucurate.generator.models.names import Place

#: What to do where huggingface.co cannot be reached.
OFFLINE_HELP = "without a network, download it elsewhere and give its local folder"

#: The most characters that are shown of an error of another library.
_LONGEST = 160

_Loaded = TypeVar("_Loaded")

#: What is tried for each kind of place, and whether only local files may be used there.
_TRIED = {
    "folder": (("the folder", True),),
    "hub": (("the local cache", True), ("huggingface.co", False)),
}


def load_local_first(model: str, place: Place, load: Callable[[str, bool], _Loaded], *, folder_help: str) -> _Loaded:
    """What ``load`` returns from the first place where it raises no error.

    Args:
        model: the name as the user gave it, for messages.
        place: the folder or the hub id that it means.
        load: called with that folder or id and whether only local files may be used, the ``local_files_only`` of
            diffusers and transformers.
        folder_help: what to do where the folder cannot be loaded, for messages.

    Raises:
        ModelError: each place that was tried, why it failed there and what to do; or the one that ``load`` raises.
    """
    reasons = []
    for where, local_only in _TRIED[place.kind]:
        try:
            return load(place.name, local_only)
        except ModelError:
            raise
        # diffusers, transformers, safetensors and the Hub client each have their own errors for what can go wrong here.
        except Exception as error:
            if problem := hub_problem(place.name, error):
                raise ModelError(problem) from error
            reasons.append(f"{where} ({local_problem(error) or first_line(error)})")
    remedy = folder_help if place.kind == "folder" else OFFLINE_HELP
    # A path with a typing error looks like a hub id.
    absent = "there is no such folder here; " if place.kind == "hub" else ""
    raise ModelError(f"'{model}' could not be loaded: {absent}tried {' and '.join(reasons)}; {remedy}")


def first_line(error: Exception) -> str:
    """The first line of an error of another library, without the pages that may follow and what objects look like."""
    if isinstance(error, KeyError):  # whose text is the key alone
        return f"{error} is missing"
    line = (str(error).strip().splitlines() or [type(error).__name__])[0]
    line = re.sub(r"<[^<>]{0,200} at 0x[0-9a-f]+>", "an object", line)
    return line if len(line) <= _LONGEST else f"{line[: _LONGEST - 3]}..."
