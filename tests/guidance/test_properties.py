"""What must hold of every method for any predictions, looked for by hypothesis: the same examples in every run."""

from __future__ import annotations

import pytest
import torch
from guidance.cases import ALWAYS, METHODS, WRAPPERS, fitted, flat, predictions, step_at, x_of
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor

from s2g.guidance.adg import ADG
from s2g.guidance.apg import APG
from s2g.guidance.autoguidance import Autoguidance
from s2g.guidance.base import Guidance
from s2g.guidance.cfg import CFG
from s2g.guidance.cfg_zero import CFGZero, optimised_scale
from s2g.guidance.cfgpp import CFGPP
from s2g.guidance.effective_scale import effective_scale
from s2g.guidance.s2 import S2
from s2g.guidance.s2_naive import NaiveS2
from s2g.models.convention import Flow
from s2g.models.prediction_space import Space
from s2g.network.branch import COND, UNCOND, Branch

few = settings(max_examples=30, derandomize=True, deadline=None, database=None, suppress_health_check=list(HealthCheck))
EVERY = pytest.mark.parametrize("name", METHODS)
SEEDS = st.integers(0, 2**31)
SHAPES = st.sampled_from([(4, 2, 2), (3, 8, 8), (4, 1, 5, 7), (2,), (17,), (4, 33)])


class Noise:
    """A variance-preserving network that predicts the noise: x = alpha data + sigma noise, level sigma / (alpha + sigma)."""

    def to(self, space: Space, raw: Tensor, x: Tensor, level: float) -> Tensor:
        length = (level**2 + (1 - level) ** 2) ** 0.5
        data = (x - level / length * raw) * length / (1 - level)
        return {Space.RAW: raw, Space.DENOISED: data, Space.VELOCITY: raw - data}[space]

    def back(self, space: Space, value: Tensor, x: Tensor, level: float) -> Tensor:
        length = (level**2 + (1 - level) ** 2) ** 0.5
        if space is Space.VELOCITY:  # x length = (1 - level) data + level noise = noise - (1 - level) velocity
            return x * length + (1 - level) * value
        return value if space is Space.RAW else (x * length - (1 - level) * value) / level


CONVENTIONS = [Flow(), Noise()]


def trajectory(method: Guidance, of_step: list[dict[Branch, Tensor]]) -> list[Tensor]:
    """Results at steps 1, 2, ... with one memory: what a unit sees."""
    state = method.start()
    return [method.combine(preds, step_at(1 + i, x=x_of(preds)), state) for i, preds in enumerate(of_step)]


def several(method: Guidance, seed: int, shape: tuple[int, ...], steps: int = 3) -> list[dict[Branch, Tensor]]:
    return [predictions(method, step_at(1 + i), seed + i, shape, torch.float32) for i in range(steps)]


@EVERY
@few
@given(seed=SEEDS, shape=SHAPES, order=st.permutations(range(5)))
def test_permuting_the_batch_permutes_the_result_to_the_bit(name: str, seed: int, shape: tuple[int, ...], order) -> None:
    method = METHODS[name]
    given_ = several(method, seed, fitted(name, (5, *shape)))
    plain = trajectory(method, given_)
    moved = trajectory(method, [{branch: value[order] for branch, value in preds.items()} for preds in given_])
    assert all(torch.equal(a[order], b) for a, b in zip(plain, moved, strict=True))


@EVERY
@few
@given(seed=SEEDS, shape=SHAPES, item=st.integers(0, 4))
def test_an_item_alone_is_what_it_is_in_a_batch(name: str, seed: int, shape: tuple[int, ...], item: int) -> None:
    """To the bit; for rescaled CFG to fp32's rounding, since torch adds up one item's variance in another order."""
    method = METHODS[name]
    given_ = several(method, seed, fitted(name, (5, *shape)))
    batch = trajectory(method, given_)
    alone = trajectory(method, [{branch: value[item : item + 1] for branch, value in preds.items()} for preds in given_])
    for a, b in zip(batch, alone, strict=True):
        if "rescaled" in name:
            torch.testing.assert_close(a[item : item + 1], b, rtol=1e-6, atol=1e-6)
        else:
            assert torch.equal(a[item : item + 1], b)


def in_space(method: Guidance, convention, space: Space, raw: dict[Branch, Tensor], x: Tensor, level: float) -> Tensor:
    """The method's result as raw output, its arithmetic done in `space` at this x and level."""
    preds = {branch: convention.to(space, value, x, level) for branch, value in raw.items()}
    return convention.back(space, method.combine(preds, step_at(5, x=x), method.start()), x, level)


