"""Rows of a head's last layer go with the names of the classes."""

from __future__ import annotations

import torch

from diffucurate.generator.segmenters.known_classes import copy_rows


def test_rows_follow_the_names() -> None:
    old, new = torch.nn.Conv2d(4, 3, 1), torch.nn.Conv2d(4, 4, 1)
    fresh = new.weight.detach().clone()
    before, after = {0: "car", 1: "Traffic Light", 2: "dog"}, {0: "piano", 1: "dog", 2: "traffic_light", 3: "boat"}
    copy_rows(new, old.state_dict(), before, after)
    assert torch.equal(new.weight[1], old.weight[2]) and torch.equal(new.bias[1], old.bias[2])
    assert torch.equal(new.weight[2], old.weight[1]) and torch.equal(new.bias[2], old.bias[1])
    assert torch.equal(new.weight[[0, 3]], fresh[[0, 3]])


def test_layers_of_other_widths_are_left_alone() -> None:
    old, new = torch.nn.Conv2d(8, 2, 1), torch.nn.Conv2d(4, 2, 1)
    fresh = new.weight.detach().clone()
    copy_rows(new, {"weight": old.weight}, {0: "car", 1: "dog"}, {0: "dog", 1: "car"})
    assert torch.equal(new.weight, fresh)
