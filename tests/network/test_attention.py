"""Edited attention against explicit ones: every [L, L] mask written out, every blur by scipy, found by counting calls.

The oracle knows nothing of modules and hooks: it replaces `scaled_dot_product_attention` as a whole and tells an edited
block's call from the others by when it comes.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
import torch
from diffusers.models.attention_processor import PAGJointAttnProcessor2_0
from scipy import ndimage
from torch import Tensor, nn
from torch.nn import functional as F

from s2g.errors import UserError
from s2g.network.attention import blur_matrix, smoothed
from s2g.network.blocks import SelfAttention, register_block
from s2g.network.branch import COND, UNCOND, AttentionEdit, Branch, PassValues, SmoothQueries, WeakModel
from s2g.network.evaluate import Account, Evaluator
from tests.small_networks import SMALL, TEXT, ToyBlock, latents, toy

FAMILIES = [name for name in SMALL if name != "toy"]
BLOCKS = ((1,), (2, 4), (3,), (5,))
EDITS = (
    lambda b: PassValues(b, text=True),
    lambda b: PassValues(b, text=False),
    lambda b: SmoothQueries(b, 0.7),
    lambda b: SmoothQueries(b, 9999999.0),
)


def branch_of(edit: AttentionEdit) -> Branch:
    return Branch("cond", edit)


def evaluated(network: Any, *branches: Branch, reuse: bool = True, batch: int = 2) -> dict[Branch, Tensor]:
    with Evaluator(network, reuse) as evaluator:
        return evaluator(branches, latents(network, batch=batch), 0.7, network.encode(list(range(1, batch + 1)))).raw


def calls_of(name: str, blocks: tuple[int, ...]) -> dict[int, str]:
    """Which calls of attention in a forward pass are self-attention of these blocks, and where text lies in them."""
    order: list[tuple[int, str]] = []
    for block in range(12):
        if name == "sd3":
            order += [(block, "last"), *([(block, "none")] if block < 3 else [])]
        elif name == "wan":
            order += [(block, "none"), (-1, "")]  # cross-attention follows
        else:
            order += [(block, "first" if name == "flux" else "none")]
    return {place: text for place, (block, text) in enumerate(order) if block in blocks}


@contextmanager
def every_call(answer: Callable[..., Tensor]) -> Iterator[None]:
    """answer(place, real, query, key, value) stands in for each call of attention."""
    real, places = F.scaled_dot_product_attention, itertools.count()

    def called(query: Tensor, key: Tensor, value: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        return answer(next(places), lambda q, k, v: real(q, k, v, *args, **kwargs), query, key, value)

    F.scaled_dot_product_attention = called
    try:
        yield
    finally:
        F.scaled_dot_product_attention = real


def forward(network: Any, batch: int = 2) -> Tensor:
    with torch.no_grad():
        return network.forward(latents(network, batch=batch), 0.7, network.encode(list(range(1, batch + 1)))["cond"]).prediction


def explicit(query: Tensor, key: Tensor, value: Tensor, seen: np.ndarray) -> Tensor:
    """Attention in float64 with a full mask [L, L] of who sees whom."""
    q, k, v = (of.double().numpy() for of in (query, key, value))
    logits = np.where(seen, q @ np.swapaxes(k, -1, -2) / math.sqrt(q.shape[-1]), -np.inf)
    weights = np.exp(logits - logits.max(-1, keepdims=True))
    return torch.from_numpy(weights / weights.sum(-1, keepdims=True) @ v).to(value.dtype)


def who_sees_whom(tokens: int, text: str, with_text: bool) -> np.ndarray:
    seen = np.eye(tokens, dtype=bool)
    if with_text and text != "none":
        words = np.arange(tokens) < TEXT if text == "first" else np.arange(tokens) >= tokens - TEXT
        seen[:, words] = True
        seen[words, :] = True
    return seen


@pytest.mark.parametrize("with_text", [True, False])
@pytest.mark.parametrize("blocks", BLOCKS)
@pytest.mark.parametrize("name", FAMILIES)
def test_values_pass_as_under_a_mask_written_out(name: str, blocks: tuple[int, ...], with_text: bool) -> None:
    network, where = SMALL[name](), calls_of(name, blocks)

    def answer(place: int, real: Callable[..., Tensor], q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        return explicit(q, k, v, who_sees_whom(q.shape[2], where[place], with_text)) if place in where else real(q, k, v)

    with every_call(answer):
        want = forward(network)
    found = evaluated(network, COND, branch := branch_of(PassValues(blocks, text=with_text)))
    torch.testing.assert_close(found[branch], want, rtol=0, atol=2e-5)
    assert (found[branch] - found[COND]).abs().max() > 5e-3  # and it is not nothing


def sd3_medium(passes: str = "separate") -> Any:
    """SD3-medium's kind of blocks: no norm of queries and keys."""
    network = SMALL["sd3"](passes)
    for attention in (getattr(block, name) for block in network.blocks for name in ("attn", "attn2")):
        for norm in ("norm_q", "norm_k", "norm_added_q", "norm_added_k"):
            if attention is not None:
                setattr(attention, norm, None)
    return network


