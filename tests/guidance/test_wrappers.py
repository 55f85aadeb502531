"""Wrappers over every base: what they ask for, what they add, and what of the base shows through."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import pytest
import torch
from guidance.cases import BASES, METHODS, WRAPPERS, edited_branch, predictions, step_at
from torch import Tensor

from s2g.guidance.apg import APG
from s2g.guidance.autoguidance import WEAK, Autoguidance
from s2g.guidance.base import Ability, BaseMethod, Guidance, Requirement, State, Step, Weak
from s2g.guidance.cfg import CFG
from s2g.guidance.cfg_zero import CFGZero
from s2g.guidance.cfgpp import CFGPP
from s2g.guidance.channels import Channels
from s2g.guidance.s2_naive import NaiveS2
from s2g.guidance.slg import SLG
from s2g.guidance.window import ALWAYS, Window, Windowed
from s2g.models.prediction_space import Space
from s2g.network.branch import COND, UNCOND, Branch

OVER = pytest.mark.parametrize("name", WRAPPERS)
EACH = pytest.mark.parametrize("base", BASES)


@OVER
@EACH
def test_the_bases_branches_come_first_and_one_edited_cond_is_added(name: str, base: str) -> None:
    make, _ = WRAPPERS[name]
    method, step = make(BASES[base]), step_at()
    asked, of_base = tuple(method.branches(step)), tuple(BASES[base].branches(step))
    assert asked[: len(of_base)] == of_base
    added = set(asked) - set(of_base) - {COND}
    assert len(added) == 1 and added.pop().condition == "cond"
    assert COND in asked  # whatever the base asks for
    assert tuple(method.branches(step)) == asked  # a pure function of the step: branches and combine both ask


@OVER
@EACH
def test_the_result_is_the_bases_and_the_weighted_step_away_over_a_trajectory(name: str, base: str) -> None:
    make, weight = WRAPPERS[name]
    method, inside = make(BASES[base]), BASES[base]
    state, of_base = method.start(), inside.start()
    for index in (1, 2, 3):
        step = step_at(index)
        preds = predictions(method, step, seed=index)
        want = inside.combine(preds, step, of_base) + weight * (preds[COND] - preds[edited_branch(method, step)])
        torch.testing.assert_close(method.combine(preds, step, state), want, rtol=1e-12, atol=1e-12)


@OVER
def test_where_the_base_stands_still_so_does_what_is_around_it(name: str) -> None:
    make, _ = WRAPPERS[name]
    still = CFGZero(3.5, zero_init=2)
    shells = [make(still), Windowed(make(still), ALWAYS), Channels(make(still), 2), make(make(still)), Channels(still, 2)]
    for index, moves in ((0, False), (1, False), (2, True)):
        for method in shells:
            assert bool(method.branches(step_at(index))) == moves
            drawn = step_at(index)
            method.branches(drawn)
            assert moves or drawn.draws.drawn == {}


@OVER
@EACH
def test_the_bases_space_needs_channels_and_weaker_network_show_through(name: str, base: str) -> None:
    make, _ = WRAPPERS[name]
    inside = BASES[base]
    method = make(inside)
    assert (method.space, method.channels, method.weaker) == (inside.space, None, inside.weaker)
    assert method.needs >= inside.needs
    # S2 draws a mask for each step, so it needs steps whatever its window.
    assert method.needs - inside.needs <= ({Requirement.STEPS} if name == "s2" else set())
    assert method.start() == inside.start() and method.start() is not method.start()
    assert Channels(method, 2).channels == 2 == Windowed(Channels(method, 2), ALWAYS).channels
    assert Windowed(method, Window(0.1, 0.9)).needs == method.needs | {Requirement.STEPS}
    assert Channels(method, 2).space is Windowed(method, ALWAYS).space is inside.space
    closing = replace(method, window=Window(0.1, 0.9))
    assert closing.needs == inside.needs | {Requirement.STEPS}


def test_what_each_base_needs_and_where_it_works() -> None:
    needs = {name: method.needs for name, method in BASES.items()}
    assert needs.pop("cfg_zero") == {Requirement.STEPS, Requirement.DETERMINISTIC, Requirement.FLOW}
    assert needs.pop("cfgpp") == needs.pop("cfgpp velocity") == {Requirement.STEPS, Requirement.EULER_LIKE}
    assert needs.pop("rectified_cfgpp") == {Requirement.STEPS, Requirement.EULER_LIKE, Requirement.FLOW}
    assert needs.pop("sgg") == {Requirement.STEPS}
    plain = ("none", "cfg", "cfg rescaled", "adg", "autoguidance", "tcfg", "fdg", "fdg parallel", "mambo_g", "smc_cfg", "tdg")
    assert not any(needs.pop(name) for name in (*plain, "tdg mean"))
    assert set(needs) == {"apg", "apg diffusers"}
    spaces = {name: method.space for name, method in BASES.items() if method.space is not Space.RAW}
    velocity = {"cfg_zero": Space.VELOCITY, "rectified_cfgpp": Space.VELOCITY}
    assert spaces == {**velocity, "adg": Space.DENOISED, "apg": Space.DENOISED}


@EACH
def test_channels_sees_and_guides_the_first_only(base: str) -> None:
    """As if the others did not exist: norms, angles and caps are of the guided ones."""
    inside: Guidance = BASES[base]
    method, step = Channels(inside, 2), step_at(2)
    preds = predictions(method, step)
    got = method.combine(preds, step, method.start())
    alone = {branch: value[:, :2] for branch, value in preds.items()}
    assert torch.equal(got[:, :2], inside.combine(alone, step, inside.start()))
    assert torch.equal(got[:, 2:], preds[COND][:, 2:])
    assert COND in method.branches(step)


@dataclass(frozen=True)
class Odd(BaseMethod):
    """A user's own method: without cond, and with a memory from the start."""

    def start(self) -> State:
        return {"calls": 0}

    def branches(self, step: Step) -> Sequence[Branch]:
        return (UNCOND,)

    def combine(self, preds: Mapping[Branch, Tensor], step: Step, state: State) -> Tensor:
        state["calls"] += 1
        return -preds[UNCOND]


