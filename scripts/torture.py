"""Kill a table at random moments, many times, and hold what comes of it against the undisturbed one.

    python scripts/torture.py [kills=100] [items=2000] [steps=8] [seed=0] [root=outputs/torture] [executor=local]

Three rows (tortured.py) are sampled and scored by one command in one go; then by the same command, killed with SIGKILL
again and again, three times of four while it samples, then while it scores, with 1 to 3 workers, drawn at every start.
Items, masks and scores must be the same bytes, nothing temporary may be left, no unit may have been made more often than
it was interrupted, and no answer of a scorer twice.

executor=local: the command, the command with its workers, or a worker is killed. executor=array: 1 to 3 independent
processes share the store; one or all are killed. executor=ray: on two nodes on this machine; the command, an actor, or a
node, which joins again. The undisturbed table is the local executor's in any case.

Ends with a Markdown table; exit code 1 if anything differs.
"""

from __future__ import annotations

import hashlib
import json
import random
import shutil
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path

from tortured import MODES, UNIT, Command, Nodes, child, shares

from s2g.config.schema import CHECKOUT
from s2g.engine.environment import machine
from s2g.errors import unknown
from s2g.report.tables import markdown_table
from s2g.scoring.file_scoring import PLACE
from s2g.store.journal import Journal
from s2g.store.store import Store

SAMPLING = 0.75  # share of the kills that come while units are missing


@dataclass
class Settings:
    """What can be typed as key=value."""

    kills: int = 100
    items: int = 2000
    steps: int = 8
    seed: int = 0
    root: str = "outputs/torture"
    executor: str = "local"

    def __post_init__(self) -> None:
        if self.executor not in MODES:
            raise unknown("executor", self.executor, list(MODES))

    def command(self, root: Path, executor: str, workers: int, nodes: Nodes | None = None) -> Command:
        """Return the command below `root`."""
        return Command(self.items, self.steps, root, executor, workers, nodes)


@dataclass
class Kills:
    """What was done to a table."""

    modes: Counter[str] = field(default_factory=Counter)
    moments: Counter[str] = field(default_factory=Counter)
    workers: Counter[int] = field(default_factory=Counter)
    at_risk: int = 0  # units that may have been in the making when a kill came: one a worker


def finish(command: Command) -> float:
    """Run to the end; return the seconds; RuntimeError if it does not get there."""
    command.root.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()
    command.start()
    command.wait()
    return time.monotonic() - began


def stores(root: Path) -> list[Store]:
    """Return the stores of the rows that have begun, in the order of their keys."""
    return [Store(path.parent) for path in sorted(root.glob("*/run.json"))]


def counted(found: Sequence[Store]) -> Counter[str]:
    """Count the events of all journals."""
    return Counter(event["event"] for store in found for event in Journal(store.folder).events())


def forget_scores(root: Path) -> None:
    """Take away what the table was scored, so that it can be scored again."""
    for name in ("scores", PLACE):
        for folder in root.glob(f"*/{name}"):
            shutil.rmtree(folder, ignore_errors=True)


def torture(settings: Settings, root: Path, scoring: float, nodes: Nodes | None = None) -> Kills:
    """Make the table with `settings.kills` interruptions; scoring: seconds that a command needs to start and score."""
    chance = random.Random(f"{settings.seed} {settings.executor}")
    kills, units = Kills(), sum(shares(settings.items).values()) // UNIT
    root.mkdir(parents=True, exist_ok=True)
    command: Command | None = None
    pace, begun, lost = 0.1, time.monotonic(), 0  # seconds a unit takes one worker, learnt on the way
    while (done := sum(kills.modes.values())) < settings.kills:
        left = units - sum(len(store.stored()) for store in stores(root))
        if command is not None and command.done():
            command.wait()
            forget_scores(root)
            command = None
        if command is None or not command.processes:
            workers = chance.randint(1, 3)
            command = settings.command(root, settings.executor, workers, nodes)
            kills.workers[workers] += 1
            events = counted(stores(root))
            lost = events["begun"] - events["stored"] - events["failed"]  # by the kill before
            begun = time.monotonic()
        command.start()
        ahead = round(SAMPLING * settings.kills) - done
        if left and ahead <= 0:  # enough has been killed: let it sample the rest
            time.sleep(0.2)
            continue
        if left:
            if chance.random() < 0.8:  # most kills while it samples, some while it starts
                wait_for_work(command, root, lost)
            time.sleep(chance.uniform(0, 2 * min(pace * left / (ahead + 1), 5.0)))
        else:
            time.sleep(max(0.0, chance.uniform(0.3, 1.1) * scoring - (time.monotonic() - begun)))
        if command.done():
            continue
        mode = chance.choice(MODES[settings.executor])
        at_risk = command.kill(mode, chance)
        if at_risk == 0:
            time.sleep(0.2)
            continue
        found = stores(root)
        kills.at_risk += at_risk
        kills.modes[mode] += 1
        kills.moments["sampling" if sum(len(store.stored()) for store in found) < units else "scoring"] += 1
        seconds = [e["seconds"] for store in found for e in Journal(store.folder).events() if e["event"] == "stored"]
        pace = sum(seconds) / len(seconds) if seconds else pace
    if command is not None:
        command.wait()
    finish(settings.command(root, settings.executor, chance.randint(1, 3), nodes))
    return kills


