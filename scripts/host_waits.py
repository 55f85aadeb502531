"""How often the sampling loop waits for the device: counted on the meta device, so that no GPU is needed.

    python scripts/host_waits.py

Every read of a device's number and every copy between host and device is seen by torch's dispatcher, or where it is called.
A GPU makes the host wait for the first kind, and for copies that are not said to be asynchronous.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

from s2g.config.compose import compose_config
from s2g.config.registry import MODELS
from s2g.engine.resolve import outline
from s2g.network.evaluate import Evaluator
from s2g.sampling.loop import sample
from s2g.sampling.unit import Unit

SIT = ("model=tiny_sit", "bench=shapes")
SD3 = ("model=tiny_sd3", "bench=shapes_t2i", "sampler=flow_match_euler")
WAN = ("model=tiny_wan", "bench=shapes_t2v", "sampler=unipc")
FLUX = (
    "model=flux",
    "model.weights=random",
    "bench=prompts",
    "model.resolution=64",
    "model.blocks=4",
    "model.network={num_layers: 2, num_single_layers: 2, attention_head_dim: 128, num_attention_heads: 1, "
    "joint_attention_dim: 64, pooled_projection_dim: 64}",
)
FAMILIES = {"SiT": SIT, "SD3": SD3, "Flux": FLUX, "Wan": WAN}
METHODS = {"cfg": (), "s2": (), "cfg_zero": (), "apg": (), "seg": ("guidance.layers=[1]",), "fdg": ()}  # with knobs
REFUSED = (("Flux", "fdg"),)  # it asks for latents in rows and columns
RUNS = {
    (family, method): (*typed, f"guidance={method}", *more)
    for family, typed in FAMILIES.items()
    for method, more in METHODS.items()
    if (family, method) not in REFUSED
}
COPIES = (torch.ops.aten._to_copy.default, torch.ops.aten.copy_.default)
CHECK = torch.ops.aten._linalg_check_errors.default  # whether a system was singular


class HostWaits(TorchDispatchMode):
    """Counts what a GPU would make the host wait for, with the meta device in its place; what is copied from it is zeros."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0
        self.made = _Made(self)

    def __enter__(self) -> HostWaits:
        self.made.__enter__()
        super().__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        super().__exit__(*error)
        self.made.__exit__(*error)

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Mapping[str, Any] | None = None) -> Any:
        kwargs = kwargs or {}
        tensors = [value for value in args if isinstance(value, Tensor)]
        on_device = [tensor.device.type == "meta" for tensor in tensors]
        if func is torch.ops.aten._local_scalar_dense.default and on_device[0]:
            self.count += 1
            return 1  # true: all is finite
        if func is torch.ops.aten.nonzero.default and on_device[0]:  # its size is known when it is computed
            self.count += 1
            return torch.zeros(0, tensors[0].ndim, dtype=torch.int64)
        self.count += func is CHECK and on_device[0]
        if func in COPIES:
            target = kwargs.get("device", tensors[0].device)
            there = on_device if len(tensors) > 1 else [on_device[0], torch.device(target).type == "meta"]
            blocking = not kwargs.get("non_blocking", args[2] if len(args) > 2 else False)
            self.count += there[0] != there[1] and blocking
            if len(tensors) == 1 and there == [True, False]:
                return torch.zeros(tensors[0].shape, dtype=kwargs.get("dtype") or tensors[0].dtype)
        return func(*args, **kwargs)


class _Made(TorchFunctionMode):
    """Counts tensors made on the device of the host's numbers, which are a copy that the dispatcher is not shown."""

    def __init__(self, waits: HostWaits) -> None:
        super().__init__()
        self.waits = waits

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Mapping[str, Any] | None = None) -> Any:
        kwargs = kwargs or {}
        self.waits.count += func is torch.tensor and torch.device(kwargs.get("device") or "cpu").type == "meta"
        return func(*args, **kwargs)


@dataclass(frozen=True)
class Waits:
    """How often the host waits in a unit: inside the loop, and after it."""

    steps: int
    inside: int
    after: int


def waits(*typed: str, items: int = 2) -> Waits:
    """Count the waits of a unit of a run, as it is typed, on a network without numbers."""
    run = outline(compose_config(*typed))
    denoiser: Any = MODELS.load(run.model.family).meta_model(run.model)
    conditioning = denoiser.encode([""] * items if run.model.reads_text else range(items))
    seen: list[int] = []
    with torch.no_grad(), Evaluator(denoiser) as evaluator, HostWaits() as mode:
        unit = Unit(0, tuple(range(items)), 0, 0)
        sample(evaluator, run.guidance, run.sampler, conditioning, unit, "meta", lambda x: seen.append(mode.count))
    return Waits(len(seen) - 1, seen[-1] - seen[0], mode.count - seen[-1])


def main() -> None:
    """Print the counts of every method on every family."""
    for (family, method), typed in RUNS.items():
        found = waits(*typed, "sampler.steps=10")
        print(f"{family}, {method}: {found.inside} in {found.steps} steps, {found.after} after them")


if __name__ == "__main__":
    main()
