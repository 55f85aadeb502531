"""The demo's images, and the facts of its runs, as its picture and its page show them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import reduce
from itertools import pairwise
from operator import or_

import numpy as np
from matplotlib.figure import Figure

from s2g import __version__
from s2g.engine.run import Run
from s2g.engine.scoring import Score
from s2g.engine.store import Store, png
from s2g.report.grid import image_grid
from s2g.report.page import Gallery, Item, Method, RunFacts, Shot, data_uri
from s2g.report.table import flat
from s2g.shapes.world import ATTRIBUTES, class_name

LABELS = {"none": "no guidance", "cfg": "CFG", "s2": "S²-Guidance"}
PICTURED = 12  # columns of the picture
IN_GALLERY = 96  # items: at 2 KB an image the page stays below 1.5 MB


def figure_of(scores: dict[str, Score], root: str) -> Figure:
    """The picture: the same starts under each method, frames where the probe reads another class."""
    chosen = _first(scores, PICTURED)
    rows = [(LABELS[name], Store.of(result.run, root).images(chosen)) for name, result in scores.items()]
    wrong = [reduce(or_, (~result.arrays[a][: len(chosen)] for a in ATTRIBUTES)) for result in scores.values()]
    return image_grid(rows, [_any_run(scores).bench.caption(item) for item in chosen], wrong)


def gallery_of(scores: dict[str, Score], root: str) -> Gallery:
    """The first items under every method, with what the probe reads."""
    chosen, run = _first(scores, IN_GALLERY), _any_run(scores)
    shots = {name: _shots(result, Store.of(result.run, root).images(chosen), chosen) for name, result in scores.items()}
    items = [Item(str(i), run.bench.caption(i), [of[i] for of in shots.values()]) for i in chosen]
    which = f"The first {len(chosen)} of {run.num} start noises" if run.num > len(chosen) else f"All {run.num} start noises"
    return Gallery(
        methods=[Method(name, LABELS[name]) for name in scores],
        items=items,
        held=list(scores).index("cfg"),
        start=next((at for at, item in enumerate(items) if len({bool(shot.wrong) for shot in item.shots}) > 1), 0),
        note=f"{which}. A frame with a cross: the probe reads something else than was asked for.",
        legend="A frame, and the word below it, mark what the probe reads otherwise than it was asked for. "
        "A click opens the image in the gallery.",
        pixelated=True,
    )


def _shots(result: Score, images: np.ndarray, chosen: Sequence[int]) -> list[Shot]:
    """Each image [H, W, 3] with the attributes the probe finds right and wrong, and the class it reads."""
    shots = []
    for item, image in zip(chosen, images, strict=True):
        right = {name: bool(result.arrays[name][item]) for name in ATTRIBUTES}
        read = class_name(int(result.arrays["probabilities"][item].argmax()))
        shots.append(Shot(data_uri(png(image)), right, "" if all(right.values()) else f"the probe reads: {read}"))
    return shots


def run_facts(name: str, result: Score, against: Score, root: str) -> RunFacts:
    """What made a run, as one would type it, and what it cost beside CFG."""
    run, cost = result.run, result.cost
    place = "" if root == "runs" else f" runs={root}"
    seconds, flops = cost.seconds / against.cost.seconds, cost.flops / against.cost.flops
    measured = [
        ("network evaluations per item", f"{cost.evaluations:g}"),
        ("GFLOP per item", f"{cost.flops / 1e9:.2f}"),
        ("FLOPs relative to CFG", f"{flops:.2f}"),
        ("time per item", f"{1000 * cost.seconds:.0f} ms"),
        ("time relative to CFG", f"{seconds:.2f}"),
        ("time outside the network", f"{100 * cost.outside:.0f} %"),
        ("peak memory", f"{cost.peak_memory / 2**20:,.0f} MiB"),
    ]
    identity = run.identity()
    first = {group: identity[group] for group in ("guidance", "sampler")}  # what a reader looks for
    knobs = [("num", str(run.num)), *((knob, _word(value)) for knob, value in flat(first | identity))]
    return RunFacts(
        label=LABELS[name],
        brief=f"{cost.evaluations:g} network evaluations per item, {flops:.2f} of CFG's FLOPs, {seconds:.2f} of its time",
        key=run.key,
        command=f"python run.py guidance={run.name} num={run.num}{place}",
        cost=measured,
        knobs=knobs,
    )


def facts_of(scores: dict[str, Score], root: str) -> list[tuple[str, str]]:
    """When, where and with which versions: of this page, and of the samples as their stores tell it."""
    found = [about for result in scores.values() for about in Store.of(result.run, root).environments().values()]
    commits = [(about.get("git") or {}).get("commit", "")[:10] for about in found]
    facts = {
        "Page made": [datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")],
        "Sampled on": [about["machine"] for about in found],
        "torch": [about["packages"]["torch"] for about in found],
        "S2G": [__version__],
        "Commit": [commit for commit in commits if commit],
    }
    return [(name, ", ".join(dict.fromkeys(values))) for name, values in facts.items() if values]


def _first(scores: dict[str, Score], count: int) -> range:
    return range(min(count, _any_run(scores).num))


def _any_run(scores: dict[str, Score]) -> Run:
    runs = [result.run for result in scores.values()]
    assert all(a.num == b.num for a, b in pairwise(runs))
    return runs[0]


def _word(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)
