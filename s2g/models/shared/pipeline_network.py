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


def network_config(config: ModelConfig) -> Mapping[str, Any]:
    """What the network is: as its folder says where it has one, else as the model's YAML states."""
    return config.pipeline().network_config if config.piped else config.network


def made(kind: type[N], known: Mapping[str, Any], config: ModelConfig) -> N:
    """The network without numbers, on the meta device; UserError for sizes that make none."""
    try:
        with torch.device("meta"):
            return kind(**known).eval()
    except (TypeError, ValueError, ZeroDivisionError, RuntimeError, AssertionError) as error:
        where = "transformer/config.json" if config.piped else config.network_key
        raise UserError(f"{where}: no such {kind.__name__} ({str(error).splitlines()[0]})") from error


def read_network(
    kind: type[N],
    blocks: Callable[[N], Sequence[nn.Module]],
    config: ModelConfig,
    located: Located,
    dtype: torch.dtype,
    same: Sequence[str] = (),
) -> N:
    """The network with the weights of its folder in `dtype`, in main memory.

    UserError, before any weight is read, if it has other than the stated number of blocks, or if it is of another kind:
    one of the settings `same` is there in config.json and not in model.network, or the other way round. UserError for
    weights that do not fit, with the first names.
    """
    known = located.network_config
    network = made(kind, known, config)
    said = f"{config.key} = {config.weights}: its transformer"
    if config.blocks and len(blocks(network)) != config.blocks:
        raise UserError(
            f"{said} has {len(blocks(network))} blocks, and model.blocks = {config.blocks}",
            todo=f"model.blocks={len(blocks(network))} if it is meant, or the folder of {config.name}",
        )
    for name in same:
        if bool(known.get(name)) != bool(config.network.get(name)):
            has = "has" if known.get(name) else "lacks"
            raise UserError(
                f"{said} {has} {name}, and {config.name} does {'not' if known.get(name) else 'have it'}",
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
    """The stated network with random weights of its seed."""
    assert config.weights_seed is not None
    network = made(kind, config.network, config)
    state = random_state(network, config.weights_seed, fixed=fixed, dtype=lambda name: precision(kind, name, dtype))
    network.load_state_dict(state, strict=True, assign=True)
    return network


def precision(kind: type[nn.Module], name: str, dtype: torch.dtype) -> torch.dtype:
    """The dtype in which diffusers holds a tensor of a network that it is asked to have in `dtype`: some stay in fp32."""
    islands = getattr(kind, "_keep_in_fp32_modules", None) or ()
    return torch.float32 if any(part in islands for part in name.split(".")) else dtype
