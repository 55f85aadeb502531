"""The full-size networks by name, on the meta device, as scripts and their tests count them."""

from __future__ import annotations

from collections.abc import Callable

import torch
from omegaconf import OmegaConf

from s2g.config.schema import ModelConfig, config_dir, read
from s2g.engine.cost import PassCost, measure
from s2g.models.meta_models import MetaModel, meta_model


def full_size(name: str) -> MetaModel:
    """Build the network that configs/model/NAME.yaml describes."""
    raw = OmegaConf.to_container(OmegaConf.load(config_dir() / "model" / f"{name}.yaml"), resolve=True)
    assert isinstance(raw, dict)
    return meta_model(read(ModelConfig, {str(key): value for key, value in raw.items()}, "model"))


def cost_of_full_size(model: MetaModel) -> PassCost:
    """Count the FLOPs of one forward pass, by block."""
    with torch.no_grad():
        return measure(model.network, model.blocks, model.call)


FULL_SIZE: dict[str, Callable[[], MetaModel]] = {
    "SD3-medium 1024x1024": lambda: full_size("sd3"),
    "SD3.5-medium 1024x1024": lambda: full_size("sd35"),
    "Flux 1024x1024": lambda: full_size("flux"),
    "Wan 1.3B 480x832x81": lambda: full_size("wan_1_3b"),
    "SiT-XL/2 256x256": lambda: full_size("sit_xl"),
}
