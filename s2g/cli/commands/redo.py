"""`s2g redo`: make one item of a stored run again, alone, and say whether it is the stored one."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from s2g.cli.commands.inventory import find_run
from s2g.cli.commands.options import Runs, StoredRun
from s2g.config.schema import ExecutorConfig
from s2g.engine.executors.local import device_of
from s2g.engine.redo import make_item
from s2g.io.atomic import write_bytes
from s2g.store.items import STILL, Film
from s2g.store.likeness import entry_of, file_of, likeness
from s2g.store.repair import restored
from s2g.store.store import Store


def redo(
    run: StoredRun,
    item: Annotated[int, typer.Argument(help="Number of the item, from 0.")],
    out: Annotated[Path | None, typer.Option(help="File for the item: a PNG or video, or an array of a point.")] = None,
    whole_unit: Annotated[bool, typer.Option("--whole-unit", help="Make it in its batch, as the run does.")] = False,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    runs: Runs = "runs",
) -> int:
    """Make one item again and print whether it is the stored one to the byte, or how far it is; exit code 1 if it is not."""
    store = Store(find_run(run, runs).resolve())
    entry_of(store, item)  # before anything is loaded
    again, about = restored(store), store.read_run()
    where = "cuda:0" if device_of(ExecutorConfig(device=device)) == "cuda" else "cpu"
    made = make_item(again, item, about["fixed"]["reuse"], whole_unit, where)
    film = Film(again.model.film, again.model.video_fps) if again.model.makes_videos else STILL
    found = likeness(store, item, made, film)
    print(f"{store.folder.name} item {item}, made {'in its unit' if whole_unit else 'alone'}: {found}")
    if not found.same and not whole_unit:
        print("alone, a batch has another size, and last bits may differ: --whole-unit makes it as the run does")
    if out is not None:
        write_bytes(out, file_of(item, made, film))
        print(out)
    return int(not found.same)
