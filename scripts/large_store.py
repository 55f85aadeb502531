"""How long `s2g status` takes on a run of a million items: empty records, 16 items each, or one.

python scripts/large_store.py [items=1000000] [root=outputs/large_store]
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from s2g.engine.environment import machine
from s2g.report.tables import markdown_table
from s2g.store.journal import Journal
from s2g.store.status import states
from s2g.store.store import checksum


def build(folder: Path, items: int, unit: int) -> None:
    """Write a run's folder with the record of every unit but the last hundred, and a thousand lines of journal."""
    (folder / "units").mkdir(parents=True)
    about = {"key": folder.name, "identity": {"model": {"unit": unit}}, "fixed": {"reuse": True}, "num": items, "config": {}}
    (folder / "run.json").write_text(json.dumps({**about, "check": checksum(about)}))
    place = os.open(folder / "units", os.O_RDONLY)
    for number in range(items // unit - 100):
        os.close(os.open(f"{number:06d}.json", os.O_CREAT, dir_fd=place))
    os.close(place)
    journal = Journal(folder)
    for number in range(1000):
        journal.add("stored", unit=number, items=unit, seconds=1.0)


def main(arguments: Sequence[str]) -> int:
    """Build, time, remove; 1 if a status took 10 seconds or more."""
    typed = {"items": "1000000", "root": "outputs/large_store", **dict(text.split("=", 1) for text in arguments)}
    items, root = int(typed["items"]), Path(typed["root"])
    rows, slowest = [], 0.0
    for unit in (16, 1):
        shutil.rmtree(root, ignore_errors=True)
        build(root / f"large-none-{unit:012d}", items, unit)
        began = time.perf_counter()
        (state,) = states(root)
        seconds = time.perf_counter() - began
        slowest = max(slowest, seconds)
        rows.append([str(unit), f"{state.done:,}", f"{state.missing:,}", f"{seconds:.2f}"])
    shutil.rmtree(root)
    print(f"{items:,} items; {machine()}, {time.strftime('%F')}\n")
    print(markdown_table(["items of a unit", "records", "missing", "seconds"], rows))
    return int(slowest >= 10)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
