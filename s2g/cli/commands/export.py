"""`s2g export`: a run's images or videos named after their prompts, or in the file layout of an official evaluator.

`s2g push` and `s2g pull`: the run itself, byte for byte, to a tar file or any URL that fsspec knows, and back.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from rich.console import Console

from s2g.benchmarks.distances.batch import write_batch
from s2g.benchmarks.listing import file_benches
from s2g.benchmarks.vbench.official import tells_case_apart
from s2g.benchmarks.vbench.prompts import colliding
from s2g.cli.commands.inventory import find_run
from s2g.cli.commands.options import FirstImages, Runs, StoredRun
from s2g.engine.progress import progress
from s2g.engine.run import RANDOM
from s2g.errors import UserError, unknown
from s2g.io.machine import cores
from s2g.report.image_files import LIST, files_of
from s2g.scoring.file_scoring import FileBench, Image, look, repair_todo
from s2g.scoring.score import CHUNK
from s2g.store.store import Store
from s2g.store.stored_run import StoredRun as LoadedRun
from s2g.store.stored_run import stored_run
from s2g.store.transfer import files_of as files_to_push
from s2g.store.transfer import pull as pull_run
from s2g.store.transfer import push as push_run

ADM = "adm"  # one .npz: arr_0, uint8 [N, H, W, 3], in item order (openai/guided-diffusion)
IMAGES = "images"  # one file an item, named after its prompt, and prompts.jsonl (s2g/report/image_files.py)
LONGEST = 255  # bytes of a file's name


def export(
    run: StoredRun,
    out: Annotated[Path, typer.Argument(help="Target: an empty or new folder; a .npz file for adm.")],
    to: Annotated[
        str,
        typer.Option(help="Layout to write: images (named after item and prompt), adm, compbench, dpg, geneval2, hps, vbench."),
    ],
    runs: Runs = "runs",
    num: FirstImages = None,
) -> None:
    """Write a run's images; UserError, before anything is written, if some are missing or belong to another bench."""
    layouts = file_benches()
    if to not in (ADM, IMAGES, *layouts):
        raise unknown("--to", to, sorted((ADM, IMAGES, *layouts)))
    store = Store(find_run(run, runs).resolve())
    if to == ADM:
        _write_adm(store, out, num)
    elif to == IMAGES:
        _write_images(store, out, num)
    else:
        _write_named(store, to, out, num)


def _write_adm(store: Store, file: Path, num: int | None) -> None:
    """Write the first `num` images as arr_0 of an npz, uint8 [N, H, W, 3], in item order.

    UserError if images are missing, were not kept, or are not images.
    """
    console = Console(highlight=False)
    metadata = store.read_run()
    count = _count(store, num)

    def chunks() -> Iterator[np.ndarray]:
        with progress(console, count, "writing") as bar:
            for start in range(0, count, CHUNK):
                images = store.items(range(start, min(start + CHUNK, count)))
                if images.dtype != np.uint8 or images.ndim != 4:
                    kind = "videos" if images.dtype == np.uint8 else "points"
                    raise UserError(f"{store.display_path()}: its items are {kind}", allowed="runs of images")
                yield images
                bar.advance(len(images))

    if not file.absolute().parent.is_dir():
        raise UserError(f"{file}: there is no folder {file.absolute().parent}", todo="create it, or name another file")
    write_batch(file, count, chunks())
    console.print(f"{file}: {count:,} images, {file.stat().st_size / 1e6:,.1f} MB", soft_wrap=True)
    if metadata.get("random_weights"):
        console.print(RANDOM, soft_wrap=True)


def _write_images(store: Store, out: Path, num: int | None) -> None:
    """Write the first `num` items and prompts.jsonl; UserError if items are missing, were not kept, or are points."""
    count, run = _count(store, num), stored_run(store)
    _check_empty(out)
    console = Console(highlight=False)
    with _whole(out) as folder, progress(console, count, "writing") as bar:
        for name, content in files_of(run, store, count):
            (folder / name).write_bytes(content)
            bar.advance(1)
    console.print(f"{out}: {count:,} items, and {LIST} with the prompt, method, key and seed of each", soft_wrap=True)
    if store.read_run().get("random_weights"):
        console.print(RANDOM, soft_wrap=True)


