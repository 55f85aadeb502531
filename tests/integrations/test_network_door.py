"""A bare network under guidance in a loop of one's own: bit for bit our engine and Eq. 4 by hand, and what is refused."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import s2g
from s2g.errors import UserError
from s2g.guidance.apg import APG
from s2g.guidance.base import Guidance, Requirement
from s2g.guidance.cfg import CFG
from s2g.guidance.cfg_zero import CFGZero
from s2g.guidance.cfgpp import CFGPP
from s2g.guidance.none import NoGuidance
from s2g.guidance.pag import PAG
from s2g.guidance.rivals.nag import NAG
from s2g.guidance.rivals.tag import TAG
from s2g.guidance.s2 import S2
from s2g.guidance.seg import SEG
from s2g.guidance.slg import SLG
from s2g.guidance.window import Window
from s2g.models.convention import Flow
from s2g.network.attention import SLOT
from s2g.network.evaluate import Evaluator
from s2g.sampling.euler import Euler
from s2g.sampling.loop import sample
from s2g.sampling.unit import Unit
from tests.diffusers_networks import NETWORKS
from tests.small_networks import ToyBlock, ToyNetwork, latents, randomise, sd3, toy

STEPS, SCALE = 6, 3.0
WHOLE = S2(CFG(SCALE), omega=0.5, drop=2, window=Window(0.0, 1.0))
CENTRAL = S2(CFG(SCALE), omega=0.5)
PROMPTS = [1, 2]
LEVELS = torch.linspace(1, 0, STEPS + 1, dtype=torch.float64).tolist()
FLOW = {"convention": Flow(), "offers": list(Requirement)}


def toy_arguments(denoiser: Any, x: Tensor, level: float, condition: str) -> dict[str, Any]:
    return {"x": x, "text": denoiser.encode(PROMPTS)[condition].tensors["text"] + level}


def sd3_arguments(denoiser: Any, x: Tensor, level: float, condition: str) -> dict[str, Any]:
    return denoiser.inputs(x, level, denoiser.encode(PROMPTS)[condition])


CASES: dict[str, tuple[Any, Callable[..., dict[str, Any]]]] = {"toy": (toy, toy_arguments), "sd3": (sd3, sd3_arguments)}


def by_hand(name: str, method: Guidance, begin: dict[str, Any] | None = None, **more: Any) -> tuple[Tensor, Any]:
    """x after a loop of Euler steps around the guided network."""
    build, arguments = CASES[name]
    denoiser = build("separate")
    x = latents(denoiser)
    with s2g.guide(denoiser.network, method, seed=4, **more) as guided:
        guided.begin(LEVELS, **(begin or {}))
        for level, after in pairwise(LEVELS):
            velocity = guided(*(arguments(denoiser, x, level, condition) for condition in ("cond", "uncond")))
            x = x + (after - level) * velocity
    return x, guided


METHODS: dict[str, tuple[Guidance, dict[str, Any]]] = {
    "s2": (WHOLE, {}),
    "s2, central": (CENTRAL, {}),
    "s2 without cfg": (S2(NoGuidance(), omega=0.5), {}),
    "slg": (SLG(CFG(SCALE), layers=(2, 4), window=Window(0.0, 1.0)), {}),
    "apg": (APG(SCALE, form="paper"), FLOW),
    "cfg_zero": (CFGZero(SCALE), FLOW),
    "cfgpp": (CFGPP(lam=0.6), FLOW),
}


@pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)
@pytest.mark.parametrize("name", CASES)
def test_a_loop_around_a_network_is_our_engine_to_the_bit(name: str, method: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    denoiser = CASES[name][0]("separate")
    noise = latents(denoiser)
    monkeypatch.setattr("s2g.sampling.loop.initial_noise", lambda seed, items, shape, *more: noise.clone())
    with torch.inference_mode(), Evaluator(denoiser) as evaluator:
        unit = Unit(0, (0, 1), 0, 4)
        ours = sample(evaluator, method[0], Euler(steps=STEPS), evaluator.encode(PROMPTS), unit)
    x, guided = by_hand(name, *method)
    assert torch.equal(x, ours.latents)
    assert guided.masks == ours.masks and len(guided.masks) == STEPS


def test_it_is_equation_4_written_out() -> None:
    """One step; the sub-network is the stack without two of its blocks."""
    denoiser = toy("separate")
    x = latents(denoiser)
    cond, uncond = (toy_arguments(denoiser, x, 1.0, condition) for condition in ("cond", "uncond"))
    with s2g.guide(denoiser.network, WHOLE, seed=4) as guided:
        guided.begin([1.0, 0.0])
        given = guided(cond, uncond)
    without = ToyNetwork()
    without.load_state_dict(denoiser.network.state_dict())
    (mask,) = guided.masks[0].values()
    assert len(mask) == 2 and 0 not in mask
    without.blocks = nn.ModuleList(block for index, block in enumerate(without.blocks) if index not in mask)
    with torch.no_grad():
        c, u, s = denoiser.network(**cond), denoiser.network(**uncond), without(**cond)
    assert torch.equal(given, u + SCALE * (c - u) - 0.5 * (s - c))


@pytest.mark.parametrize("name", CASES)
def test_reuse_changes_no_bit_and_omega_zero_is_cfg(name: str) -> None:
    assert torch.equal(by_hand(name, WHOLE)[0], by_hand(name, WHOLE, reuse=False)[0])
    plain = by_hand(name, CFG(SCALE))[0]
    assert torch.equal(by_hand(name, replace(WHOLE, omega=0.0))[0], plain)
    assert torch.equal(by_hand(name, S2(omega=0.0), scale=SCALE)[0], plain)
    assert not torch.equal(by_hand(name, WHOLE)[0], plain)


def test_a_resumed_pass_runs_only_the_blocks_behind_its_mask() -> None:
    denoiser = toy("separate")
    with s2g.guide(denoiser.network, SLG(CFG(SCALE), layers=(5,), window=Window(0.0, 1.0))) as guided:
        guided.begin(LEVELS)
        for level in LEVELS[:2]:
            x = latents(denoiser)
            guided(toy_arguments(denoiser, x, level, "cond"), toy_arguments(denoiser, x, level, "uncond"))
    ran = guided.evaluator.account.blocks
    # Two steps of cond and uncond; the check from blocks 2, 4 and 6 on, once; blocks 6 and 7 of a resumed pass.
    assert [ran[index] for index in range(8)] == [4, 4, 5, 5, 6, 6, 9, 9]


def test_a_network_with_long_skips_is_found_out_and_its_passes_are_whole() -> None:
    network, inputs = NETWORKS["HunyuanDiT2DModel"]()
    inputs = {key: value for key, value in inputs.items() if key != "return_dict"}
    method = SLG(CFG(SCALE), layers=(len(network.blocks) - 1,), window=Window(0.0, 1.0))

    def one(**more: Any) -> Tensor:
        with s2g.guide(network, method, **more) as guided:
            guided.begin([1.0, 0.0])
            return guided(inputs, inputs)

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*more than the blocks' state")
        whole = one(reuse=False)
    with pytest.warns(UserWarning, match="more than the blocks' state goes from block to block"):
        assert torch.equal(one(), whole)


def test_half_precision_is_combined_in_fp32_and_rounded_once() -> None:
    denoiser = toy("separate")
    denoiser.network.bfloat16()
    x = latents(denoiser).bfloat16()
    cond, uncond = (toy_arguments(denoiser, x, 0.5, condition) for condition in ("cond", "uncond"))
    cond, uncond = ({key: value.bfloat16() for key, value in given.items()} for given in (cond, uncond))
    uncond["x"] = cond["x"]
    with s2g.guide(denoiser.network, CFG(SCALE)) as guided:
        guided.begin([1.0, 0.0])
        given = guided(cond, uncond)
    with torch.no_grad():
        c, u = (denoiser.network(**arguments).float() for arguments in (cond, uncond))
    assert given.dtype == torch.bfloat16 and torch.equal(given, (u + SCALE * (c - u)).bfloat16())


def test_it_is_given_back_on_exit_and_after_an_exception() -> None:
    denoiser = toy("separate")
    before = [getattr(block, SLOT) for block in denoiser.blocks]
    door = s2g.guide(denoiser.network, WHOLE)
    with door:
        assert [getattr(block, SLOT) for block in denoiser.blocks] != before
    assert [getattr(block, SLOT) for block in denoiser.blocks] == before
    with pytest.raises(ZeroDivisionError), door:
        _ = 1 / 0
    assert [getattr(block, SLOT) for block in denoiser.blocks] == before


class Unknown(nn.Module):
    """Two residual blocks of a class that is not registered."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(4, 4), nn.Linear(4, 4)])


