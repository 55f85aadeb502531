"""A bench that any class-conditional image model can be run on: item i is of class i mod 10, and its brightness is measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from s2g.config.registry import BENCHES
from s2g.config.schema import ModelConfig
from s2g.engine.bench import MeasuredBench, Metric

CLASSES = 10


def brightness(arrays: Mapping[str, np.ndarray]) -> np.ndarray:
    return arrays["brightness"]


@dataclass(frozen=True)
class Plain(MeasuredBench):
    """The least that a bench is."""

    num: int = 2

    @property
    def metrics(self) -> tuple[Metric, ...]:
        return (Metric("brightness", "brightness", None, 2, items=brightness),)

    @property
    def cycle(self) -> int:
        return CLASSES

    def check(self, model: ModelConfig) -> None:
        return

    def items_id(self) -> Any:
        return {"labels": f"index mod {CLASSES}"}

    def version(self) -> dict[str, Any]:
        return {"bench": "plain", "version": 1}

    def prompts(self, items: Sequence[int]) -> list[int]:
        return [item % CLASSES for item in items]

    def caption(self, item: int) -> str:
        return str(item % CLASSES)

    def measure(self, values: np.ndarray, items: Sequence[int]) -> dict[str, np.ndarray]:
        return {"brightness": values.mean((1, 2, 3), dtype=np.float64)}

    def reading(self, arrays: Mapping[str, np.ndarray], item: int) -> tuple[dict[str, bool], str]:
        return {}, ""


BENCHES.add("plain", "engine.plain_bench:Plain", "for tests")
