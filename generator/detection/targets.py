"""What a head should have said, and how far it is from that. Knows tensors only."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional
from torchvision.ops import generalized_box_iou_loss, sigmoid_focal_loss

from diffucurate.generator.detection.head import Predictions, corners, mask_logits, places

#: How far from an object's middle, in places, others count as its middle too.
_REACH = 1.5
#: Objects of an image whose masks a step learns from, by as many places.
_MASKS = 32


class Truth(NamedTuple):
    """The n objects of an image: ``classes`` (n,) ids from 0, ``boxes`` (n, 4) x0, y0, x1, y1 as shares of the side,
    ``masks`` (n, H, W) float in [0, 1] on the grid of the masks, ``known`` (n,) whether these are more than boxes."""

    classes: Tensor
    boxes: Tensor
    masks: Tensor
    known: Tensor


def assigned(truth: Truth, grid: int) -> Tensor:
    """(G * G,) the object whose middle each place is, -1 for none; of several the smallest."""
    owner = torch.full((grid * grid,), -1)
    if not len(truth.classes):
        return owner
    middles = places(grid, truth.boxes)
    own = places(truth.masks.shape[-1], truth.masks)
    weights = truth.masks.flatten(1)
    mass = (weights @ own) / weights.sum(1, keepdim=True).clamp(min=1e-6)
    near = ((middles[:, None] - mass[None]).abs() * grid).amax(-1)  # (places, objects)
    x0, y0, x1, y1 = truth.boxes.unbind(1)
    x, y = middles[:, :1], middles[:, 1:]
    inside = (x > x0) & (x < x1) & (y > y0) & (y < y1)
    positive = inside & (near <= _REACH)
    positive[near.argmin(0), torch.arange(len(mass))] = True  # an object smaller than a place has one too
    area = ((x1 - x0) * (y1 - y0)).expand_as(near)
    best = torch.where(positive, area, torch.inf).min(1)
    owner[best.values < torch.inf] = best.indices[best.values < torch.inf]
    return owner


def losses(predictions: Predictions, truths: list[Truth], generator: torch.Generator) -> dict[str, Tensor]:
    """``class``, ``box``, ``central`` and ``mask`` losses of a batch, each a mean over its objects' places."""
    grid = predictions.central.shape[-1]
    middles = places(grid, predictions.central)
    count = predictions.classes.shape[1]
    wanted, boxes, aims, central, nearness, masks = [], [], [], [], [], []
    for index, truth in enumerate(truths):
        owner = assigned(truth, grid).to(middles.device)
        at = owner.nonzero()[:, 0] if not len(truth.classes) else (owner >= 0).nonzero()[:, 0]
        at = at[owner[at] >= 0]
        target = middles.new_zeros(len(owner), count)
        target[at, truth.classes[owner[at]]] = 1
        wanted.append(target)
        if not len(at):
            continue
        found = corners(predictions.boxes[index].flatten(1).T[at], middles[at])
        true = truth.boxes[owner[at]]
        boxes.append(found)
        aims.append(true)
        central.append(predictions.central[index].flatten()[at])
        nearness.append(_centrality(middles[at], true))
        chosen = at[truth.known[owner[at]]]
        chosen = chosen[torch.randperm(len(chosen), generator=generator)[:_MASKS].to(chosen.device)]
        if len(chosen):
            networks = predictions.networks[index].flatten(1).T[chosen]
            masks.append(
                _mask_loss(mask_logits(networks, predictions.masks[index], middles[chosen]), truth.masks[owner[chosen]])
            )
    logits = predictions.classes.flatten(2).transpose(1, 2)
    positives = max(1, sum(map(len, boxes)))
    nothing = logits.sum() * 0
    return {
        "class": sigmoid_focal_loss(logits, torch.stack(wanted), reduction="sum") / positives,
        "box": generalized_box_iou_loss(torch.cat(boxes), torch.cat(aims), reduction="mean") if boxes else nothing,
        "central": functional.binary_cross_entropy_with_logits(torch.cat(central), torch.cat(nearness))
        if boxes
        else nothing,
        "mask": torch.cat(masks).mean() if masks else nothing,
    }


def _centrality(middles: Tensor, boxes: Tensor) -> Tensor:
    """FCOS's: 1 in the middle of a box, 0 at its border."""
    left, top = (middles - boxes[:, :2]).clamp(min=1e-4).unbind(1)
    right, bottom = (boxes[:, 2:] - middles).clamp(min=1e-4).unbind(1)
    across = torch.minimum(left, right) / torch.maximum(left, right)
    return (across * torch.minimum(top, bottom) / torch.maximum(top, bottom)).sqrt()


def _mask_loss(logits: Tensor, masks: Tensor) -> Tensor:
    """(n,) Dice loss and cross-entropy of n masks."""
    chances = logits.sigmoid()
    shared = 2 * (chances * masks).sum((1, 2))
    dice = 1 - (shared + 1) / (chances.square().sum((1, 2)) + masks.square().sum((1, 2)) + 1)
    return dice + functional.binary_cross_entropy_with_logits(logits, masks, reduction="none").mean((1, 2))
