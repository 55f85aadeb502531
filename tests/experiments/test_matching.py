"""Equal cost and equal strength: the arithmetic, and the search against functions whose answer is known."""

from __future__ import annotations

import pytest

from s2g.errors import UserError
from s2g.experiments.matching import brought_to, steps_of_equal_cost


def test_the_papers_equal_nfe() -> None:
    """Table 5 counts 79 evaluations of S2 against 56 of CFG's 28 steps: 1.4 times, 39.5 steps."""
    assert steps_of_equal_cost(79, 56, 28) == 40
    assert steps_of_equal_cost(56, 56, 28) == 28
    assert steps_of_equal_cost(1, 56, 28) == 1


@pytest.mark.parametrize("target", [1.3, 2.0, 3.4])
def test_a_knob_is_brought_to_a_scale(target: float) -> None:
    seen = []

    def scale(knob: float) -> float:
        seen.append(knob)
        return 0.5 + knob**2

    found = brought_to(target, scale, 0.5, 2.0)
    assert scale(found) == pytest.approx(target, abs=0.011)
    assert len(seen) < 15


def test_what_cannot_be_reached_is_said() -> None:
    with pytest.raises(UserError, match="effective scale 9"):
        brought_to(9, lambda knob: knob, 0.5, 2.0)
    with pytest.raises(UserError, match=r"it jumps at 1\.5"):
        brought_to(1.5, lambda knob: 1.0 + (knob > 1.5), 0.5, 2.5)
