"""What a bench is, and what scoring gives back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from s2g.config import ModelConfig


@dataclass(frozen=True)
class Metric:
    """A named number of a set of items."""

    name: str
    label: str  # as tables show it
    higher: bool  # whether more is better
    digits: int
    value: Callable[[dict[str, np.ndarray]], float]  # from per-item arrays, item first
    main: bool = True  # whether tables of many runs show it


class Bench(Protocol):
    """Items by index, and their scores."""

    @property
    def num(self) -> int:
        """How many items the bench has when nobody says otherwise."""
        ...

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """What is measured."""
        ...

    def check(self, model: ModelConfig) -> None:
        """UserError if the model cannot make these items."""
        ...

    def items_id(self) -> Any:
        """Plain data that says which prompt each item index has; part of the samples' key."""
        ...

    def version(self) -> dict[str, Any]:
        """Plain data that says how items are measured; part of the score's key."""
        ...

    def prompts(self, items: Sequence[int]) -> list[Any]:
        """What the model is given for each item."""
        ...

    def caption(self, item: int) -> str:
        """An item's prompt in words."""
        ...

    def measure(self, images: np.ndarray, items: Sequence[int]) -> dict[str, np.ndarray]:
        """Per-item arrays [B, ...] from uint8 images [B, H, W, 3]; what `Metric.value` works on."""
        ...
