"""Random weights of full size, drawn on the device: one CPU core would need minutes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from s2g.config.registry import MODELS
from s2g.engine.resolve import Outline
from s2g.engine.worker import DTYPES
from s2g.models.sit import SiTDenoiser, position_table


def drawn(outline: Outline, device: torch.device) -> Any:
    """Return a model with random weights, drawn on the device."""
    config = outline.model
    denoiser: Any = MODELS.load(config.family).meta_model(config)
    dtype, network = DTYPES[config.dtype], denoiser.network
    keep = tuple(getattr(network, "_keep_in_fp32_modules", None) or ())
    fixed: Mapping[str, Tensor] = {} if isinstance(denoiser, SiTDenoiser) else denoiser.fixed_tensors(config.network, dtype)
    if isinstance(denoiser, SiTDenoiser):
        side = config.network["size"] // network.patch
        fixed = {"pos_embed": position_table(network.pos_embed.shape[2], side)[None]}
    network.to_empty(device=device)
    for name, tensor in network.state_dict().items():
        if name in fixed:
            tensor.copy_(fixed[name])
        elif tensor.ndim > 1:
            tensor.normal_(std=tensor[0].numel() ** -0.5)
        else:
            tensor.normal_(mean=float(name.endswith("weight")), std=0.02)
    for name, module in network.named_modules():
        if not list(module.children()) and not any(part in name for part in keep):
            module.to(dtype)
    network.to(device)
    for parameter in network.parameters(recurse=False):
        parameter.data = parameter.data.to(dtype)
    if not isinstance(denoiser, SiTDenoiser):
        denoiser.finish(network)
        denoiser.text = denoiser.random_text(config.network, dtype, device)
    return denoiser
