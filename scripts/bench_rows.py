"""A row of the bench, one way of sampling beside another, and the page of all rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gpu_measuring import Turns

CLOCKS = {"cpu": "process time", "cuda": "wall time"}  # what `timed` reads


@dataclass(frozen=True)
class Row:
    """One way beside another: medians of seconds and of the ratios within rounds, with the quartiles of those."""

    section: str
    way: str
    to: str
    ratio: float
    seconds: float | None = None  # None where a round is too short to be worth a number
    gigabytes: float = 0.0  # at the peak, weights included
    compiling: float = 0.0  # seconds, apart
    quartiles: tuple[float, float] | None = None
    rounds: int = 1
    clock: str = CLOCKS["cpu"]
    counted: float | None = None  # the ratio in FLOPs of what was timed
    whole: float | None = None  # the ratio in FLOPs of a run of full length, mean over all masks
    of_peak: float | None = None  # share of the matrix product's FLOP/s, measured in the same process
    outside: float | None = None  # share of the seconds that were not spent in the network

    @classmethod
    def of(cls, section: str, way: str, to: str, turns: Turns, device: str, **more: Any) -> Row:
        """Make a row of what rounds took."""
        numbers = {"seconds": turns.median(way), "gigabytes": turns.peak(way), "quartiles": turns.quartiles(way, to)}
        counted = {"rounds": len(turns.seconds), "clock": CLOCKS[device]}
        return cls(section, way, to, turns.ratio(way, to), **{**numbers, **counted, **more})

    def line(self) -> str:
        """Return what is printed as soon as it is measured."""
        parts = [f"{self.section}: {self.way} / {self.to} {self.ratio:.3f}"]
        if self.quartiles is not None:
            parts[0] += f" ({self.quartiles[0]:.3f} to {self.quartiles[1]:.3f}, {self.rounds} rounds)"
        parts += [] if self.seconds is None else [f"{self.seconds:.4g} s"]
        parts += [f"{self.gigabytes:.2f} GB"] if self.gigabytes else []
        parts += [f"compiled in {self.compiling:.1f} s"] if self.compiling else []
        parts += [] if self.counted is None else [f"FLOPs {self.counted:.3f}"]
        parts += [] if self.whole is None else [f"FLOPs of a full run {self.whole:.3f}"]
        parts += [] if self.of_peak is None else [f"{self.of_peak:.1%} of the matrix peak"]
        parts += [] if self.outside is None else [f"{self.outside:.2%} outside the network"]
        return ", ".join(parts)


HEAD = ("", "way", "to", "ratio", "quartiles", "rounds", "FLOPs ratio", "of a full run", "seconds", "peak GB", "compiling, s")
MORE = ("of the matrix peak", "outside the network", "clock")


def page(result: Mapping[str, Any]) -> str:
    """Render the result as Markdown."""
    about = f"`{result['command']}`, {result['date']}, {result['machine']}, torch {result['torch']}."
    lines = ["# Cost of sampling, as ratios of interleaved rounds", "", about, ""]
    lines += [
        "Ratios are of seconds: medians and quartiles over rounds. Beside them the ratio in FLOPs of what was timed, and of a",
        "run of full length, mean over all masks: S2 in few steps, or under few masks, costs another share than in many.",
        "Process time is the process's own on one thread; wall time includes what the machine does besides.",
        "",
    ]
    head = (*HEAD, *MORE)
    lines += [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]

    def number(value: float | None, form: str) -> str:
        return "" if value is None else f"{value:{form}}"

    for row in result["rows"]:
        between = "" if row["quartiles"] is None else " to ".join(f"{value:.3f}" for value in row["quartiles"])
        cells = [row["section"], row["way"], row["to"], f"{row['ratio']:.3f}", between, str(row["rounds"])]
        cells += [number(row["counted"], ".3f"), number(row["whole"], ".3f"), number(row["seconds"], ".4g")]
        cells += [f"{row['gigabytes']:.2f}", f"{row['compiling']:.1f}"]
        cells += [number(row["of_peak"], ".1%"), number(row["outside"], ".2%"), row["clock"]]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join([*lines, "", *(f"Left out: {one}." for one in result["left_out"])]) + "\n"
