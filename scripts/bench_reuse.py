"""What S2's third evaluation costs, plain and with prefix reuse, as ratios to CFG.

    python scripts/bench_reuse.py

Prints three tables. The first is measured: FLOPs and wall time of SiT-like networks of 12, 24 and 28 blocks on this
machine's CPU, all three methods in turn in one process. The second is counted: full-size models on the meta device,
expectation over all masks. The third is drawn: what masks that begin alike save naive S2. No GPU is used, no weights are read;
it takes a minute or two.
"""

from __future__ import annotations

import math
import platform
import time
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from statistics import fmean, median

import torch
from meta_models import FULL_SIZE, cost_of_full_size
from rich.console import Console
from rich.table import Table

from s2g.engine.cost import PassCost
from s2g.engine.worker import cost_of
from s2g.guidance.base import MaskSampler
from s2g.guidance.masks import count_from_ratio, indices
from s2g.models.sit import SiT, SiTDenoiser
from s2g.network.branch import COND, UNCOND, Branch, DropBlocks
from s2g.network.evaluate import Evaluator
from s2g.network.forks import turns
from s2g.report.tables import console_table

DEPTHS = (12, 24, 28)
MASKS, REPEATS, ITEMS = 12, 3, 2


@dataclass(frozen=True)
class Ratios:
    """Cost of a step of S2 over one of CFG."""

    plain: float
    reuse: float


@dataclass(frozen=True)
class Known:
    """An earlier count of one full-size model by other code, 10 % of the blocks dropped, first and last protected."""

    tera: float  # TFLOP of one forward pass
    drop: int
    ratios: Ratios


# Flux's was a mean over 60,000 sampled masks; SiT's was made on diffusers' DiT, which embeds time in every block (+0.04 %).
KNOWN = {
    "SD3-medium 1024x1024": Known(8.904, 2, Ratios(1.458, 1.298)),
    "SD3.5-medium 1024x1024": Known(11.250, 2, Ratios(1.458, 1.274)),
    "Flux 1024x1024": Known(74.385, 6, Ratios(1.447, 1.378)),
    "Wan 1.3B 480x832x81": Known(283.00, 3, Ratios(1.450, 1.329)),
    "SiT-XL/2 256x256": Known(0.2373, 3, Ratios(1.446, 1.326)),
}


def expected_sub(cost: PassCost, drop: int, protect: Sequence[int], reuse: bool) -> Fraction:
    """Return the FLOPs of the pass with `drop` random blocks left out, exact expectation over all masks.

    With reuse the pass begins after its first dropped block f. Given f, the other drop - 1 are any of the eligible
    blocks after it.
    """
    never = indices(protect, len(cost.blocks), "protect")
    eligible = [index for index in range(len(cost.blocks)) if index not in never]
    if not reuse:
        return cost.total - Fraction(drop, len(eligible)) * sum(cost.blocks[index] for index in eligible)
    total = Fraction(cost.stem)
    for rank, first in enumerate(eligible[: len(eligible) - drop + 1]):
        later = eligible[rank + 1 :]
        left = Fraction(drop - 1, len(later)) * sum(cost.blocks[index] for index in later) if later else 0
        chance = Fraction(math.comb(len(later), drop - 1), math.comb(len(eligible), drop))
        total += chance * (sum(cost.blocks[first + 1 :]) - left)
    return total


def expected_ratios(cost: PassCost, drop: int, protect: Sequence[int]) -> Ratios:
    """Return the cost ratio of S2 to CFG: three evaluations over two."""
    return Ratios(*(float(1 + expected_sub(cost, drop, protect, reuse) / (2 * cost.total)) for reuse in (False, True)))


def saved_by_sharing(blocks: int, drop: int, masks: int, steps: int = 500) -> float:
    """Return the share of the blocks of naive S2's sub passes that masks which begin alike save: block 0 protected, seed 0."""
    alone = shared = 0
    for step in range(steps):
        draws = MaskSampler(mask_seed=0, unit=0, step=step, num_blocks=blocks)
        edits = [DropBlocks(mask) for mask in {draws.mask(i, drop, (0,)) for i in range(masks)}]
        plain = {("cond", (), min(edit.blocks)) for edit in edits}
        for turn in turns([(Branch("cond", edit), edit) for edit in edits], plain, share=True):
            assert turn.resume is not None
            left = [index for index in range(blocks) if index not in turn.edit.dropped]
            alone += sum(index > min(turn.edit.dropped) for index in left)
            shared += sum(index >= turn.resume[2] for index in left)
    return 1 - shared / alone


def small_sit(depth: int, device: str = "cpu") -> SiTDenoiser:
    """Build a SiT of modest width with untrained weights: its arithmetic is the same."""
    with torch.device(device):
        network = SiT(size=16, patch=2, channels=4, width=128, depth=depth, heads=4, num_classes=10).eval()
    return SiTDenoiser(network, size=16, channels=4, passes="batched")


@dataclass(frozen=True)
class Measured:
    """Mean over masks of S2 over CFG: FLOPs as counted by the evaluator's account, and wall time."""

    flops: Ratios
    wall: Ratios


