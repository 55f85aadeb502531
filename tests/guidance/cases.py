"""What the tests of guidance share: a step, predictions for its branches, and every method with telling knobs."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from s2g.guidance.adg import ADG
from s2g.guidance.apg import APG
from s2g.guidance.autoguidance import WEAK, Autoguidance
from s2g.guidance.base import Guidance, MaskSampler, Step
from s2g.guidance.cfg import CFG
from s2g.guidance.cfg_zero import CFGZero
from s2g.guidance.cfgpp import CFGPP
from s2g.guidance.none import NoGuidance
from s2g.guidance.pag import PAG
from s2g.guidance.perturbed import Perturbed
from s2g.guidance.rivals.fdg import FDG
from s2g.guidance.rivals.mambo_g import MamboG
from s2g.guidance.rivals.nag import NAG
from s2g.guidance.rivals.rectified_cfgpp import RectifiedCFGPP
from s2g.guidance.rivals.sgg import SGG
from s2g.guidance.rivals.smc_cfg import SMCCFG
from s2g.guidance.rivals.stg_official import STGOfficial
from s2g.guidance.rivals.tag import TAG
from s2g.guidance.rivals.tcfg import TCFG
from s2g.guidance.rivals.tdg import TDG
from s2g.guidance.s2 import S2
from s2g.guidance.s2_naive import NaiveS2
from s2g.guidance.seg import SEG
from s2g.guidance.slg import SLG
from s2g.guidance.stg import STG
from s2g.guidance.window import Window
from s2g.network.branch import COND, UNCOND, Branch

ALWAYS = Window()
SHAPE = (3, 4, 2, 2)


def step_at(index: int = 5, count: int = 10, stage: int = 0, x: Tensor | None = None, unit: int = 0) -> Step:
    """Step `index` of `count` evenly spaced ones, over 12 blocks."""
    level, after = 1 - index / count, 1 - (index + 1) / count
    x = torch.zeros(SHAPE) if x is None else x
    return Step(index, count, level, after, after if stage else level, stage, x, MaskSampler(0, unit, index, 12))


def predictions(
    guidance: Guidance, step: Step, seed: int = 0, shape: tuple[int, ...] = SHAPE, dtype: torch.dtype = torch.float64
) -> dict[Branch, Tensor]:
    """Independent normal predictions, cond's and uncond's the same whatever the method."""
    generator = torch.Generator().manual_seed(seed)
    found: dict[Branch, Tensor] = {}
    for branch in (COND, UNCOND, *guidance.branches(step)):
        if branch not in found:
            found[branch] = torch.randn(shape, generator=generator, dtype=torch.float64).to(dtype)
    return found


def edited_branch(guidance: Guidance, step: Step) -> Branch:
    """The one branch with an edit, a base's weaker network aside."""
    (branch,) = {branch for branch in guidance.branches(step) if branch.edit is not None and branch != WEAK}
    return branch


# Methods that stand on their own: each with knobs that matter to the result, none at a value that switches it off.
BASES: dict[str, Guidance] = {
    "none": NoGuidance(),
    "cfg": CFG(3.5),
    "cfg rescaled": CFG(3.5, rescale=0.7),
    "cfgpp": CFGPP(lam=0.6),
    "cfgpp velocity": CFGPP(lam=0.6, renoise="velocity"),
    "apg": APG(3.5, eta=0.3, r=2.0, momentum=-0.5),
    "apg diffusers": APG(3.5, form="diffusers", r=2.0),
    "cfg_zero": CFGZero(3.5),
    "adg": ADG(2.5),
    "autoguidance": Autoguidance(2.1, weak="weak.safetensors"),
    "tcfg": TCFG(3.5),
    "fdg": FDG(2.0, 5.0),
    "fdg parallel": FDG(2.0, 5.0, levels=3, parallel=0.4),
    "mambo_g": MamboG(10.0, alpha=0.8),
    "smc_cfg": SMCCFG(3.5, rate=0.5, gain=0.2),
    "rectified_cfgpp": RectifiedCFGPP(2.5, gamma=0.7),
    "sgg": SGG(3.5, skip_scale=2.0, layers=(4, 7)),
    "tdg": TDG(3.5),
    "tdg mean": TDG(3.5, mid="mean"),
}
GRID = ("fdg", "fdg parallel")  # of latents in rows and columns
# Wrappers around any of them: how one is made, and its weight of cond - edited.
WRAPPERS: dict[str, tuple[Callable[[Guidance], S2 | Perturbed], float]] = {
    "s2": (lambda base: S2(base, omega=0.4, window=ALWAYS), 0.4),
    "slg": (lambda base: SLG(base, slg_scale=2.8, layers=(7, 8, 9), window=ALWAYS), 2.8),
    "stg": (lambda base: STG(base, stg_scale=1.3, layers=(2,)), 1.3),
    "stg attention": (lambda base: STG(base, stg_scale=1.3, layers=(2,), mode="attention"), 1.3),
    "pag": (lambda base: PAG(base, pag_scale=3.0, layers=(6,)), 3.0),
    "seg": (lambda base: SEG(base, seg_scale=3.0, layers=(6, 7)), 3.0),
}
METHODS: Mapping[str, Guidance] = {
    **BASES,
    **{name: make(CFG(3.5)) for name, (make, _) in WRAPPERS.items()},
    "s2 eq20": S2(CFG(3.5), omega=0.4, window=ALWAYS, form="eq20"),
    "s2_naive": NaiveS2(CFG(3.5), omega=0.4, window=ALWAYS, masks=3),
    "s2 over apg": S2(APG(3.5, r=2.0), omega=0.4, window=ALWAYS),
    "stg_official": STGOfficial(CFG(3.5), stg_scale=1.5, layers=(2,)),
    "tag": TAG(CFG(3.5), eta=1.3),
    "tag cfg": TAG(CFG(3.5), form="cfg", eta=0.8),
    "tag over s2": TAG(S2(CFG(3.5), omega=0.4, window=ALWAYS), eta=1.3),
    "nag": NAG(CFG(3.5)),
    "s2 over smc_cfg": S2(SMCCFG(3.5, rate=0.5, gain=0.2), omega=0.4, window=ALWAYS),
    "s2 over rectified_cfgpp": S2(RectifiedCFGPP(2.5), omega=0.4, window=ALWAYS),
    "s2 over cfg_zero": S2(CFGZero(3.5), omega=0.4, window=ALWAYS),
}


def fitted(name: str, shape: tuple[int, ...]) -> tuple[int, ...]:
    """The shape of a batch, as rows and columns where the method needs them."""
    batch, *rest = shape
    return (batch, *([1] * (3 - len(rest)) if name in GRID else []), *rest)


def x_of(preds: Mapping[Branch, Tensor]) -> Tensor:
    """A point x that goes with predictions item by item: what methods that look at x are given in tests."""
    return 1.3 * preds[COND] - 0.4 * preds[UNCOND]


def flat(tensor: Tensor) -> Tensor:
    """[B, ...] to float64 [B, N]."""
    return tensor.double().flatten(1)
