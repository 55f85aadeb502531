"""A method as a pipeline needs it: its scale, and the pipeline's own form of CFG under it."""

from __future__ import annotations

from dataclasses import fields, is_dataclass, replace
from typing import Any

from s2g.errors import UserError
from s2g.guidance.base import Guidance, Wrapper
from s2g.guidance.cfg import CFG

HOLDERS = ("base", "inner")  # fields in which a wrapper keeps the method inside


def fitted(method: Guidance, scale: float | None, own: type[CFG]) -> Guidance:
    """Return the method with `scale` as the scale of the method that stands on its own inside it, and plain CFG as `own`.

    UserError if that method has no scale.
    """
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
    changes: Any = {"scale": float(scale)} | ({"lam": None} if "lam" in names else {})  # CFG++ has its scale as lam, too
    return replace(method, **changes)  # type: ignore[type-var]
