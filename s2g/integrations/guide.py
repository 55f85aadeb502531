"""The one way in: guidance inside a pipeline of diffusers, or around a network in a loop of your own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, overload

if TYPE_CHECKING:
    from torch import nn

    from s2g.guidance.base import Guidance
    from s2g.integrations.diffusers.door import PipelineDoor
    from s2g.integrations.network_door import NetworkDoor


@overload
def guide(  # pyright: ignore[reportOverlappingOverload]  # a pipeline is any object, and no module
    target: nn.Module,
    method: Guidance,
    scale: float | None = None,
    seed: int = 0,
    reuse: bool = True,
    weak: nn.Module | None = None,
) -> NetworkDoor: ...


@overload
def guide(
    target: Any,
    method: Guidance,
    scale: float | None = None,
    seed: int = 0,
    reuse: bool = True,
    weak: nn.Module | None = None,
) -> PipelineDoor: ...


def guide(
    target: Any,
    method: Guidance,
    scale: float | None = None,
    seed: int = 0,
    reuse: bool = True,
    weak: nn.Module | None = None,
) -> PipelineDoor | NetworkDoor:
    """Guide a pipeline of diffusers while the returned context is entered: `with guide(pipe, S2(), scale=7.5): pipe(prompt)`.

    method: any of ours. scale: of the method that stands on its own inside it (CFG's lambda); None leaves it as it is. The
    pipeline's own scale only switches its CFG on. seed: of the masks, the same masks in every run of the pipeline. reuse:
    edited passes resume where they fork off. weak: the weaker transformer of Autoguidance. UserError says why a pipeline
    cannot be guided. Latents, prompts, callbacks, generators and schedulers stay the pipeline's.

    A network (`nn.Module`) instead of a pipeline is guided in your own loop: `with guide(network, S2(), scale=4.0) as guided`
    gives a function of cond's and uncond's arguments that returns the guided prediction of a step
    (`s2g.integrations.network_door.NetworkDoor`). Its blocks must be known, or made known by `register_block`.
    """
    from torch import nn

    if isinstance(target, nn.Module):
        from s2g.integrations.network_door import NetworkDoor

        return NetworkDoor(target, method, scale, seed, reuse, weak)
    from s2g.integrations.diffusers.door import PipelineDoor

    return PipelineDoor(target, method, scale, seed, reuse, weak)
