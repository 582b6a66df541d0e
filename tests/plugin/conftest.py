"""Datasets of rendered scenes, whose labels are known to the pixel."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from diffucurate.generator.labels.model import Labels
from diffucurate.generator.tiny.scenes import Scene, real_scenes
from diffucurate.generator.tiny.shapes import CLASSES

if TYPE_CHECKING:
    import fiftyone as fo


@pytest.fixture(scope="session")
def scenes() -> list[Scene]:
    return real_scenes(6, seed=11)


@pytest.fixture(scope="session")
def fill() -> Callable[..., None]:
    """Adds scenes with the Labels of some sources: ``fill(dataset, folder, scenes, truth=[...])``."""
    from diffucurate.plugin.classes import extend_classes
    from diffucurate.plugin.media import write_png
    from diffucurate.plugin.samples import declare_label_fields, label_fields

    def fill(dataset: fo.Dataset, folder: Path, scenes: Sequence[Scene], **sources: Sequence[Labels | None]) -> None:
        import fiftyone as fo

        classes = extend_classes(dataset, {name: [name] for name in CLASSES})
        for source in sources:
            declare_label_fields(dataset, source, classes)
        samples = []
        for index, scene in enumerate(scenes):
            values = {}
            for source, labels in sources.items():
                if labels[index] is not None:
                    path = write_png(folder / source / f"{index}.png", labels[index].semantic)
                    values |= label_fields(source, labels[index], str(path))
            image = write_png(folder / "images" / f"{index}.png", scene.image)
            samples.append(fo.Sample(filepath=str(image), prompt=scene.caption, **values))
        dataset.add_samples(samples)

    return fill


@pytest.fixture
def add_scenes(dataset: fo.Dataset, fill: Callable[..., None], tmp_path: Path) -> Callable[..., None]:
    """``fill`` for the test's own dataset and folder."""
    return partial(fill, dataset, tmp_path)


@pytest.fixture(scope="session")
def model_folder(tmp_path_factory: pytest.TempPathFactory) -> str:
    """An untrained pipeline of the real classes, saved as a model folder: 64 px images in a few milliseconds."""
    import torch
    from diffusers import AutoencoderKL, DDIMScheduler, StableDiffusionPipeline, UNet2DConditionModel
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

    from diffucurate.generator.tiny.words import CONTEXT_LENGTH, write_tokenizer_files

    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("model")
    write_tokenizer_files(folder / "words")
    tokenizer = CLIPTokenizer.from_pretrained(folder / "words", model_max_length=CONTEXT_LENGTH)
    text_encoder = CLIPTextModel(
        CLIPTextConfig(
            vocab_size=len(tokenizer), hidden_size=16, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2,
            max_position_embeddings=CONTEXT_LENGTH, bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id,
        )
    )  # fmt: skip
    unet = UNet2DConditionModel(
        sample_size=16, block_out_channels=(16, 32), layers_per_block=1, cross_attention_dim=16, norm_num_groups=4,
        attention_head_dim=2, down_block_types=("CrossAttnDownBlock2D",) * 2,
        up_block_types=("CrossAttnUpBlock2D",) * 2,
    )  # fmt: skip
    for name, parameter in unet.named_parameters():
        if ".attn2.to_q" in name or ".attn2.to_k" in name:
            torch.nn.init.normal_(parameter, std=0.6)  # untrained attention is flat: nothing would show in it
    vae = AutoencoderKL(
        down_block_types=["DownEncoderBlock2D"] * 3, up_block_types=["UpDecoderBlock2D"] * 3,
        block_out_channels=[8, 8, 8], norm_num_groups=4, sample_size=64, mid_block_add_attention=False,
    )  # fmt: skip
    pipe = StableDiffusionPipeline(
        vae, text_encoder, tokenizer, unet, DDIMScheduler(steps_offset=1, clip_sample=False), None, None,
        requires_safety_checker=False,
    )  # fmt: skip
    pipe.save_pretrained(folder / "pipeline")
    return str(folder / "pipeline")
