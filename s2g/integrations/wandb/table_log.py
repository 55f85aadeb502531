"""Log a table or figure to Weights & Biases: the table, numbers, plot and images that are on disk."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

from PIL import Image

from s2g.experiments.results import Results
from s2g.experiments.specification import ExperimentSpec
from s2g.integrations.wandb.run_log import WandbConfig, log
from s2g.report.results_table import csv_of, results_table

PICTURES = {"plot": "png", "images": "grid.png", "drawing": "drawing.png"}  # name in the log -> ending of NAME-PROFILE


def log_experiment(config: WandbConfig, experiment: ExperimentSpec, results: Results, out: Path) -> str:
    """Log results with the pictures in `out` and return where; logging them again updates the same run.

    UserError if the folder cannot be written or the server refuses.
    """
    stem = f"{results.exhibit}-{results.profile}"

    def fill(logged: Any) -> None:
        import wandb

        about = {"exhibit": experiment.name, "title": experiment.title, "source": experiment.source}
        keys = {f"{row.group}/{row.row}": dict(row.keys) for row in results.rows}
        made = {**results.made, "profile": results.profile, "num": results.num, "keys": keys}
        logged.config.update({**about, **made}, allow_val_change=True)
        table = results_table(experiment, results)
        names: list[Any] = [
            f"{name} ({at})" if name in table.head[:at] else name or "row" for at, name in enumerate(table.head)
        ]
        cells: list[Any] = list(csv.reader(io.StringIO(csv_of(experiment, results))))
        found: dict[str, Any] = {
            "table": wandb.Table(names, list[Any](table.body())),
            "cells": wandb.Table(cells[0], cells[1:]),
        }
        for name, ending in PICTURES.items():
            if (path := out / f"{stem}.{ending}").exists():
                found[name] = wandb.Image(Image.open(path), caption=f"{experiment.title}, profile {results.profile}")
        logged.log({**values(results), **found})

    return log(config, stem, experiment.name, results.profile, fill)


def values(results: Results) -> dict[str, float]:
    """Return flat numbers: ROW/COLUMN, with /low, /high and /delta; prefixed by GROUP if there are several groups."""
    several, flat = len({row.group for row in results.rows}) > 1, {}
    for row in results.rows:
        for column in results.columns:
            cell = row.cell(column)
            if cell is None:
                continue
            name = f"{row.group}/{row.row}/{column}" if several else f"{row.row}/{column}"
            delta = (cell.delta or {}).get("value")
            ends = {name: cell.value, f"{name}/low": cell.low, f"{name}/high": cell.high, f"{name}/delta": delta}
            flat |= {end: value for end, value in ends.items() if value is not None}
    return flat
