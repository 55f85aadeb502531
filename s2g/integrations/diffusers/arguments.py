"""The arguments of a network's call as its pipeline makes it, whole or of one condition."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from s2g.models.base import Conditioning

# What all rows of a batch share, even where its first axis should happen to be as long as the batch.
SHARED = frozenset({"image_rotary_emb", "img_ids", "txt_ids", "rope_interpolation_scale", "block_controlnet_strength"})


@dataclass(frozen=True)
class Call(Conditioning):
    """One condition's call: all its arguments by name, also those that are no tensors; `tensors` is left empty."""

    arguments: Mapping[str, Any]


def bound(network: nn.Module, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """Return a call's arguments by name."""
    names = [name for name in inspect.signature(type(network).forward).parameters if name != "self"]
    return {**dict(zip(names, args, strict=False)), **kwargs}


def half(arguments: Mapping[str, Any], rows: int, place: int) -> dict[str, Any]:
    """Return the arguments of one half, 0 or 1, of a call of `rows` rows."""
    return {name: value if name in SHARED else _half(value, rows, place) for name, value in arguments.items()}


def _half(value: Any, rows: int, place: int) -> Any:
    if isinstance(value, Tensor):
        return value.chunk(2)[place] if value.ndim and value.shape[0] == rows else value
    if isinstance(value, Mapping):
        return {key: _half(inner, rows, place) for key, inner in value.items()}
    if isinstance(value, list) and len(value) == rows and not any(isinstance(inner, Tensor) for inner in value):
        return value[place * (rows // 2) : (place + 1) * (rows // 2)]  # one entry a row, such as image sizes
    if isinstance(value, list | tuple):
        return type(value)([_half(inner, rows, place) for inner in value])
    return value
