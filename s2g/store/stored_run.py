"""A stored run as a value again, enough to score and export it without its weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from s2g.engine.bench import PlannedBench
from s2g.engine.resolve import outline
from s2g.engine.run import Run
from s2g.errors import UserError
from s2g.store.store import Store


@dataclass(frozen=True)
class StoredRun(Run):
    """A run with the key and identity that it was stored under."""

    stored: Mapping[str, Any] = None  # type: ignore[assignment]  # run.json

    def identity(self) -> dict[str, Any]:
        return dict(self.stored["identity"])

    @property
    def key(self) -> str:
        return self.stored["key"]


def stored_run(store: Store, bench: Mapping[str, Any] | None = None, num: int | None = None) -> StoredRun:
    """Return the run of a folder; of its weights only the hashes are known. UserError if its bench has no code.

    bench: keys that replace those of the run's bench; UserError if they change the prompts. num: the number of items,
    by default as many as were requested.
    """
    about = store.read_run()
    config = {**about["config"], "bench": {**about["config"]["bench"], **(bench or {})}}
    others = {"executor": {"name": "local"}, "logger": {"name": "none"}, "num": about["num"] if num is None else num}
    found = outline({**config, **others})
    if isinstance(found.bench, PlannedBench):
        raise UserError(f"{store.display_path()}: bench={found.bench.name} is not built yet")
    if found.bench.items_id() != about["identity"]["items"]:
        raise UserError(
            f"{store.display_path()}: "
            f"bench = {config['bench']['name']} with these keys has other prompts than the stored images",
            todo="leave out the keys that say which prompts",
        )
    settings = found.settings
    return StoredRun(
        found.model, found.sampler, found.guidance, found.bench, found.name, found.num, settings.seed, settings.mask_seed,
        None, config, about,
    )  # fmt: skip
