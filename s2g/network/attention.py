"""Edits of self-attention, from outside: what attention returns, and what its queries are.

No forward and no attention processor is copied. While the attention module of an edited block runs, its call of
`scaled_dot_product_attention` is taken over; queries are changed where the norm (or the projection) puts them out, so
after qk-norm and before rotary positions. One way for SiT, DiT, SD3, Flux and Wan. An edit that is not reached exactly as
often as it should be is an error: an attention kernel that bypasses it would silently make it do nothing.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from s2g.errors import UserError
from s2g.network.blocks import BlockRule, SelfAttention
from s2g.network.branch import AttentionEdit, NormalizedAttention, PassValues, SmoothQueries

SLOT = "_compiled_call_impl"  # nn.Module calls what is here instead of its forward; empty unless it is compiled
INFINITE = 9999.0  # tokens; the official SEG code's bound


def values_alone(query: Tensor, key: Tensor, value: Tensor, text: slice | None, scale: float | None = None) -> Tensor:
    """Compute attention [B, H, N, D] in which each token sees only itself: its value.

    text: the text's tokens, if the image's see them too: softmax over (text, itself), fp32; the text sees everything.
    """
    if text is None:
        return value
    own_text, own_image = _split(query.shape[2], text)
    factor: float = query.shape[-1] ** -0.5 if scale is None else scale
    q, k, v = (tensor[:, :, own_image].float() for tensor in (query, key, value))
    text_k, text_v = (tensor[:, :, own_text].float() for tensor in (key, value))
    # One logit a text token and one for itself: no [N, N] matrix.
    logits = torch.cat([q @ text_k.transpose(-2, -1), (q * k).sum(-1, keepdim=True)], dim=-1) * factor
    weights = logits.softmax(dim=-1)
    image = weights[..., :-1] @ text_v + weights[..., -1:] * v
    out = torch.empty_like(value)
    out[:, :, own_image] = image.to(value.dtype)
    out[:, :, own_text] = F.scaled_dot_product_attention(query[:, :, own_text], key, value, scale=factor)
    return out


def _split(tokens: int, text: slice) -> tuple[slice, slice]:
    """Return the slices of text and image tokens."""
    start, stop, _ = text.indices(tokens)
    return slice(start, stop), (slice(stop, tokens) if start == 0 else slice(0, start))


def blur_matrix(size: int, sigma: float) -> Tensor:
    """Return [size, size] float64: a Gaussian blur of a line of tokens with reflected ends (the end itself is not repeated).

    The official SEG kernel: odd, at least 6 sigma wide, no wider than the reflection allows, sums to 1. Per axis, so that
    a grid need not be square (ours). Above INFINITE the mean.
    """
    if sigma > INFINITE:
        return torch.full((size, size), 1 / size, dtype=torch.float64)
    wide = math.ceil(6 * sigma)
    width = min(wide + 1 - wide % 2, size - (size % 2 - 1), 2 * size - 1)
    reach = width // 2
    kernel = torch.exp(-0.5 * (torch.arange(-reach, reach + 1, dtype=torch.float64) / sigma) ** 2)
    kernel /= kernel.sum()
    matrix = torch.zeros(size, size, dtype=torch.float64)
    for row in range(size):
        for offset, weight in zip(range(-reach, reach + 1), kernel, strict=True):
            column = abs(row + offset)
            matrix[row, 2 * (size - 1) - column if column >= size else column] += weight
    return matrix


@lru_cache(maxsize=64)
def _blur_on(device: torch.device, size: int, sigma: float) -> tuple[Tensor, bool]:
    """Return the blur on the device in fp32, once for all blocks and steps, and whether it blurs at all."""
    matrix = blur_matrix(size, sigma)
    return matrix.float().to(device, non_blocking=True), bool(matrix.diagonal().min() < 1)


def smoothed(queries: Tensor, axis: int, grid: Sequence[int], sigma: float) -> Tensor:
    """Blur queries over H and W; along `axis` they hold the tokens of `grid`, (H, W) or (F, H, W). fp32 inside."""
    across = [_blur_on(queries.device, size, sigma) for size in grid[-2:]]
    if not any(blurs for _, blurs in across):  # narrower than a token: nothing is blurred, to the bit
        return queries
    (height, _), (width, _) = across
    image = queries.movedim(axis, -1).unflatten(-1, tuple(grid)).float()
    blurred = torch.einsum("hi,wj,...ij->...hw", height, width, image)
    return blurred.flatten(-len(grid)).movedim(-1, axis).to(queries.dtype)


def normalized(positive: Tensor, negative: Tensor, scale: float, tau: float, alpha: float) -> Tensor:
    """Return NAG's attention [B, H, N, D] of attention to the text and to the negative text (arXiv 2505.21179, Eq. 7 to 10).

    z = scale Z+ - (scale - 1) Z-, shortened to tau times Z+'s L1 norm over a token's heads and channels, then alpha z +
    (1 - alpha) Z+; fp32. The official Flux code had L2 norms at first. A token of length 0 stays 0.
    """
    plus, minus = positive.float(), negative.float()
    guided = scale * plus - (scale - 1) * minus
    length, own = (of.abs().sum(dim=(1, 3), keepdim=True) for of in (guided, plus))
    guided = guided * (tau * own / length).where(length > tau * own, 1.0)
    return (alpha * guided + (1 - alpha) * plus).to(positive.dtype)


@contextmanager
def led_away(block: nn.Module, index: int, rule: BlockRule, edit: NormalizedAttention, text: int) -> Iterator[None]:
    """Put the block's attention to the text under NAG until exit; the batch's second half holds the negative text.

    UserError where it is not known or was not reached. text: tokens of text in the block's state.
    """
    joint = [(spec.name, spec.text) for spec in rule.attention if spec.text != "none"]
    names = [*joint, *([(rule.cross, "none")] if rule.cross else [])]
    present = [(getattr(block, name, None), side) for name, side in names]
    modules = [(attention, side) for attention, side in present if isinstance(attention, nn.Module)]
    if not modules:
        raise UserError(
            f"block {index}, {type(block).__name__}: where it attends to the text is not known, or it does not",
            todo=f"s2g.network.blocks.register_block({type(block).__name__}, ..., attention=[...], cross=NAME)",
        )
    reached = [0]

    def attending(side: str) -> Callable[..., Tensor]:
        def attend(*args: Any, **kwargs: Any) -> Tensor:
            reached[0] += 1
            out = F.scaled_dot_product_attention(*args, **kwargs)
            tokens = out.shape[2]
            image = {"none": slice(None), "first": slice(text, None), "last": slice(0, tokens - text)}[side]
            positive, negative = out[:, :, image].chunk(2)
            guided = normalized(positive, negative, edit.scale, edit.tau, edit.alpha)
            out = out.clone()
            out[:, :, image] = torch.cat([guided, guided])
            return out

        return attend

    with ExitStack() as stack:
        for attention, side in modules:
            stack.enter_context(_replaced_call(attention, _within(_AttentionReplaced(attending(side)))))
        yield
    if reached != [len(modules)]:
        raise UserError(
            f"block {index}: {edit} was to be reached {len(modules)} times, and was {reached[0]} times: another kernel",
            todo="use torch's own: no set_attention_backend, no fused projections",
        )


def _within(mode: TorchFunctionMode) -> Callable[..., Any]:
    def call(inner: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        with mode:
            return inner(*args, **kwargs)

    return call


@contextmanager
def perturbed(
    block: nn.Module, index: int, rule: BlockRule, edit: AttentionEdit, text: int, grid: tuple[int, ...]
) -> Iterator[None]:
    """Put the block's self-attention under `edit` until exit. UserError where it cannot be edited or was not reached.

    text: tokens of text in the block's state; grid: (H, W) or (F, H, W) of the image's tokens.
    """
    candidates = [(spec, getattr(block, spec.name, None)) for spec in rule.attention]
    present = [(spec, attention) for spec, attention in candidates if isinstance(attention, nn.Module)]
    if not present:
        raise UserError(
            f"block {index}, {type(block).__name__}: where its self-attention is, is not known",
            todo=f"s2g.network.blocks.register_block({type(block).__name__}, ..., attention=[SelfAttention(...)])",
        )
    with ExitStack() as stack:
        reached = [
            stack.enter_context(_perturbed_attention(attention, spec, edit, text if spec.text != "none" else 0, grid))
            for spec, attention in present
        ]
        yield
    for (spec, _), times in zip(present, reached, strict=True):
        if times != [1]:
            raise UserError(
                f"block {index}: {edit} was to reach {spec.name} once, and did {sum(times)} times: another attention kernel",
                todo="use torch's own: no set_attention_backend, no fused projections, TIMM_FUSED_ATTN=1",
            )


@contextmanager
def _perturbed_attention(
    attention: nn.Module, about: SelfAttention, edit: AttentionEdit, text: int, grid: tuple[int, ...]
) -> Iterator[list[int]]:
    """Edit one attention module; yields a list that in the end holds how often it was reached."""
    reached = [0]
    if isinstance(edit, PassValues):
        where = None if not text or not edit.text else slice(0, text) if about.text == "first" else slice(-text, None)

        def attend(
            query: Tensor,
            key: Tensor,
            value: Tensor,
            attn_mask: Tensor | None = None,
            dropout_p: float = 0.0,
            is_causal: bool = False,
            scale: float | None = None,
            enable_gqa: bool = False,
        ) -> Tensor:
            if attn_mask is not None or is_causal or dropout_p or enable_gqa or query.shape != value.shape:
                raise UserError(f"{edit}: attention with a mask, dropout, or shared keys cannot be edited")
            reached[0] += 1
            return values_alone(query, key, value, where, scale)

        def call(inner: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
            with _AttentionReplaced(attend):
                return inner(*args, **kwargs)

        with _replaced_call(attention, call):
            yield reached
    elif isinstance(edit, SmoothQueries):
        modules = [(getattr(attention, name, None), axis) for name, axis in about.queries]
        source, axis = next(((m, axis) for m, axis in modules if isinstance(m, nn.Module)), (None, 0))
        if source is None:
            raise UserError(f"{edit}: {type(attention).__name__} has none of {', '.join(name for name, _ in about.queries)}")

        def smooth(inner: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
            queries, count = inner(*args, **kwargs), math.prod(grid)
            tokens = queries.shape[axis]
            if tokens not in (count, count + text):
                raise UserError(f"{edit}: {tokens} queries, and a grid of {' x '.join(map(str, grid))} with {text} of text")
            reached[0] += 1
            first = text if tokens > count and about.text == "first" else 0
            image = smoothed(queries.narrow(axis, first, count), axis, grid, edit.sigma)
            rest = (queries.narrow(axis, 0, first), queries.narrow(axis, first + count, tokens - first - count))
            return image if tokens == count else torch.cat([rest[0], image, rest[1]], dim=axis)

        with _replaced_call(source, smooth):
            yield reached
    else:
        raise TypeError(f"{edit} is no edit of attention")


@contextmanager
def _replaced_call(module: nn.Module, call: Callable[..., Any]) -> Iterator[None]:
    """Replace the module's call by `call(inner, ...)`."""
    before = getattr(module, SLOT)
    inner = before or module._call_impl
    setattr(module, SLOT, lambda *args, **kwargs: call(inner, *args, **kwargs))
    try:
        yield
    finally:
        setattr(module, SLOT, before)


class _AttentionReplaced(TorchFunctionMode):
    """While active, `attend` answers calls of scaled_dot_product_attention; what it calls itself is left alone."""

    def __init__(self, attend: Callable[..., Tensor]) -> None:
        super().__init__()
        self.attend = attend

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return (self.attend if func is F.scaled_dot_product_attention else func)(*args, **(kwargs or {}))
