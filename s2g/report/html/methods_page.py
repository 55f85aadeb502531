"""The page that compares all guidance methods on the built-in models, from the results of `make methods`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from s2g.config.registry import BENCHES
from s2g.io.json_files import load_json
from s2g.metrics.statistics import Estimate
from s2g.report.methods_table import ASIDE, COMPARED, named
from s2g.report.number_text import heading, relative_flops
from s2g.report.tables import Cell, Column, Row, Table


@dataclass(frozen=True)
class MethodsSection:
    """The table of one model and how it was made."""

    table: Table
    made: Mapping[str, Any]


def methods_section(path: Path) -> MethodsSection | None:
    """Return values, differences to CFG and to CFG at the row's effective scale; None if nothing was measured."""
    if not path.exists():
        return None
    raw = load_json(path)
    metrics = BENCHES.load(raw["made"]["bench"])().metrics
    compared, aside = named(COMPARED, metrics), named(ASIDE, metrics)
    against = next(row for row in raw["rows"] if row["delta"] is None)
    columns = []
    for metric in compared:
        columns.append(Column("value", group=heading(metric), rule=True))
        columns += [Column(label, "delta", group=heading(metric)) for label in ("Δ to CFG", "Δ to CFG at its eff. scale")]
    columns += [Column(heading(metric), rule=metric is aside[0]) for metric in aside]
    columns += [Column("eff. scale", "cost", rule=True), Column("calls", "cost"), Column("FLOPs", "cost")]
    rows = []
    for row in raw["rows"]:
        cells = []
        for metric in compared:
            cells.append(Cell.number(_estimate(row["values"][metric.name]), metric.digits))
            for delta in (row["delta"], (row.get("cfg_at_effective_scale") or {}).get("delta")):
                cells.append(Cell.difference(None if delta is None else _estimate(delta[metric.name]), metric.digits))
        cells += [Cell.number(_estimate(row["values"][metric.name]), metric.digits) for metric in aside]
        scale = row["effective_scale"].get("value")
        cost = f"{row['evaluations']:g}", relative_flops(row["flops_per_item"], against["flops_per_item"])
        cells += map(Cell, ("–" if scale is None else f"{scale:.2f}", *cost))
        rows.append(Row(row["label"], cells))
    return MethodsSection(Table(columns, rows), raw["made"])


def _estimate(numbers: Mapping[str, Any]) -> Estimate:
    value = numbers["value"]
    return Estimate(float("nan") if value is None else value, numbers["low"], numbers["high"], 0)
