"""The headline score of a stored run: its bench's first metric, as it was last scored."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from s2g.engine.bench import Metric
from s2g.errors import UserError
from s2g.io.json_files import load_json
from s2g.store.store import Store, checksum
from s2g.store.stored_run import stored_run


@dataclass(frozen=True)
class Headline:
    """A stored value of one metric, of the first `num` items."""

    metric: Metric
    value: float
    num: int

    @property
    def rank(self) -> tuple[str, float]:
        """Return a sort key: by metric, the best value first; the largest where neither direction is better."""
        return self.metric.label, self.value if self.metric.higher is False else -self.value

    def __str__(self) -> str:
        return f"{self.metric.label} {self.value:.{self.metric.digits}f}"


def headline(store: Store) -> Headline | None:
    """Return a run's headline score, of the most items if there are several; None if it is not scored or cannot be read."""
    try:
        bench = stored_run(store).bench
    except (UserError, OSError):
        return None
    if not bench.metrics:
        return None
    metric, protocol = bench.metrics[0], json.loads(json.dumps(bench.version()))
    found = [
        Headline(metric, value, score["n"])
        for score in stored_scores(store)
        if score["protocol"] == protocol and (value := score["values"].get(metric.name, {}).get("value")) is not None
    ]
    return max(found, key=lambda one: one.num, default=None)


def stored_scores(store: Store) -> Iterator[dict[str, Any]]:
    """Yield the score files of a run, those that are damaged left out."""
    for path in sorted((store.folder / "scores").glob("*.json")):
        try:
            score = load_json(path)
            if score.pop("check") == checksum(score):
                yield score
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            continue
