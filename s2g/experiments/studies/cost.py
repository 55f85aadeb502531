"""What an image costs: evaluations, FLOPs as they are, and as the paper counts them (Table 5), on the meta device alone."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any, ClassVar

from s2g.engine.resolve import Outline
from s2g.errors import UserError
from s2g.experiments.studies.study import Quantity, Study

TERA = 1e12


@dataclass(frozen=True)
class Cost(Study):
    """Of one image; a mean over masks, since what a mask costs depends on its first block."""

    count: int = 1  # images

    networks: ClassVar[bool] = False
    quantities: ClassVar = {
        "evaluations": Quantity("network evaluations", False, 0),
        "tflops": Quantity("TFLOP, with prefix reuse", False, 1),
        "plain": Quantity("TFLOP, every pass on its own", False, 1),
        "macs": Quantity("TMAC without attention, every pass in full", False, 3),
    }

    def measure(self, run: Outline) -> dict[str, float]:
        """evaluations; tflops and plain: 2 FLOPs a multiply-accumulate, attention included, blocks that are left out not
        counted; macs: the paper's convention, in which a pass without some blocks costs as much as one with all."""
        from s2g.engine.cost_estimate import expected_cost

        cost, macs = _passes(_Network(run.model))
        expected = {reuse: expected_cost(run, cost, reuse) for reuse in (True, False)}
        return {
            "evaluations": expected[True].evaluations,
            "tflops": expected[True].flops / TERA,
            "plain": expected[False].flops / TERA,
            "macs": expected[True].evaluations * macs / TERA,
        }


class _Network:
    """A model's configuration, equal to another if the network is: counted once."""

    def __init__(self, model: Any) -> None:
        self.model = model
        self.said = repr((model.family, dict(model.network), model.resolution))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Network) and other.said == self.said

    def __hash__(self) -> int:
        return hash(self.said)


@cache
def _passes(network: _Network) -> tuple[Any, int]:
    import torch

    from s2g.engine.cost import full_pass, multiply_accumulates
    from s2g.models.meta_models import meta_model

    cost = full_pass(network.model)
    if cost.uncounted:
        raise UserError(f"model = {network.model.name}: its FLOPs are not counted ({cost.uncounted})")
    made = meta_model(network.model)
    with torch.no_grad():
        return cost, multiply_accumulates(made.network, made.call)
