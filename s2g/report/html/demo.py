"""The demo's images, and the facts of its runs, as its picture and its page show them."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from itertools import pairwise

from s2g import __version__
from s2g.engine.run import Run
from s2g.report.gallery import gallery_of
from s2g.report.html.page import Gallery, RunFacts
from s2g.report.tables import flat
from s2g.scoring.score import Score
from s2g.store.store import Store

LABELS = {"none": "no guidance", "cfg": "CFG", "s2": "S²-Guidance"}
IN_GALLERY = 96  # items: at 2 KB an image the page stays below 1.5 MB


def demo_gallery(scores: dict[str, Score], root: str) -> Gallery:
    """The first items under every method, with what the probe reads."""
    num = _any_run(scores).num
    return gallery_of(scores, LABELS, "cfg", range(min(IN_GALLERY, num)), root)


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


def _any_run(scores: dict[str, Score]) -> Run:
    runs = [result.run for result in scores.values()]
    assert all(a.num == b.num for a, b in pairwise(runs))
    return runs[0]


def _word(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)