def test_values_pass_as_in_diffusers_own_sd3_processor() -> None:
    """PAGJointAttnProcessor2_0 takes a batch of two halves and perturbs the second; it knows no qk-norm."""
    network = sd3_medium()
    found = evaluated(network, branch := branch_of(PassValues([3, 5], text=True)))[branch]  # blocks with one attention
    for index in (3, 5):
        network.blocks[index].attn.processor = PAGJointAttnProcessor2_0()
    x, cond = latents(network), network.encode([1, 2])["cond"]
    inputs = network.inputs(x, 0.7, cond)
    with torch.no_grad():
        both = network.network(**{name: torch.cat([value, value]) for name, value in inputs.items()}).sample
    torch.testing.assert_close(found, both.chunk(2)[1], rtol=0, atol=2e-5)


def kernel(sigma: float, size: int) -> np.ndarray:
    """The official code's kernel for a line of `size` tokens."""
    width = math.ceil(6 * sigma)
    width = min(width + (width % 2 == 0), size - (size % 2 - 1))
    values = np.exp(-0.5 * ((np.arange(width) - width // 2) / sigma) ** 2)
    return values / values.sum()


def blurred(image: np.ndarray, sigma: float) -> np.ndarray:
    """[..., H, W] blurred by scipy; mirror is torch's reflect."""
    if sigma > 9999:
        return np.broadcast_to(image.mean((-2, -1), keepdims=True), image.shape)
    for axis in (-2, -1):
        image = ndimage.correlate1d(image, kernel(sigma, image.shape[axis]), axis=axis, mode="mirror")
    return image


@pytest.mark.parametrize("sigma", [0.3, 0.7, 1.5, 50.0, 9999999.0])
@pytest.mark.parametrize("grid", [(4, 4), (3, 5), (5, 8), (2, 7), (3, 4, 6), (2, 2, 2)])
@pytest.mark.parametrize("axis", [1, 2])
def test_the_blur_against_scipy(axis: int, grid: tuple[int, ...], sigma: float) -> None:
    shape = [2, 3, 5]
    shape[axis] = math.prod(grid)
    queries = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    lines = np.moveaxis(queries.double().numpy(), axis, -1)
    want = np.moveaxis(blurred(lines.reshape(*lines.shape[:-1], *grid), sigma).reshape(lines.shape), -1, axis)
    torch.testing.assert_close(smoothed(queries, axis, grid, sigma).double(), torch.from_numpy(want.copy()), rtol=0, atol=1e-5)


@pytest.mark.parametrize("size", [1, 2, 3, 8, 15])
def test_a_blur_keeps_what_is_constant_and_ends_in_the_mean(size: int) -> None:
    for sigma in (0.1, 1.0, 30.0, 1e7):
        torch.testing.assert_close(blur_matrix(size, sigma).sum(1), torch.ones(size, dtype=torch.float64))
    assert torch.equal(blur_matrix(size, 0.05), torch.eye(size, dtype=torch.float64))
    assert torch.equal(blur_matrix(size, 1e7), torch.full((size, size), 1 / size, dtype=torch.float64))


@pytest.mark.parametrize("sigma", [0.7, 9999999.0])
@pytest.mark.parametrize("blocks", BLOCKS)
@pytest.mark.parametrize("name", ["sit", "dit", "sd3", "sd3 without qk-norm"])
def test_queries_are_blurred_where_nothing_rotates_them(name: str, blocks: tuple[int, ...], sigma: float) -> None:
    """Without rotary positions attention sees the query that the norm put out: the image's rows blurred, the text's not."""
    network, where = SMALL[name]() if name in SMALL else sd3_medium(), calls_of(name.split()[0], blocks)
    count = math.prod(network.token_grid)

    def answer(place: int, real: Callable[..., Tensor], q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        if place in where:
            image = q[:, :, :count].double().transpose(-1, -2).unflatten(-1, network.token_grid).numpy()
            image = torch.from_numpy(blurred(image, sigma).copy()).flatten(-2).transpose(-1, -2).to(q.dtype)
            q = torch.cat([image, q[:, :, count:]], dim=2)
        return real(q, k, v)

    with every_call(answer):
        want = forward(network)
    found = evaluated(network, COND, branch := branch_of(SmoothQueries(blocks, sigma)))
    torch.testing.assert_close(found[branch], want, rtol=0, atol=2e-5)
    assert (found[branch] - found[COND]).abs().max() > 2e-4


@pytest.mark.parametrize(("name", "block", "calls"), [("flux", 1, 1), ("flux", 5, 5), ("wan", 2, 4)])
def test_the_blur_comes_before_rotary_positions(name: str, block: int, calls: int) -> None:
    """Infinitely blurred queries are one vector, turned by each place: of equal length, and not equal."""
    network = SMALL[name]()
    seen: dict[int, Tensor] = {}

    def answer(place: int, real: Callable[..., Tensor], q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        seen[place] = q
        return real(q, k, v)

    with every_call(answer):
        evaluated(network, branch_of(SmoothQueries([block], 1e7)))
        edited = dict(seen)
    with every_call(answer):
        evaluated(network, COND)
    first = TEXT if name == "flux" else 0
    image = edited[calls][:, :, first:]
    per_frame = math.prod(network.token_grid[-2:])
    for frame in image.split(per_frame, dim=2):
        lengths = frame.norm(dim=-1)
        torch.testing.assert_close(lengths, lengths[:, :, :1].expand_as(lengths), rtol=1e-4, atol=1e-5)
        assert (frame - frame[:, :, :1]).abs().max() > 1e-3
    assert torch.equal(edited[calls][:, :, :first], seen[calls][:, :, :first])  # the text's queries are as they were
    if name == "wan":  # and frames keep apart
        means = [frame.norm(dim=-1)[..., 0] for frame in image.split(per_frame, dim=2)]
        assert (means[0] - means[1]).abs().max() > 1e-4


@pytest.mark.parametrize("make", EDITS)
@pytest.mark.parametrize("name", FAMILIES)
def test_edited_passes_resume_to_the_bit_and_other_branches_are_untouched(name: str, make: Callable) -> None:
    network = SMALL[name](passes="separate")
    for blocks in BLOCKS:
        branch = branch_of(make(blocks))
        reused, plain = (evaluated(network, COND, UNCOND, branch, reuse=reuse) for reuse in (True, False))
        assert torch.equal(reused[branch], plain[branch])
        alone = evaluated(network, COND, UNCOND)
        assert torch.equal(reused[COND], alone[COND]) and torch.equal(reused[UNCOND], alone[UNCOND])
        assert (reused[branch] - reused[COND]).abs().max() > 2e-4, (name, branch)  # no silent no-op


@pytest.mark.parametrize("name", FAMILIES)
def test_a_blur_narrower_than_a_token_is_no_edit_to_the_bit(name: str) -> None:
    network = SMALL[name](passes="separate")
    found = evaluated(network, COND, branch := branch_of(SmoothQueries([1, 2], 0.05)))
    assert torch.equal(found[branch], found[COND])


@pytest.mark.parametrize("make", EDITS)
@pytest.mark.parametrize("name", FAMILIES)
def test_an_item_in_a_batch_is_the_item_alone(name: str, make: Callable) -> None:
    network, branch = SMALL[name](), branch_of(make((2,)))
    three, one = evaluated(network, branch, batch=3)[branch], evaluated(network, branch, batch=1)[branch]
    torch.testing.assert_close(three[:1], one, rtol=0, atol=1e-5)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("name", ["sd3", "wan"])
def test_half_precision_stays_finite_and_near(name: str, dtype: torch.dtype) -> None:
    network, half = SMALL[name](), SMALL[name]()
    half.network.to(dtype)
    for make in EDITS:
        branch = branch_of(make((1, 4)))
        found, want = evaluated(half, branch)[branch], evaluated(network, branch)[branch]
        assert torch.isfinite(found).all() and (found - want).abs().max() < 0.1


def state_of(network: Any) -> list[tuple[Any, ...]]:
    """What an edit might leave behind on any module."""
    return [
        (
            name,
            module._compiled_call_impl,
            dict(module._forward_hooks),
            dict(module._forward_pre_hooks),
            vars(module).get("forward"),
        )
        for name, module in network.network.named_modules()
    ] + [(id(getattr(module, "processor", None)),) for module in network.network.modules()]


@pytest.mark.parametrize("make", EDITS)
@pytest.mark.parametrize("name", FAMILIES)
def test_everything_is_given_back(name: str, make: Callable) -> None:
    network = SMALL[name](passes="separate")
    before, plain = state_of(network), evaluated(network, COND)[COND]
    branch = branch_of(make((1, 3)))
    evaluated(network, COND, branch)
    assert state_of(network) == before and torch.equal(forward(network), plain)

    class Stop(Exception):
        pass

    def stop(*_: Any) -> None:
        raise Stop

    handle = next(module for module in network.blocks[3].modules() if isinstance(module, nn.Linear)).register_forward_hook(stop)
    with pytest.raises(Stop):
        evaluated(network, branch, reuse=False)
    handle.remove()
    assert state_of(network) == before and torch.equal(forward(network), plain)
    assert F.scaled_dot_product_attention(*(torch.ones(1, 1, 2, 2),) * 3).shape == (1, 1, 2, 2)


def test_an_attention_that_passes_the_edit_by_is_refused_and_never_a_silent_no_op() -> None:
    network = SMALL["sit"]()
    network.blocks[2].attn.fused_attn = False  # what TIMM_FUSED_ATTN=0 does
    evaluated(network, branch_of(PassValues([1], text=True)))
    with pytest.raises(UserError, match=r"block 2: .* did 0 times") as caught:
        evaluated(network, branch_of(PassValues([1, 2], text=True)))
    assert "TIMM_FUSED_ATTN=1" in str(caught.value)
    evaluated(network, branch_of(SmoothQueries([2], 1.0)))  # the queries are reached all the same

    wan = SMALL["wan"]()

    class ByHand:
        def __call__(self, attn: nn.Module, hidden_states: Tensor, *_: Any, **__: Any) -> Tensor:
            return hidden_states

    wan.blocks[2].attn1.processor = ByHand()
    for edit in (PassValues([2], text=True), SmoothQueries([2], 1.0)):
        with pytest.raises(UserError, match="block 2"):
            evaluated(wan, branch_of(edit))


def test_what_cannot_be_edited_is_named() -> None:
    with pytest.raises(UserError, match=r"ToyBlock: where its self-attention is, is not known") as caught:
        evaluated(toy(), branch_of(PassValues([1], text=True)))
    assert "register_block(ToyBlock" in str(caught.value)
    with pytest.raises(UserError, match=r"names \[99\]"):
        evaluated(SMALL["sit"](), branch_of(PassValues([99], text=True)))
    network = SMALL["sit"]()
    network.token_grid = (3, 5)
    with pytest.raises(UserError, match="16 queries, and a grid of 3 x 5"):
        evaluated(network, branch_of(SmoothQueries([1], 1.0)))
    for make in EDITS:
        with pytest.raises(ValueError, match="no block"):
            make(())


@pytest.mark.parametrize(
    "more",
    [{"is_causal": True}, {"dropout_p": 0.5}, {"enable_gqa": True}, {"attn_mask": torch.zeros(1)}],
    ids=lambda more: next(iter(more)),
)
def test_masked_attention_is_refused(more: dict[str, Any]) -> None:
    class Masked(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return F.scaled_dot_product_attention(x, x, x, **more)

    class MaskedBlock(ToyBlock):
        def __init__(self, width: int) -> None:
            super().__init__(width)
            self.attention = Masked()

        def forward(self, shift: Tensor, z: Tensor) -> Tensor:
            return z + self.attention(z[:, None])[:, 0]

    register_block(MaskedBlock, state=["z"], returns=["z"], attention=[SelfAttention("attention")])
    network = toy()
    network.network.blocks[1] = MaskedBlock(16)
    with pytest.raises(UserError, match="with a mask"):
        evaluated(network, branch_of(PassValues([1], text=True)))


@pytest.mark.slow("torch.compile")
def test_compiled_blocks_meet_no_new_graph() -> None:
    network, graphs = SMALL["sd3"](passes="batched"), []
    edits = [branch_of(make((2, 4))) for make in EDITS]
    eager = [evaluated(network, COND, UNCOND, branch)[branch] for branch in edits]

    def backend(graph: torch.fx.GraphModule, inputs: list[Tensor]) -> Any:
        graphs.append(graph)
        return graph.forward

    torch._dynamo.reset()
    for block in network.blocks:
        block.compile(backend=backend)
    plain = evaluated(network, COND, UNCOND)[COND]
    with Evaluator(network) as evaluator:  # the third pass is a batch of its own size
        evaluator((COND,), latents(network), 0.7, network.encode([1, 2]))
    count = len(graphs)
    assert count > 0
    for branch, want in zip(edits, eager, strict=True):
        torch.testing.assert_close(evaluated(network, COND, UNCOND, branch)[branch], want, rtol=0, atol=1e-5)
    assert torch.equal(evaluated(network, COND, UNCOND)[COND], plain)
    assert len(graphs) == count
    torch._dynamo.reset()


def test_a_weaker_network_evaluates_its_branches_with_its_own_conditioning() -> None:
    network, other = SMALL["sit"](), SMALL["sit"]()
    with torch.no_grad():
        for parameter in other.network.parameters():
            parameter.mul_(0.9)
    x, accounts = latents(network), (Account(), Account())
    weak = Branch("cond", WeakModel())
    with Evaluator(network, True, accounts[0], Evaluator(other, True, accounts[1])) as evaluator:
        conditions = evaluator.encode([1, 2])
        found = evaluator((COND, weak, UNCOND), x, 0.7, conditions).raw
        alone = evaluator((weak,), x, 0.7, conditions).raw
    assert set(conditions) == {"cond", "uncond", "weak/cond", "weak/uncond"} and set(found) == {COND, UNCOND, weak}
    with torch.no_grad():
        want = other.forward(x, 0.7, other.encode([1, 2])["cond"]).prediction
    assert torch.equal(found[weak], want) and torch.equal(alone[weak], want)
    assert (found[weak] - found[COND]).abs().max() > 1e-2
    assert (accounts[0].evaluations, accounts[1].evaluations) == (2, 2)
    assert all(block._compiled_call_impl is None for block in (*network.blocks, *other.blocks))
    with Evaluator(network) as lonely, pytest.raises(RuntimeError, match="no weaker network"):
        lonely((COND, weak), x, 0.7, network.encode([1, 2]))
