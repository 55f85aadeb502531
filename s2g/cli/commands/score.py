"""`s2g score`: scores of stored items, without the model that made them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from rich.console import Console

from s2g.cli.commands.inventory import find_run
from s2g.cli.commands.options import AllowMissing, BenchKeys, FirstItems, Runs, ScoringWorkers, StoredRun
from s2g.cli.run import show_result
from s2g.engine.pool import Pool
from s2g.errors import UserError
from s2g.scoring.score import score
from s2g.scoring.scoring_pool import ScoringPool
from s2g.store.locks import in_use
from s2g.store.store import Store
from s2g.store.stored_run import stored_run


def score_stored(
    run: StoredRun,
    keys: BenchKeys = None,
    runs: Runs = "runs",
    num: FirstItems = None,
    allow_missing: AllowMissing = False,
    workers: ScoringWorkers = None,
) -> None:
    """Score a stored run, with `keys` of its bench changed, and print the scores; UserError as for the run's own command."""
    console = Console(highlight=False)
    store = Store(find_run(run, runs).resolve())
    changed = {**bench_keys(keys or []), **({"allow_missing": True} if allow_missing else {})}
    stored = stored_run(store, changed, num)
    stored.bench.check(stored.model)
    with in_use(store.folder), Pool(workers) as pool:
        result = score(stored, store, ScoringPool(lambda: pool.executor, console))
    show_result(console, result, store, 0)


def bench_keys(typed: Sequence[str]) -> Mapping[str, Any]:
    """Return bench.KEY=VALUE arguments as a mapping; UserError for anything else."""
    for argument in typed:
        if not argument.startswith("bench.") or "=" not in argument:
            raise UserError(f"{argument}: not a bench setting", allowed="bench.KEY=VALUE, e.g. bench.score=[blip,qalign]")
    try:
        settings = OmegaConf.to_container(OmegaConf.from_dotlist(list(typed)), resolve=True)
    except OmegaConfBaseException as error:
        raise UserError(f"{' '.join(typed)}: cannot be read ({str(error).splitlines()[0]})") from error
    assert isinstance(settings, dict)
    return settings.get("bench", {})
