"""A diffusers Stable Diffusion 1.x pipeline as one file in the layout of the original repositories, as most people's
files are: the names of CompVis' modules, weights of the autoencoder's attention as 1 x 1 convolutions."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from safetensors.torch import save_file
from torch import Tensor

_RESNET = {
    "norm1": "in_layers.0", "conv1": "in_layers.2", "norm2": "out_layers.0", "conv2": "out_layers.3",
    "time_emb_proj": "emb_layers.1", "conv_shortcut": "skip_connection",
}  # fmt: skip
_WHOLE = {
    "conv_in": "input_blocks.0.0", "conv_out": "out.2", "conv_norm_out": "out.0",
    "time_embedding.linear_1": "time_embed.0", "time_embedding.linear_2": "time_embed.2",
    "mid_block.resnets.0": "middle_block.0", "mid_block.attentions.0": "middle_block.1",
    "mid_block.resnets.1": "middle_block.2",
}  # fmt: skip
_VAE_ATTENTION = {"group_norm": "norm", "to_q": "q", "to_k": "k", "to_v": "v", "to_out.0": "proj_out"}


def save_original(pipe: Any, path: Path) -> None:
    """Write a pipeline's UNet, autoencoder and text encoder to one ``.safetensors`` file."""
    layers = pipe.unet.config.layers_per_block
    levels = len(pipe.vae.config.block_out_channels)
    tensors: dict[str, Tensor] = {}
    for name, tensor in pipe.unet.state_dict().items():
        tensors[f"model.diffusion_model.{_unet(name, layers, pipe.unet.config.up_block_types)}"] = tensor
    for name, tensor in pipe.vae.state_dict().items():
        new = _autoencoder(name, levels)
        convolution = ".attn_1." in new and tensor.ndim == 2
        tensors[f"first_stage_model.{new}"] = tensor[..., None, None] if convolution else tensor
    for name, tensor in pipe.text_encoder.state_dict().items():
        tensors[f"cond_stage_model.transformer.text_model.{name.removeprefix('text_model.')}"] = tensor
    save_file({name: tensor.contiguous().clone() for name, tensor in tensors.items()}, path)


def _replaced(name: str, names: dict[str, str]) -> str:
    for old, new in names.items():
        name = re.sub(rf"(^|\.){re.escape(old)}(?=\.|$)", rf"\g<1>{new}", name)
    return name


def _unet(name: str, layers: int, up_blocks: Sequence[str]) -> str:
    for old, new in _WHOLE.items():
        if name.startswith(f"{old}."):
            name = f"{new}.{name.removeprefix(f'{old}.')}"
    if found := re.match(r"(down|up)_blocks\.(\d+)\.(resnets|attentions|downsamplers|upsamplers)\.(\d+)\.(.*)", name):
        way, block, kind, index, rest = found[1], int(found[2]), found[3], int(found[4]), found[5]
        place = block * (layers + 1) + (layers if kind.endswith("samplers") else index) + (way == "down")
        part = {"resnets": 0, "attentions": 1, "downsamplers": 0, "upsamplers": 1}[kind]
        if kind == "upsamplers" and "CrossAttn" in up_blocks[block]:
            part = 2
        rest = rest.replace("conv.", "op.") if kind == "downsamplers" else rest
        name = f"{'input' if way == 'down' else 'output'}_blocks.{place}.{part}.{rest}"
    return name if "transformer_blocks" in name else _replaced(name, _RESNET)


def _autoencoder(name: str, levels: int) -> str:
    name = name.replace("mid_block.resnets.0", "mid.block_1").replace("mid_block.resnets.1", "mid.block_2")
    if "mid_block.attentions.0" in name:
        return _replaced(name.replace("mid_block.attentions.0", "mid.attn_1"), _VAE_ATTENTION)
    name = re.sub(r"down_blocks\.(\d+)\.resnets\.(\d+)", r"down.\1.block.\2", name)
    name = re.sub(r"down_blocks\.(\d+)\.downsamplers\.0", r"down.\1.downsample", name)
    if found := re.match(r"decoder\.up_blocks\.(\d+)\.(?:resnets\.(\d+)|upsamplers\.0)\.(.*)", name):
        part = "upsample" if found[2] is None else f"block.{found[2]}"
        name = f"decoder.up.{levels - 1 - int(found[1])}.{part}.{found[3]}"
    return _replaced(name, {"conv_norm_out": "norm_out", "conv_shortcut": "nin_shortcut"})
