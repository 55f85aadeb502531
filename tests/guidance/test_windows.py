"""Where windows are open, counted by hand, and what lies outside."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import pytest
import torch
from guidance.cases import BASES, WRAPPERS, edited_branch, predictions, step_at

from s2g.guidance.base import Requirement
from s2g.guidance.cfg import CFG
from s2g.guidance.cfg_zero import CFGZero
from s2g.guidance.slg import SLG
from s2g.guidance.window import ALWAYS, Window, Windowed
from s2g.network.branch import COND, UNCOND


def open_steps(window: Window, count: int) -> list[int]:
    return [i for i in range(count) if window.active(step_at(i, count))]


def test_by_step_with_bounds_that_binary_floats_miss() -> None:
    """0.29 of 100 is 28.999999999999996 in floats, 0.7 of 10 is 7.000000000000001 the other way round."""
    assert int(0.29 * 100) == 28
    assert open_steps(Window(0.29, 0.58), 100) == list(range(29, 58))
    assert open_steps(Window(0.1, 0.7), 10) == [1, 2, 3, 4, 5, 6]
    assert open_steps(Window(0.0, 0.05), 10) == []  # a window narrower than a step can miss them all


def test_strict_leaves_out_both_ends_and_step_zero() -> None:
    """0.01 to 0.2 of 28 steps: 0.28 < i < 5.6; of 50: 0.5 < i < 10, where 10 itself is outside."""
    assert open_steps(Window(0.01, 0.2, "strict"), 28) == [1, 2, 3, 4, 5]
    assert open_steps(Window(0.01, 0.2, "strict"), 50) == list(range(1, 10))
    assert open_steps(Window(0.0, 1.0, "strict"), 5) == [1, 2, 3, 4]
    assert open_steps(Window(0.1, 0.5, "strict"), 10) == [2, 3, 4]  # by step it would be 1 to 4


@pytest.mark.parametrize("count", [10, 20, 25, 50])
def test_by_level_is_open_at_the_start_and_closed_at_the_stop_whatever_floats_make_of_them(count: int) -> None:
    """1 - 7/10 is 0.30000000000000004: a bound that is written 0.3 means it."""
    for at in range(1, count):
        level = float(Fraction(count - at, count))
        assert open_steps(Window(level, 1.0, "level"), count) == list(range(at))
        assert open_steps(Window(0.0, level, "level"), count) == list(range(at, count))


def test_a_step_is_inside_or_not_at_both_its_evaluations() -> None:
    for window in (Window(0.3, 0.6), Window(0.3, 0.6, "level"), Window(0.3, 0.6, "strict")):
        for index in range(10):
            assert window.active(step_at(index)) == window.active(step_at(index, stage=1))


def test_only_a_window_that_can_close_needs_numbered_steps() -> None:
    assert Window().needs == Window(by="level").needs == frozenset()
    assert all(
        w.needs == {Requirement.STEPS} for w in (Window(0.1), Window(0, 0.9), Window(0, 1, "strict"), Window(0.1, 1, "level"))
    )
    assert Windowed(CFG(3.0), Window(0.1, 0.9)).needs == {Requirement.STEPS} and Windowed(CFG(3.0), ALWAYS).needs == frozenset()


@pytest.mark.parametrize("bounds", [(0.9, 0.1), (0.5, 0.5), (-0.1, 0.5), (0.5, 1.1)])
def test_what_is_no_interval_is_refused(bounds: tuple[float, float]) -> None:
    with pytest.raises(Exception, match="0 <= start < stop <= 1"):
        Window(*bounds)


@pytest.mark.parametrize("name", WRAPPERS)
@pytest.mark.parametrize("base", BASES)
def test_outside_its_own_window_a_wrapper_is_its_base(name: str, base: str) -> None:
    make, _ = WRAPPERS[name]
    method = replace(make(BASES[base]), window=Window(0.5, 1.0))
    for index, inside in ((2, False), (7, True)):
        step = step_at(index)
        preds = predictions(make(BASES[base]), step)
        of_base = BASES[base].combine(preds, step, BASES[base].start())
        assert (tuple(method.branches(step)) == tuple(BASES[base].branches(step))) != inside
        assert torch.equal(method.combine(preds, step, method.start()), of_base) != inside


def test_around_a_whole_method_outside_is_cond_alone_and_nothing_stands_still() -> None:
    """CFG-Zero*'s still steps are part of the method: outside the window they are not there."""
    method = Windowed(CFGZero(3.5, zero_init=4), Window(0.2, 1.0))
    assert [tuple(method.branches(step_at(i))) for i in (0, 2, 4)] == [(COND,), (), (COND, UNCOND)]
    around = Windowed(SLG(CFG(3.5)), Window(0.5, 1.0))
    preds = predictions(CFG(3.5), step_at(1))
    assert torch.equal(around.combine(preds, step_at(1), {}), preds[COND])


def test_slg_outside_its_window_asks_for_no_edited_pass() -> None:
    method = SLG(CFG(3.5), layers=(7, 8, 9))
    asked = [i for i in range(28) if len(set(method.branches(step_at(i, 28)))) == 3]
    assert asked == [1, 2, 3, 4, 5]
    assert edited_branch(method, step_at(1, 28)).condition == "cond"


def test_levels_are_compared_at_six_decimals() -> None:
    """fp32's 0.3 is 0.30000001192 and differs from the seventh decimal on: it is the bound that is written 0.3."""
    window = Window(0.3, 1.0, "level")
    assert not window.active(replace(step_at(), level=0.3000004)) and window.active(replace(step_at(), level=0.3000006))
