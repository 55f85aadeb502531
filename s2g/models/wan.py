"""Wan2.1 (arXiv 2503.20314), text to video: diffusers' transformer behind our adapter, two calls a step.

The network, the text front-end and the decoder are three objects: a small model with its own text and decoder is the same
adapter as the large ones. Shapes: B batch, C channels, F h w frames, height and width of the latents.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Self

import torch
from diffusers.models.transformers.transformer_wan import WanRotaryPosEmbed, WanTransformer3DModel
from diffusers.pipelines.wan.pipeline_wan import WanPipeline, prompt_clean
from diffusers.utils.import_utils import is_ftfy_available
from torch import Tensor, nn

from s2g.config.pipelines import DECODER, Located
from s2g.config.schema import ModelConfig
from s2g.models.base import Conditioning, Output
from s2g.models.convention import Convention, Flow
from s2g.models.shared.offload import Residence
from s2g.models.shared.pipeline_network import made, network_config, random_network, read_network
from s2g.models.shared.pipeline_text import cached_text, unread
from s2g.models.shared.prompt_cache import Embedded
from s2g.models.shared.text import TOKENS, CachedText, RandomText, TextFrontEnd, conditions
from s2g.models.shared.video_decoder import VideoDecoder, random_video_decoder, read_video_decoder
from s2g.models.video import latent_size, negative_words

T5_TOKENS = 512  # of the stock pipeline's __call__, with its default max_sequence_length
KIND = ("image_dim", "added_kv_proj_dim")  # what tells the networks that begin with an image


class WanDenoiser:
    """A Wan transformer behind its adapter: prompts in words, uncond is the negative prompt, a call for each of the two."""

    order = ("cond", "uncond")  # the stock pipeline
    convention: Convention = Flow()  # its output is noise - data

    def __init__(
        self,
        network: WanTransformer3DModel,
        text: TextFrontEnd,
        decoder: Callable[[Tensor], Tensor],
        size: tuple[int, int, int],
        passes: str = "separate",
        residence: Residence | None = None,
        negative: str = "",
    ) -> None:
        """text: prompts to tokens [B, T, D], what else it gives is not read; decoder: latents [B, C, F, h, w] to uint8
        videos [B, 3, frames, height, width]; size: (F, h, w); negative: the words of uncond's prompt."""
        self.network, self.text, self.decoder, self.passes, self.negative = network, text, decoder, passes, negative
        self.residence = residence or Residence(torch.device("cpu"), "as it is")
        self.latent_shape = (int(network.config["in_channels"]), *size)
        self.token_grid = tuple(side // patch for side, patch in zip(size, network.config["patch_size"], strict=True))

    @classmethod
    def load(cls, config: ModelConfig, device: torch.device, dtype: torch.dtype) -> Self:
        """The pipeline of `config` without its text encoder, which is opened when a prompt is new; UserError for a misfit."""
        text: TextFrontEnd
        if config.weights_seed is not None:
            network = random_network(WanTransformer3DModel, config, dtype, {})
            text = random_text(config.network, dtype, device, config.weights_seed)
            vae = random_video_decoder(config.weights_seed, int(config.network["in_channels"]))
        else:
            located = config.pipeline()
            network = read_network(WanTransformer3DModel, blocks_of, config, located, dtype, same=KIND)
            text = text_of(config, located, device, dtype)
            vae = read_video_decoder(located.folders[DECODER], config, int(network.config["in_channels"]))
        network.rope = positions(network)
        residence = Residence(device, config.memory, network, vae)
        decoder, negative = VideoDecoder(vae, residence, config.vae_tiling), negative_words(config.negative)
        return cls(network, text, decoder, latent_size(*config.video), config.passes, residence, negative)

    @classmethod
    def twin(cls, config: ModelConfig) -> Self:
        """The same network without numbers, on the meta device: for counting FLOPs."""
        known = network_config(config)
        network = made(WanTransformer3DModel, known, config)
        text = random_text(known, torch.float32, "meta")
        return cls(network, text, lambda latents: latents, latent_size(*config.video), config.passes)

    @classmethod
    def remember(cls, config: ModelConfig, prompts: Sequence[str], device: torch.device, dtype: torch.dtype) -> None:
        """Embed all prompts of a run before the network is loaded, so that text encoder and network are never both there."""
        if config.piped:
            wanted = [*prompts, negative_words(config.negative)]
            text_of(config, config.pipeline(), device, dtype).remember(wanted)

    @property
    def blocks(self) -> Sequence[nn.Module]:
        return blocks_of(self.network)

    def encode(self, prompts: Sequence[str]) -> dict[str, Conditioning]:
        return conditions(self.text, prompts, TOKENS, self.negative)

    def forward(self, x: Tensor, level: float, conditioning: Conditioning, timestep: Tensor | None = None) -> Output:
        """Velocity [B, C, F, h, w]; the network is told the scheduler's timestep as it is, or 1000 times the level."""
        network: Any = self.residence.use(self.network)
        t = torch.tensor(1000 * level, dtype=torch.float32, device=x.device) if timestep is None else timestep
        out = network(
            hidden_states=x.to(network.dtype),  # without its islands of fp32
            timestep=t.expand(x.shape[0]),
            encoder_hidden_states=conditioning.tensors["tokens"],
            return_dict=False,
        )
        return Output(out[0])

    def decode(self, latents: Tensor) -> Tensor:
        return self.decoder(latents)


def blocks_of(network: WanTransformer3DModel) -> list[nn.Module]:
    """Its residual blocks in execution order."""
    return list(network.blocks)


def positions(network: WanTransformer3DModel) -> WanRotaryPosEmbed:
    """Its table of rotations, which no checkpoint holds and which is computed when a network is made with numbers."""
    known = network.config
    return WanRotaryPosEmbed(known["attention_head_dim"], known["patch_size"], known["rope_max_seq_len"])


def random_text(known: Mapping[str, Any], dtype: torch.dtype, device: torch.device | str, seed: int = 0) -> RandomText:
    """Embeddings of no meaning in the shape of the stock pipeline's."""
    return RandomText((T5_TOKENS, int(known["text_dim"])), None, dtype, device, seed)


def text_of(config: ModelConfig, located: Located, device: torch.device, dtype: torch.dtype) -> CachedText:
    """The stock pipeline's encoder, UMT5."""

    def pipeline(arguments: Mapping[str, Any]) -> Any:
        return WanPipeline.from_pretrained(located.root, **arguments, transformer=None, transformer_2=None)

    # Where ftfy is not installed the stock pipeline reads the prompt unmended.
    mended = {"ftfy": str(is_ftfy_available())}
    return cached_text(config, located, device, dtype, pipeline, encoded, TOKENS, T5_TOKENS, **mended)


@torch.inference_mode()
def encoded(stock: Any, prompt: str, device: torch.device) -> Embedded:
    """One prompt, cleaned and encoded by the stock pipeline; the zeros that it puts behind the prompt are left out."""
    whole, _ = stock.encode_prompt(prompt, do_classifier_free_guidance=False, max_sequence_length=T5_TOKENS, device=device)
    read = int(whole[0].any(dim=-1).nonzero().max()) + 1
    return Embedded({"tokens": whole[0, :read]}, unread(stock, prompt_clean(prompt), {"tokenizer": T5_TOKENS}))