def measured(network: SiTDenoiser, cost: PassCost, drop: int) -> Measured:
    """Time a step of CFG, of S2 plain and of S2 with reuse in turn, for several masks, block 0 protected."""
    x, conditions = torch.randn(ITEMS, *network.latent_shape), network.encode(range(ITEMS))

    def step(branches: Sequence[Branch], reuse: bool) -> tuple[int, float]:
        with Evaluator(network, reuse=reuse) as evaluator:
            start = time.perf_counter()
            evaluator(branches, x, 0.5, conditions)
            return cost.of(evaluator.account), time.perf_counter() - start

    flops, wall = [], []
    for index in range(MASKS):
        draws = MaskSampler(mask_seed=0, unit=0, step=index, num_blocks=len(network.blocks))
        sub = Branch("cond", DropBlocks(draws.mask(0, drop, protect=(0,))))
        ways = [((COND, UNCOND), False), ((COND, UNCOND, sub), False), ((COND, UNCOND, sub), True)]
        seconds: list[list[float]] = []
        for repeat in range(REPEATS):
            # In turn, and each time another one first, so that a machine that slows down slows all of them.
            turn = [(repeat + shift) % 3 for shift in range(3)]
            took = {way: step(*ways[way]) for way in turn}
            seconds.append([took[way][1] for way in range(3)])
        cfg, plain, reuse = (took[way][0] for way in range(3))
        flops.append((plain / cfg, reuse / cfg))
        wall.append([median(row[way] / row[0] for row in seconds) for way in (1, 2)])
    return Measured(*(Ratios(*(fmean(column) for column in zip(*rows, strict=True))) for rows in (flops, wall)))


def small_table() -> Table:
    """Measure on this machine."""
    rows = []
    for depth in DEPTHS:
        network, cost = small_sit(depth), cost_of(small_sit(depth, "meta"))
        tenth = count_from_ratio(0.1, depth)
        for drop in sorted({1, 2, tenth}):
            found = measured(network, cost, drop)
            flops, wall, mean = found.flops, found.wall, expected_ratios(cost, drop, (0,)).reuse
            values = (flops.plain, wall.plain, flops.reuse, wall.reuse, mean)
            rows.append((str(depth), f"{drop} (10 %)" if drop == tenth else str(drop), *(f"{value:.3f}" for value in values)))
    head = ("blocks", "dropped", "plain: FLOPs", "time", "reuse: FLOPs", "time", "FLOPs, all masks")
    table = console_table(head, rows)
    table.title = "Cost of a step of S2 over that of a step of CFG, measured on SiT-like networks"
    table.caption = (
        f"Mean over {MASKS} random masks, block 0 protected; last column: exact mean over all.\n"
        "CFG's two evaluations are one batch, S2's third one is a smaller batch of its own.\n"
        f"{platform.machine()} CPU, threads: {torch.get_num_threads()}, torch {torch.__version__}"
    )
    return table


def full_size_table() -> Table:
    """Count on the meta device."""
    rows = []
    for name, build in FULL_SIZE.items():
        cost, known = cost_of_full_size(build()), KNOWN[name]
        drop = count_from_ratio(0.1, len(cost.blocks))
        ratios, tera = expected_ratios(cost, drop, (0, -1)), cost.total / 1e12
        counted = (
            name,
            f"{drop} of {len(cost.blocks)}",
            f"{tera:#.5g} ({known.tera:#.5g})",
            *(f"{2 * tera * ratio:#.4g}" for ratio in (1, ratios.plain, ratios.reuse)),
            f"{ratios.plain:.3f} ({known.ratios.plain:.3f})",
            f"{ratios.reuse:.3f} ({known.ratios.reuse:.3f})",
        )
        rows.append(counted)
    head = ("model", "dropped", "forward", "CFG", "S2 plain", "S2 reuse", "plain / CFG", "reuse / CFG")
    table = console_table(head, rows)
    table.title = "TFLOP of one step of full-size models, counted on the meta device"
    table.caption = (
        "Two FLOPs per multiply-accumulate, attention included, one item. Exact mean over all masks, first and last block\n"
        "protected. In brackets: an earlier count by other code."
    )
    return table


def sharing_table() -> Table:
    """Count what masks that begin alike save naive S2."""
    sizes, counts = ((24, 2), (28, 3), (57, 6)), (2, 4, 16)
    rows = [
        (f"{drop} of {blocks}", *(f"{100 * saved_by_sharing(blocks, drop, masks):.1f} %" for masks in counts))
        for blocks, drop in sizes
    ]
    table = console_table(("dropped", *(f"{masks} masks" for masks in counts)), rows)
    table.title = "Blocks of naive S2's sub passes that masks which begin alike save"
    table.caption = "Mean over 500 steps of seed 0, block 0 protected"
    return table


def main() -> None:
    """Print the tables."""
    console = Console()
    # A file or a pipe has no width of its own, and rich would fold the tables at 80 columns.
    console.width = max(console.width, 120)
    console.print(small_table())
    console.print(full_size_table())
    console.print(sharing_table())


if __name__ == "__main__":
    main()
