"""Numbers beyond what makes sense, refused at once with key and bound; plans of any size cost the same."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import pytest

from s2g.cli.run import main
from s2g.config.compose import check_arguments
from s2g.config.ranges import check_range
from s2g.errors import UserError

HUGE = "9" * 400


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([f"num={HUGE}"], "a number of more than 400 digits"),
        (["num=" + "9" * 5000], "a number of more than 400 digits"),
        ([f"guidance.scale={HUGE}"], "a number of more than 400 digits"),
        (["seed=" + "9" * 100], "seed = a number of more than 30 digits\n  allowed: at most 2^64 - 1"),
        ([f"seed={2**64}"], f"seed = {2**64}\n  allowed: at most 2^64 - 1"),
        (["num=1000000000000"], "num = 1000000000000\n  allowed: at most 1,000,000,000"),
        (["sampler.steps=1000000000"], "sampler.steps = 1000000000\n  allowed: at most 10,000"),
        (["model.unit=1000000000"], "model.unit = 1000000000\n  allowed: at most 65,536"),
        (["guidance=s2_naive", f"guidance.masks={10**21}"], f"guidance.masks = {10**21}\n  allowed: at most 1,024"),
        (["guidance.scale=1e308"], "guidance.scale = 1e+308\n  allowed: at most 1,000"),
        (["guidance=s2", "guidance.omega=-1e9"], "guidance.omega = -1000000000.0\n  allowed: at least -1,000"),
        (["model.network.depth=1000000000"], "model.network.depth = 1000000000\n  allowed: at most 1,000"),
        (["model.network.width=1e9"], "model.network.width = 1000000000.0\n  allowed: at most 1,000,000"),
        (["-m", "seed=range(0,100000000)"], "a sweep of 100,000,000 runs\n  allowed: up to 10,000"),
        (["-m", "guidance.scale=1,2,3", "seed=range(0,5000)"], "a sweep of 15,000 runs"),
    ],
)
def test_a_number_beyond_its_bound_is_refused(arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*arguments, "plan=true"]) == 2
    assert said in capsys.readouterr().err


def test_ordinary_sweeps_pass() -> None:
    check_arguments(["-m", "seed=range(0,10000)", "guidance=s2", "~guidance.window", "not parsable ]["])
    with pytest.raises(UserError, match="a sweep of 10,001 runs"):
        check_arguments(["-m", "seed=range(0,10001)"])
    with pytest.raises(UserError, match="a sweep of 20,000 runs"):
        check_arguments(["-m", "seed=range(0,20000,2)", "guidance=cfg,s2"])


def test_a_plan_costs_the_same_for_any_num(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan=true", "num=100", f"runs={tmp_path}"]) == 0  # what it imports is not counted
    tracemalloc.start()
    try:
        assert main(["plan=true", "num=1000000000", f"runs={tmp_path}"]) == 0
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert "62,500,000 units" in capsys.readouterr().out
    assert peak < 50 * 2**20  # a list of the units alone is 500 MB


def test_a_weight_below_zero_is_remarked_on(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan=true", "guidance=s2", "guidance.scale=-1", "guidance.omega=-0.5"]) == 0
    said = capsys.readouterr().out
    assert "guidance.scale = -1: a weight below 0 steers the other way" in said and "guidance.omega = -0.5" in said


def test_a_seed_has_64_bits() -> None:
    check_range(2**64 - 1, "seed")
    with pytest.raises(UserError, match=r"seed = 18446744073709551616\n  allowed: at most 2\^64 - 1"):
        check_range(2**64, "seed")
