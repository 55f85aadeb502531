"""The steps at which methods act, counted by hand, and the refusal of a method that acts at none."""

from __future__ import annotations

import pytest

from s2g.cli.run import main
from s2g.errors import UserError
from s2g.guidance.base import Guidance
from s2g.guidance.cfg import CFG
from s2g.guidance.cfg_zero import CFGZero
from s2g.guidance.channels import Channels
from s2g.guidance.s2 import S2
from s2g.guidance.slg import SLG
from s2g.guidance.stg import STG
from s2g.guidance.window import Window, Windowed
from s2g.sampling.activity import active_steps, activity_line, check_activity
from s2g.sampling.dopri5 import Dopri5
from s2g.sampling.euler import Euler


@pytest.mark.parametrize(
    ("guidance", "steps", "active"),
    [
        (CFG(3.0), 10, list(range(10))),
        (CFGZero(zero_init=7), 10, [7, 8, 9]),
        (SLG(), 28, [1, 2, 3, 4, 5]),  # 0.28 < i < 5.6
        (S2(), 10, list(range(1, 9))),
        (S2(), 9, list(range(8))),  # floor(0.9) = 0: below ten steps the window holds step 0
        (S2(CFGZero(zero_init=3)), 10, list(range(3, 9))),  # nothing moves before step 3
        (S2(Windowed(CFG(3.0), Window(0.5, 1.0))), 10, list(range(1, 9))),
        (Channels(Windowed(STG(window=Window(0.0, 0.5)), Window(0.2, 1.0)), 3), 10, [2, 3, 4]),
        # Levels fall from 1 by 1/30: 20 of them lie above 1/3, and 20/30 is inside a window that ends at 2/3.
        (Windowed(CFG(3.0), Window(1 / 3, 1.0, "level")), 30, list(range(20))),
        (Windowed(CFG(3.0), Window(0.0, 2 / 3, "level")), 30, list(range(10, 30))),
    ],
)
def test_active_steps(guidance: Guidance, steps: int, active: list[int]) -> None:
    assert active_steps(guidance, Euler(steps), 12) == active


def test_an_adaptive_solver_has_one_step_at_which_everything_acts() -> None:
    assert active_steps(CFG(3.0), Dopri5(), 12) == [0] and activity_line("cfg", CFG(3.0), Dopri5(), 12) == ""


def test_activity_is_stated_where_a_method_or_its_base_is_switched_off() -> None:
    assert activity_line("s2", S2(), Euler(28), 12) == "s2 is active in 23 of 28 steps"
    both = S2(Windowed(CFG(3.0), Window(0.5, 1.0)))
    line = "s2 is active in 8 of 10 steps; its base method is active in 5 of 10 steps"
    assert activity_line("s2", both, Euler(10), 12) == line
    assert activity_line("cfg", Channels(CFG(3.0), 3), Euler(10), 12) == ""


@pytest.mark.parametrize(
    ("name", "guidance", "steps", "allowed"),
    [
        ("cfg_zero", CFGZero(zero_init=28), 28, "sampler.steps=29, where it acts in step 28"),
        ("s2", S2(window=Window(0.31, 0.39)), 10, "sampler.steps=11, where it acts in step 3"),  # 3.41 to 4.29
        ("slg", SLG(), 5, "sampler.steps=6, where it acts in step 1"),  # 0.06 < 1 < 1.2
        ("s2", S2(CFGZero(zero_init=28)), 28, "sampler.steps=33, where it acts in step 28"),  # 0.9 x 33 is 29.7
    ],
)
def test_a_method_that_never_acts_is_refused(name: str, guidance: Guidance, steps: int, allowed: str) -> None:
    with pytest.raises(UserError, match=f"guidance = {name}: {name} acts in none of the {steps} steps") as refused:
        check_activity(name, guidance, Euler(steps), 12)
    assert f"allowed: e.g. {allowed} " in str(refused.value)


def test_a_base_that_never_acts_is_refused() -> None:
    guidance = S2(Windowed(CFG(3.0), Window(0.31, 0.39)))
    with pytest.raises(UserError, match="guidance = s2: its base method acts in none of the 10 steps"):
        check_activity("s2", guidance, Euler(10), 12)
    check_activity("s2", guidance, Euler(11), 12)


def test_a_run_that_never_acts_is_refused_before_anything_is_loaded(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["guidance=slg", "sampler.steps=5", "plan=true"]) == 2
    said = capsys.readouterr().err
    assert "guidance = slg: slg acts in none of the 5 steps" in said and "sampler.steps=6" in said
    assert main(["guidance=slg", "plan=true"]) == 0
    assert "slg is active in 5 of 28 steps" in capsys.readouterr().out
