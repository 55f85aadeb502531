"""Weights files: read into fresh memory, and held against the network before anything else happens."""

from __future__ import annotations

import argparse
import pickle
import re
import sys
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from s2g.config.schema import ModelConfig
from s2g.errors import UserError
from s2g.io.impostors import advice, impostor
from s2g.models.shared.checkpoint import choose_weights

# What torch and safetensors raise for a file that holds no weights: its bytes are followed as a pickle's instructions.
NO_WEIGHTS = (SafetensorError, RuntimeError, pickle.UnpicklingError, EOFError)
NO_WEIGHTS += (LookupError, ValueError, TypeError, AttributeError)
FORMS = ".safetensors or .pt, a network's tensors by name"


def read_weights(path: Path, key: str = "model.weights", names: Collection[str] = ()) -> dict[str, Tensor]:
    """Read a network's tensors from a .safetensors or .pt file, one at a time: gigabytes are held once.

    They are copied out of the file, so that alignment, and with it the last bit of a sum, does not depend on it. names:
    the network's parameters, by which they are found in a checkpoint; what was taken is printed on stderr where the file
    holds more or other names. UserError for a file of anything else, and for sparse tensors.
    """
    subject = f"{key} = {path}"
    try:
        if what := impostor(path):
            raise UserError(f"{subject}: not a weights file: it {what}", allowed=FORMS, todo=advice(what, path.parent))
        checkpoint = _read(path)
    except OSError as error:
        raise UserError(f"{subject}: {error.strerror}", todo="give a readable .safetensors or .pt file") from error
    except NO_WEIGHTS as error:
        raise UserError(f"{subject}: not a weights file ({_reason(error)})", allowed=FORMS) from error
    weights = choose_weights(checkpoint, names) if isinstance(checkpoint, Mapping) else None
    if weights is None:
        numbered = isinstance(checkpoint, Mapping) and any(isinstance(value, Tensor) for value in checkpoint.values())
        why = "its tensors have numbers instead of names" if numbered else "does not hold tensors by name"
        raise UserError(f"{subject}: {why}", allowed=FORMS, todo="save network.state_dict() with torch.save")
    if sparse := [name for name, tensor in weights.tensors.items() if tensor.layout != torch.strided]:
        raise UserError(f"{subject}: {sparse[0]} is a sparse tensor", todo="store it dense: tensor.to_dense()")
    if weights.taken:
        print(f"{subject}: took {weights.taken}", file=sys.stderr)
    return weights.tensors


def _read(path: Path) -> Any:
    """Read whatever a .safetensors file or a pickle of tensors holds."""
    if path.suffix == ".safetensors":
        with safe_open(path, framework="pt") as file:
            return {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118 (it is no mapping)
    # A training script's checkpoint holds its command line beside the weights.
    with torch.serialization.safe_globals([argparse.Namespace]):
        return torch.load(path, weights_only=True, map_location="cpu", mmap=False)


def _reason(error: Exception) -> str:
    """Return why a file could not be read, without torch's advice to trust it."""
    if held := re.search(r"GLOBAL ([\w.]+)", str(error)):
        return f"it holds an object of {held[1]}, and only tensors are read"
    if isinstance(error, pickle.UnpicklingError):
        return "no pickle of tensors"
    return (str(error).splitlines() or [type(error).__name__])[0]


def check_finite(state: Mapping[str, Tensor], subject: str, before: Mapping[str, Tensor] | None = None) -> None:
    """Raise UserError naming the first tensor that holds NaN or infinity.

    before: the same tensors in the dtype of their file, which tell damaged weights from a dtype that is too narrow.
    """
    for name, tensor in state.items():
        if not tensor.is_floating_point() or not tensor.numel() or tensor.is_meta or _finite(tensor):
            continue
        if before is not None and _finite(before[name]):
            raise UserError(
                f"{subject}: {name} does not fit into {str(tensor.dtype).removeprefix('torch.')}: it becomes infinite",
                todo="model.dtype=bf16 or model.dtype=fp32",
            )
        held = "NaN" if tensor.isnan().any() else "infinity"
        raise UserError(f"{subject}: {name} holds {held}", todo="get the file again, or one from before training diverged")


def _finite(tensor: Tensor) -> bool:
    return bool(torch.isfinite(torch.stack(torch.aminmax(tensor))).all())


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
    whole = [name for name in wanted if name in state and wanted[name].is_floating_point() != state[name].is_floating_point()]
    if whole and not (missing or extra or differ):
        raise UserError(
            f"{config.key} = {config.weights}: {whole[0]} is {str(state[whole[0]].dtype).removeprefix('torch.')}: quantized?",
            allowed="weights in floating point",
        )
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
