"""What the scheduler costs: its own time for a unit, two workers beside two processes, and how long workers stand idle.

    python scripts/scheduling.py [rounds=3] [root=outputs/scheduling] [only=overhead]

Units sleep instead of computing (fake_units.py), so that the machine may be busy with other things. Each measurement is a
process of its own; what is compared takes turns, and the median of the rounds is printed.

Overhead: 50,000 items in 3,125 units that take no time, two workers: seconds of the command's processor, and of the clock,
for a unit. Throughput: 80 units of 0.5 s, stored; the rate between the first and the last tenth, so that starting does not
count. Idle: three rows of 20 units of 1 s, and 1 s of scoring for each, two workers that are up; the share of the time
from the first unit to the last score in which they sleep neither for a unit nor for a score. Not overlapped: the command
scores when all is sampled.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from statistics import median

from fake_units import FakeScore, FakeUnit
from rich.console import Console

from s2g.config.compose import compose_config
from s2g.config.registry import EXECUTORS
from s2g.config.schema import ExecutorConfig
from s2g.engine import execute as engine
from s2g.engine.environment import machine
from s2g.engine.resolve import resolve
from s2g.report.tables import markdown_table
from s2g.store.journal import Journal
from s2g.store.store import Store

SCRIPTS = str(Path(__file__).resolve().parent)
UNIT = 16
ROW, SCORING = 20, 1.0  # units of a row, and seconds that its score takes


def make(root: Path, executor: str, workers: int, units: Sequence[int], overlapped: bool | None = None) -> dict[str, float]:
    """Make a run of each number of units, with scores if `overlapped` says how; return seconds of processor and clock."""
    engine.Task = FakeUnit  # type: ignore[misc]
    runs = [resolve(compose_config(f"num={UNIT * count}", f"seed={seed}"))[0] for seed, count in enumerate(units)]
    warming = resolve(compose_config(f"num={UNIT * 4 * workers}", f"seed={len(units)}"))[0]
    for run, place in (*((run, root) for run in runs), (warming, root / "warming")):
        Store.of(run, place).begin(run, True)
    quiet = Console(quiet=True)
    with EXECUTORS.load(executor)(ExecutorConfig(name=executor, workers=workers, device="cpu")) as pool:
        engine.execute([warming], str(root / "warming"), pool, True, quiet)  # all workers are up after it
        clock, processor = time.time(), time.process_time()
        then = (lambda run: FakeScore(SCORING)) if overlapped else (lambda run: None)
        engine.execute(runs, str(root), pool, True, quiet, then=then)
        for _ in runs if overlapped is False else ():
            FakeScore(SCORING).do("cpu")
        return {"processor": time.process_time() - processor, "clock": time.time() - clock, "began": clock}


def child(
    root: Path, about: dict[str, object], seconds: float, stored: bool = False, log: Path | None = None
) -> subprocess.Popen[str]:
    """Start `make` in a process of its own."""
    variables = {
        **os.environ,
        "PYTHONPATH": SCRIPTS + os.pathsep + os.environ.get("PYTHONPATH", ""),
        "FAKE_SECONDS": str(seconds),
    }
    variables |= {"FAKE_STORED": "1"} if stored else {}
    variables |= {"FAKE_LOG": str(log)} if log is not None else {}
    command = [sys.executable, __file__, "make", json.dumps({"root": str(root), **about})]
    return subprocess.Popen(command, env=variables, stdout=subprocess.PIPE, text=True)


def ended(process: subprocess.Popen[str]) -> dict[str, float]:
    """Wait for a child and return what it printed."""
    said, _ = process.communicate()
    assert process.returncode == 0
    return json.loads(said.splitlines()[-1])


def overhead(root: Path, executor: str, units: int = 3125) -> tuple[float, float]:
    """Return milliseconds for a unit: of the command's processor, and of the clock."""
    took = ended(child(root, {"executor": executor, "workers": 2, "units": [units]}, 0.0))
    return 1000 * took["processor"] / units, 1000 * took["clock"] / units


