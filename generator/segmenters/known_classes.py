"""What a checkpoint knows of its classes survives a training with others, such as one more.

Ultralytics takes over the layers of a checkpoint whose shapes fit. The last one of the head, which has a row for each
class, fits only where there are as many classes, and then row by row, whatever they are called. Here each class gets
the row of the class of the same name; new ones start at random.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch

from diffucurate.generator.text.class_names import folded

#: The branches of a head whose last layer tells classes apart, one of each per grid; not every head has both.
_BRANCHES = ("cv3", "one2one_cv3")


def keep_known_classes(model: Any) -> None:
    """Have an Ultralytics ``YOLO`` with a checkpoint's weights keep its classes by name when it is trained."""
    names = dict(model.names)
    known = [layer.state_dict() for layer in _last_layers(model.model)]
    known = [{name: tensor.clone() for name, tensor in state.items()} for state in known]

    def take_over(trainer: Any) -> None:
        for network in (trainer.model, trainer.ema.ema):
            for layer, state in zip(_last_layers(network), known, strict=False):
                copy_rows(layer, state, names, trainer.data["names"])

    model.add_callback("on_pretrain_routine_end", take_over)


def copy_rows(
    layer: torch.nn.Module, known: Mapping[str, torch.Tensor], before: Mapping[int, str], after: Mapping[int, str]
) -> None:
    """Copy the rows of the classes in ``before`` to where ``after`` has them; capitals make no difference.

    Nothing is copied where the layers differ in more than the number of classes.
    """
    places = {folded(name): index for index, name in before.items()}
    with torch.no_grad():
        for name, tensor in layer.state_dict().items():
            if name not in known or known[name].shape[1:] != tensor.shape[1:]:
                continue
            for index, label in after.items():
                if folded(label) in places:
                    tensor[index] = known[name][places[folded(label)]].to(tensor)


def _last_layers(network: Any) -> Iterator[torch.nn.Module]:
    head = network.model[-1]
    for name in _BRANCHES:
        for branch in getattr(head, name, None) or ():
            yield branch[-1]