def apart(method: Guidance, convention, seed: int, level: float) -> float:
    """The largest difference between the three spaces' results, against the size of the first."""
    raw = predictions(method, step_at(), seed)
    x = torch.randn(raw[COND].shape, generator=torch.Generator().manual_seed(seed + 1), dtype=torch.float64)
    got = [in_space(method, convention, space, raw, x, level) for space in Space]
    return max(float((other - got[0]).abs().max() / got[0].abs().max()) for other in got[1:])


ANY_SPACE: dict[str, Guidance] = {
    "cfg": CFG(7.5),
    "cfgpp": CFGPP(lam=0.6),
    "autoguidance": Autoguidance(2.1, weak="a"),
    "apg with eta 1 and no cap": APG(6.0, eta=1.0, r=0.0, momentum=-0.5),
    "fdg": METHODS["fdg"],
    "sgg": METHODS["sgg"],
    "tdg": METHODS["tdg"],
    "stg_official": METHODS["stg_official"],
    "tag": METHODS["tag"],
    "tag cfg": METHODS["tag cfg"],
    "s2_naive": NaiveS2(CFG(7.5), omega=0.4, window=ALWAYS, masks=3),
    **{name: make(CFG(7.5)) for name, (make, _) in WRAPPERS.items()},
}
OWN_SPACE: dict[str, Guidance] = {
    "eq20": S2(CFG(7.5), omega=0.25, window=ALWAYS, form="eq20"),
    "cfg_zero": CFGZero(7.5),
    "adg": ADG(4.0),
    "apg with eta 0": APG(6.0, eta=0.0, r=0.0, momentum=0.0),
    "apg with a cap": APG(6.0, eta=1.0, r=1.0, momentum=0.0),
    "cfg rescaled": CFG(7.5, rescale=0.7),
    "tcfg": METHODS["tcfg"],
    "fdg parallel": METHODS["fdg parallel"],
    "mambo_g": METHODS["mambo_g"],
    "smc_cfg": METHODS["smc_cfg"],
}


@pytest.mark.parametrize("convention", CONVENTIONS, ids=lambda c: type(c).__name__)
@pytest.mark.parametrize("name", ANY_SPACE)
@few
@given(seed=SEEDS, level=st.floats(0.05, 0.95))
def test_where_weights_sum_to_one_any_space_will_do(name: str, convention, seed: int, level: float) -> None:
    assert apart(ANY_SPACE[name], convention, seed, level) < 1e-10


@pytest.mark.parametrize("convention", CONVENTIONS, ids=lambda c: type(c).__name__)
@pytest.mark.parametrize("name", OWN_SPACE)
def test_where_they_do_not_the_space_matters(name: str, convention) -> None:
    """Lengths, angles and projections are of the space they are taken in; so is a sum of weights of 0.75."""
    assert apart(OWN_SPACE[name], convention, seed=0, level=0.6) > 0.01


@few
@given(seed=SEEDS, length=st.floats(0.1, 100), sign=st.sampled_from([1, -1]))
def test_cfg_zero_does_not_see_how_long_uncond_is(seed: int, length: float, sign: int) -> None:
    preds, stretch = predictions(CFG(3.0), step_at(), seed), sign * length
    longer = {**preds, UNCOND: stretch * preds[UNCOND]}
    want, got = (CFGZero(3.5).combine(p, step_at(), {}) for p in (preds, longer))
    torch.testing.assert_close(got, want, rtol=1e-5, atol=1e-5)  # the official 1e-8 beside |u|^2
    torch.testing.assert_close(
        optimised_scale(preds[COND], longer[UNCOND]) * stretch,
        optimised_scale(preds[COND], preds[UNCOND]),
        rtol=1e-5,
        atol=1e-6,
    )


@few
@given(seed=SEEDS)
def test_cfg_zeros_scale_is_the_nearest(seed: int) -> None:
    preds = predictions(CFG(3.0), step_at(), seed)
    c, u = preds[COND], preds[UNCOND]
    best = optimised_scale(c, u)
    for other in (best + 0.01, best - 0.01):
        assert (flat(c - best * u).norm(dim=1) < flat(c - other * u).norm(dim=1)).all()


@few
@given(seed=SEEDS, scale=st.floats(-3, 20), level=st.floats(0.05, 0.95))
def test_cfgs_effective_scale_is_its_scale_in_every_space(seed: int, scale: float, level: float) -> None:
    preds = predictions(CFG(3.0), step_at(), seed)
    x = torch.ones_like(preds[COND])
    for convention in CONVENTIONS:
        for space in Space:
            c, u = (convention.to(space, preds[branch], x, level) for branch in (COND, UNCOND))
            got = effective_scale(CFG(scale).combine({COND: c, UNCOND: u}, step_at(), {}), c, u)
            torch.testing.assert_close(got, torch.full_like(got, scale), rtol=1e-7, atol=1e-7)


