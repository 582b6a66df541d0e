"""The parts of GoCA's aggregation by themselves: weights of heads and layers, rescaling."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

from diffucurate.generator.attention.capture.head_weights import head_weights, projection_of
from diffucurate.generator.attention.capture.layer_weights import LayerWeights
from diffucurate.generator.attention.capture.maps import MapGrid
from diffucurate.generator.attention.capture.rescaling import shares_of_words, smoothed, stretched


def test_heads_by_what_they_contribute() -> None:
    torch.manual_seed(0)
    outputs, module = torch.randn(2, 5, 12), torch.nn.Linear(12, 7)
    projection = projection_of(module, 12, outputs)
    torch.testing.assert_close(projection, module.weight.T.detach(), atol=1e-6, rtol=1e-5)  # without the bias
    found = head_weights(outputs, projection, 3)
    assert found.shape == (2, 3, 5)
    whole = outputs @ projection
    for head in range(3):
        part = outputs[..., 4 * head : 4 * head + 4] @ projection[4 * head : 4 * head + 4]
        wanted = (part * whole).sum(dim=-1) / (whole * whole).sum(dim=-1)
        torch.testing.assert_close(found[:, head], wanted, atol=1e-5, rtol=1e-4)
    assert found.min() < 0  # not clamped
    torch.testing.assert_close(found.sum(dim=1), torch.ones(2, 5))
    assert torch.isfinite(head_weights(torch.zeros(1, 2, 12), projection, 3)).all()


def weighed(limit_mib: float, order: Sequence[str] = ("first", "reference", "last")) -> dict[str, torch.Tensor]:
    """The weights of a layer of 12 x 20 pixels, as the reference has, and of one of 6 x 10, in two images."""
    generator = torch.Generator().manual_seed(3)
    grids = {"first": MapGrid(1, (12, 20)), "last": MapGrid(2, (6, 10))}
    keys = {
        name: torch.randn(2, 3, grid.size[0] * grid.size[1], 8, generator=generator) for name, grid in grids.items()
    }
    features = torch.randn(2, 240, 16, generator=generator)
    summed = LayerWeights(limit_mib)
    for name in order:
        if name == "reference":
            summed.refer(MapGrid(1, (12, 20)), features)
        else:
            summed.add(name, grids[name], keys[name], keys[name], 0.35)
    return summed.of({"first": 3, "last": 3})


def test_layers_before_the_reference_and_after_it_alike() -> None:
    found = [weighed(16.0, order) for order in (("first", "reference", "last"), ("last", "first", "reference"))]
    for name, weights in found[0].items():
        torch.testing.assert_close(weights, found[1][name])
    torch.testing.assert_close(found[0]["first"] + found[0]["last"], torch.ones(2))


def test_fewer_pixels_count_more() -> None:
    """Of layers whose pixels attend evenly: their shares are larger, and keep their values when they are enlarged."""
    summed = LayerWeights()
    summed.refer(MapGrid(1, (8, 8)), torch.zeros(1, 64, 4))
    for name, side in (("fine", 8), ("coarse", 4)):
        even = torch.zeros(1, 2, side * side, 4)
        summed.add(name, MapGrid(8 // side, (side, side)), even, even, 1.0)
    weights = summed.of({"fine": 2, "coarse": 2})
    assert float(weights["coarse"] / weights["fine"]) == pytest.approx(4)


def test_layer_weights_by_cells_are_near_the_exact_ones() -> None:
    """Where neighbours are alike, as they are in real features."""
    found, size = [], (24, 32)
    rows, columns = torch.meshgrid(torch.linspace(-1, 1, size[0]), torch.linspace(-1, 1, size[1]), indexing="ij")
    places = torch.stack([rows, columns, rows.cos(), columns.cos()], dim=-1).reshape(1, 1, -1, 4)
    for limit in (16.0, 0.7):
        summed = LayerWeights(limit)
        summed.add("near", MapGrid(1, size), 3 * places, places, 1.0)
        summed.refer(MapGrid(1, size), 4 * places[:, 0])
        summed.add("even", MapGrid(1, size), 0 * places, places, 1.0)
        summed.add("coarse", MapGrid(2, (12, 16)), 2 * places[:, :, ::4], places[:, :, ::4], 1.0)
        found.append(summed.of({"near": 1, "even": 1, "coarse": 1}))
    for name, weight in found[0].items():
        torch.testing.assert_close(weight, found[1][name], atol=0.01, rtol=0)
    assert not torch.equal(found[0]["near"], found[1]["near"])
    assert float(found[0]["near"]) > 1.5 * float(found[0]["even"])


def test_layers_where_no_reference_came_by() -> None:
    assert LayerWeights().of({"a": 3, "b": 1})["a"].tolist() == [0.75]


def test_rescaling() -> None:
    shares = torch.tensor([0.1, 0.3, -0.2, 0.5]).reshape(4, 1, 1).expand(4, 3, 3)
    groups = torch.tensor([[1.0, 1, 1, 0], [0, 0, 0, 1]])
    assert shares_of_words(shares, groups)[:, 0, 0].tolist() == pytest.approx([0.25, 0.75, 0, 1])
    heat = torch.zeros(2, 9, 9)
    heat[0, 4, 4] = 1
    blurred = smoothed(heat)
    np.testing.assert_allclose(blurred[0], gaussian_filter(heat[0].numpy(), 1.1, mode="mirror", radius=2), atol=1e-6)
    assert stretched(blurred)[0].min() == 0 and stretched(blurred)[0].max() == 1
    assert stretched(blurred)[1].eq(0).all()  # the same everywhere
    assert smoothed(torch.ones(1, 2, 1)).allclose(torch.ones(1))  # too small to mirror
