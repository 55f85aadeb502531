"""s2g score RUN: scores of images that are stored, without the model that made them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from rich.console import Console

from s2g.cli.commands.inventory import find_run
from s2g.cli.run import show_run
from s2g.engine.pool import Pool
from s2g.errors import UserError
from s2g.scoring.score import score
from s2g.scoring.scoring_pool import Crew
from s2g.store.locks import in_use
from s2g.store.store import Store
from s2g.store.stored_run import stored_run


def score_stored(
    name: str, root: str, typed: Sequence[str], num: int | None, allow_missing: bool, workers: int | None, console: Console
) -> None:
    """Print a stored run's scores; typed: keys of its bench to be changed, bench.KEY=VALUE. UserError as for the run itself."""
    store = Store(find_run(name, root).resolve())
    changed = {**bench_keys(typed), **({"allow_missing": True} if allow_missing else {})}
    run = stored_run(store, changed, num)
    run.bench.check(run.model)
    with in_use(store.folder), Pool(workers) as pool:
        result = score(run, store, Crew(lambda: pool.executor, console))
    show_run(console, result, store, 0)


def bench_keys(typed: Sequence[str]) -> Mapping[str, Any]:
    """bench.KEY=VALUE arguments as a mapping; UserError for anything else."""
    for argument in typed:
        if not argument.startswith("bench.") or "=" not in argument:
            raise UserError(f"{argument}: not a key of the bench", allowed="bench.KEY=VALUE, e.g. bench.score=[blip,qalign]")
    try:
        found = OmegaConf.to_container(OmegaConf.from_dotlist(list(typed)), resolve=True)
    except OmegaConfBaseException as error:
        raise UserError(f"{' '.join(typed)}: cannot be read ({str(error).splitlines()[0]})") from error
    assert isinstance(found, dict)
    return found.get("bench", {})
