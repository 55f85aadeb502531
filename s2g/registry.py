"""Names to classes, loaded on first use: listing what exists imports nothing heavy."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from s2g.errors import unknown


@dataclass(frozen=True)
class Entry:
    """Where a name leads ("package.module:attribute") and what it is, in one line."""

    target: str
    summary: str


class Registry:
    """A table of names; `key` is the configuration key under which a user types them."""

    def __init__(self, key: str, entries: dict[str, Entry]) -> None:
        self.key = key
        self.entries = dict(entries)

    def add(self, name: str, target: str, summary: str) -> None:
        """Add a name, or replace it, in this process: how a user's own method or model joins.

        A worker process imports s2g anew; with executor.workers=1 the work stays in this one.
        """
        self.entries[name] = Entry(target, summary)

    def check(self, name: str) -> None:
        """UserError with the nearest name if there is no `name`."""
        if name not in self.entries:
            raise unknown(self.key, name, self.entries, todo="s2g ls lists what there is")

    def load(self, name: str) -> Any:
        """The object behind `name`; UserError if there is none."""
        self.check(name)
        module, attribute = self.entries[name].target.split(":")
        return getattr(importlib.import_module(module), attribute)

    def __iter__(self) -> Iterator[str]:
        return iter(self.entries)


GUIDANCE = Registry(
    "guidance",
    {
        "none": Entry("s2g.guidance.none:NoGuidance", "the conditional prediction alone"),
        "cfg": Entry("s2g.guidance.cfg:CFG", "classifier-free guidance (arXiv 2207.12598)"),
        "s2": Entry("s2g.guidance.s2:S2", "S2-Guidance, one random sub-network a step (Eq. 4)"),
        "s2_naive": Entry("s2g.guidance.s2_naive:NaiveS2", "Naive S2-Guidance, the mean of N sub-networks (Eq. 3)"),
    },
)
SAMPLERS = Registry(
    "sampler",
    {
        "euler": Entry("s2g.sampling.euler:Euler", "Euler steps of the flow, one evaluation each"),
        "heun": Entry("s2g.sampling.heun:Heun", "Heun steps of the flow, two evaluations each"),
    },
)
MODELS = Registry("model.family", {"sit": Entry("s2g.models.sit:SiTDenoiser", "SiT, class-conditional (arXiv 2401.08740)")})
BENCHES = Registry(
    "bench", {"shapes": Entry("s2g.benches.shapes:Shapes", "the built-in world's 108 classes, read by its probe")}
)