def test_what_is_refused() -> None:
    denoiser = toy("separate")
    network, x = denoiser.network, latents(denoiser)
    cond, uncond = (toy_arguments(denoiser, x, 1.0, condition) for condition in ("cond", "uncond"))
    with pytest.raises(UserError, match="no list of blocks that are known"):
        s2g.guide(Unknown(), WHOLE)
    with pytest.raises(UserError, match="compiled as a whole"):
        s2g.guide(torch.compile(network), WHOLE)
    door = s2g.guide(network, WHOLE)
    with pytest.raises(UserError, match="not under guidance"):
        door(cond, uncond)
    with door as guided:
        with pytest.raises(UserError, match="no run has begun"):
            guided(cond, uncond)
        for levels in ([1.0], [0.0, 1.0], [1.0, 1.0, 0.0]):
            with pytest.raises(UserError, match="noise levels that fall"):
                guided.begin(levels)
        guided.begin([1.0, 0.0])
        with pytest.raises(UserError, match="needs the unconditional prediction"):
            guided(cond)
        with pytest.raises(UserError, match="x of cond and of uncond are two tensors"):
            guided(cond, {**uncond, "x": x.clone()})
        with pytest.raises(UserError, match="has no tensor x"):
            guided({"text": cond["text"]})
        assert guided.masks == []  # nothing of these was a step
        guided(cond, uncond)
        with pytest.raises(UserError, match="1 steps were announced, and this is one more"):
            guided(cond, uncond)
    for method, begin, problem in (
        (CFGPP(lam=0.6), {}, "needs Euler-like steps"),
        (APG(SCALE, form="paper"), {"offers": list(Requirement)}, "works on denoised predictions"),
    ):
        with s2g.guide(network, method) as guided, pytest.raises(UserError, match=problem):
            guided.begin([1.0, 0.0], **begin)
    for method, problem in (
        (NAG(CFG(SCALE)), "cond and uncond at one x alone"),
        (PAG(CFG(SCALE), layers=(1,)), "where its self-attention is, is not known"),
        (SEG(CFG(SCALE), layers=(1,)), "the grid of its tokens is not known"),
        (s2g.Autoguidance(2.0), "weak=ANOTHER_TRANSFORMER"),
    ):
        with s2g.guide(network, method) as guided:
            guided.begin([1.0, 0.0])
            with pytest.raises(UserError, match=problem):
                guided(cond, uncond)


