"""How a network is computed: what executor.compile and executor.attention may be. Last bits differ between them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from s2g.errors import UserError

COMPILE = ("none", "blocks", "graphs")
# auto: as the model does by itself; native: torch's choice, said to diffusers; the next four: that kernel of torch's, in every
# model; the others: diffusers' backends, in models that have them, with the packages they need.
ATTENTION = ("auto", "native", "math", "efficient", "flash", "cudnn", "sage", "xformers", "flex")
ON_CPU = ("auto", "native", "math", "flash")
HALF = ("flash", "cudnn")  # on a GPU for half precision alone


@dataclass(frozen=True)
class Kernels:
    """What is fixed with a run beside `reuse`; a start with other ones is refused."""

    compile: str = "none"  # blocks: each class of block is compiled; graphs: each block is a CUDA graph
    attention: str = "auto"

    def __post_init__(self) -> None:
        for key, value, allowed in (("compile", self.compile, COMPILE), ("attention", self.attention, ATTENTION)):
            if value not in allowed:
                raise UserError(f"executor.{key} = {value}", allowed=", ".join(allowed))

    def check(self, device: str, dtype: str = "", memory: str = "") -> None:
        """Raise UserError for what this kind of device does not have, or cannot do for a model of this dtype and memory."""
        if device == "cpu" and self.attention not in ON_CPU:
            raise UserError(f"executor.attention = {self.attention}: not on a CPU", allowed=", ".join(ON_CPU))
        on_gpu = device.startswith("cuda")
        if not on_gpu and self.compile == "graphs":
            raise UserError("executor.compile = graphs: CUDA graphs need an NVIDIA GPU", allowed="none, blocks")
        if on_gpu and self.attention in HALF and dtype == "fp32":
            raise UserError(
                f"executor.attention = {self.attention}: CUDA has it in half precision, and model.dtype = fp32",
                allowed="auto, native, math, efficient; or model.dtype=bf16",
            )
        if self.compile == "graphs" and memory == "offload":  # a recorded graph reads addresses that moving gives up
            raise UserError(
                "executor.compile = graphs: model.memory = offload moves the network, and graphs record where it lies",
                todo="model.memory=resident, or executor.compile=blocks",
            )

    def facts(self) -> dict[str, str]:
        """Return what is not the default, as run.json and env.json state it."""
        return {f.name: getattr(self, f.name) for f in fields(self) if getattr(self, f.name) != f.default}

    @classmethod
    def of(cls, fixed: Mapping[str, Any]) -> Kernels:
        """Return the kernels that run.json states under "fixed"."""
        return cls(**{f.name: fixed[f.name] for f in fields(cls) if f.name in fixed})


DEFAULT = Kernels()