def throughput(root: Path, stores: int, processes: int, workers: int, units: int = 80) -> float:
    """Return units a second, all processes together."""
    about = {"executor": "local", "workers": workers, "units": [units // stores]}
    for process in [child(root / str(k % stores), about, 0.5, stored=True) for k in range(processes)]:
        ended(process)
    total = 0.0
    for place in root.iterdir():
        events = [event for path in place.glob("*/journal.jsonl") for event in Journal(path.parent).events()]
        at = sorted(datetime.fromisoformat(event["at"]).timestamp() for event in events if event["event"] == "stored")
        tenth = len(at) // 10
        total += (len(at) - 2 * tenth - 1) / (at[-1 - tenth] - at[tenth])
    return total


def idle(root: Path, executor: str, overlapped: bool) -> float:
    """Return the idle share of two workers, in percent."""
    root.mkdir(parents=True)
    about = {"executor": executor, "workers": 2, "units": [ROW] * 3, "overlapped": overlapped}
    took = ended(child(root / "runs", about, 1.0, log=root / "log"))
    lines = [line.split() for line in (root / "log").read_text().splitlines()]
    spans = [(float(began), float(end)) for _, began, end in lines if float(began) >= took["began"]]
    busy = sum(end - began for began, end in spans) - (0 if overlapped else 3 * SCORING)  # the command's own
    whole = max(end for _, end in spans) - min(began for began, _ in spans)
    return 100 * (1 - busy / (2 * whole))


def main(arguments: Sequence[str]) -> int:
    """Measure and print; the folder is removed."""
    typed = {"rounds": "3", "root": "outputs/scheduling", "only": "", **dict(text.split("=", 1) for text in arguments)}
    root = Path(typed["root"]).absolute()
    cases = {
        "overhead, local": lambda place: overhead(place, "local"),
        "overhead, ray": lambda place: overhead(place, "ray"),
        "two workers of a command": lambda place: throughput(place, 1, 1, 2),
        "two processes on one store": lambda place: throughput(place, 1, 2, 1),
        "two processes, a store each": lambda place: throughput(place, 2, 2, 1),
        "idle, overlapped, local": lambda place: idle(place, "local", True),
        "idle, overlapped, ray": lambda place: idle(place, "ray", True),
        "idle, not overlapped, local": lambda place: idle(place, "local", False),
    }
    cases = {name: measure for name, measure in cases.items() if name.startswith(typed["only"])}
    found: dict[str, list[tuple[float, ...]]] = {name: [] for name in cases}
    for _ in range(int(typed["rounds"])):
        for name, measure in cases.items():
            shutil.rmtree(root, ignore_errors=True)
            value = measure(root)
            found[name].append(value if isinstance(value, tuple) else (value,))
            print(name, *(f"{one:.3f}" for one in found[name][-1]), file=sys.stderr, flush=True)
    shutil.rmtree(root, ignore_errors=True)
    rows = []
    for name, values in found.items():
        columns = [sorted(column) for column in zip(*values, strict=True)]
        unit = "ms a unit" if name.startswith("overhead") else "%" if name.startswith("idle") else "units/s"
        kinds = ("of its processor", "of the clock") if len(columns) == 2 else ("",)
        for kind, column in zip(kinds, columns, strict=True):
            label = f"{name}, {unit} {kind}".strip()
            rows.append([label, f"{median(column):.2f}", f"{column[0]:.2f} to {column[-1]:.2f}"])
    print(f"load {os.getloadavg()[1]:.1f}; {machine()}, {time.strftime('%F')}\n")
    print(markdown_table(["measured", "median", "rounds"], rows))
    return 0


if __name__ == "__main__":
    if sys.argv[1:2] == ["make"]:
        given = json.loads(sys.argv[2])
        print(json.dumps(make(**{**given, "root": Path(given["root"])})))
    else:
        sys.exit(main(sys.argv[1:]))
