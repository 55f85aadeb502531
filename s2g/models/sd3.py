"""Stable Diffusion 3 (arXiv 2403.03206) and 3.5: diffusers' transformer behind our adapter.

The network, the text front-end and the decoder are three objects: a small model with its own text and without a decoder
is the same adapter as the large ones. Shapes: B batch, C channels, S side of the latents.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Self

import torch
from diffusers.models.embeddings import PatchEmbed
from diffusers.models.transformers.transformer_sd3 import SD3Transformer2DModel
from diffusers.pipelines.stable_diffusion_3.pipeline_stable_diffusion_3 import StableDiffusion3Pipeline
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

CLIP_TOKENS, T5_TOKENS = 77, 256  # of the stock pipeline, with its default max_sequence_length
KIND = ("qk_norm", "dual_attention_layers")  # what tells SD3.5-medium's network from SD3-medium's


class SD3Denoiser:
    """An SD3 transformer behind its adapter: prompts in words, uncond is the empty prompt, one batch of both."""

    order = ("uncond", "cond")  # the stock pipeline
    convention: Convention = Flow()  # its output is noise - data

    def __init__(
        self,
        network: SD3Transformer2DModel,
        text: TextFrontEnd,
        decoder: Callable[[Tensor], Tensor],
        size: int,
        passes: str = "batched",
        residence: Residence | None = None,
    ) -> None:
        """text: prompts to embeddings; decoder: latents [B, C, S, S] to uint8 pixels [B, 3, H, W]; size: S."""
        self.network, self.text, self.decoder, self.passes = network, text, decoder, passes
        self.residence = residence or Residence(torch.device("cpu"), "as it is")
        self.latent_shape = (int(network.config["in_channels"]), size, size)
        side = size // int(network.config["patch_size"])
        self.token_grid = (side, side)

    @classmethod
    def load(cls, config: ModelConfig, device: torch.device, dtype: torch.dtype) -> Self:
        """The pipeline of `config` without its text encoders, which are opened when a prompt is new; UserError for a misfit."""
        text: TextFrontEnd
        if config.weights_seed is not None:
            network = random_network(
                SD3Transformer2DModel, config, dtype, {"pos_embed.pos_embed": positions(config.network, dtype)}
            )
            text = random_text(config.network, dtype, device, config.weights_seed)
            vae = random_decoder(config.weights_seed, int(config.network["in_channels"]), dtype)
        else:
            located = config.pipeline()
            network = read_network(SD3Transformer2DModel, blocks_of, config, located, dtype, same=KIND)
            text = text_of(config, located, device, dtype)
            vae = read_decoder(located.folders[DECODER], config, int(network.config["in_channels"]), dtype)
        residence = Residence(device, config.memory, network, vae)
        decoder = PipelineDecoder(vae, residence, config.vae_tiling)
        return cls(network, text, decoder, config.resolution // STRIDE, config.passes, residence)

    @classmethod
    def twin(cls, config: ModelConfig) -> Self:
        """The same network without numbers, on the meta device: for counting FLOPs."""
        known = network_config(config)
        network = made(SD3Transformer2DModel, known, config)
        text = random_text(known, torch.float32, "meta")
        return cls(network, text, lambda latents: latents, config.resolution // STRIDE, config.passes)

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
        """Velocity [B, C, S, S]; the network is told the scheduler's timestep, or 1000 times the level, in float32."""
        network: Any = self.residence.use(self.network)
        t = torch.tensor(1000 * level, dtype=torch.float32, device=x.device) if timestep is None else timestep
        out = network(
            hidden_states=x.to(next(self.network.parameters()).dtype),
            timestep=t.expand(x.shape[0]),
            encoder_hidden_states=conditioning.tensors["tokens"],
            pooled_projections=conditioning.tensors["pooled"],
            return_dict=False,
        )
        return Output(out[0])

    def decode(self, latents: Tensor) -> Tensor:
        return self.decoder(latents)


def blocks_of(network: SD3Transformer2DModel) -> list[nn.Module]:
    """Its residual blocks in execution order."""
    return list(network.transformer_blocks)


def positions(known: Mapping[str, Any], dtype: torch.dtype) -> Tensor:
    """The fixed table of positions [1, most², D], which a checkpoint holds as a buffer and random weights must not draw."""
    width = known["num_attention_heads"] * known["attention_head_dim"]
    size, patch = known["sample_size"], known["patch_size"]
    layer = PatchEmbed(size, size, patch, 1, width, pos_embed_max_size=known["pos_embed_max_size"])
    return layer.pos_embed.to(dtype)  # type: ignore[union-attr]


def random_text(known: Mapping[str, Any], dtype: torch.dtype, device: torch.device | str, seed: int = 0) -> RandomText:
    """Embeddings of no meaning in the shape of the stock pipeline's."""
    tokens = (CLIP_TOKENS + T5_TOKENS, int(known["joint_attention_dim"]))
    return RandomText(tokens, int(known["pooled_projection_dim"]), dtype, device, seed)


def text_of(config: ModelConfig, located: Located, device: torch.device, dtype: torch.dtype) -> CachedText:
    """The stock pipeline's three encoders; without the third, zeros in its place, as the stock pipeline has it."""

    def pipeline(arguments: Mapping[str, Any]) -> Any:
        # A pipeline without T5 asks its transformer how wide zeros are; one without numbers answers as well.
        network = made(SD3Transformer2DModel, located.network_config, config)
        others = {"transformer": network, "image_encoder": None, "feature_extractor": None}
        return StableDiffusion3Pipeline.from_pretrained(located.root, **arguments, **others)

    return cached_text(config, located, device, dtype, pipeline, encoded)


@torch.inference_mode()
def encoded(stock: Any, prompt: str, device: torch.device) -> Embedded:
    """One prompt through all encoders."""
    tokens, _, pooled, _ = stock.encode_prompt(
        prompt, None, None, device=device, do_classifier_free_guidance=False, max_sequence_length=T5_TOKENS
    )
    limits = {"tokenizer": CLIP_TOKENS, "tokenizer_2": CLIP_TOKENS, "tokenizer_3": T5_TOKENS}
    return Embedded({"tokens": tokens[0], "pooled": pooled[0]}, unread(stock, prompt, limits))
