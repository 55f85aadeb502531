"""A network's blocks compiled or recorded, and its attention by one kernel (s2g/config/kernels.py).

A compiled class of block becomes one graph for each shape it meets (the batch, and the part of it that an edited pass has);
block control stays outside, so that a mask is no new graph.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from s2g.config.kernels import Kernels
from s2g.errors import UserError
from s2g.io.cache import cache_folder
from s2g.network.attention import SLOT
from s2g.network.graphs import RecordedCall, record_blocks

GRAPHS = 64  # of one class: shapes of a network times its kinds of block; torch stops at 8
SDPA = {
    "math": SDPBackend.MATH,
    "efficient": SDPBackend.EFFICIENT_ATTENTION,
    "flash": SDPBackend.FLASH_ATTENTION,
    "cudnn": SDPBackend.CUDNN_ATTENTION,
}
_compiled_for = ""  # the attention of this process's compiled blocks


def prepare_network(network: nn.Module, blocks: Sequence[nn.Module], kernels: Kernels) -> None:
    """Set a network up as soon as it is loaded; UserError for attention that it does not have."""
    if kernels.compile == "blocks":
        compile_blocks(blocks)
    elif kernels.compile == "graphs":
        record_blocks(blocks)
    name, choose = kernels.attention, getattr(network, "set_attention_backend", None)
    if name in ("auto", *SDPA) or (name == "native" and choose is None):
        return
    processors: list[Any] = [getattr(module, "processor", None) for module in network.modules()]
    if choose is None or not any(hasattr(processor, "_attention_backend") for processor in processors):
        raise UserError(
            f"executor.attention = {name}: {type(network).__name__} knows torch's own attention alone",
            allowed=", ".join(("auto", "native", *SDPA)),
        )
    try:
        choose(name)
    except (ImportError, RuntimeError, ValueError) as error:
        raise UserError(f"executor.attention = {name}: {error}", todo="executor.attention=auto") from error


@contextmanager
def attention_kernel(kernels: Kernels, device: str) -> Iterator[None]:
    """Let torch's attention use this kernel alone meanwhile; UserError for one that the device does not have."""
    global _compiled_for
    kernels.check(device)
    if kernels.compile == "blocks":
        if _compiled_for not in ("", kernels.attention):
            torch._dynamo.reset()  # its guards say nothing of the kernel: it would go on with the other one's graphs
        _compiled_for = kernels.attention
    if kernels.attention not in SDPA:
        yield
        return
    with sdpa_kernel(SDPA[kernels.attention]):
        yield


def compile_blocks(blocks: Sequence[nn.Module], backend: str = "inductor") -> None:
    """Give every block a compiled call, before block control is entered; what it compiles is kept below S2G_CACHE.

    One that cannot be one graph raises when it is called: part of it left uncompiled would be neither here nor there.
    """
    compiler = os.environ.get("CXX", "g++")
    if backend == "inductor" and not torch.cuda.is_available() and shutil.which(compiler) is None:
        raise UserError(f"executor.compile = blocks: there is no C++ compiler ({compiler})", todo="executor.compile=none")
    os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(cache_folder() / "inductor"))
    torch._dynamo.config.recompile_limit = GRAPHS  # type: ignore[attr-defined]
    for block in blocks:
        if getattr(block, SLOT) is None:
            block.compile(backend=backend, fullgraph=True, dynamic=False)


def compile_seconds() -> float:
    """Return how long this process has compiled and recorded so far."""
    from torch._dynamo.utils import calculate_time_spent

    return calculate_time_spent().get("total_wall_time", 0.0) + RecordedCall.seconds
