"""Where a pipeline's loop begins and where its steps end, seen from outside: its progress bar and its scheduler's step."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from types import MethodType, TracebackType
from typing import Any, Self

from torch import Tensor


class LoopMarks:
    """While entered, `begin(steps)` is told of a loop that begins and `stepped(prediction)` of every scheduler step."""

    def __init__(self, pipeline: Any, begin: Callable[[int], None], stepped: Callable[[Tensor], None]) -> None:
        self.pipeline, self.begin, self.stepped = pipeline, begin, stepped
        self.schedulers: list[Any] = []

    def __enter__(self) -> Self:
        self.bar = vars(self.pipeline).get("progress_bar")  # one that somebody set on this very pipeline
        inner = self.pipeline.progress_bar

        def progress_bar(iterable: Any = None, total: int | None = None) -> Any:
            scheduler = self.pipeline.scheduler
            if not any(scheduler is marked for marked in self.schedulers):  # it may be exchanged between two runs
                scheduler.step = MarkedStep(scheduler, self.stepped)
                self.schedulers.append(scheduler)
            self.begin(self._steps(iterable, total))
            return inner(iterable=iterable, total=total)

        self.pipeline.progress_bar = progress_bar
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self.bar is None:
            del self.pipeline.progress_bar
        else:
            self.pipeline.progress_bar = self.bar
        for scheduler in self.schedulers:
            scheduler.step.restore(scheduler)
        self.schedulers = []

    def _steps(self, iterable: Any, total: int | None) -> int:
        if hasattr(type(self.pipeline), "num_timesteps"):
            return int(self.pipeline.num_timesteps)
        return len(iterable) if total is None else total


class MarkedStep:
    """A scheduler's `step` that is told of; a deep copy of the scheduler has the plain one."""

    def __init__(self, scheduler: Any, stepped: Callable[[Tensor], None]) -> None:
        self.before = vars(scheduler).get("step")
        self.inner, self.stepped = scheduler.step, stepped
        self.owner = scheduler
        self.__signature__ = inspect.signature(scheduler.step)  # pipelines look here for what it takes

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        self.stepped(args[0] if args else kwargs["model_output"])
        return self.inner(*args, **kwargs)

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        copied = memo[id(self.owner)]
        return MethodType(type(copied).step, copied)

    def restore(self, scheduler: Any) -> None:
        """Take the mark off."""
        if self.before is None:
            del scheduler.step
        else:
            scheduler.step = self.before
