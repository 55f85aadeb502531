"""What one store takes from many processes: leases, records and fake units a second, and bytes a unit.

    python scripts/store_rates.py [units=2000] [root=outputs/store_rates]

Units are fakes: they are handed out, leased and told of in the journal as real ones are, and nothing is computed. Records
hold 4 images of 8 x 8 pixels, so that time goes to files and flushes, not to pixels.
"""

from __future__ import annotations

import multiprocessing
import shutil
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from rich.console import Console

from s2g.config.compose import compose_config
from s2g.config.schema import ExecutorConfig
from s2g.engine import execute as engine
from s2g.engine import worker
from s2g.engine.environment import machine
from s2g.engine.executors.local import LocalExecutor
from s2g.engine.resolve import resolve
from s2g.report.tables import markdown_table
from s2g.store.gc import size_of
from s2g.store.locks import Locks
from s2g.store.store import Store

FACTS = {"masks": [[3, 7]] * 28, "seconds": 9.6, "network_seconds": 9.4, "calls": 84, "evaluations": 84, "environment": "0" * 8}


def leases(folder: Path, first: int, count: int) -> None:
    """Take and give back `count` leases."""
    locks = Locks(folder)
    for number in range(first, first + count):
        lock = locks.acquire(f"{number:06d}")
        assert lock is not None
        locks.release(lock)


def records(folder: Path, first: int, count: int) -> None:
    """Store `count` units under their leases."""
    store, locks, images = Store(folder), Locks(folder), np.zeros((4, 8, 8, 3), np.uint8)
    for number in range(first, first + count):
        lock = locks.acquire(f"{number:06d}")
        assert lock is not None
        store.put(number, range(4 * number, 4 * number + 4), images, dict(FACTS), lock.scratch)
        locks.release(lock)


def rate(work: Callable[[Path, int, int], None], folder: Path, units: int, processes: int) -> float:
    """Return how many units a second several processes get through."""
    shutil.rmtree(folder, ignore_errors=True)
    for name in ("items", "units"):
        (folder / name).mkdir(parents=True)
    context, share = multiprocessing.get_context("fork"), units // processes
    crowd = [context.Process(target=work, args=(folder, k * share, share)) for k in range(processes)]
    began = time.perf_counter()
    for process in crowd:
        process.start()
    for process in crowd:
        process.join()
    assert not any(process.exitcode for process in crowd)
    return share * processes / (time.perf_counter() - began)


def handed_out(root: Path, units: int) -> float:
    """Return how many units a second a command hands out and settles."""
    run = resolve(compose_config(f"num={16 * units}"))[0]
    worker.sample_unit = lambda task, device: 0.0  # type: ignore[assignment]
    shutil.rmtree(root, ignore_errors=True)
    Store.of(run, root).begin(run, True)
    with LocalExecutor(ExecutorConfig(workers=1, device="cpu")) as executor:
        began = time.perf_counter()
        engine.execute([run], str(root), executor, True, Console(quiet=True))
    return units / (time.perf_counter() - began)


def main(arguments: Sequence[str]) -> int:
    """Measure and print; the folder is removed."""
    typed = {"units": "2000", "root": "outputs/store_rates", **dict(text.split("=", 1) for text in arguments)}
    units, root = int(typed["units"]), Path(typed["root"]).absolute()
    rows = []
    for processes in (1, 2, 8):
        found = [rate(work, root / "run", units, processes) for work in (leases, records)]
        rows.append([str(processes), *(f"{each:,.0f}" for each in found)])
    bytes_of = {name: size_of(root / "run" / name) / units for name in ("units", "items")}
    fakes = handed_out(root / "fakes", units)
    (journal,) = (root / "fakes").glob("*/journal.jsonl")
    print(f"{units:,} units; {machine()}, {time.strftime('%F')}\n")
    print(markdown_table(["processes", "leases a second", "records a second"], rows))
    print(f"\na command hands out {fakes:,.0f} fake units a second ({1000 / fakes:.2f} ms each)")
    print(
        f"a unit's record: {bytes_of['units']:.0f} bytes; its lines of the journal: {journal.stat().st_size / units:.0f} bytes"
    )
    shutil.rmtree(root)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