@pytest.mark.parametrize("name", [*WRAPPERS, "channels", "windowed"])
def test_a_base_need_not_ask_for_cond_and_may_bring_a_memory(name: str) -> None:
    """Whatever a wrapper reads it asks for itself: only what is asked for is evaluated."""
    around = {"channels": lambda base: Channels(base, 2), "windowed": lambda base: Windowed(base, ALWAYS)}
    make, weight = WRAPPERS[name] if name in WRAPPERS else (around[name], 0.0)
    method, step = make(Odd()), step_at()
    everything = predictions(method, step)
    asked = {branch: everything[branch] for branch in method.branches(step)}
    state = method.start()
    assert state == {"calls": 0} and method.start() is not state
    got = method.combine(asked, step, state)
    assert state == {"calls": 1}
    want = -everything[UNCOND]
    if name in WRAPPERS:
        want = want + weight * (everything[COND] - everything[edited_branch(method, step)])
    if name == "channels":
        want[:, 2:] = everything[COND][:, 2:]
    torch.testing.assert_close(got, want)


def test_outside_a_window_a_memory_stands_still() -> None:
    """APG's is then the last active step's, however long ago: no source says otherwise."""
    inside = APG(3.5, r=2.0)
    method = Windowed(inside, Window(0.0, 0.5))
    state, alone = method.start(), inside.start()
    for index in (3, 4, 5, 6):
        preds = predictions(inside, step_at(index), seed=index)
        got = method.combine(preds, step_at(index), state)
        assert torch.equal(got, inside.combine(preds, step_at(index), alone) if index < 5 else preds[COND])
        assert torch.equal(state["now"], alone["now"])


def test_naive_s2_over_a_base_is_the_mean_of_its_s2s() -> None:
    base = BASES["apg"]
    method, step = NaiveS2(base, omega=0.4, window=ALWAYS, masks=5), step_at()
    preds = predictions(method, step)
    subs = torch.stack([preds[branch] for branch in method.subs(step)])
    assert len(subs) == 5
    want = base.combine(preds, step, {}) - 0.4 * (subs.mean(0) - preds[COND])
    torch.testing.assert_close(method.combine(preds, step, {}), want, rtol=1e-12, atol=1e-12)


def test_autoguidance_names_its_network_and_has_no_uncond() -> None:
    method = Autoguidance(2.1, weak="early.safetensors", weak_network={"depth": 6})
    assert method.weaker == Weak("early.safetensors", {"depth": 6})
    assert SLG(method).weaker == Windowed(method, ALWAYS).weaker == Channels(method, 2).weaker == method.weaker
    assert tuple(method.branches(step_at())) == (COND, WEAK) and UNCOND not in SLG(method).branches(step_at(1, 28))
    assert Autoguidance(1.0).weaker is CFG(3.0).weaker is CFGPP(3.0).weaker is None


@pytest.mark.parametrize("name", METHODS)
def test_what_a_method_says_of_itself_is_a_value(name: str) -> None:
    """A property that became a function would be true, and a second network be loaded, or a model be refused."""
    method = METHODS[name]
    assert isinstance(method.space, Space) and method.channels is None and isinstance(method.neutral, str)
    assert method.reads_x is ("tag" in name)
    assert all(isinstance(need, Requirement) for need in method.needs) and all(isinstance(one, Ability) for one in method.asks)
    assert isinstance(method.weaker, Weak) if "autoguidance" in name else method.weaker is None
