"""NAG inside the network: against a doubled pass in which every attention to the text is guided by an explicit formula."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from s2g.errors import UserError
from s2g.guidance.base import Guidance, MaskSampler, Step
from s2g.guidance.cfg import CFG
from s2g.guidance.rivals import nag
from s2g.guidance.s2 import S2
from s2g.guidance.window import Window
from s2g.models.base import Conditioning
from s2g.network.attention import SLOT, normalized
from s2g.network.blocks import SelfAttention, register_block
from s2g.network.branch import COND, UNCOND, Branch, DropBlocks, NormalizedAttention
from s2g.network.evaluate import Account, Evaluator
from tests.small_networks import SMALL, TEXT, ToyBlock, latents

TEXTED = ("sd3", "flux", "wan")
NAG = Branch("cond", NormalizedAttention(5.0, 1.2, 0.7))


def explicit(positive: np.ndarray, negative: np.ndarray, scale: float, tau: float, alpha: float) -> np.ndarray:
    """[B, H, N, D] in float64: heads and channels of a token are one vector, its length the sum of absolute values."""
    out = np.empty_like(positive)
    for b, n in itertools.product(range(len(positive)), range(positive.shape[2])):
        plus, minus = positive[b, :, n].ravel(), negative[b, :, n].ravel()
        z = plus + (scale - 1) * (plus - minus)
        ratio = np.abs(z).sum() / np.abs(plus).sum()
        z = z * min(ratio, tau) / ratio
        out[b, :, n] = (alpha * z + (1 - alpha) * plus).reshape(out[b, :, n].shape)
    return out


@pytest.mark.parametrize("tau", [1.0, 1.5, 100.0])
def test_normalized_attention(tau: float) -> None:
    rng = np.random.default_rng(0)
    plus, minus = rng.normal(size=(2, 2, 3, 5, 4))
    got = normalized(torch.from_numpy(plus), torch.from_numpy(minus), 5.0, tau, 0.25).numpy()
    np.testing.assert_allclose(got, explicit(plus, minus, 5.0, tau, 0.25), rtol=1e-5, atol=1e-6)


def test_normalized_attention_at_the_edge() -> None:
    plus, zero = torch.randn(1, 2, 3, 4), torch.zeros(1, 2, 3, 4)
    torch.testing.assert_close(normalized(plus, torch.randn(1, 2, 3, 4), 1.0, 2.5, 0.25), plus)
    assert torch.equal(normalized(zero, zero, 5.0, 2.5, 0.25), zero)
    assert torch.isfinite(normalized(zero, plus, 5.0, 2.5, 0.25)).all()  # nothing to be tau times as long as: it stays 0
    assert torch.equal(normalized(zero, plus, 5.0, 2.5, 0.25), zero)
    half = normalized(plus.half(), -plus.half(), 5.0, 2.5, 0.25)
    assert half.dtype == torch.float16


@contextmanager
def every_call(answer: Callable[..., Tensor]) -> Iterator[None]:
    """answer(place, real, ...) stands in for each call of attention."""
    real, places = F.scaled_dot_product_attention, itertools.count()
    F.scaled_dot_product_attention = lambda *args, **kwargs: answer(next(places), real, *args, **kwargs)
    try:
        yield
    finally:
        F.scaled_dot_product_attention = real


def text_at(name: str, place: int, idle: Sequence[int] = ()) -> slice | None:
    """Where the image's tokens are in this call of attention, of which idle blocks make none; None for one without text."""
    if name == "wan":  # self-attention, then cross-attention
        return slice(None) if place % 2 else None
    if name == "flux":
        return slice(TEXT, None)
    calls = [(block, dual) for block in range(6) if block not in idle for dual in ([False, True] if block < 3 else [False])]
    return None if calls[place][1] else slice(0, -TEXT)


@contextmanager
def returning_its_inputs(name: str, blocks: Sequence[Any], idle: Sequence[int]) -> Iterator[None]:
    """These blocks hand on what they are given, by a forward of their own: SD3's and Flux's return the text first."""

    def nothing(hidden_states: Tensor, encoder_hidden_states: Tensor | None = None, *_: Any, **__: Any) -> Any:
        return hidden_states if name == "wan" else (encoder_hidden_states, hidden_states)

    for index in idle:
        blocks[index].forward = nothing
    try:
        yield
    finally:
        for index in idle:
            del blocks[index].forward


