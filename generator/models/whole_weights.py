"""Models whose files hold every weight: what is missing is an error instead of random numbers in its place.

transformers fills in what its files lack with a warning, with which a model paints or writes nonsense; diffusers leaves
such weights empty.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch.nn import Module

from diffucurate.generator.errors import ModelError


def load_whole(kind: Any, name: str, model: str, *, part: str = "", **arguments: Any) -> Any:
    """A model of transformers, of .safetensors files only; no code of its repository is run.

    Args:
        kind: its class, or one of transformers' that choose the class.
        name: the folder or the hub id.
        model: what the user called it, for messages.
        part: its folder inside, where it is a part of a pipeline.
        arguments: of ``from_pretrained``.

    Raises:
        ModelError: the files lack weights, or hold them in another shape.
    """
    loaded, info = kind.from_pretrained(
        name,
        subfolder=part,
        use_safetensors=True,
        trust_remote_code=False,
        output_loading_info=True,
        **arguments,
    )
    _check(model, part, [*info["missing_keys"], *(str(key[0]) for key in info["mismatched_keys"])])
    return loaded


def check_no_empty_weights(model: str, pipe: Any) -> None:
    """See that no part of a pipeline was left without some of its weights.

    Raises:
        ModelError: one was.
    """
    for part, module in pipe.components.items():
        if isinstance(module, Module):
            _check(model, part, [key for key, tensor in module.state_dict().items() if tensor.is_meta])


def _check(model: str, part: str, missing: Sequence[str]) -> None:
    if missing:
        owner = f"its part '{part}'" if part else "its network"
        raise ModelError(
            f"'{model}' cannot be loaded: the weights of {owner} do not fit: {len(missing)} are missing or of another "
            f"shape, such as '{min(missing)[:80]}'; save it again with these versions of diffusers and transformers"
        )