@few
@given(seed=SEEDS, eta=st.floats(0, 1), r=st.floats(0.1, 10), momentum=st.floats(-0.9, 0.9))
def test_apgs_update_is_never_longer_than_its_cap(seed: int, eta: float, r: float, momentum: float) -> None:
    method = APG(2.0, eta=eta, r=r, momentum=momentum)  # scale 2: what is added to cond is the update itself
    of_step = [predictions(method, step_at(1 + i), seed + i) for i in range(3)]
    for preds, got in zip(of_step, trajectory(method, of_step), strict=True):
        assert (flat(got - preds[COND]).norm(dim=1) <= r * (1 + 1e-9)).all()


@few
@given(seed=SEEDS, scale=st.floats(1.01, 50), cap=st.floats(1, 90))
def test_adg_turns_by_no_more_than_its_cap_and_stays_short(seed: int, scale: float, cap: float) -> None:
    """Its length is at most sqrt(2) |c|, its distance from c at most that of a turn by the cap with such a length."""
    preds = predictions(ADG(scale), step_at(), seed)
    c, got = flat(preds[COND]), flat(ADG(scale, cap=cap).combine(preds, step_at(), {}))
    length = c.norm(dim=1)
    assert (got.norm(dim=1) <= 2**0.5 * length * (1 + 1e-9)).all()
    turn = torch.deg2rad(torch.tensor(cap, dtype=torch.float64))
    assert ((got - turn.cos() * c).norm(dim=1) <= ((1 - turn.cos()) + turn.sin()) * length * (1 + 1e-9)).all()


MEMORY = APG(6.0, eta=0.3, r=2.0, momentum=-0.5)


@few
@given(seed=SEEDS)
def test_apgs_memory_moves_once_a_step_and_not_with_a_second_evaluation(seed: int) -> None:
    """Heun's stage 1 adds to what the step before left, and leaves what stage 0 of its own step did."""
    of_step = several(MEMORY, seed, (3, 4, 2, 2))
    second = predictions(MEMORY, step_at(), seed + 9, (3, 4, 2, 2), torch.float32)
    euler = trajectory(MEMORY, of_step)
    state = MEMORY.start()
    for i, (preds, want) in enumerate(zip(of_step, euler, strict=True)):
        assert torch.equal(MEMORY.combine(preds, step_at(1 + i), state), want)  # so stage 1 of the step before left no trace
        again = MEMORY.combine(second, step_at(1 + i, stage=1), state)
        # As if it had been the step's only evaluation, after the same steps before it.
        assert torch.equal(again, trajectory(MEMORY, [*of_step[:i], second])[-1])


@few
@given(seed=SEEDS)
def test_a_fresh_start_forgets_and_two_units_never_share(seed: int) -> None:
    a, b = several(MEMORY, seed, (3, 4, 2, 2)), several(MEMORY, seed + 100, (2, 4, 2, 2))
    assert MEMORY.start() == {} and MEMORY.start() is not MEMORY.start()
    alone = trajectory(MEMORY, a), trajectory(MEMORY, b)
    states, got = (MEMORY.start(), MEMORY.start()), ([], [])
    for i in range(3):  # step by step in turn, as two units of one worker could be
        for unit, of_step in enumerate((a, b)):
            got[unit].append(MEMORY.combine(of_step[i], step_at(1 + i, unit=unit), states[unit]))
    for of_unit, want in zip(got, alone, strict=True):
        assert all(torch.equal(x, y) for x, y in zip(of_unit, want, strict=True))
    assert all(torch.equal(x, y) for x, y in zip(trajectory(MEMORY, a), alone[0], strict=True))
    without = MEMORY.combine(a[1], step_at(2), MEMORY.start())
    assert not torch.allclose(without, alone[0][1])  # the memory does something


@EVERY
@few
@given(seed=SEEDS)
def test_predictions_are_left_as_they_were(name: str, seed: int) -> None:
    """The engine measures the effective scale on them afterwards."""
    of_step = several(METHODS[name], seed, (3, 4, 2, 2))
    before = [{branch: value.clone() for branch, value in preds.items()} for preds in of_step]
    results = trajectory(METHODS[name], of_step)
    for result in results:
        result.mul_(0)  # nor is a result one of them
    assert name == "none" or all(
        torch.equal(preds[branch], was[branch]) for preds, was in zip(of_step, before, strict=True) for branch in preds
    )
