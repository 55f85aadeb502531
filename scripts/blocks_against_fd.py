"""Do blocks that matter little to the prediction make good sub-networks? Figure 7c against the study of redundancy.

    python scripts/blocks_against_fd.py tiny      # or real

Rank correlation over blocks of what leaving a block out changes (experiments/results/redundancy-*) with the Fréchet distance
to the random block's when that block is always dropped (fig7c-*), by noise level, with a permutation test. Exploratory: the
levels are five looks at the same blocks.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from rich.console import Console

from s2g.config.schema import CHECKOUT
from s2g.experiments.results import Results
from s2g.experiments.studies.uncertainty import rank_correlation
from s2g.report.drawing import read_arrays
from s2g.report.tables import console_table

GROUP = {"tiny": "tiny_sit", "real": "fashion_sit"}
PARTS = ("change", "excess", "gain")


def distances(results: Results) -> np.ndarray:
    """Return Figure 7c's difference to the random block's Fréchet distance when a block is always dropped, [blocks]."""
    cells = [row.cell("fd") for row in results.rows if row.row.startswith("block@")]
    return np.array([cell.delta["value"] for cell in cells if cell is not None and cell.delta is not None])


def permuted(a: np.ndarray, b: np.ndarray, count: int = 20_000) -> float:
    """Return the two-sided p value of the rank correlation of [N] and [N], among random orders."""
    rng, found = np.random.default_rng(0), abs(rank_correlation(a, b))
    others = [abs(rank_correlation(a, rng.permutation(b))) for _ in range(count)]
    return (1 + int(np.sum(np.array(others) >= found - 1e-9))) / (1 + count)


def main(profile: str, folder: Path = CHECKOUT / "experiments" / "results") -> None:
    """Print the table."""
    arrays = read_arrays(folder / f"redundancy-{profile}.drawing.npz")
    distance, rows = distances(Results.load(folder / f"fig7c-{profile}.json", ["fd"])), []
    levels = dict.fromkeys(name.split("/")[1] for name in arrays if name.startswith(f"{GROUP[profile]}/"))
    for level in levels:
        row = [level.partition("@")[2]]
        for part in PARTS:
            of_block = arrays[f"{GROUP[profile]}/{level}/{part}"].mean(0).astype(float)
            row.append(f"{rank_correlation(of_block, distance):+.2f} (p {permuted(of_block, distance, 2000):.3f})")
        rows.append(row)
    Console(highlight=False).print(console_table(["noise level", *PARTS], rows))


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "tiny")
