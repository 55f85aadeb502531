"""A page of any stored runs on the same prompts: a gallery that switches between them, and what made each."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from s2g.config.typed import command, differing, overrides_of, words
from s2g.engine.run import RANDOM, Run
from s2g.errors import UserError
from s2g.io.atomic import write_bytes, write_json
from s2g.report.gallery import Gallery, Pictured, gallery_of
from s2g.report.html.demo import RunFacts, facts_of
from s2g.report.html.page import Pairs, render
from s2g.report.media import PIXELATED
from s2g.report.number_text import flat, gflop
from s2g.report.write_results import make_folder
from s2g.scoring.score import cost_of, score_name, unpaired
from s2g.store.score_files import items_digest, read_arrays
from s2g.store.store import Store

GALLERIES = Path("outputs/gallery")
SMALL, LARGE = 96, 24  # items shown by default, of small and of large images: pages stay at some megabytes


@dataclass(frozen=True)
class GalleryPage:
    """Everything the page shows."""

    title: str
    lead: Sequence[str]  # paragraphs
    gallery: Gallery
    runs: Sequence[RunFacts]
    facts: Pairs  # date, machine, versions
    columns: int = 12  # items shown side by side


def write_gallery_page(runs: Sequence[Run], root: str, out: Path | None = None, num: int | None = None) -> Path:
    """Write the page of runs and NAME.runs.json beside it; return its path.

    out: the page's file; default: outputs/gallery/KEY.html, with a hash of all keys if there are several. num: items shown.
    UserError if runs have other prompts, lack items, or their items are no images.
    """
    path = GALLERIES / f"{name_of(runs)}.html" if out is None else out
    if path.suffix != ".html":
        raise UserError(f"{path}: not a page", allowed="a file that ends in .html")
    content = render("gallery_page.html.j2", page=page_of(runs, root, num)).encode()
    make_folder(path.parent)
    write_bytes(path, content)
    write_json(path.with_suffix(".runs.json"), {"runs": [run.key for run in runs]})  # s2g gc keeps them
    return path


def name_of(runs: Sequence[Run]) -> str:
    """Return the file name of a page without its ending: the key of one run, or the first key and a hash of all."""
    if len(runs) == 1:
        return runs[0].key
    return f"{runs[0].key}-and-{len(runs) - 1}-{hashlib.sha256(' '.join(run.key for run in runs).encode()).hexdigest()[:8]}"


def page_of(runs: Sequence[Run], root: str, num: int | None) -> GalleryPage:
    """Return the page of runs; UserError as `write_gallery_page`."""
    first, labels = runs[0], labels_of(runs)
    for run in runs[1:]:
        if run.bench.items_id() != first.bench.items_id():
            raise UserError(f"{run.key}: its prompts are not those of {first.key}", allowed="runs on the same prompts")
    most = (SMALL if _small(first, root) else LARGE) if num is None else num
    shown = min([most, *(run.num for run in runs)])
    for run in runs:
        _check_items(run, Store.of(run, root), shown)
    pictured = {run.key: Pictured(run, _arrays(run, Store.of(run, root))) for run in runs}
    gallery = gallery_of(pictured, labels, first.key, range(shown), root)
    reasons = [f"{labels[run.key]}: {why}" for run in runs[1:] if (why := unpaired(run, first))]
    lead = [f"{first.num:,} items of bench {first.config['bench']['name']}; seed {first.seed}."]
    if len(runs) > 1:
        lead.append(
            f"Not the same noise as {labels[first.key]}: {'; '.join(reasons)}."
            if reasons
            else "The noise of an item is the same in every run, so what differs between the images is the run's doing."
        )
    lead += [RANDOM.capitalize() + "."] * any(run.random for run in runs)
    return GalleryPage(
        title=" / ".join(labels.values()) if len(runs) < 4 else f"{len(runs)} runs on the same prompts",
        lead=lead,
        gallery=gallery,
        runs=[_facts(run, labels[run.key], root) for run in runs],
        facts=facts_of(runs, root),
    )


def labels_of(runs: Sequence[Run]) -> dict[str, str]:
    """Return, by key, the method and the overrides in which the runs differ."""
    own = differing({run.key: overrides_of(run.config) for run in runs})
    labels = {}
    for run in runs:
        rest = {key.removeprefix("guidance."): value for key, value in own[run.key].items() if key != "guidance"}
        labels[run.key] = f"{run.name} {words(rest)}" if rest else run.name
    return labels


def _small(run: Run, root: str) -> bool:
    """Return whether a run's images are small; UserError if its items are no images."""
    store = Store.of(run, root)
    _check_items(run, store, 1)
    (item,) = store.items([0])
    if item.dtype != np.uint8:
        raise UserError(f"{store.display_path()}: its items are points", allowed="runs of images or videos")
    return max(item.shape[-3:-1]) <= 2 * PIXELATED


def _check_items(run: Run, store: Store, num: int) -> None:
    missing = sorted(set(range(-(-num // run.model.unit))) - store.stored())
    if missing:
        raise UserError(
            f"{store.display_path()}: {len(missing)} units of the first {num} items are missing",
            todo=f"{command(overrides_of(run.config), run.num)} makes them",
        )


def _arrays(run: Run, store: Store) -> Mapping[str, np.ndarray]:
    """Return what was read off the items if they are scored; nothing is scored here."""
    if not run.bench.metrics or not store.stored() >= set(run.units):
        return {}
    return read_arrays(store, score_name(run.bench, run.num), items_digest(store.records(run.units), run.num)) or {}


def _facts(run: Run, label: str, root: str) -> RunFacts:
    store = Store.of(run, root)
    cost = cost_of(store.records(sorted(store.stored())), run.model.unit)
    measured = [
        ("network evaluations per item", f"{cost.evaluations:g}"),
        ("GFLOP per item", gflop(cost.flops)),
        ("time per item", f"{1000 * cost.seconds:.0f} ms"),
        ("peak memory", f"{cost.peak_memory / 2**20:,.0f} MiB"),
    ]
    made = command(overrides_of(run.config) | ({} if root == "runs" else {"runs": os.fspath(root)}), run.num)
    knobs = [(name, value if isinstance(value, str) else json.dumps(value)) for name, value in flat(run.identity())]
    return RunFacts(label, f"{cost.evaluations:g} network evaluations per item", run.key, made, measured, knobs)