def wait_for_work(command: Command, root: Path, lost: int) -> None:
    """Wait until the command is making a unit that the kill before has not cost, or ends."""
    while command.processes and all(process.poll() is None for process in command.processes):
        events = counted(stores(root))
        if events["begun"] - events["stored"] - events["failed"] > lost:
            return
        time.sleep(0.05)


def content(store: Store) -> dict[str, str]:
    """Hash everything that must not depend on interruptions: items, scores, and the records' masks and item hashes."""
    files = [path for folder in ("items", "scores") for path in sorted((store.folder / folder).iterdir())]
    hashes = {str(path.relative_to(store.folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}
    for unit in sorted(store.stored()):
        record = store.record(unit)
        lasting = {name: record[name] for name in ("items", "masks", "evaluations", "flops", "block_runs")}
        hashes[f"units/{unit}"] = json.dumps(lasting, sort_keys=True)
    return hashes


def temporary(store: Store) -> list[str]:
    """List files that should be gone when nothing runs."""
    expected = {"run.json", "env.json", "journal.jsonl", "items", "units", "scores", PLACE}
    strangers = [path.name for path in store.folder.iterdir() if path.name not in expected]
    left = [path.name for path in store.folder.rglob("*") if path.name.endswith(".tmp") or path.name[0] == "."]
    return strangers + left + [str(path) for path in store.folder.glob(f"{PLACE}/*/locks")]


def answers_repeated(store: Store) -> int:
    """Count the answers of scorers that were written more than once."""
    lines = [line for path in store.folder.glob(f"{PLACE}/**/*.jsonl") for line in path.read_text().splitlines()]
    keys = Counter(json.loads(line)["key"] for line in lines if line.endswith("}"))
    return sum(count - 1 for count in keys.values())


def check(straight: Path, tortured: Path, kills: Kills) -> list[str]:
    """Return a row of the report; its last cell says whether everything is right."""
    one, other = ({store.folder.name: content(store) for store in stores(root)} for root in (straight, tortured))
    found = stores(tortured)
    same = sum(one[key][name] == other.get(key, {}).get(name) for key in one for name in one[key])
    events = [(store, event) for store in found for event in Journal(store.folder).events()]
    begun = sum(event["event"] == "begun" for _, event in events)
    units = sum(len(store.stored()) for store in found)
    # A kill between a record and the journal's line about it leaves a unit that is stored, once, and not told of.
    told = Counter((store.folder, event["unit"]) for store, event in events if event["event"] == "stored")
    repeated = sum(count - 1 for count in told.values()) + sum(answers_repeated(store) for store in found)
    left = [name for store in found for name in temporary(store)]
    fine = one == other and not left and repeated == 0 and begun - units <= kills.at_risk
    return [
        ", ".join(f"{count} {mode}" for mode, count in sorted(kills.modes.items())),
        ", ".join(f"{count} {moment}" for moment, count in sorted(kills.moments.items())),
        ", ".join(f"{count} with {workers}" for workers, count in sorted(kills.workers.items())),
        str(units),
        f"{begun - units} of at most {kills.at_risk}",
        str(repeated),
        str(len(left)),
        f"{same} of {sum(len(names) for names in one.values())}",
        "yes" if fine else "NO",
    ]


HEAD = (
    "kills",
    "while",
    "starts",
    "units",
    "units restarted",
    "made twice",
    "temporary files",
    "same bytes",
    "as it should be",
)


def main(arguments: Sequence[str]) -> int:
    """Torture the table; 1 if that changed it."""
    kinds = {each.name: type(getattr(Settings(), each.name)) for each in fields(Settings)}
    typed = dict(text.split("=", 1) for text in arguments)
    settings = Settings(**{name: kinds[name](value) for name, value in typed.items()})
    root = (CHECKOUT / settings.root).absolute() / settings.executor
    shutil.rmtree(root, ignore_errors=True)
    began = time.monotonic()
    nodes = Nodes() if settings.executor == "ray" else None
    straight = settings.command(root / "straight", "local", 2)
    finish(straight)
    again = settings.command(root / "again", settings.executor, 2, nodes)
    shutil.copytree(straight.root, again.root)
    forget_scores(again.root)
    kills = torture(settings, root / "tortured", finish(again), nodes)
    row = check(straight.root, root / "tortured", kills)
    if nodes is not None:
        nodes.cluster.shutdown()
    print(
        f"{settings.items} items, {settings.steps} steps, {settings.kills} kills, executor={settings.executor}, "
        f"{(time.monotonic() - began) / 60:.0f} minutes; {machine()}, {time.strftime('%F')}\n"
    )
    print(markdown_table(list(HEAD), [row]))
    return 0 if row[-1] == "yes" else 1


if __name__ == "__main__":
    sys.exit(child(sys.argv[2:]) if sys.argv[1:2] == ["child"] else main(sys.argv[1:]))
