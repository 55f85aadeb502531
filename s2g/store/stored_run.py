"""A run that is stored, as a value again: enough to score and export it, without the weights that made it."""

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
    """A run whose key and identity are those it was stored under."""

    stored: Mapping[str, Any] = None  # type: ignore[assignment]  # run.json

    def identity(self) -> dict[str, Any]:
        return dict(self.stored["identity"])

    @property
    def key(self) -> str:
        return self.stored["key"]


def stored_run(store: Store, bench: Mapping[str, Any] | None = None, num: int | None = None) -> StoredRun:
    """The run of a folder; of its weights only their hashes are known. UserError where its bench has no code.

    bench: keys of the bench to be taken instead of those it was run with. UserError where they would make it a run of
    other items. num: of its first items; as many as were asked for when not given.
    """
    about = store.read_run()
    config = {**about["config"], "bench": {**about["config"]["bench"], **(bench or {})}}
    others = {"executor": {"name": "local"}, "logger": {"name": "none"}, "num": about["num"] if num is None else num}
    found = outline({**config, **others})
    if isinstance(found.bench, PlannedBench):
        raise UserError(f"{store.shown()}: bench={found.bench.name} is not built yet")
    if found.bench.items_id() != about["identity"]["items"]:
        raise UserError(
            f"{store.shown()}: its images are of other prompts than bench = {config['bench']['name']} has with these keys",
            todo="leave out the keys that say which prompts",
        )
    settings = found.settings
    return StoredRun(
        found.model, found.sampler, found.guidance, found.bench, found.name, found.num, settings.seed, settings.mask_seed,
        None, config, about,
    )  # fmt: skip
