"""Kill `make table2` at random moments, repeat it, and hold what comes of it against the undisturbed one.

    python scripts/kill_a_table.py [table=table2] [kills=20] [num=64] [seed=0] [root=outputs/killed]

Once in one go, then killed again and again (the command, or the command with its workers), while it starts, samples,
scores and writes. If a start gets to its end before it is killed, its results and scores are taken away, so that the next
one has them to make again. The JSON must be the same but for the date and the seconds; the Markdown, CSV, LaTeX and
pictures to the byte. Ends with a line of what was done; exit code 1 if anything differs.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from s2g.engine.environment import machine

MODES = ("the command", "the command and its workers")


@dataclass
class Settings:
    """What can be typed as key=value."""

    table: str = "table2"
    kills: int = 20
    num: int = 64
    seed: int = 0
    root: str = "outputs/killed"


def start(settings: Settings, place: Path) -> subprocess.Popen[bytes]:
    """Start `make table2 NUM=...` in a process group of its own."""
    arguments = [settings.table, "--num", str(settings.num), "--runs", str(place / "runs"), "--out", str(place / "out")]
    command = [sys.executable, "-m", "s2g.cli.main", "table", *arguments]
    return subprocess.Popen(command, start_new_session=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


def finish(settings: Settings, place: Path) -> float:
    """Run to the end; seconds. RuntimeError if it does not get there."""
    began = time.monotonic()
    process = start(settings, place)
    output, _ = process.communicate()
    if process.returncode:
        raise RuntimeError(f"{settings.table} in {place} ended with {process.returncode}:\n{output.decode()}")
    return time.monotonic() - began


def disturbed(settings: Settings, place: Path, seconds: float) -> Counter[str]:
    """Run the table to its end with `settings.kills` interruptions; return how often each kind of process was killed.

    seconds: how long it takes in one go: kills are spread so that they meet every part of it.
    """
    chance, killed = random.Random(settings.seed), Counter[str]()
    while sum(killed.values()) < settings.kills:
        process = start(settings, place)
        # Starting takes seconds of its own each time; a fifth of the kills come as late as scoring and writing may.
        wait = chance.uniform(0, seconds if chance.random() < 0.2 else min(seconds, 8 + 2 * seconds / settings.kills))
        try:
            process.communicate(timeout=wait)
        except subprocess.TimeoutExpired:
            mode = chance.choice(MODES)
            if mode == "the command":
                process.kill()
            else:
                os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
            killed[mode] += 1
        else:
            if process.returncode:
                raise RuntimeError(f"{settings.table} ended with {process.returncode} by itself")
            shutil.rmtree(place / "out")
            for scores in (place / "runs").glob("*/scores"):
                shutil.rmtree(scores)
    finish(settings, place)
    return killed


def timeless(path: Path) -> Any:
    """Return a result without what may differ: the date and the seconds."""
    content = json.loads(path.read_text())
    content["made"].pop("date")
    for row in content["rows"]:
        row.pop("seconds")
    return content


def differing(one: Path, other: Path) -> list[str]:
    """Name files that differ or that only one side has, and temporary ones that were left."""
    names = sorted({path.name for folder in (one, other) for path in folder.iterdir()})
    return [
        name for name in names if not (one / name).exists() or not (other / name).exists() or _differs(one / name, other / name)
    ]


def _differs(one: Path, other: Path) -> bool:
    if json_of_results(one):
        return timeless(one) != timeless(other)
    return one.read_bytes() != other.read_bytes()


def json_of_results(path: Path) -> bool:
    """Whether a file holds results: NAME-PROFILE.json, not the lists and images beside it."""
    return path.suffix == ".json" and path.name.count(".") == 1


def main(arguments: Sequence[str]) -> int:
    """Run both ways; 1 if their results differ."""
    kinds = {field.name: type(getattr(Settings(), field.name)) for field in fields(Settings)}
    typed = dict(text.split("=", 1) for text in arguments)
    settings = Settings(**{name: kinds[name](value) for name, value in typed.items()})
    root = Path(settings.root).absolute()
    shutil.rmtree(root, ignore_errors=True)
    seconds = finish(settings, root / "straight")
    killed = disturbed(settings, root / "killed", seconds)
    wrong = differing(root / "straight" / "out", root / "killed" / "out")
    modes = ", ".join(f"{count} {mode}" for mode, count in sorted(killed.items()))
    print(
        f"make {settings.table} NUM={settings.num}: {seconds:.0f} s in one go; killed {sum(killed.values())} times ({modes}); "
        f"files that differ: {', '.join(wrong) or 'none'}. {machine()}, {time.strftime('%F')}"
    )
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
