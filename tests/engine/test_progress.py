"""Progress on a clock of its own: lines off a terminal, a bar that moves within a unit on one, and the file of steps."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console
from rich.progress import Progress

from s2g.engine.progress import Bar, progress
from s2g.engine.steps import NAME, StepFile, share_done


class Clock:
    """Seconds that a test sets."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_off_a_terminal_a_line_comes_every_half_minute() -> None:
    clock, out, inside = Clock(), io.StringIO(), [0.0]
    quiet = Progress(disable=True)
    bar = Bar(quiet, 540, "sampling", lambda: inside[0], out, clock)
    for second in range(1, 30):
        clock.now = 100 + second
        bar.tick()
    assert out.getvalue() == ""
    inside[0] = 8.0  # half a unit of sixteen
    clock.now = 130
    bar.tick()
    bar.tick()
    # 8 items in 30 seconds: 0.27 a second, and 532 are left.
    assert out.getvalue() == "sampling: 8.0 of 540 items, 0.27 items/s, about 0:33:15 left\n"
    inside[0] = 0.0
    bar.advance(16)
    bar.advance(16, failed=True)
    clock.now = 160
    bar.tick()
    assert out.getvalue().splitlines()[1:] == ["sampling: 32.0 of 540 items, 0.53 items/s, about 0:15:52 left, 16 failed"]


def test_workers_are_counted_with_the_rate_of_each() -> None:
    clock, up = Clock(), [4]
    bar = Bar(Progress(disable=True), 100, "sampling", clock=clock, workers=lambda: up[0])
    bar._done, clock.now = 20, 110.0
    assert bar.line() == "sampling: 20.0 of 100 items, 2.00 items/s (4 workers, 0.50 each), about 0:00:40 left"
    up[0] = 1
    assert "workers" not in bar.line()


def test_on_a_terminal_the_bar_moves_within_a_unit() -> None:
    console = Console(file=io.StringIO(), force_terminal=True, width=120)
    share = [0.0]
    with progress(console, 32, inside=lambda: 16 * share[0]) as bar:
        task = bar._drawn.tasks[0]
        for share[0], completed in ((0.25, 4), (0.75, 12)):
            bar.tick()
            assert task.completed == completed
        share[0] = 0.0
        bar.advance(16)
        assert task.completed == 16


def test_a_quiet_console_shows_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    with progress(Console(quiet=True), 32) as bar:
        bar.advance(32)
    assert capsys.readouterr() == ("", "")


def test_steps_are_written_once_a_second_and_read_as_a_share(tmp_path: Path) -> None:
    clock = Clock()
    steps = StepFile(tmp_path, 28, clock=clock)
    assert share_done(tmp_path) == 0
    steps(None)  # the start
    for index in range(7):
        clock.now = 100 + 0.1 * index
        steps(None)
    assert not (tmp_path / NAME).exists()  # less than a second
    clock.now = 101.0
    steps(None)
    assert share_done(tmp_path) == pytest.approx(8 / 28, abs=1e-4)
    in_parts = StepFile(tmp_path, 28, parts=4, clock=clock)  # each part shows its start, too
    for _ in range(29 + 8):
        clock.now += 1
        in_parts(None)
    assert share_done(tmp_path) == pytest.approx((28 + 7) / (4 * 28), abs=1e-4)
    (tmp_path / NAME).write_text("half")
    assert share_done(tmp_path) == 0
    assert share_done(tmp_path / "gone") == 0
