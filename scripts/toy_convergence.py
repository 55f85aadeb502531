"""How fast Euler and Heun come to the exact flow of a mixture, by steps.

    python scripts/toy_convergence.py

Mean distance of end points from those of Heun at 800 steps, on the line, without guidance, and the order it falls with.
"""

from __future__ import annotations

import numpy as np
import torch
from rich.console import Console

from s2g.config.compose import compose_config
from s2g.engine.resolve import resolve
from s2g.engine.run import Run
from s2g.engine.trajectory import trajectories
from s2g.report.tables import console_table

STEPS = (10, 20, 40, 80, 160)


def run_of(*overrides: str) -> Run:
    """Return the run of a command line."""
    return resolve(compose_config(*overrides))[0]


def ends(model: str, sampler: str, steps: int, count: int = 128) -> np.ndarray:
    """Return where the first `count` points [count, D] end, without guidance and from low-discrepancy noise."""
    method = ("bench=gmm", "guidance=none", "model.noise=even")
    run = run_of(f"model={model}", *method, f"sampler={sampler}", f"sampler.steps={steps}")
    return trajectories(run, count)[:, -1].astype(np.float64)


def errors(sampler: str) -> list[float]:
    """Return mean distance from the truth for each number of steps."""
    truth = ends("exact_1d", "heun", 800)
    return [float(abs(ends("exact_1d", sampler, steps) - truth).mean()) for steps in STEPS]


def orders(found: list[float]) -> list[float]:
    """Return order of convergence between one number of steps and its double."""
    return np.log2(np.array(found[:-1]) / np.array(found[1:])).tolist()


def main() -> None:
    """Print the table."""
    torch.set_num_threads(1)
    rows = []
    for sampler in ("euler", "heun"):
        errors_by_steps = errors(sampler)
        rows.append([sampler, *(f"{error:.1e}" for error in errors_by_steps)])
        rows.append(["  order", "", *(f"{order:.2f}" for order in orders(errors_by_steps))])
    Console(highlight=False).print(console_table(["steps", *map(str, STEPS)], rows))


if __name__ == "__main__":
    main()