def doubled(network: Any, name: str, x: Tensor, conditions: Mapping[str, Conditioning], edit: NormalizedAttention) -> Tensor:
    """Return cond's prediction under NAG: both texts in one batch, each call of attention to the text by the formula."""
    idle = sorted(edit.without)

    def answer(place: int, real: Callable[..., Tensor], *args: Any, **kwargs: Any) -> Tensor:
        out, image = real(*args, **kwargs), text_at(name, place, idle)
        if image is not None:
            plus, minus = out[:, :, image].double().chunk(2)
            guided = torch.from_numpy(explicit(plus.numpy(), minus.numpy(), edit.scale, edit.tau, edit.alpha)).float()
            out[:, :, image] = torch.cat([guided, guided])
        return out

    both = Conditioning.cat([conditions["cond"], conditions["cond"].with_text_of(conditions["uncond"])])
    with torch.no_grad(), every_call(answer), returning_its_inputs(name, network.blocks, idle):
        return network.forward(torch.cat([x, x]), 0.7, both).prediction[: len(x)]


@pytest.mark.parametrize("without", [(), (2,), (1, 4)])
@pytest.mark.parametrize("name", TEXTED)
def test_it_is_the_doubled_pass_with_guided_attention(name: str, without: tuple[int, ...]) -> None:
    network: Any = SMALL[name]()
    edit = NormalizedAttention(5.0, 1.2, 0.7, frozenset(without))
    led = Branch("cond", edit)
    conditions, x = network.encode([1, 2]), latents(network)
    assert conditions["cond"].texts == ("text",)
    want = doubled(network, name, x, conditions, edit)
    plain = Branch("cond", DropBlocks(without)) if without else COND
    account = Account()
    with Evaluator(network, account=account) as evaluator:
        found = evaluator([COND, UNCOND, led], x, 0.7, conditions).raw
        unled = evaluator([plain], x, 0.7, conditions).raw[plain]
    torch.testing.assert_close(found[led], want, rtol=0, atol=2e-5)
    assert (found[led] - unled).abs().max() > 5e-3  # and it is not nothing
    assert account.evaluations == 4 + 1  # both texts are evaluated
    assert [account.blocks[index] for index in without] == [2] * len(without)  # by cond and uncond alone
    assert all(getattr(module, SLOT) is None for module in network.network.modules())


@pytest.mark.parametrize("name", TEXTED)
def test_over_s2_its_sub_network_is_led_too(name: str) -> None:
    """u + 3 (c - u) - 0.4 (k - c) in float64, of c and k both under NAG: what is left out is all that k lacks."""
    network: Any = SMALL[name]()
    conditions, x = network.encode([1, 2]), latents(network)
    inner = S2(CFG(3.0), omega=0.4, drop=2, window=Window())
    step = Step(2, 5, 0.7, 0.5, 0.7, 0, x, MaskSampler(3, 0, 2, len(network.blocks)))
    mask = MaskSampler(3, 0, 2, len(network.blocks)).mask(0, 2, (0,))
    method = nag.NAG(inner, 5.0, 1.2, 0.7)
    edits = NormalizedAttention(5.0, 1.2, 0.7), NormalizedAttention(5.0, 1.2, 0.7, frozenset(mask))
    c, k = (doubled(network, name, x, conditions, edit).double().numpy() for edit in edits)

    def guided(method: Guidance) -> Tensor:
        with Evaluator(network) as evaluator:
            return method.combine(evaluator(method.branches(step), x, 0.7, conditions).raw, step, method.start())

    with Evaluator(network) as evaluator:
        u = evaluator([UNCOND], x, 0.7, conditions).raw[UNCOND].double().numpy()
    got = guided(method)
    np.testing.assert_allclose(got.numpy(), u + 3 * (c - u) - 0.4 * (k - c), rtol=0, atol=2e-4)
    assert torch.equal(guided(nag.NAG(replace(inner, omega=0.0), 5.0, 1.2, 0.7)), guided(nag.NAG(CFG(3.0), 5.0, 1.2, 0.7)))
    assert torch.equal(guided(nag.NAG(inner, 1.0)), guided(inner))
    # With a plain k the term would hold NAG's effect too, omega times, and that is not small.
    plain = Branch("cond", DropBlocks(mask))
    with Evaluator(network) as evaluator:
        unled = evaluator([plain], x, 0.7, conditions).raw[plain]
    assert (0.4 * (unled - torch.from_numpy(k))).abs().max() > 5e-3


