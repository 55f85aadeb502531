"""The weights in a checkpoint: which of its tensors are the network's, under whatever names training scripts gave them."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor

AVERAGED = re.compile(r"(^|[._])(ema|shadow|averaged?)([._]|$)")  # averaged weights go before raw ones
OTHERS = re.compile(r"(^|_)(opt|optimizers?|optim|lr_schedulers?|scheduler|scaler|rng\w*|optimizer_states?)($|_)")
WRAPPERS = re.compile(r"(_orig_mod|_fsdp_wrapped_module|_checkpoint_wrapped_module)\.")  # torch puts these into names
DEPTH = 4  # levels of dictionaries that are searched


@dataclass(frozen=True)
class Weights:
    """Tensors by the network's names, and where in the checkpoint they were ("": it holds nothing else)."""

    tensors: dict[str, Tensor]
    taken: str = ""


def choose_weights(checkpoint: Mapping[Any, Any], names: Collection[str] = ()) -> Weights | None:
    """Return the tensors of a checkpoint that fit a network with parameters `names`; None if it holds no named tensors.

    Looked at are the checkpoint and the dictionaries in it, but for optimizers'; a prefix that all the network's names
    share is stripped ("module.", "model.diffusion_model.", ...). Averaged weights (EMA) go before raw ones. Where none
    fits, the nearest is returned, and `check_state` says what is wrong with it.
    """
    found = [(place, prefix, tensors) for place, held in _states(checkpoint) for prefix, tensors in _unprefixed(held, names)]
    if not found:
        return None

    def rank(candidate: tuple[str, str, dict[str, Tensor]]) -> tuple[bool, int, bool]:
        place, prefix, tensors = candidate
        shared = sum(name in tensors for name in names)
        return bool(names) and shared == len(names), shared, bool(AVERAGED.search(f"{place}.{prefix}"))

    place, prefix, tensors = max(found, key=rank)  # of equals the first
    others = sorted({other or "bare tensors" for other, _, _ in found} - {place or "bare tensors"})
    words = [f"'{place}'"] * bool(place) + [f"without the prefix '{prefix}'"] * bool(prefix)
    beside = f" (it also holds {', '.join(others[:3])})" if others and place else ""
    return Weights(tensors, f"{' '.join(words)}{beside}")


def _states(held: Mapping[Any, Any], place: str = "", depth: int = DEPTH) -> Iterator[tuple[str, dict[str, Tensor]]]:
    """Yield every dictionary that holds tensors by name, with the keys that lead to it; EMA's before others."""
    if tensors := {str(name): value for name, value in held.items() if isinstance(value, Tensor) and isinstance(name, str)}:
        yield place, tensors
    inner = [(name, value) for name, value in held.items() if isinstance(value, Mapping) and not OTHERS.search(str(name))]
    for name, value in sorted(inner, key=lambda pair: not AVERAGED.search(str(pair[0]))) if depth else ():
        yield from _states(value, f"{place}.{name}".lstrip("."), depth - 1)


def _unprefixed(tensors: Mapping[str, Tensor], names: Collection[str]) -> Iterator[tuple[str, dict[str, Tensor]]]:
    """Yield the tensors under each prefix that leads to one of `names`; all as they are where no name is found."""
    plain = {WRAPPERS.sub("", name): tensor for name, tensor in tensors.items()}
    prefixes = {
        name.removesuffix(wanted)
        for wanted in list(names)[:8]
        for name in plain
        if name == wanted or name.endswith(f".{wanted}")
    }
    if "" in prefixes or not prefixes:
        yield "", plain
    for prefix in sorted(prefixes - {""}, key=lambda prefix: (not AVERAGED.search(prefix), prefix)):
        yield prefix, {name.removeprefix(prefix): tensor for name, tensor in plain.items() if name.startswith(prefix)}
