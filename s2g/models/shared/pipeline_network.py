"""A pipeline's transformer from its folder: its own config.json says what it is, and is held against what is stated."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from s2g.config.family import NETWORK
from s2g.config.pipeline_files import weight_files
from s2g.config.pipelines import Located
from s2g.config.schema import ModelConfig
from s2g.errors import UserError
from s2g.models.shared.random_weights import random_state
from s2g.models.shared.weights import check_finite, check_state, read_weights

N = TypeVar("N", bound=nn.Module)


def build_on_meta(kind: type[N], settings: Mapping[str, Any], config: ModelConfig) -> N:
    """Return the network without numbers, on the meta device; UserError for settings that make none."""
    try:
        with torch.device("meta"):
            return kind(**settings).eval()
    except (TypeError, ValueError, ZeroDivisionError, RuntimeError, AssertionError) as error:
        where = config.network_key if settings is config.network else "transformer/config.json"
        raise UserError(f"{where}: no such {kind.__name__} ({str(error).splitlines()[0]})") from error


def read_network(kind: type[N], config: ModelConfig, located: Located, dtype: torch.dtype) -> N:
    """Return the network with the weights of its folder in `dtype`, in main memory; UserError names what does not fit."""
    network = build_on_meta(kind, located.network_config, config)
    folder, state = located.folders[NETWORK], dict[str, Tensor]()
    files = weight_files(folder, NETWORK, located.variant)
    names = network.state_dict().keys() if len(files) == 1 else ()  # one of several files holds only some
    for file in files:
        tensors = read_weights(folder / file, config.key, names)
        converted = {name: tensor.to(precision(kind, name, dtype)) for name, tensor in tensors.items()}
        check_finite(converted, f"{config.key} = {config.weights}: transformer", tensors)
        state |= converted
    check_state(network, state, config)
    network.load_state_dict(state, strict=True, assign=True)
    return network


def random_network(kind: type[N], config: ModelConfig, dtype: torch.dtype, fixed: Mapping[str, Tensor]) -> N:
    """Return the stated network with random weights of its seed."""
    assert config.weights_seed is not None
    network = build_on_meta(kind, config.network, config)
    state = random_state(network, config.weights_seed, fixed=fixed, dtype=lambda name: precision(kind, name, dtype))
    network.load_state_dict(state, strict=True, assign=True)
    return network


def precision(kind: type[nn.Module], name: str, dtype: torch.dtype) -> torch.dtype:
    """Return the dtype in which diffusers holds a tensor of a network that is loaded in `dtype`: some stay in fp32."""
    islands = getattr(kind, "_keep_in_fp32_modules", None) or ()
    return torch.float32 if any(part in islands for part in name.split(".")) else dtype
