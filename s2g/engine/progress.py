"""Progress bars in a terminal."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn


class Bar:
    """A progress bar over items; a context manager that draws nothing without a terminal."""

    def __init__(self, drawn: Progress, total: int) -> None:
        self._drawn = drawn
        self._failed = 0
        self._task = drawn.add_task("sampling", total=total, rate="")

    def __enter__(self) -> Self:
        self._drawn.__enter__()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._drawn.__exit__(kind, error, trace)

    def advance(self, items: int, failed: bool = False) -> None:
        """Advance by items that are done, or have failed."""
        self._failed += items if failed else 0
        self._drawn.update(self._task, advance=items)
        speed = self._drawn.tasks[0].speed
        told = [f"{speed:.1f} items/s"] if speed else []
        told += [f"{self._failed} failed"] if self._failed else []
        self._drawn.update(self._task, rate=", ".join(told))


def progress(console: Console, total: int, word: str = "sampling") -> Bar:
    """Return a bar over `total` items."""
    columns = (
        TextColumn(word),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    return Bar(Progress(*columns, console=console, disable=not (total and console.is_terminal), transient=True), total)