@pytest.mark.parametrize("name", TEXTED)
@pytest.mark.parametrize("edit", [NormalizedAttention(1.0, 2.5, 0.25), NormalizedAttention(5.0, 2.5, 0.0)])
def test_at_its_neutral_values_the_pass_is_conds(name: str, edit: NormalizedAttention) -> None:
    network: Any = SMALL[name]()
    with Evaluator(network) as evaluator:
        found = evaluator([COND, Branch("cond", edit)], latents(network), 0.7, network.encode([1, 2])).raw
    torch.testing.assert_close(found[Branch("cond", edit)], found[COND], rtol=0, atol=2e-5)


def test_what_is_pooled_inside_the_network_does_not_part_the_images_of_the_two_halves() -> None:
    """The second half's modulation and image tokens are the first half's at every block, whatever was done before it."""
    network: Any = SMALL["sd3"]()
    conditions, seen = network.encode([1, 2]), []
    conditions["uncond"] = Conditioning(
        {**conditions["uncond"].tensors, "pooled": torch.ones_like(conditions["uncond"].tensors["pooled"])}
    )

    def look(module: Any, args: Any, kwargs: Any) -> None:
        seen.append([kwargs["hidden_states"].chunk(2), kwargs["temb"].chunk(2), kwargs["encoder_hidden_states"].chunk(2)])

    hooks = [block.register_forward_pre_hook(look, with_kwargs=True) for block in network.blocks]
    swapped = Conditioning.cat([conditions["cond"], conditions["uncond"]])
    with Evaluator(network) as evaluator:
        cond = conditions["cond"]
        conditions["cond"] = type("Leaky", (Conditioning,), {"with_text_of": lambda self, other: other})(cond.tensors)
        evaluator([NAG], latents(network), 0.7, conditions)
    for hook in hooks:
        hook.remove()
    assert not torch.equal(*swapped.tensors["pooled"].chunk(2)) and len(seen) == len(network.blocks)
    for image, modulation, text in seen:
        assert torch.equal(*image) and torch.equal(*modulation) and not torch.equal(*text)


@pytest.mark.parametrize("name", ["sit", "dit"])
def test_a_network_of_labels_is_refused(name: str) -> None:
    network: Any = SMALL[name]()
    with Evaluator(network) as evaluator, pytest.raises(UserError, match="reads no text"):
        evaluator([NAG], latents(network), 0.7, network.encode([1, 2]))


def test_blocks_whose_attention_to_the_text_is_not_known_are_refused() -> None:
    network: Any = SMALL["toy"]()
    with Evaluator(network) as evaluator, pytest.raises(UserError, match=r"where it attends to the text is not known"):
        evaluator([NAG], latents(network), 0.7, network.encode([1, 2]))
    register_block(ToyBlock, state=["z"], returns=["z"], attention=[SelfAttention("inner", "first")])
    try:
        network = SMALL["toy"]()
        with Evaluator(network) as evaluator, pytest.raises(UserError, match=r"1 times, and was 0 times"):
            evaluator([NAG], latents(network), 0.7, network.encode([1, 2]))
    finally:
        register_block(ToyBlock, state=["z"], returns=["z"])


@pytest.mark.parametrize("name", TEXTED)
def test_mid_is_a_text_of_every_second_token(name: str) -> None:
    network: Any = SMALL[name]()
    mid = Branch("mid")
    conditions, x = network.encode([1, 2]), latents(network)
    mixed = conditions["cond"].halfway(conditions["uncond"])
    with Evaluator(network) as evaluator, torch.no_grad():
        found = evaluator([COND, UNCOND, mid], x, 0.7, conditions).raw
        want = network.forward(x, 0.7, mixed).prediction
        alone = evaluator([COND, UNCOND], x, 0.7, conditions).raw
    torch.testing.assert_close(found[mid], want, rtol=0, atol=1e-6)
    assert all(torch.equal(found[branch], alone[branch]) for branch in (COND, UNCOND))  # they keep their stock batch
    assert min((found[mid] - found[branch]).abs().max() for branch in (COND, UNCOND)) > 1e-3
