"""DiT, the diffusion transformer (arXiv 2212.09748): SiT's network, trained to predict noise and a variance.

The layers, their names and the published layout are those of s2g/models/sit.py, to the byte; what differs is what the
network is told and what its output means. diffusers' DiTTransformer2DModel is another network: its embedding of time has
other frequencies (docs/sit-dit.md).
"""

from __future__ import annotations

from torch import Tensor

from s2g.errors import UserError
from s2g.models.base import Conditioning, Output
from s2g.models.convention import VP, Convention
from s2g.models.sit import SiTDenoiser


class DiTDenoiser(SiTDenoiser):
    """A DiT behind its adapter: variance preserving, told integer timesteps, with variance channels beside the noise."""

    convention: Convention = VP()

    def forward(self, x: Tensor, level: float, conditioning: Conditioning, timestep: Tensor | None = None) -> Output:
        """Predict noise [B, C, S, S] and, where the weights have them, variance channels v [B, C, S, S] (arXiv 2102.09672)."""
        if timestep is None:
            raise UserError(
                "model.sampler.grid: a DiT is told a timestep, 0 to 999, and the grid of a flow has none", allowed="linear"
            )
        t = timestep.to(device=x.device).float().expand(x.shape[0])
        out = self.network(x.to(self.network.pos_embed.dtype), t, conditioning.tensors["labels"])
        channels = self.latent_shape[0]
        return Output(out[:, :channels], out[:, channels:] if out.shape[1] > channels else None)