def _count(store: Store, num: int | None) -> int:
    """Return how many items to write, all that were asked for unless `num` is given; UserError if any is missing."""
    metadata = store.read_run()
    count = metadata["num"] if num is None else num
    missing = sorted(set(range(-(-count // metadata["identity"]["model"]["unit"]))) - store.stored())
    if missing:
        raise UserError(
            f"{store.display_path()}: {len(missing)} units of the first {count:,} items are missing, first unit {missing[0]}",
            allowed="--num, at most the number of items stored without a gap",
            todo=f"type the run's command again (with num={count})",
        )
    return count


def _check_empty(out: Path) -> None:
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UserError(f"OUT = {out}: it is not empty, and its content would be scored too", todo="name an empty folder")


def _write_named(store: Store, to: str, out: Path, num: int | None) -> None:
    """Copy a run's files into `out` under their official names; UserError as `export`."""
    run = stored_run(store, num=num)
    bench = run.bench
    if run.config["bench"]["name"] != to or not isinstance(bench, FileBench):
        own, layout = run.config["bench"]["name"], file_benches()[to].layout
        raise UserError(f"--to {to}: {store.display_path()} is a run of bench={own}", allowed=f"{layout}: runs of bench={to}")
    images = whole_set(run, store)
    names = names_of(bench, images, to)
    long = [one for one in names.values() if len(Path(one).name.encode()) > LONGEST]
    if long:
        raise UserError(f"--to {to}: {len(long)} names are longer than {LONGEST} bytes ({long[0]})")
    _check_empty(out)
    _check_case(out, list(names.values()))
    remarks = bench.remarks(bench.num)  # computed first, so that an error comes before anything is written
    console = Console(highlight=False)
    with _whole(out) as folder, progress(console, len(names), "writing") as bar:
        for image in images:
            if image.item not in names:  # a duplicate prompt shares another item's file
                continue
            target = folder / names[image.item]
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(image.path, target)
            bar.advance(1)
    twice = f" ({len(images):,} items: a prompt that is listed twice has one file)" if len(images) > len(names) else ""
    console.print(f"{out}: {len(names):,} {bench.kind}{twice}, {bench.layout}", soft_wrap=True)
    if run.num > bench.num:
        console.print(f"the first {bench.num:,} of the run's {run.num:,} items: the official set", soft_wrap=True)
    for remark in remarks:
        console.print(remark, soft_wrap=True, markup=False)
    if store.read_run().get("random_weights"):
        console.print(RANDOM, soft_wrap=True)


def names_of(bench: FileBench, images: Sequence[Image], to: str) -> dict[int, str]:
    """Return official names by item, without items that share another's file; UserError if stored files have another type."""
    names = bench.exported()
    found = {image.item: names[image.item] for image in images if image.item in names}
    endings = {image.path.suffix for image in images if image.path.suffix != Path(names.get(image.item, image.path)).suffix}
    if endings and bench.kind == "videos":  # official names of images say .jpg whatever their bytes are
        raise UserError(f"--to {to}: the run's items are {', '.join(sorted(endings))}", allowed="videos, .mp4")
    return found


def _check_case(out: Path, names: Sequence[str]) -> None:
    """Raise UserError if two names are the same file on the target's file system."""
    same = colliding(names)
    if not same:
        return
    existing = next(path for path in (out.absolute(), *out.absolute().parents) if path.is_dir())
    if not tells_case_apart(existing):
        raise UserError(
            f"OUT = {out}: its file system takes {' and '.join(repr(name) for name in same[0])} for one file",
            allowed="a case-sensitive file system (ext4, xfs; not the defaults of macOS and Windows)",
            todo="name a folder on such a file system, and move the files in a tar archive",
        )


def whole_set(run: LoadedRun, store: Store) -> list[Image]:
    """Return the official set of a run: its first `bench.num` items; UserError naming those that are missing.

    Later items are left out: their names would repeat, or be unknown to the evaluator.
    """
    if run.num < run.bench.num:
        raise UserError(
            f"{store.display_path()}: {run.num:,} images were asked for, and the official set is {run.bench.num:,}: "
            f"images {run.num:,} to {run.bench.num - 1:,} are missing",
            todo=f"the run's command with num={run.bench.num} makes the rest",
        )
    num = run.bench.num
    return look(store, num).check(store.display_path(), num, False, repair_todo(store))


@contextmanager
def _whole(out: Path) -> Iterator[Path]:
    """Yield a temporary folder and rename it to `out` at the end, so that `out` is complete or absent."""
    out = out.resolve()
    beside = out.with_name(f"{out.name}.unfinished")
    try:
        beside.mkdir(parents=True)
    except FileExistsError as error:
        raise UserError(
            f"OUT = {out}: {beside} exists: another export is running or was killed", todo=f"delete {beside}"
        ) from error
    try:
        yield beside
        if out.is_dir():  # empty, as was seen
            out.rmdir()
        os.replace(beside, out)
    except BaseException:
        shutil.rmtree(beside, ignore_errors=True)
        raise


def push(
    run: StoredRun,
    url: Annotated[str, typer.Argument(help="Folder or .tar file, here or at a URL: backup/, s3://bucket/runs, run.tar.")],
    runs: Runs = "runs",
) -> None:
    """Copy what is stored of a run, also while it is being sampled; a folder that has it already gets what is new."""
    console, store = Console(highlight=False), Store(find_run(run, runs).resolve())
    count = len(files_to_push(store))
    with progress(console, count, "pushing") as bar:
        where, written = push_run(store, url, bar.advance)
    console.print(f"{where}: {len(store.stored())} units, {written} files written", soft_wrap=True)
    console.print(f"  s2g pull {where} brings it back", soft_wrap=True)


def pull(
    url: Annotated[str, typer.Argument(help="What s2g push printed: URL/KEY, or a .tar file.")],
    runs: Runs = "runs",
) -> None:
    """Copy a pushed run into the store and verify every item; nothing is kept of one that is damaged or not complete."""
    store, examined = pull_run(url, Path(runs), cores())
    missing = f"; {examined.missing} units are missing, the run's command makes them" if examined.missing else ""
    whole = f"{examined.items} items of {examined.units} units are intact"
    Console(highlight=False).print(f"{store.display_path()}: {whole}{missing}", soft_wrap=True)
