"""The fit of class tokens to training views: logistic regression with a pull towards the classes' own words.

The loss is the cross-entropy between the shares that the scores give (as in ``token_contest``) and those of the masks,
plus the squared distance of the tokens from their words, which decides where the masks have few pixels. Scores are
linear in the tokens, so there is one minimum. On exact masks of 28 rendered scenes L-BFGS finds it in 3 seconds (loss
0.3424). Adam comes as near at a rate of 0.3 in 300 steps (0.3426, five times as long), and so does OVAM's SGD, whose
rate falls to 0.7 of itself eight times, at 30 in 800 steps (0.3426, sixteen times as long); at 100, OVAM's own, it ends
at 0.351.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from diffucurate.generator.attention.class_tokens.training_views import TrainingView
from diffucurate.generator.attention.trace.attribution import Attribution
from diffucurate.generator.errors import InvalidSetting

#: L-BFGS: evaluations at most, and pairs remembered.
_EVALUATIONS, _HISTORY = 150, 10


def start_states(pipe: Any, words: Mapping[str, str]) -> list[Tensor]:
    """The text encoder's states of a start token and of each class's word, each (channels,) float32.

    Raises:
        InvalidSetting: a word that the tokenizer has no room for.
    """
    starts, states = [], []
    for label, word in words.items():
        (group,) = Attribution.from_text(pipe, f"a photo of a {word}", {label: [word]}).groups
        (tokens,) = group.tokens
        places = tokens.classes.get(label)
        if places is None:
            raise InvalidSetting(
                "phrases", word, f"the model's tokenizer has no room for it; give '{label}' a shorter word"
            )
        row = group.states[0].float().cpu()
        starts.append(row[(tokens.starts or tokens.content)[0]])
        states.append(row[list(places)].mean(dim=0))
    return [torch.stack(starts).mean(dim=0), *states]


def fit_tokens(views: Sequence[TrainingView], words: Tensor, pull: float) -> tuple[Tensor, float]:
    """The tokens of least loss, (1 + classes, channels), the start token first, and that loss.

    Args:
        views: of all images.
        words: (1 + classes, channels), what the tokens start from and are pulled towards.
        pull: weight of the squared distance from ``words``, above 0.
    """
    tokens = words.clone().requires_grad_()
    count = sum(view.shares.shape[0] for view in views)
    optimiser = torch.optim.LBFGS(
        [tokens],
        max_iter=_EVALUATIONS,
        max_eval=_EVALUATIONS,
        history_size=_HISTORY,
        line_search_fn="strong_wolfe",
        tolerance_change=1e-6,
    )

    def evaluate() -> Tensor:
        optimiser.zero_grad()
        loss = pull * (tokens - words).square().sum()
        for view in views:
            entropy = -(view.shares * _log_shares(view, tokens)).sum(dim=1)
            loss = loss + entropy.mean(dim=(1, 2)).sum() / count
        loss.backward()
        return loss.detach()

    with torch.enable_grad():
        optimiser.step(evaluate)
        return tokens.detach(), float(evaluate())


def _log_shares(view: TrainingView, tokens: Tensor) -> Tensor:
    """The logarithms of the shares by these tokens, (images, 1 + classes, height, width)."""
    scores = torch.einsum("nchw,kc->nkhw", view.features, tokens[1:] - tokens[0])
    return torch.cat([torch.zeros_like(scores[:, :1]), scores], dim=1).log_softmax(dim=1)


def class_ious(views: Sequence[TrainingView], tokens: Tensor) -> list[float]:
    """Per class the IoU of the pixels it wins with those that are mostly its own."""
    sums = torch.zeros(len(tokens) - 1, 2)
    for view in views:
        winners = _log_shares(view, tokens).argmax(dim=1)
        for k in range(len(sums)):
            won, own = winners == 1 + k, view.shares[:, 1 + k] > 0.5
            sums[k] += torch.tensor([(won & own).sum(), (won | own).sum()])
    return [float(both / max(1, either)) for both, either in sums.tolist()]
