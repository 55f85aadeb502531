"""The one way in: guidance inside a pipeline of diffusers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import nn

    from s2g.guidance.base import Guidance
    from s2g.integrations.diffusers.door import PipelineDoor


def guide(
    pipeline: Any,
    method: Guidance,
    scale: float | None = None,
    seed: int = 0,
    reuse: bool = True,
    weak: nn.Module | None = None,
) -> PipelineDoor:
    """Guide a pipeline of diffusers while the returned context is entered: `with guide(pipe, S2(), scale=7.5): pipe(prompt)`.

    method: any of ours. scale: of the method that stands on its own inside it (CFG's lambda); None leaves it as it is. The
    pipeline's own scale only switches its CFG on. seed: of the masks, the same masks in every run of the pipeline. reuse:
    edited passes resume where they fork off. weak: the weaker transformer of Autoguidance. UserError says why a pipeline
    cannot be guided. Latents, prompts, callbacks, generators and schedulers stay the pipeline's.
    """
    from s2g.integrations.diffusers.door import PipelineDoor

    return PipelineDoor(pipeline, method, scale, seed, reuse, weak)
