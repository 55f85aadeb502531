"""bench=prompts: prompts of one's own, typed or from a file; the images are for looking, and nothing is scored."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from s2g.config.coerce import at_least, coerce, only
from s2g.config.schema import ModelConfig, canonical, model_names
from s2g.engine.bench import MeasuredBench, Metric
from s2g.errors import UserError

LEAST = 2  # items of a run


@dataclass(frozen=True)
class Prompts(MeasuredBench):
    """Item i is prompt i mod their number; beyond it, the same prompts come again with other noise.

    path: a text file of one prompt a line, or .jsonl of {"prompt": ..., "seed": ...} lines; text: the prompts themselves.
    seeds: with a seed of its own, a prompt's noise is that of (seed, 0), wherever it stands; then of (seed, 1) and so on.
    """

    num: int | None = None  # pyright: ignore  # set to the number of prompts when it is made
    path: str | None = None
    text: tuple[str, ...] | None = None
    seeds: tuple[int, ...] = ()
    examples: tuple[str, ...] = ()  # where neither path nor text is typed: a YAML's prompts are not taken for typed ones

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
            raise UserError("bench.text = []: no prompts", todo="bench.path=FILE, one prompt a line, or 'bench.text=[a cat]'")
        for place, prompt in enumerate(self.listed):
            if not prompt.strip():
                raise UserError(f"bench.text: prompt {place + 1} is empty", allowed="prompts of at least one word")
        if self.seeds and len(self.seeds) != len(self.listed):
            raise UserError(f"bench.seeds: {len(self.seeds)} seeds for {len(self.listed)} prompts", allowed="one each, or none")
        for seed in self.seeds:
            _check_seed(seed, "bench.seeds")
        if self.num is None:
            object.__setattr__(self, "num", max(LEAST, len(self.listed)))

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
        """The bench as it was typed, with its prompts instead of the file, which may change."""
        return {**typed, "path": None, "text": list(self.listed), "seeds": list(self.seeds), "examples": []}

    def items_id(self) -> Any:
        of = hashlib.sha256(canonical([self.listed, self.seeds]).encode()).hexdigest()
        return {"prompts": len(self.listed), "sha256": of}

    def version(self) -> dict[str, Any]:
        return {"bench": "prompts", "version": 1}

    def prompts(self, items: Sequence[int]) -> list[str]:
        return [self.listed[item % len(self.listed)] for item in items]

    def streams(self, items: Sequence[int]) -> dict[int, tuple[int, int]]:
        """By item the seed and number of its noise, where it has a seed of its own."""
        count = len(self.listed)
        return {item: (self.seeds[item % count], item // count) for item in items} if self.seeds else {}

    def caption(self, item: int) -> str:
        return self.listed[item % len(self.listed)]

    def measure(self, values: np.ndarray, items: Sequence[int]) -> dict[str, np.ndarray]:
        return {}


def read_prompts(path: Path) -> tuple[tuple[str, ...], tuple[int, ...]]:
    """Prompts and, where every line has one, seeds of a file; UserError with the line for what is no prompt."""
    key = f"bench.path = {path}"
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise UserError(f"{key}: not text in UTF-8 (byte {error.start})", todo="save it as UTF-8") from error
    except OSError as error:
        raise UserError(f"{key}: {error.strerror}", todo="give a file of one prompt a line, or .jsonl") from error
    if not lines:
        raise UserError(f"{key}: it has no prompts", todo="one prompt a line, or .jsonl")
    prompts, seeds = [], []
    for number, line in enumerate(lines, 1):
        where = f"{key}, line {number}"
        prompt, seed = _json_line(line, where) if path.suffix == ".jsonl" else (line, None)
        if not prompt.strip():
            raise UserError(f"{where}: the prompt is empty", todo="write a prompt there, or take the line out")
        prompts.append(prompt.strip())
        if seed is not None:
            seeds.append(seed)
        if seeds and len(seeds) < len(prompts):
            raise UserError(f"{where}: some lines have a seed and others have none", allowed="a seed in every line, or in none")
    return tuple(prompts), tuple(seeds)


def _json_line(line: str, where: str) -> tuple[str, int | None]:
    try:
        values = json.loads(line)
    except ValueError as error:
        raise UserError(f"{where}: not JSON ({error})", allowed='{"prompt": "a cat", "seed": 3}') from error
    if not isinstance(values, dict) or not isinstance(values.get("prompt"), str):
        raise UserError(f"{where}: it has no prompt", allowed='{"prompt": "a cat", "seed": 3}')
    only({"prompt", "seed"}, values, where)
    seed = coerce(int | None, values.get("seed"), f"{where}, seed")
    if seed is not None:
        _check_seed(seed, f"{where}, seed")
    return values["prompt"], seed


def _check_seed(seed: int, key: str) -> None:
    at_least(seed, 0, key)
    if seed >= 2**64:  # as of `seed`
        raise UserError(f"{key} = {seed}", allowed="below 2^64")