def test_autoguidance_takes_a_second_network() -> None:
    denoiser, other = toy("separate"), randomise(ToyNetwork(), 0.2)
    x = latents(denoiser)
    cond = toy_arguments(denoiser, x, 1.0, "cond")
    with s2g.guide(denoiser.network, s2g.Autoguidance(2.0), weak=other) as guided:
        guided.begin([1.0, 0.0])
        given = guided(cond)
    with torch.no_grad():
        strong, weak = denoiser.network(**cond), other(**cond)
    assert torch.equal(given, weak + 2.0 * (strong - weak))


def test_a_list_that_runs_otherwise_is_found() -> None:
    class Backwards(ToyNetwork):
        def forward(self, x: Tensor, text: Tensor) -> Tensor:
            z = self.stem(x)
            for block in reversed(self.blocks):
                z = block(self.label(text).mean(dim=1, keepdim=True), z=z)
            return self.head(z)

    network = randomise(Backwards(), 0.3)
    assert all(isinstance(block, ToyBlock) for block in network.blocks)
    denoiser = toy("separate")
    given = toy_arguments(denoiser, latents(denoiser), 1.0, "cond")
    with s2g.guide(network, WHOLE) as guided:
        guided.begin([1.0, 0.0])
        with pytest.raises(UserError, match="the network ran the listed blocks as"):
            guided(given, given)


class Widened(ToyNetwork):
    """Predicts four channels of more, as inpainting networks do, or of one."""

    def forward(self, x: Tensor, text: Tensor) -> Tensor:
        return super().forward(x[..., :4] if x.shape[-1] > 4 else x.expand(*x.shape[:-1], 4), text)


@pytest.mark.parametrize("channels", [1, 9])
@pytest.mark.parametrize("method", [TAG(CFG(SCALE)), TAG(CFG(SCALE), form="cfg"), NAG(TAG(CFG(SCALE)), 1.0), APG(SCALE)])
def test_a_method_that_reads_x_needs_it_in_the_shape_of_the_prediction(method: Guidance, channels: int) -> None:
    """One channel would broadcast in silence."""
    network, text = randomise(Widened()), toy("separate").encode(PROMPTS)["cond"].tensors["text"]
    given = {"x": torch.randn(2, 6, channels), "text": text}
    with s2g.guide(network, method) as guided:
        guided.begin(LEVELS, **FLOW)
        shapes = rf"needs x in the shape of the prediction, \(2, 6, 4\), and the network is given \(2, 6, {channels}\)"
        with pytest.raises(UserError, match=shapes):
            guided(given, given)
    with s2g.guide(network, S2(CFG(SCALE))) as guided:  # one that does not read it is as before
        guided.begin(LEVELS, **FLOW)
        assert guided(given, given).shape == (2, 6, 4)
