"""The demo: no guidance, CFG and S2 on the same noise, as a table and a picture."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
from hydra import compose, initialize_config_dir
from matplotlib.figure import Figure
from omegaconf import OmegaConf
from rich.console import Console

from s2g.benches.shapes import Shapes
from s2g.config import ExecutorConfig, config_dir
from s2g.engine.atomic import write_bytes
from s2g.engine.execute import execute
from s2g.engine.executor import LocalExecutor
from s2g.engine.run import Run, resolve
from s2g.engine.scoring import Score, difference, score
from s2g.engine.store import Store
from s2g.errors import UserError
from s2g.report.grid import image_grid
from s2g.report.table import console_table, heading, markdown_table, with_interval
from s2g.shapes.world import ATTRIBUTES

METHODS = {"none": "no guidance", "cfg": "CFG", "s2": "S²-Guidance"}
SHOWN = 12  # columns of the picture


def make_demo(num: int, root: str, out: Path, workers: int | None) -> None:
    """Sample what is missing, score, print the table, write table.md and grid.png into `out`."""
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"--out {out}: cannot be written ({error.strerror})", todo="--out FOLDER") from error
    console = Console(highlight=False)
    began = time.perf_counter()
    runs = {name: demo_run(name, num) for name in METHODS}
    console.print(
        f"{num} items each of {', '.join(METHODS.values())}: tiny_sit, {runs['cfg'].sampler.steps} Euler steps, same noise"
    )
    with LocalExecutor(ExecutorConfig(workers=workers)) as executor:
        made = execute(list(runs.values()), root, executor, True, console)
    scores = {name: score(run, Store.of(run, root)) for name, run in runs.items()}
    head, rows = table_of(scores)
    console.print(console_table(head, rows))
    note = (
        f"Model tiny_sit (32x32, built in), n = {num}; ± is half a 95 % interval over {len(runs['cfg'].units)} units of "
        f"{runs['cfg'].model.unit} items; Δ is against CFG, paired on the same noise. No number here is an ImageNet number."
    )
    write_bytes(out / "table.md", f"{markdown_table(head, rows)}\n{note}\n".encode())
    picture = out / "grid.png"
    grid_of(scores, root).savefig(picture, dpi=150)
    console.print(note)
    console.print(
        f"{made} items made, {time.perf_counter() - began:.0f} s. Picture: {picture}  Table: {out / 'table.md'}", soft_wrap=True
    )


def demo_run(name: str, num: int) -> Run:
    """The run `python run.py guidance=NAME num=NUM` would make: the demo's samples are found there again."""
    with initialize_config_dir(version_base="1.3", config_dir=str(config_dir())):
        composed = compose("run", overrides=[f"guidance={name}", f"num={num}"])
    raw = OmegaConf.to_container(composed, resolve=True)
    assert isinstance(raw, dict)
    return resolve({str(key): value for key, value in raw.items()})[0]


def table_of(scores: dict[str, Score]) -> tuple[list[str], list[list[str]]]:
    """A column for each method and for S2 against CFG; a row for each metric and each kind of cost."""
    against = scores["cfg"]
    rows = []
    for metric in Shapes().metrics:
        values = [with_interval(s.estimates[metric.name], metric.digits) for s in scores.values()]
        deltas = [with_interval(difference(metric, scores[n], against), metric.digits, sign=True) for n in ("none", "s2")]
        rows.append([heading(metric), *values, *deltas])
    for label, get in (
        ("calls / item", lambda s: f"{s.cost.evaluations:g}"),
        ("FLOPs / CFG", lambda s: f"{s.cost.flops / against.cost.flops:.2f}"),
        ("seconds / CFG", lambda s: f"{s.cost.seconds / against.cost.seconds:.2f}"),
    ):
        rows.append([label, *(get(s) for s in scores.values()), "", ""])
    return ["", *scores, "Δ none", "Δ s2"], rows


def grid_of(scores: dict[str, Score], root: str) -> Figure:
    """The picture: the same starts under each method, frames where the probe reads another class."""
    bench = Shapes()
    num = next(iter(scores.values())).run.num
    chosen = range(min(SHOWN, num))
    rows, wrong = [], []
    for name, result in scores.items():
        right = np.logical_and.reduce([result.arrays[a] for a in ATTRIBUTES])
        rows.append((METHODS[name], Store.of(result.run, root).images(chosen)))
        wrong.append(~right[: len(chosen)])
    return image_grid(rows, [bench.caption(item) for item in chosen], wrong)
