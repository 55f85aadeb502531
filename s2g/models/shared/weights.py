"""Weights files: read into fresh memory, and held against the network before anything else happens."""

from __future__ import annotations

import argparse
import pickle
from pathlib import Path
from typing import TypeVar

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from s2g.config.schema import ModelConfig
from s2g.errors import UserError

# What reading any other file as weights gives: torch takes its bytes for a pickle's instructions, and follows them a while.
NO_WEIGHTS = (SafetensorError, RuntimeError, pickle.UnpicklingError, EOFError)
NO_WEIGHTS += (LookupError, ValueError, TypeError, AttributeError)


def read_weights(path: Path, key: str = "model.weights") -> dict[str, Tensor]:
    """Read tensors by name from a .safetensors or .pt file (bare, or under "ema"); copied out of it, so that alignment and
    with it the last bit of a sum does not depend on the file. One at a time: gigabytes are held once."""
    try:
        if path.suffix == ".safetensors":
            with safe_open(path, framework="pt") as file:
                return {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118 (it is no mapping)
        # A training script's checkpoint holds its command line beside the weights.
        with torch.serialization.safe_globals([argparse.Namespace]):
            state = torch.load(path, weights_only=True, map_location="cpu", mmap=False)
    except OSError as error:
        raise UserError(f"{key} = {path}: {error.strerror}", todo="give a readable .safetensors or .pt file") from error
    except NO_WEIGHTS as error:
        said = (str(error).splitlines() or [""])[0]  # torch goes on with advice for those who wrote the file
        raise UserError(f"{key} = {path}: not a weights file ({said})", allowed=".safetensors, .pt") from error
    state = state.get("ema", state) if isinstance(state, dict) else state
    if not isinstance(state, dict) or not all(isinstance(value, Tensor) for value in state.values()):
        raise UserError(f"{key} = {path}: does not hold tensors by name", allowed=".safetensors, .pt")
    return state


M = TypeVar("M", bound=nn.Module)


def fresh(network: M) -> M:
    """Copy a network's tensors out of file views, so that alignment and last bits do not depend on the file.

    Parameters that several modules share stay shared.
    """
    own: dict[int, nn.Parameter] = {}
    for module in network.modules():
        for name, parameter in list(module.named_parameters(recurse=False)):
            if id(parameter) not in own:
                own[id(parameter)] = nn.Parameter(parameter.detach().clone(), requires_grad=False)
            setattr(module, name, own[id(parameter)])
    return network


def check_state(network: nn.Module, state: dict[str, Tensor], config: ModelConfig) -> None:
    """Raise UserError naming the first keys or shapes in which the file and the network differ."""
    wanted = network.state_dict()
    missing = [name for name in wanted if name not in state]
    extra = [name for name in state if name not in wanted]
    differ = [
        f"{name} {tuple(state[name].shape)} instead of {tuple(wanted[name].shape)}"
        for name in wanted
        if name in state and state[name].shape != wanted[name].shape
    ]
    differences = [("lacks", missing), ("has besides", extra), ("has other shapes:", differ)]
    clauses = [
        f"{what} {', '.join(names[:3])}{f' and {len(names) - 3} more' if len(names) > 3 else ''}"
        for what, names in differences
        if names
    ]
    if clauses:
        raise UserError(
            f"{config.key} = {config.weights}: does not fit {config.name}; it {'; it '.join(clauses)}",
            todo=f"give the weights of {config.name}, or the {config.network_key} that they were trained with",
        )
