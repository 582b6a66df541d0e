"""Training runs as in ``make train-tiny``, for a few steps: it starts, stops, goes on and packs what it made."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from diffusers import StableDiffusionPipeline
from torch import nn

from diffucurate.generator.tiny.muon import muon_for, orthogonalised
from diffucurate.generator.tiny.train_autoencoder import build_autoencoder, image_batch, psnr, train_autoencoder, whiten
from diffucurate.generator.tiny.train_diffusion import build_text_encoder, build_tokenizer, leak, train_diffusion


def test_whitening_changes_the_latents_and_not_the_images() -> None:
    torch.manual_seed(0)
    model, images = build_autoencoder().eval(), image_batch(1, 8)
    before = psnr(model, images)
    whiten(model, images)
    with torch.inference_mode():
        mean = model.encode(images).latent_dist.mean
    assert psnr(model, images) == pytest.approx(before, abs=1e-3)
    torch.testing.assert_close(mean.mean(dim=(0, 2, 3)), torch.zeros(8), atol=1e-3, rtol=0)
    torch.testing.assert_close(mean.std(dim=(0, 2, 3)), torch.ones(8), atol=1e-2, rtol=0)


@pytest.mark.slow
def test_training_goes_on_where_it_stopped_and_makes_a_pipeline(tmp_path: Path) -> None:
    vae = train_autoencoder(tmp_path, minutes=0.02)
    first = torch.load(tmp_path / "autoencoder.pt", weights_only=True)["step"]
    train_autoencoder(tmp_path, minutes=0.02)
    assert torch.load(tmp_path / "autoencoder.pt", weights_only=True)["step"] > first > 0

    train_diffusion(tmp_path, vae, minutes=0.02, scenes=16, batch=4)
    first = torch.load(tmp_path / "diffusion.pt", weights_only=True)["step"]
    pipe = train_diffusion(tmp_path, vae, minutes=0.02, scenes=16, batch=4)
    assert torch.load(tmp_path / "diffusion.pt", weights_only=True)["step"] > first > 0

    pipe.to("cpu", torch.float16).save_pretrained(tmp_path / "pipeline")
    loaded = StableDiffusionPipeline.from_pretrained(tmp_path / "pipeline", torch_dtype=torch.float32)
    loaded.set_progress_bar_config(disable=True)
    assert loaded("a red car", num_inference_steps=2, output_type="np").images.shape == (1, 128, 128, 3)


def test_muon_makes_updates_orthogonal_and_leaves_embeddings_to_adam() -> None:
    torch.manual_seed(0)
    singular = torch.linalg.svdvals(orthogonalised(torch.randn(12, 30)))
    assert singular.min() > 0.6 and singular.max() < 1.3  # the published coefficients trade exactness for speed
    model = nn.Sequential(nn.Embedding(5, 4), nn.Linear(4, 3))
    matrices, others = muon_for(model, lr=0.1).param_groups
    assert [tuple(weight.shape) for weight in matrices["params"]] == [(3, 4)]
    assert [tuple(weight.shape) for weight in others["params"]] == [(5, 4), (3,)]


def test_muon_lowers_a_loss() -> None:
    torch.manual_seed(0)
    model, images = nn.Conv2d(3, 3, 3, padding=1), torch.randn(8, 3, 8, 8)
    optimizer = muon_for(model, lr=0.03)
    losses = []
    for _ in range(150):
        loss = (model(images) - images).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.1 * losses[0]


def test_leak_is_zero_only_where_fillers_are_constant(tmp_path: Path) -> None:
    states, filler = torch.randn(2, 5, 4), torch.tensor([[True, False, True, True, False]] * 2)
    assert leak(states, filler) > 0.1
    states[filler] = 3.0
    assert leak(states, filler) == 0


def test_the_text_encoder_reads_forwards_only(tmp_path: Path) -> None:
    # The vector of "car" must not know what comes later, or its attention would not be its own.
    torch.manual_seed(0)
    tokenizer = build_tokenizer(tmp_path)
    encoder = build_text_encoder(tokenizer).eval()
    texts = ["a red car on a road", "a red car on a beach"]
    with torch.inference_mode():
        states = encoder(tokenizer(texts, return_tensors="pt").input_ids).last_hidden_state
    torch.testing.assert_close(states[0, :6], states[1, :6])
    assert not torch.allclose(states[0, 6], states[1, 6])
