"""Changes the attention of layers while their own processors run.

The layer's processor still makes queries, keys and values and the output; only its call of PyTorch's
``scaled_dot_product_attention`` is answered by a function of ours. So one mechanism serves cross-attention,
self-attention and joint attention of all families, and a trace around it goes on reading queries and keys.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cache, wraps
from typing import Any, TypeAlias

import torch
from torch import Tensor
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from diffucurate.generator.errors import ModelError


@dataclass(frozen=True)
class AttentionCall:
    """One call of a layer's attention, for the rows of the whole batch.

    ``query`` and ``key`` are (rows, heads, n, width), ``value`` (rows, heads, tokens, width); ``mask`` is bool (True:
    may attend) or is added to the scores, and broadcasts to (rows, heads, n, tokens). ``options`` are its others.
    """

    query: Tensor
    key: Tensor
    value: Tensor
    mask: Tensor | None
    options: Mapping[str, Any]

    def attend(self) -> Tensor:
        """(rows, heads, n, width): what the layer would compute."""
        return functional.scaled_dot_product_attention(
            self.query, self.key, self.value, attn_mask=self.mask, **self.options
        )

    def biased(self, bias: Tensor) -> AttentionCall:
        """The call with ``bias`` added to its scores; -inf where nothing may be attended to."""
        if self.mask is None:
            mask = bias
        elif self.mask.dtype == torch.bool:
            mask = bias.masked_fill(~self.mask, -torch.inf)
        else:
            mask = bias + self.mask
        return replace(self, mask=mask.to(self.query.dtype))


#: Answers a call of the attention, by ``AttentionCall.attend`` of a changed one.
Change: TypeAlias = Callable[[AttentionCall], Tensor]


def steered(original: Any, begin: Callable[[], Change | None]) -> Any:
    """A processor that does what ``original`` does, with its attention changed.

    Args:
        original: the layer's processor.
        begin: called before each call; returns what answers its attention, None where nothing is changed.
    """
    kind: Any = type(original)
    processor = _steered_class(kind)()
    processor.original, processor.begin = original, begin
    return processor


# One class for all runs of a kind of processor, so that torch.compile's cache serves the next run too.
@cache
def _steered_class(kind: Any) -> Any:
    @torch.compiler.disable
    @wraps(kind.__call__)  # diffusers passes on those keyword arguments that the signature of __call__ names
    def call(self: Any, attn: Any, *args: Any, **kwargs: Any) -> Any:
        change = self.begin()
        if change is None:
            return self.original(attn, *args, **kwargs)
        with _Answered(change) as answered:
            output = self.original(attn, *args, **kwargs)
        if not answered.calls:
            raise ModelError(
                f"{kind.__name__} does not use PyTorch's own attention, so it cannot be steered; turn off attention "
                "slicing, xformers and other attention backends"
            )
        return output

    return type("Steered" + kind.__name__, (), {"__call__": call})


#: The names of the function's arguments, which a builtin does not tell.
_PARAMETERS = ("query", "key", "value", "attn_mask", "dropout_p", "is_causal")


class _Answered(TorchFunctionMode):
    """A block in which calls of the attention are answered by ``change``."""

    def __init__(self, change: Change) -> None:
        super().__init__()
        self._change, self.calls = change, 0

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is not functional.scaled_dot_product_attention:
            return func(*args, **(kwargs or {}))
        self.calls += 1
        named = {**dict(zip(_PARAMETERS, args, strict=False)), **(kwargs or {})}
        query, key, value = (named.pop(name) for name in ("query", "key", "value"))
        return self._change(AttentionCall(query, key, value, named.pop("attn_mask", None), named))
