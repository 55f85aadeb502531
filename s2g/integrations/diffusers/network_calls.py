"""A pipeline's network behind the Denoiser protocol: its conditionings are the calls that the pipeline makes."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from diffusers.models.modeling_outputs import Transformer2DModelOutput
from torch import Tensor, nn

from s2g.errors import UserError
from s2g.integrations.diffusers.arguments import Call
from s2g.integrations.diffusers.layouts import Layout
from s2g.models.base import Conditioning, Output
from s2g.models.convention import Flow
from s2g.network.architectures import blocks_of


class NetworkCalls:
    """The network as the evaluator sees it; `inner` is the call that was there before us."""

    convention = Flow()  # the evaluator asks for neither of these
    latent_shape: tuple[int, ...] = ()
    token_grid: tuple[int, ...] = ()

    def __init__(self, network: nn.Module, inner: Callable[..., Any], layout: Layout) -> None:
        self.network, self.inner = network, inner
        self.passes, self.order = layout.passes, layout.order
        self.blocks: Sequence[nn.Module] = blocks_of(network)
        self.bare = False
        self.whole: Mapping[str, Any] = {}  # the pipeline's own call, of both conditions

    def encode(self, prompts: Sequence[Any]) -> Mapping[str, Conditioning]:
        raise NotImplementedError("prompts are the pipeline's affair")

    def decode(self, latents: Tensor) -> Tensor:
        raise NotImplementedError("decoding is the pipeline's affair")

    def forward(self, x: Tensor, level: float, conditioning: Conditioning, timestep: Tensor | None = None) -> Output:
        """Return the prediction of a call as the pipeline made it: one condition's, or both at once."""
        prediction = self.plain(conditioning.arguments if isinstance(conditioning, Call) else self.whole)
        return Output(*prediction.chunk(2, dim=1)) if self.has_variance(prediction, x) else Output(prediction)

    def plain(self, arguments: Mapping[str, Any]) -> Tensor:
        """Return what the network puts out, its first value."""
        output = self.inner(**arguments)
        self.bare = isinstance(output, Tensor)  # some return nothing around it
        first = output if self.bare else output[0] if isinstance(output, tuple) else output.sample
        if not isinstance(first, Tensor):
            raise UserError(f"{type(self.network).__name__} puts out a {type(first).__name__}, not one tensor")
        if isinstance(output, tuple) and sum(isinstance(value, Tensor) for value in output) > 1:
            raise UserError(f"{type(self.network).__name__} puts out several tensors; which of them are guided is not known")
        self.dtype = first.dtype
        return first

    def wrapped(self, prediction: Tensor, arguments: Mapping[str, Any]) -> Any:
        """Return a prediction as the network returns its own."""
        if self.bare:
            return prediction
        return Transformer2DModelOutput(sample=prediction) if arguments.get("return_dict", True) else (prediction,)

    def joined(self, prediction: Tensor, variance: Tensor | None) -> Tensor:
        """Return prediction and variance channels as the network puts them out."""
        whole = prediction if variance is None else torch.cat([prediction, variance], dim=1)
        return whole.to(self.dtype)

    def has_variance(self, prediction: Tensor, x: Tensor) -> bool:
        """Whether the second half of the channels (axis 1) is a variance: where there are twice the input's."""
        if prediction.ndim < 4:
            return False
        size = prediction.shape[1]
        taken = self._setting("in_channels") or x.shape[1]
        return size == 2 * taken and self._setting("out_channels") in (size, None)

    def first_name(self) -> str:
        """Return the name of the first argument of the network's forward, which is x."""
        return next(name for name in inspect.signature(type(self.network).forward).parameters if name != "self")

    def latents(self, arguments: Mapping[str, Any]) -> Tensor:
        """Return x as the network is given it: its first argument."""
        return next(iter(arguments.values()))

    def rows(self, arguments: Mapping[str, Any]) -> int:
        """Return the size of a call's batch."""
        return self.latents(arguments).shape[0]

    def still(self, arguments: Mapping[str, Any]) -> Tensor:
        """Return the prediction under which x does not move: zero, in the shape of an output."""
        x = self.latents(arguments)
        axis = 1 if x.ndim > 3 else -1
        size = self._setting("out_channels") or self._setting("in_channels")
        shape = list(x.shape)
        shape[axis] = size
        return x.new_zeros(shape)

    def grid(self, arguments: Mapping[str, Any]) -> tuple[int, ...]:
        """Return (H, W) or (F, H, W) of the image's tokens. It waits for the device where latents are packed."""
        x = self.latents(arguments)
        if "img_ids" in arguments:
            return tuple(int(value) + 1 for value in arguments["img_ids"].reshape(-1, 3).amax(0)[1:].tolist())
        patches, sizes = self._setting("patch_size"), x.shape[2:]
        steps = tuple(patches) if isinstance(patches, list | tuple) else (patches,) * 2
        if patches is None or len(steps) != len(sizes):
            raise UserError(f"{type(self.network).__name__}: the grid of its tokens is not known, and the method needs it")
        return tuple(size // step for size, step in zip(sizes, steps, strict=True))

    def _setting(self, name: str) -> Any:
        settings = getattr(self.network, "config", None)
        return settings.get(name) if isinstance(settings, Mapping) else None  # what else a network calls so is its own
