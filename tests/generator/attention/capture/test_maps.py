"""How sums of attention become maps: products without a softmax, and heads that do not count the same."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from diffucurate.generator.attention.capture.maps import AttentionAccumulator, MapGrid
from diffucurate.generator.attention.capture.tokens import PromptTokens
from diffucurate.generator.attention.settings import TraceSettings
from diffucurate.generator.errors import InvalidSetting

FINE, COARSE = MapGrid(1, (4, 6)), MapGrid(2, (2, 3))
PROMPTS = [PromptTokens({"car": (1, 2)}, (1, 2, 3)), PromptTokens({"bus": (3,), "car": (2,)}, (1, 2, 3))]


def passes(seed: int = 0) -> list[tuple[str, MapGrid, torch.Tensor, torch.Tensor]]:
    """Two passes through three layers, of 2, 2 and 4 heads."""
    generator = torch.Generator().manual_seed(seed)
    layers = [("a", FINE, 2), ("b", FINE, 2), ("c", COARSE, 4)]
    return [
        (
            name,
            grid,
            torch.randn(2, heads, grid.size[0] * grid.size[1], 5, generator=generator),
            torch.randn(2, heads, 5, 5, generator=generator),
        )
        for _ in range(2)
        for name, grid, heads in layers
    ]


def combined(settings: TraceSettings, calls: list[tuple[str, MapGrid, torch.Tensor, torch.Tensor]]) -> list:
    sums = AttentionAccumulator([PROMPTS], [5], settings)
    for name, grid, query, key in calls:
        sums.add(name, grid, query, key, None, 0.7)
    return sums.combine(2)


def by_head(
    calls: list[tuple[str, MapGrid, torch.Tensor, torch.Tensor]], image: int, tokens: list[int], linear: bool
) -> dict[str, tuple[MapGrid, torch.Tensor]]:
    """Layer -> (heads, h, w): the sum over the passes, written out."""
    found: dict[str, tuple[MapGrid, torch.Tensor]] = {}
    for name, grid, query, key in calls:
        scores = 0.7 * torch.einsum("hpd,htd->hpt", query[image], key[image])
        shares = (scores if linear else scores.softmax(dim=-1))[..., tokens].mean(dim=-1).unflatten(-1, grid.size)
        found[name] = grid, found[name][1] + shares if name in found else shares
    return found


def enlarged(maps: torch.Tensor, mode: str = "bilinear") -> torch.Tensor:
    return torch.nn.functional.interpolate(maps[None], FINE.size, mode=mode)[0]


@pytest.mark.parametrize("upsampling", ["bilinear", "bicubic"])
def test_linear(upsampling: str) -> None:
    calls = passes()
    settings = TraceSettings(linear=True, upsampling=upsampling, contest="content")
    for image, (maps, prompt) in enumerate(zip(combined(settings, calls), PROMPTS, strict=True)):
        for label, tokens in prompt.classes.items():
            # The minimum is taken off each token's map where they are enlarged apart.
            apart = [[token] for token in tokens] if upsampling == "bicubic" else [list(tokens)]
            wanted = []
            for group in apart:
                layers = by_head(calls, image, group, True).values()
                mean = torch.cat([enlarged(heads, upsampling) for _, heads in layers]).mean(dim=0) / 2
                wanted.append(mean - mean.min())
            np.testing.assert_allclose(maps[label], torch.stack(wanted).mean(dim=0), rtol=1e-4, atol=1e-6)
            assert maps[label].min() >= 0


@pytest.mark.parametrize("weights", [None, {1: 0.25, 2: 0.75}])
def test_sharp_heads_count_more(weights: dict[int, float] | None) -> None:
    calls = passes()
    settings = TraceSettings(heads="sharp", contest="all", weights=weights)
    for image, (maps, prompt) in enumerate(zip(combined(settings, calls), PROMPTS, strict=True)):
        for label, tokens in prompt.classes.items():
            sums: dict[int, torch.Tensor] = {1: torch.zeros(FINE.size), 2: torch.zeros(FINE.size)}
            total = {1: 0.0, 2: 0.0}
            for grid, heads in by_head(calls, image, list(tokens), False).values():
                for heat in heads:
                    weight = float(heat.std() / heat.mean())
                    sums[grid.factor] += weight * enlarged(heat[None])[0]
                    total[grid.factor] += weight
            if weights is None:
                wanted = (sums[1] + sums[2]) / (total[1] + total[2]) / 2
            else:
                wanted = sum(weights[factor] * sums[factor] / total[factor] for factor in (1, 2)) / 2
            np.testing.assert_allclose(maps[label], wanted, rtol=1e-4)


def test_a_flat_head_counts_nothing() -> None:
    calls = passes()
    flat = [(f"{name} flat", grid, 0 * query, key) for name, grid, query, key in calls]
    alone, together = (combined(TraceSettings(heads="sharp"), each) for each in (calls, calls + flat))
    np.testing.assert_allclose(together[0]["car"], alone[0]["car"], rtol=1e-4)
    nothing = combined(TraceSettings(heads="sharp"), flat)[0]["car"]
    assert np.isfinite(nothing).all()
    assert nothing.max() < 1e-3


def test_groups_are_softmaxes_of_their_own() -> None:
    calls, settings = passes(), TraceSettings(contest="all")
    lone = [PromptTokens({"dog": (1,)}, (0, 1))] * 2
    sums = AttentionAccumulator([PROMPTS, lone], [5, 2], settings)
    dogs = [(name, grid, query, key[:, :, :2] * 1.5) for name, grid, query, key in calls]
    for (name, grid, query, key), (_, _, _, more) in zip(calls, dogs, strict=True):
        sums.add(name, grid, query, torch.cat([key, more], dim=2), None, 0.7)
    together, apart = sums.combine(2), AttentionAccumulator([lone], [2], settings)
    for name, grid, query, more in dogs:
        apart.add(name, grid, query, more, None, 0.7)
    for image, (maps, others) in enumerate(zip(combined(settings, calls), apart.combine(2), strict=True)):
        for label, heat in {**maps, **others}.items():
            np.testing.assert_allclose(together[image][label], heat, rtol=1e-5)


@pytest.mark.parametrize("values", [{"heads": "loud"}, {"heads": "sharp", "linear": True}])
def test_settings_are_checked(values: dict) -> None:
    with pytest.raises(InvalidSetting) as raised:
        TraceSettings(**values)
    assert raised.value.field == "trace.heads"
