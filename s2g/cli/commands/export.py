"""s2g export RUN --to LAYOUT: a run's images under the names that an official evaluator expects."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console

from s2g.benchmarks.vbench.official import tells_case_apart
from s2g.benchmarks.vbench.prompts import colliding
from s2g.cli.commands.inventory import find_run
from s2g.cli.commands.verify_fid import export_npz
from s2g.engine.progress import progress
from s2g.engine.run import RANDOM
from s2g.errors import UserError, unknown
from s2g.scoring.file_scoring import Image, look, todo_of
from s2g.store.store import Store
from s2g.store.stored_run import StoredRun, stored_run

LAYOUTS = {
    "adm": "OUT is one .npz: arr_0, uint8 [N, H, W, 3], in item order (openai/guided-diffusion)",
    "compbench": "OUT/CATEGORY/samples/PROMPT_NNNNNN.png (Karine-Huang/T2I-CompBench)",
    "hps": "OUT/STYLE/NNNNN.jpg, PNG inside (tgxs002/HPSv2)",
    "vbench": "OUT/PROMPT-SAMPLE.mp4, one flat folder, the short prompt (Vchitect/VBench)",
}
LONGEST = 255  # bytes of a file's name


def export(name: str, root: str, to: str, out: Path, num: int | None) -> None:
    """Write a run's images; UserError, before anything is written, where they are not all there or are of another bench."""
    if to not in LAYOUTS:
        raise unknown("--to", to, LAYOUTS)
    if to == "adm":
        export_npz(name, root, out, num)
        return
    store = Store(find_run(name, root).resolve())
    run = stored_run(store, num=num)
    bench: Any = run.bench
    if run.config["bench"]["name"] != to or not hasattr(bench, "official_name"):
        own = run.config["bench"]["name"]
        raise UserError(f"--to {to}: {store.shown()} is a run of bench={own}", allowed=f"{LAYOUTS[to]}: runs of bench={to}")
    images = whole_set(run, store)
    names = names_of(bench, images, to)
    long = [one for one in names.values() if len(Path(one).name.encode()) > LONGEST]
    if long:
        raise UserError(f"--to {to}: {len(long)} names are longer than {LONGEST} bytes ({long[0]})")
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UserError(f"OUT = {out}: it is there, and what is in it would be scored too", todo="give a folder that is empty")
    _check_case(out, list(names.values()))
    remarks = bench.remarks(bench.num)  # what is said at the end has to be known before anything is written
    console = Console(highlight=False)
    what = "images" if to != "vbench" else "videos"
    with _whole(out) as folder, progress(console, len(names), "writing") as bar:
        for image in images:
            if image.item not in names:  # another item's file serves it
                continue
            target = folder / names[image.item]
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(image.path, target)
            bar.advance(1)
    twice = f" ({len(images):,} items: prompts that are listed twice have one file)" if len(images) > len(names) else ""
    console.print(f"{out}: {len(names):,} {what}{twice}, {LAYOUTS[to]}", soft_wrap=True)
    if run.num > bench.num:
        console.print(f"the first {bench.num:,} of the run's {run.num:,} items: the official set", soft_wrap=True)
    for remark in remarks:
        console.print(remark, soft_wrap=True, markup=False)
    if store.read_run().get("random_weights"):
        console.print(RANDOM, soft_wrap=True)


def names_of(bench: Any, images: Sequence[Image], to: str) -> dict[int, str]:
    """By item its official name; without the items whose file is another's; UserError where stored files are no such thing."""
    if not hasattr(bench, "exported"):
        return {image.item: bench.official_name(image.item) for image in images}
    names = bench.exported()
    found = {image.item: names[image.item] for image in images if image.item in names}
    endings = {image.path.suffix for image in images if image.path.suffix != Path(names.get(image.item, image.path)).suffix}
    if endings:
        raise UserError(f"--to {to}: the run's items are {', '.join(sorted(endings))}", allowed="videos, .mp4")
    return found


def _check_case(out: Path, names: Sequence[str]) -> None:
    """UserError where two names are one to the file system that they would be written to."""
    same = colliding(names)
    if not same:
        return
    there = next(place for place in (out.absolute(), *out.absolute().parents) if place.is_dir())
    if not tells_case_apart(there):
        raise UserError(
            f"OUT = {out}: its file system takes {' and '.join(repr(name) for name in same[0])} for one file",
            allowed="a file system that tells capitals apart (ext4, xfs; not those of macOS and Windows)",
            todo="give a folder on another one, and carry the files in a tar archive",
        )


def whole_set(run: StoredRun, store: Store) -> list[Image]:
    """The official set of a run: its first items, exactly as many; UserError naming what is missing of them.

    What a run has beyond would have the names of other items, or names that the evaluator does not know.
    """
    if run.num < run.bench.num:
        raise UserError(
            f"{store.shown()}: {run.num:,} images were asked for, and the official set is {run.bench.num:,}: "
            f"images {run.num:,} to {run.bench.num - 1:,} are missing",
            todo=f"the run's command with num={run.bench.num} makes the rest",
        )
    num = run.bench.num
    return look(store, num).check(store.shown(), num, False, todo_of(store).partition("; or ")[0])


@contextmanager
def _whole(out: Path) -> Iterator[Path]:
    """A folder beside `out` that takes its name when all is written: `out` is there with every file, or not at all."""
    out = out.resolve()
    beside = out.with_name(f"{out.name}.unfinished")
    try:
        beside.mkdir(parents=True)
    except FileExistsError as error:
        raise UserError(
            f"OUT = {out}: {beside} is there, of an export that is at work or was stopped", todo=f"delete {beside}"
        ) from error
    try:
        yield beside
        if out.is_dir():  # empty, as was seen
            out.rmdir()
        os.replace(beside, out)
    except BaseException:
        shutil.rmtree(beside, ignore_errors=True)
        raise
