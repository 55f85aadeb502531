"""How a pipeline asks its network for cond and uncond: one line per pipeline class, never guessed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from s2g.errors import UserError
from s2g.guidance.base import State, Step
from s2g.guidance.cfg import CFG
from s2g.network.branch import COND, UNCOND, Branch

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class PerToken(CFG):
    """CFG whose result has cond's norm at every token (last axis), as Qwen-Image's and Lumina2's pipelines make it."""

    def combine(self, preds: Mapping[Branch, Tensor], step: Step, state: State) -> Tensor:
        guided = super().combine(preds, step, state)
        if self.scale == 1:
            return guided
        wanted = torch.norm(preds[COND], dim=-1, keepdim=True)
        return guided * (wanted / torch.norm(guided, dim=-1, keepdim=True))


@dataclass(frozen=True)
class Layout:
    """passes: "batched", both conditions in one call, or "separate", one call each. order: of the conditions.

    networks: components that make the prediction, one at a time. sign: -1 where the network's output is data - noise.
    own: the pipeline's own form of CFG, which stands in for plain CFG.
    """

    passes: str
    order: tuple[str, str]
    networks: tuple[str, ...] = ("transformer",)
    sign: int = 1
    own: type[CFG] = CFG


UNCOND_FIRST, COND_FIRST = (UNCOND.condition, COND.condition), (COND.condition, UNCOND.condition)
BATCH = Layout("batched", UNCOND_FIRST)
TWO = Layout("separate", COND_FIRST)
WAN = Layout("separate", COND_FIRST, networks=("transformer", "transformer_2"))
QWEN = Layout("separate", COND_FIRST, own=PerToken)

LAYOUTS: dict[str, Layout] = {
    "DiTPipeline": Layout("batched", COND_FIRST),
    "Lumina2Pipeline": Layout("separate", COND_FIRST, sign=-1, own=PerToken),
    "MochiPipeline": Layout("batched", UNCOND_FIRST, sign=-1),
}
LAYOUTS |= dict.fromkeys(
    (
        "AllegroPipeline",
        "AuraFlowPipeline",
        "CogVideoXImageToVideoPipeline",
        "CogVideoXPipeline",
        "CogVideoXVideoToVideoPipeline",
        "LTXImageToVideoPipeline",
        "LTXPipeline",
        "LattePipeline",
        "PixArtAlphaPipeline",
        "PixArtSigmaPipeline",
        "SanaPipeline",
        "StableDiffusion3ControlNetInpaintingPipeline",
        "StableDiffusion3ControlNetPipeline",
        "StableDiffusion3Img2ImgPipeline",
        "StableDiffusion3InpaintPipeline",
        "StableDiffusion3Pipeline",
    ),
    BATCH,
)
LAYOUTS |= dict.fromkeys(
    (
        "ChromaImg2ImgPipeline",
        "ChromaPipeline",
        "CogView4Pipeline",
        "FluxControlNetPipeline",
        "FluxImg2ImgPipeline",
        "FluxInpaintPipeline",
        "FluxKontextPipeline",
        "FluxPipeline",
        "HunyuanVideoPipeline",
    ),
    TWO,
)
LAYOUTS |= dict.fromkeys(("WanPipeline", "WanImageToVideoPipeline", "WanVideoToVideoPipeline"), WAN)
LAYOUTS |= dict.fromkeys(("QwenImagePipeline", "QwenImageImg2ImgPipeline", "QwenImageInpaintPipeline"), QWEN)


def register_pipeline(pipeline: type, layout: Layout) -> None:
    """Make a pipeline class known."""
    LAYOUTS[pipeline.__name__] = layout


def layout_of(pipeline: Any) -> Layout:
    """Return how a pipeline calls its network; UserError for one that is not known."""
    kind = type(pipeline)
    for cls in kind.__mro__:
        # A subclass is the pipeline that it inherits its loop from.
        if cls.__name__ in LAYOUTS and cls.__call__ is kind.__call__:
            return LAYOUTS[cls.__name__]
    raise UserError(
        f"pipeline class {kind.__name__} is not known: whether it calls its network once or twice a step, and in which order",
        allowed=", ".join(sorted(LAYOUTS)),
        todo='register_pipeline(Pipeline, Layout("batched" or "separate", ("uncond", "cond"))), both from '
        "s2g.integrations.diffusers.layouts",
    )
