"""A method in somebody else's loop: its scale, what it may ask of the network there, and its result."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass, replace
from numbers import Integral
from typing import TYPE_CHECKING, Any

from s2g.errors import UserError
from s2g.guidance.base import Ability, Guidance, State, Step, Wrapper
from s2g.guidance.cfg import CFG
from s2g.guidance.window import Window
from s2g.models.convention import Convention
from s2g.models.prediction_space import Space
from s2g.network.branch import COND, UNCOND, Branch, NormalizedAttention, WeakModel

if TYPE_CHECKING:
    from torch import Tensor

METHODS = "s2g.S2(omega=0.25), s2g.CFG() or another that docs/guidance.md lists"
HOLDERS = ("base", "inner")  # fields in which a wrapper keeps the method inside


def checked_seed(seed: int) -> int:
    """Return the seed of the masks; UserError unless it is one: the noise's generator is the pipeline's own argument."""
    if isinstance(seed, bool) or not isinstance(seed, Integral) or not 0 <= seed < 2**64:
        raise UserError(
            f"seed = {seed!r}: the seed of the masks is a number",
            allowed="0 to 2^64 - 1",
            todo="the noise is the pipeline's: pipe(prompt, generator=torch.Generator().manual_seed(0))",
        )
    return int(seed)


def fitted(method: Guidance, scale: float | None, own: type[CFG]) -> Guidance:
    """Return the method with `scale` as the scale of the method that stands on its own inside it, and plain CFG as `own`.

    UserError if that method has no scale, or is no method.
    """
    if isinstance(method, type) or not hasattr(method, "branches"):
        given = f"the class {method.__name__}" if isinstance(method, type) else f"a {type(method).__name__}"
        raise UserError(f"method = {method!r}: {given}, and no method", todo=METHODS)
    window = getattr(method, "window", None)
    if window is not None and not isinstance(window, Window):
        raise UserError(f"{type(method).__name__}: window = {window!r}", allowed="s2g.Window(0.1, 0.9)")
    if isinstance(method, Wrapper):
        holder = next(name for name in HOLDERS if hasattr(method, name))
        inside: Any = {holder: fitted(getattr(method, holder), scale, own)}
        return replace(method, **inside)  # type: ignore[type-var]
    if type(method) is CFG and own is not CFG:
        method = own(method.scale, method.rescale)
    if scale is None:
        return method
    names = {f.name for f in fields(method)} if is_dataclass(method) else set()
    if "scale" not in names:
        raise UserError(f"scale = {scale}: {type(method).__name__} has no scale", todo="leave scale out")
    if not math.isfinite(scale):
        raise UserError(f"scale = {scale}", allowed="a finite number")
    changes: Any = {"scale": float(scale)} | ({"lam": None} if "lam" in names else {})  # CFG++ has its scale as lam, too
    return replace(method, **changes)  # type: ignore[type-var]


def check_branches(method: Guidance, branches: Sequence[Branch], x: Tensor, weak: bool, blocks: int) -> None:
    """Raise UserError for branches that two calls at x [B, ...] do not give: other points, other texts, no weaker network.

    weak: whether there is a weaker network. blocks: how many blocks the network has.
    """
    for branch in branches:
        other_text = branch.condition not in (COND.condition, UNCOND.condition) or isinstance(branch.edit, NormalizedAttention)
        if branch.point or other_text:
            raise UserError(
                f"{type(method).__name__} evaluates {branch}, and here are cond and uncond at one x alone",
                todo="s2g.sample or s2g.run, on a model of ours",
            )
        outside = () if branch.edit is None else sorted(block for block in branch.edit.touched if not 0 <= block < blocks)
        if outside:
            named = ", ".join(map(str, outside))
            raise UserError(f"{method}: the network has {blocks} blocks, and none is {named}", allowed=f"0 to {blocks - 1}")
    if Ability.GRID in method.asks and x.ndim < 4:
        raise UserError(f"{method}: it needs {Ability.GRID.value}, and the loop packs them into tokens")
    if not weak and any(isinstance(branch.edit, WeakModel) for branch in branches):
        raise UserError(f"{method}: there is no weaker network", todo="guide(..., weak=ANOTHER_TRANSFORMER)")


def combined(
    method: Guidance, raw: Mapping[Branch, Tensor], step: Step, convention: Convention | None, memory: State
) -> Tensor:
    """Return the guided raw prediction in fp32; convention: None where predictions combine as they are.

    UserError where x is read, by the method or by the conversion, and is not of the prediction's shape.
    """
    converted = convention is not None and method.space is not Space.RAW
    shape = raw[next(iter(raw))].shape
    if (converted or method.reads_x) and step.x.shape != shape:
        raise UserError(
            f"{type(method).__name__} needs x in the shape of the prediction, {tuple(shape)}, and the network is given "
            f"{tuple(step.x.shape)}: further channels or tokens beside it",
            todo="a method that does not read x, such as s2g.S2() or s2g.CFG()",
        )
    if convention is None or not converted:
        return method.combine(raw, step, memory)
    x = step.x.float()
    preds = {branch: convention.to(method.space, value, x, step.at) for branch, value in raw.items()}
    return convention.back(method.space, method.combine(preds, step, memory), x, step.at)
