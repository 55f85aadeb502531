"""The demo: no guidance, CFG and S2 on the same noise, as a table, a picture and a page."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from s2g.cli.commands.options import Workers
from s2g.config.compose import compose_config
from s2g.engine.bench import Metric
from s2g.engine.pool import Pool
from s2g.engine.resolve import resolve
from s2g.engine.run import Run
from s2g.errors import unknown
from s2g.experiments.produce import sampled
from s2g.io.atomic import write_bytes, write_json
from s2g.metrics.statistics import Estimate
from s2g.report.gallery import gallery_figure
from s2g.report.html.demo import LABELS, DemoPage, demo_gallery, demo_page, facts_of, run_facts
from s2g.report.number_text import heading, interval_note, relative_flops, scale_of
from s2g.report.tables import Cell, Column, Row, Table, to_console, to_markdown
from s2g.report.write_results import make_folder
from s2g.scoring.score import Score, difference

METHODS = tuple(LABELS)
MODELS = {"fashion_sit": "fashion", "tiny_sit": "shapes"}  # with the bench of each
ITEMS = {"fashion_sit": 250, "tiny_sit": 256}  # whole units
AGAINST = "cfg"  # what the others are compared with
OTHERS = tuple(name for name in METHODS if name != AGAINST)
WORDS = {  # what the rows of the table mean, by metric
    "joint": "share of images in which the probe reads the requested shape, color and texture",
    "accuracy": "share of images that a classifier of real photographs puts into the requested class",
    "fd": "Fréchet distance between features of these images and of {real}; grows as n shrinks",
    "precision": "share of images that lie among {real} in feature space",
    "recall": "share of {real} that lie among these images",
    "coverage": "share of {real} with one of these images nearby",
    "density": "how many of {real} surround an image, relative to what they have around themselves; more where images cluster",
    "kd": "kernel distance of the same features, which does not grow as n shrinks",
    "diversity": "how much images of one prompt differ in position, size and shade; 3.6 for true scenes",
    "pis": "the Inception Score's formula on the probe's output: confident on each image, diverse over all of them",
}
REAL = {"fashion_sit": "photographs", "tiny_sit": "true scenes"}
LEADS = {
    "fashion_sit": (
        "The model is fashion_sit: a transformer of 24 blocks that learned from 60,000 photographs of clothes, 28×28 pixels, "
        "built into S2G. A small classifier that learned from the same photographs reads each finished image; an image that it "
        "puts into another class than the requested one has a frame. No number here is an ImageNet number."
    ),
    "tiny_sit": (
        "The model is tiny_sit: 32×32 pixels, trained on simple shapes, built into S2G. A second "
        "small network, the probe, reads each finished image; an image in which it does not see what was requested has "
        "a frame. It is a wind tunnel, not a stand-in for a large model: no number here is an ImageNet number."
    ),
}
DIFFERENCES = "Δ to CFG, same noise"
Deltas = dict[str, dict[str, Estimate]]  # method against CFG, by metric


def make_demo(
    model: Annotated[str, typer.Option(help="fashion_sit: real photographs; tiny_sit: synthetic shapes.")] = "fashion_sit",
    num: Annotated[int | None, typer.Option(help="Items per method; default: 250 of fashion_sit, 256 of tiny_sit.")] = None,
    root: Annotated[str, typer.Option("--runs", help="Folder that holds the stored runs.")] = "runs",
    out: Annotated[Path, typer.Option(help="Folder for the table, the picture and the page.")] = Path("outputs/demo"),
    workers: Workers = None,
) -> None:
    """Sample what is missing, score, print the main rows; write index.html, grid.png, table.md and runs.json into `out`."""
    if model not in MODELS:
        raise unknown("--model", model, MODELS)
    num = ITEMS[model] if num is None else num
    make_folder(out)
    console = Console(highlight=False)
    began = time.perf_counter()
    runs = {name: demo_run(model, name, num) for name in METHODS}
    console.print(
        f"{num} items each of {', '.join(LABELS.values())}: {model}, {runs['cfg'].sampler.steps} Euler steps, same noise"
    )
    with Pool(workers) as pool, sampled(list(runs.values()), root, pool, console) as samples:
        scores = dict(zip(runs, samples.scores(), strict=True))
        deltas = deltas_of(scores)
        metrics = runs[AGAINST].bench.metrics
        console.print(to_console(table_of(scores, deltas, [metric for metric in metrics if metric.main])))
        note = note_of(runs[AGAINST])
        write_bytes(out / "table.md", f"{to_markdown(table_of(scores, deltas, metrics))}\n{note}\n".encode())
        page = page_of(scores, deltas, root)
        gallery_figure(page.gallery).savefig(out / "grid.png", dpi=150)
        write_bytes(out / "index.html", demo_page(page).encode())
        write_json(out / "runs.json", {"runs": [run.key for run in runs.values()]})  # s2g gc keeps these runs
        console.print(note)
    files = f"Page: {out / 'index.html'}  Picture: {out / 'grid.png'}  Table: {out / 'table.md'}"
    console.print(f"{samples.made} items made, {time.perf_counter() - began:.0f} s. {files}", soft_wrap=True)


def demo_run(model: str, name: str, num: int) -> Run:
    """Return the run of `python run.py model=MODEL bench=BENCH guidance=NAME num=NUM`, whose samples the demo shares."""
    return resolve(compose_config(f"model={model}", f"bench={MODELS[model]}", f"guidance={name}", f"num={num}"))[0]


def deltas_of(scores: dict[str, Score]) -> Deltas:
    """Return every other method minus CFG, paired on the same noise."""
    metrics = scores[AGAINST].run.bench.metrics
    return {name: {m.name: difference(m, scores[name], scores[AGAINST]) for m in metrics} for name in OTHERS}


def table_of(scores: dict[str, Score], deltas: Deltas, metrics: Sequence[Metric]) -> Table:
    """Return a column per method and per difference to CFG, a row per metric and per kind of cost."""
    against, empty = scores[AGAINST].cost, [Cell()] * len(OTHERS)
    columns = [Column(name, short=LABELS[name]) for name in scores]
    columns += [Column(f"Δ {name}", "delta", "", DIFFERENCES, LABELS[name], rule=name == OTHERS[0]) for name in OTHERS]
    rows = []
    for metric in metrics:
        values = [Cell.number(score.estimates[metric.name], metric.digits) for score in scores.values()]
        differences = [Cell.difference(deltas[name][metric.name], metric.digits) for name in OTHERS]
        rows.append(Row(heading(metric), [*values, *differences]))
    for label, get in (
        ("calls / item", lambda score: f"{score.cost.evaluations:g}"),
        ("FLOPs / CFG", lambda score: relative_flops(score.cost.flops, against.flops)),
        ("seconds / CFG", lambda score: f"{score.cost.seconds / against.seconds:.2f}"),
        ("effective scale", lambda score: scale_of(score.effective)),
    ):
        cells = [Cell(get(score)) for score in scores.values()]
        rows.append(Row(label, [*cells, *empty], rule=len(rows) == len(metrics)))
    return Table(columns, rows)


def note_of(run: Run) -> str:
    """Return what the numbers are, and what they are not."""
    remarks = "".join(f" {remark[0].upper()}{remark[1:]}." for remark in run.bench.remarks(run.num))
    return (
        f"Model {run.model.name} ({run.model.resolution}x{run.model.resolution}, built in), n = {run.num}; "
        f"{interval_note(run)} (a unit is a batch of {run.model.unit}); Δ is against CFG, paired on the same noise.{remarks} "
        "No number here is an ImageNet number."
    )


def page_of(scores: dict[str, Score], deltas: Deltas, root: str) -> DemoPage:
    """Return the page: the whole table, more images, and the runs behind them."""
    run = scores[AGAINST].run
    metrics, real = run.bench.metrics, REAL[run.model.name]
    note = f"{note_of(run)} A Δ is bold if its interval excludes 0."
    return DemoPage(
        title="The same noise, with and without guidance",
        lead=(
            "Every image below began as random noise, and a small diffusion model turned it into the picture its prompt asks "
            "for: once with no guidance, once with classifier-free guidance (CFG), once with S²-Guidance on top of CFG. The "
            "noise is the same each time, so every difference between the three comes from the method.",
            LEADS[run.model.name],
        ),
        gallery=demo_gallery(scores, root),
        table=table_of(scores, deltas, metrics),
        note=note,
        words=[(metric.label, WORDS[metric.name].format(real=real)) for metric in metrics if metric.name in WORDS],
        runs=[run_facts(name, result, scores[AGAINST], root) for name, result in scores.items()],
        facts=facts_of([score.run for score in scores.values()], root),
    )
