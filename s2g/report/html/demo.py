"""The demo's page: a gallery of the same noises under every method, their scores, and what made the runs."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from s2g import __version__
from s2g.engine.run import Run
from s2g.report.gallery import Gallery, gallery_of
from s2g.report.html.page import Pairs, render
from s2g.report.number_text import flat, gflop, relative_flops
from s2g.report.tables import Table
from s2g.scoring.score import Score
from s2g.store.env_file import environments
from s2g.store.store import Store

LABELS = {"none": "no guidance", "cfg": "CFG", "s2": "S²-Guidance"}
IN_GALLERY = 96  # items: at 2 KB an image the page stays below 1.5 MB


@dataclass(frozen=True)
class RunFacts:
    """What made a run's samples, and what they cost."""

    label: str
    brief: str
    key: str
    command: str
    cost: Pairs
    knobs: Pairs


@dataclass(frozen=True)
class DemoPage:
    """Everything the demo's page shows."""

    title: str
    lead: Sequence[str]  # paragraphs
    gallery: Gallery
    table: Table
    note: str  # below the table
    words: Pairs  # what the rows of the table mean
    runs: Sequence[RunFacts]
    facts: Pairs  # date, machine, versions
    columns: int = 12  # items shown side by side


def demo_page(page: DemoPage) -> str:
    """Return the demo's page as HTML, all text escaped."""
    return render("demo.html.j2", page=page)


def demo_gallery(scores: dict[str, Score], root: str) -> Gallery:
    """Return the first items under every method, with what is read off them."""
    nums = {score.run.num for score in scores.values()}
    assert len(nums) == 1
    return gallery_of(scores, LABELS, "cfg", range(min(IN_GALLERY, *nums)), root)


def run_facts(name: str, result: Score, against: Score, root: str) -> RunFacts:
    """Return the command, key, configuration and cost of a run, relative to the cost of CFG."""
    run, cost = result.run, result.cost
    store = "" if root == "runs" else f" runs={root}"
    of = "" if run.model.name == "tiny_sit" else f"model={run.model.name} bench={run.bench.version()['bench']} "
    seconds, flops = cost.seconds / against.cost.seconds, relative_flops(cost.flops, against.cost.flops)
    measured = [
        ("network evaluations per item", f"{cost.evaluations:g}"),
        ("GFLOP per item", gflop(cost.flops)),
        ("FLOPs relative to CFG", flops),
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
        brief=f"{cost.evaluations:g} network evaluations per item, {flops} of CFG's FLOPs, {seconds:.2f} of its time",
        key=run.key,
        command=f"python run.py {of}guidance={run.name} num={run.num}{store}",
        cost=measured,
        knobs=knobs,
    )


def facts_of(runs: Iterable[Run], root: str) -> list[tuple[str, str]]:
    """Return when the page was made, and on which machines and with which versions the samples were."""
    used = [env for run in runs for env in environments(Store.of(run, root)).values()]
    commits = [(env.get("git") or {}).get("commit", "")[:10] for env in used]
    facts = {
        "Page made": [datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")],
        "Sampled on": [env["machine"] for env in used],
        "torch": [env["packages"]["torch"] for env in used],
        "S2G": [__version__],
        "Commit": [commit for commit in commits if commit],
    }
    return [(name, ", ".join(dict.fromkeys(values))) for name, values in facts.items() if values]


def _word(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)
