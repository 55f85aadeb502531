"""Fifty thousand items of 256 x 256 through bench=imagenet: made, stopped, resumed, scored, exported; how long each takes.

The model costs nothing and Inception is a fixed mixture of pixels as wide as it (tests/imagenet_fake.py): what is measured is
everything around the two networks. Precision and recall are left out unless asked for.

python scripts/fifty_thousand.py [items=50000] [unit=64] [keep=features] [score=fid,sfid,is,kid] [root=outputs/fifty_thousand]
"""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from rich.console import Console

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from imagenet_fake import MODEL, register

from s2g.cli.commands.export import export
from s2g.config.compose import compose_config
from s2g.config.schema import ExecutorConfig
from s2g.engine.environment import machine
from s2g.engine.execute import execute
from s2g.engine.executors.local import LocalExecutor
from s2g.engine.resolve import resolve
from s2g.engine.run import Run
from s2g.report.tables import markdown_table
from s2g.scoring.score import score
from s2g.store.store import Store
from s2g.store.verify import examine


def run_of(*overrides: str) -> Run:
    """Return the run of a command line."""
    return resolve(compose_config(*overrides))[0]


def made(run: Run, root: Path) -> int:
    """Make the items that the run lacks; return how many."""
    Store.of(run, root).begin(run, True)
    with LocalExecutor(ExecutorConfig(workers=1, device="cpu")) as executor:
        done = execute([run], str(root), executor, True, Console(quiet=True))
    done.check(run)
    return done.items


def main(arguments: Sequence[str]) -> int:
    """Make a fifth, go on to all, hash, score, look again; 1 if scoring takes five minutes or more, or a count is off."""
    typed = {
        "items": "50000",
        "unit": "64",
        "keep": "features",
        "score": "fid,sfid,is,kid",
        "root": "outputs/fifty_thousand",
        **dict(text.split("=", 1) for text in arguments),
    }
    items, unit, root = int(typed["items"]), int(typed["unit"]), Path(typed["root"])
    shutil.rmtree(root, ignore_errors=True)
    register()
    common = (*MODEL, f"model.unit={unit}", f"bench.keep={typed['keep']}", f"bench.score=[{typed['score']}]")
    part, run = run_of(*common, f"num={items // 5}"), run_of(*common, f"num={items}")
    store = Store.of(run, root)
    rows: list[list[str]] = []
    took: dict[str, float] = {}

    def timed(name: str, work: Callable[[], object]) -> object:
        began = time.perf_counter()
        found = work()
        took[name] = time.perf_counter() - began
        rows.append([name, f"{took[name]:.1f}", str(found)])
        return found

    first = timed("make a fifth", lambda: made(part, root))
    rest = timed("go on to all", lambda: made(run, root))
    again = timed("the same command again: items made", lambda: made(run, root))
    bad = timed("hash every item: findings", lambda: len(examine(store, 1).findings))
    timed("statistics", lambda: ", ".join(f"{n} {e.value:.5g}" for n, e in score(run, store).estimates.items()))
    timed("the same, kept", lambda: len(score(run, store).arrays))
    if typed["keep"] in ("npz", "png"):
        timed("export", lambda: export(run.key, root / "batch.npz", "adm", str(root), items))
    size = sum(path.stat().st_size for path in (store.folder / "items").iterdir()) / 1e9
    shutil.rmtree(root)
    print(f"{items:,} items in units of {unit}, {typed['keep']}: {size:.2f} GB; {machine()}, {time.strftime('%F')}\n")
    print(markdown_table(["", "seconds", "found"], rows))
    whole = first == -(-(items // 5) // unit) * unit and first + rest == -(-items // unit) * unit  # type: ignore[operator]
    return int(took["statistics"] >= 300 or not whole or again != 0 or bad != 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
