"""A pipeline's transformer from its folder: its own config.json says what it is, and is held against what is stated."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from s2g.config.pipelines import NETWORK, Located, shards
from s2g.config.schema import ModelConfig
from s2g.errors import UserError
from s2g.models.shared.random_weights import random_state
from s2g.models.shared.weights import check_state, read_weights

N = TypeVar("N", bound=nn.Module)


def build_on_meta(kind: type[N], settings: Mapping[str, Any], config: ModelConfig) -> N:
    """Return the network without numbers, on the meta device; UserError for settings that make none."""
    try:
        with torch.device("meta"):
            return kind(**settings).eval()
    except (TypeError, ValueError, ZeroDivisionError, RuntimeError, AssertionError) as error:
        where = config.network_key if settings is config.network else "transformer/config.json"
        raise UserError(f"{where}: no such {kind.__name__} ({str(error).splitlines()[0]})") from error


def read_network(
    kind: type[N],
    blocks: Callable[[N], Sequence[nn.Module]],
    config: ModelConfig,
    located: Located,
    dtype: torch.dtype,
    distinguishing: Sequence[str] = (),
) -> N:
    """Return the network with the weights of its folder in `dtype`, in main memory.

    UserError, before any weight is read, if it has not the stated number of blocks, or if it is another model: one of the
    settings `distinguishing` is set in config.json and not in model.network, or the other way round. UserError with the
    first names for weights that do not fit.
    """
    settings = located.network_config
    network = build_on_meta(kind, settings, config)
    subject = f"{config.key} = {config.weights}: its transformer"
    if config.blocks and len(blocks(network)) != config.blocks:
        raise UserError(
            f"{subject} has {len(blocks(network))} blocks, and model.blocks = {config.blocks}",
            todo=f"model.blocks={len(blocks(network))} if it is meant, or the folder of {config.name}",
        )
    for name in distinguishing:
        if bool(settings.get(name)) != bool(config.network.get(name)):
            has = "has" if settings.get(name) else "lacks"
            raise UserError(
                f"{subject} {has} {name}, and {config.name} does {'not' if settings.get(name) else 'have it'}",
                todo=f"the model whose folder it is (model=NAME), or the folder of {config.name}",
            )
    folder, state = located.folders[NETWORK], dict[str, Tensor]()
    for shard in shards(folder):
        read = read_weights(folder / shard, config.key)
        state |= {name: tensor.to(precision(kind, name, dtype)) for name, tensor in read.items()}
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
