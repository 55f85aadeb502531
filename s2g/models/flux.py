"""FLUX.1 with true CFG: diffusers' transformer behind our adapter, two calls a step, on packed latents.

Shapes: B batch, h w tokens of the image, N = h w, 64 numbers a token (2 x 2 latents of 16 channels).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Self

import torch
from diffusers.models.transformers.transformer_flux import FluxTransformer2DModel
from diffusers.pipelines.flux.pipeline_flux import FluxPipeline
from torch import Tensor, nn

from s2g.config.pipelines import DECODER, Located
from s2g.config.schema import ModelConfig
from s2g.models.base import Conditioning, Output
from s2g.models.convention import Convention, Flow
from s2g.models.shared.autoencoder import STRIDE, PipelineDecoder, random_decoder, read_decoder
from s2g.models.shared.offload import Residence
from s2g.models.shared.pipeline_network import made, network_config, random_network, read_network
from s2g.models.shared.pipeline_text import cached_text, unread
from s2g.models.shared.prompt_cache import Embedded
from s2g.models.shared.text import CachedText, RandomText, TextFrontEnd, conditions

CLIP_TOKENS, T5_TOKENS = 77, 512  # of the stock pipeline, with its default max_sequence_length
PACK = 2  # latents of a token's side
DISTILLED = 3.5  # what a guidance-distilled network is told (the stock pipeline's default); a de-distilled one is told nothing


class FluxDenoiser:
    """A Flux transformer behind its adapter: prompts in words, uncond is the empty prompt, a call for each of the two."""

    order = ("cond", "uncond")  # the stock pipeline
    convention: Convention = Flow()  # its output is noise - data

    def __init__(
        self,
        network: FluxTransformer2DModel,
        text: TextFrontEnd,
        decoder: Callable[[Tensor], Tensor],
        side: int,
        passes: str = "separate",
        residence: Residence | None = None,
    ) -> None:
        """decoder: latents [B, 16, 2 side, 2 side] to uint8 pixels [B, 3, H, W]; side: tokens of the image's side."""
        self.network, self.text, self.decoder, self.passes = network, text, decoder, passes
        self.residence = residence or Residence(torch.device("cpu"), "as it is")
        self.latent_shape = (side * side, int(network.config["in_channels"]))
        self.token_grid = (side, side)

    @classmethod
    def load(cls, config: ModelConfig, device: torch.device, dtype: torch.dtype) -> Self:
        """The pipeline of `config` without its text encoders, which are opened when a prompt is new; UserError for a misfit."""
        text: TextFrontEnd
        if config.weights_seed is not None:
            network = random_network(FluxTransformer2DModel, config, dtype, {})
            text = random_text(config.network, dtype, device, config.weights_seed)
            vae = random_decoder(config.weights_seed, int(config.network["in_channels"]) // PACK**2, dtype)
        else:
            located = config.pipeline()
            network = read_network(FluxTransformer2DModel, blocks_of, config, located, dtype)
            text = text_of(config, located, device, dtype)
            vae = read_decoder(located.folders[DECODER], config, int(network.config["in_channels"]) // PACK**2, dtype)
        residence = Residence(device, config.memory, network, vae)
        decoder = PipelineDecoder(vae, residence, config.vae_tiling)
        return cls(network, text, decoder, config.resolution // (STRIDE * PACK), config.passes, residence)

    @classmethod
    def twin(cls, config: ModelConfig) -> Self:
        """The same network without numbers, on the meta device: for counting FLOPs."""
        known = network_config(config)
        network = made(FluxTransformer2DModel, known, config)
        text = random_text(known, torch.float32, "meta")
        return cls(network, text, lambda latents: latents, config.resolution // (STRIDE * PACK), config.passes)

    @classmethod
    def remember(cls, config: ModelConfig, prompts: Sequence[str], device: torch.device, dtype: torch.dtype) -> None:
        """Embed all prompts of a run before the network is loaded, so that text encoders and network are never both there."""
        if config.piped:
            text_of(config, config.pipeline(), device, dtype).remember([*prompts, ""])

    @property
    def blocks(self) -> Sequence[nn.Module]:
        return blocks_of(self.network)

    def encode(self, prompts: Sequence[str]) -> dict[str, Conditioning]:
        return conditions(self.text, prompts)

    def forward(self, x: Tensor, level: float, conditioning: Conditioning, timestep: Tensor | None = None) -> Output:
        """Velocity [B, N, 64]; the network is told the level, as a timestep of the network's dtype over 1000."""
        network: Any = self.residence.use(self.network)
        dtype = next(self.network.parameters()).dtype
        t = torch.tensor(1000 * level, dtype=torch.float32, device=x.device) if timestep is None else timestep
        tokens = conditioning.tensors["tokens"]
        distilled = self.network.config["guidance_embeds"]
        out = network(
            hidden_states=x.to(dtype),
            timestep=t.expand(x.shape[0]).to(dtype) / 1000,
            guidance=torch.full((x.shape[0],), DISTILLED, device=x.device) if distilled else None,
            encoder_hidden_states=tokens,
            pooled_projections=conditioning.tensors["pooled"],
            txt_ids=torch.zeros(tokens.shape[1], 3, device=x.device, dtype=dtype),
            img_ids=places(*self.token_grid).to(x.device, dtype),
            return_dict=False,
        )
        return Output(out[0])

    def decode(self, latents: Tensor) -> Tensor:
        return self.decoder(unpacked(latents, *self.token_grid))


def blocks_of(network: FluxTransformer2DModel) -> list[nn.Module]:
    """Double blocks, then single blocks: one list in execution order."""
    return [*network.transformer_blocks, *network.single_transformer_blocks]


def places(height: int, width: int) -> Tensor:
    """Where each of the image's tokens is: [h w, 3] of (0, row, column)."""
    rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    return torch.stack([torch.zeros_like(rows), rows, columns], dim=-1).flatten(0, 1).float()


def unpacked(tokens: Tensor, height: int, width: int) -> Tensor:
    """Tokens [B, h w, 4 C] to latents [B, C, 2 h, 2 w]: a token holds, by channel, the four latents of its square."""
    grid = tokens.unflatten(1, (height, width)).unflatten(-1, (-1, PACK, PACK))
    return torch.einsum("bhwcpq->bchpwq", grid).flatten(4, 5).flatten(2, 3)


def random_text(known: Mapping[str, Any], dtype: torch.dtype, device: torch.device | str, seed: int = 0) -> RandomText:
    """Embeddings of no meaning in the shape of the stock pipeline's."""
    tokens = (T5_TOKENS, int(known["joint_attention_dim"]))
    return RandomText(tokens, int(known["pooled_projection_dim"]), dtype, device, seed)


def text_of(config: ModelConfig, located: Located, device: torch.device, dtype: torch.dtype) -> CachedText:
    """The stock pipeline's two encoders: T5 gives the tokens, CLIP the pooled vector."""

    def pipeline(arguments: Mapping[str, Any]) -> Any:
        others = {"transformer": None, "image_encoder": None, "feature_extractor": None}
        return FluxPipeline.from_pretrained(located.root, **arguments, **others)

    return cached_text(config, located, device, dtype, pipeline, encoded)


@torch.inference_mode()
def encoded(stock: Any, prompt: str, device: torch.device) -> Embedded:
    """One prompt through both encoders."""
    tokens, pooled, _ = stock.encode_prompt(prompt, None, device=device, max_sequence_length=T5_TOKENS)
    limits = {"tokenizer": CLIP_TOKENS, "tokenizer_2": T5_TOKENS}
    return Embedded({"tokens": tokens[0], "pooled": pooled[0]}, unread(stock, prompt, limits))
