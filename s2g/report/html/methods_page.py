"""The page of every guidance method on the built-in model, from what `make methods` wrote."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from s2g.benchmarks.shapes.bench import METRICS
from s2g.experiments.methods import ASIDE, COMPARED
from s2g.metrics.statistics import Estimate
from s2g.report.html.page import NumberTable
from s2g.report.tables import heading, leaves_out_zero, with_interval


@dataclass(frozen=True)
class ShelfPage:
    """The table, and what it is of."""

    table: NumberTable
    about: Mapping[str, Any]


def shelf_page(path: Path) -> ShelfPage | None:
    """Values, differences to CFG and to CFG at the row's effective scale; None where nothing was measured."""
    if not path.exists():
        return None
    raw = json.loads(path.read_text())
    metrics = {m.name: m for m in METRICS}
    compared, aside = [metrics[name] for name in COMPARED], [metrics[name] for name in ASIDE]
    against = next(row for row in raw["rows"] if row["delta"] is None)
    head, groups, divides, clear, rows = [""], [], set(), set(), []
    for metric in compared:
        divides.add(len(head))
        head += ["value", "Δ to CFG", "Δ to CFG at its eff. scale"]
        groups.append((heading(metric), 3))
    for names in ([heading(m) for m in aside], ["eff. scale", "calls", "FLOPs"]):
        divides.add(len(head))
        head += names
        groups.append(("", len(names)))
    for at, row in enumerate(raw["rows"]):
        line = [row["label"]]
        for metric in compared:
            line.append(with_interval(_estimate(row["values"][metric.name]), metric.digits))
            for delta in (row["delta"], (row.get("cfg_at_effective_scale") or {}).get("delta")):
                if delta is not None:
                    found = _estimate(delta[metric.name])
                    if leaves_out_zero(found):
                        clear.add((at, len(line)))
                line.append("" if delta is None else with_interval(_estimate(delta[metric.name]), metric.digits, sign=True))
        line += [with_interval(_estimate(row["values"][m.name]), m.digits) for m in aside]
        scale = row["effective_scale"].get("value")
        line += ["–" if scale is None else f"{scale:.2f}", f"{row['evaluations']:g}"]
        rows.append([*line, f"{row['flops_per_item'] / against['flops_per_item']:.2f}"])
    return ShelfPage(NumberTable(head, rows, "", frozenset(clear), frozenset(), groups, frozenset(divides)), raw["made"])


def _estimate(numbers: Mapping[str, Any]) -> Estimate:
    value = numbers["value"]
    return Estimate(float("nan") if value is None else value, numbers["low"], numbers["high"], 0)
