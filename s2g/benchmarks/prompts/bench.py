"""bench=prompts: prompts of one's own, typed or from a file; the images are for looking, and nothing is scored."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from s2g.benchmarks.prompts.prompt_file import KINDS, check_seed, read_prompts, wrong_with
from s2g.config.schema import ModelConfig, canonical, model_names
from s2g.engine.bench import MeasuredBench, Metric
from s2g.errors import UserError


@dataclass(frozen=True)
class Prompts(MeasuredBench):
    """Item i is prompt i mod their number; beyond it, the same prompts come again with other noise.

    path: a file, as prompt_file.py reads it; text: the prompts themselves.
    seeds: with a seed of its own, a prompt's noise is that of (seed, 0), wherever it stands; then of (seed, 1) and so on.
    """

    num: int | None = None  # pyright: ignore  # set to the number of prompts when it is made
    path: str | None = None
    text: tuple[str, ...] | None = None
    seeds: tuple[int, ...] = ()
    examples: tuple[str, ...] = ()  # where neither path nor text is typed: a YAML's prompts are not taken for typed ones

    fewest: ClassVar[int] = 1  # nothing is scored
    listed: ClassVar[tuple[str, ...]] = ()  # the prompts, wherever they are from; set when it is made

    def __post_init__(self) -> None:
        text = self.examples if self.text is None else self.text
        if self.path is not None:
            for key, typed in (("text", self.text), ("seeds", self.seeds)):
                if typed:
                    raise UserError(
                        f"bench.{key} is given, and bench.path = {self.path}: it would not be read",
                        allowed="prompts and their seeds from a file, or typed",
                        todo=f'leave out bench.path or bench.{key}; seeds of a file: .jsonl of {{"prompt": ..., "seed": ...}}',
                    )
            text, seeds = read_prompts(Path(self.path).expanduser())
            object.__setattr__(self, "seeds", seeds)
        object.__setattr__(self, "listed", text)
        if not text:
            raise UserError("bench.text = []: no prompts", todo=f"'bench.text=\"a cat\"', or bench.path=FILE: {KINDS}")
        for number, prompt in enumerate(self.listed, 1):
            if wrong := wrong_with(prompt):
                raise UserError(f"bench.text: prompt {number} {wrong}", allowed="prompts of at least one word, in UTF-8")
        if self.seeds and len(self.seeds) != len(self.listed):
            raise UserError(f"bench.seeds: {len(self.seeds)} seeds for {len(self.listed)} prompts", allowed="one each, or none")
        for seed in self.seeds:
            check_seed(seed, "bench.seeds")
        if self.num is None:
            object.__setattr__(self, "num", len(self.listed))

    @staticmethod
    def settled(values: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return values with a single prompt as a list of one."""
        return {**values, "text": [values["text"]]} if isinstance(values.get("text"), str) else values

    @property
    def metrics(self) -> tuple[Metric, ...]:
        return ()

    @property
    def cycle(self) -> int:
        return len(self.listed)

    @property
    def kept_mb(self) -> float:
        return 1.6  # a PNG of 1024x1024

    def check(self, model: ModelConfig) -> None:
        if not model.reads_text:
            raise UserError(
                f"bench = prompts: {model.name} does not read prompts in words",
                allowed=f"models that do: {', '.join(model_names(lambda family: family.reads_text))}",
            )
        model.check_prompts(self.listed)

    def placed(self, typed: Mapping[str, Any]) -> dict[str, Any]:
        """Return the bench as typed, with its prompts instead of the file, which may change."""
        return {**typed, "path": None, "text": list(self.listed), "seeds": list(self.seeds), "examples": []}

    def items_id(self) -> Any:
        of = hashlib.sha256(canonical([self.listed, self.seeds]).encode()).hexdigest()
        return {"prompts": len(self.listed), "sha256": of}

    def version(self) -> dict[str, Any]:
        return {"bench": "prompts", "version": 1}

    def prompts(self, items: Sequence[int]) -> list[str]:
        return [self.listed[item % len(self.listed)] for item in items]

    def streams(self, items: Sequence[int]) -> dict[int, tuple[int, int]]:
        """Return seed and number of the noise by item, if prompts have seeds of their own."""
        count = len(self.listed)
        return {item: (self.seeds[item % count], item // count) for item in items} if self.seeds else {}

    def caption(self, item: int) -> str:
        return self.listed[item % len(self.listed)]

    def measure(self, values: np.ndarray, items: Sequence[int]) -> dict[str, np.ndarray]:
        return {}
