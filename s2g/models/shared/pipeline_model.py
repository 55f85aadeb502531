"""Base of the adapters around diffusers' text-to-image and text-to-video pipelines."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, ClassVar, Self

import torch
from torch import Tensor, nn

from s2g.config.family import DECODER, Family
from s2g.config.pipeline_files import has_variant
from s2g.config.pipeline_index import INDEX
from s2g.config.pipelines import Located
from s2g.config.schema import ModelConfig
from s2g.models.base import Conditioning
from s2g.models.convention import Convention, Flow
from s2g.models.shared.autoencoder import PipelineDecoder
from s2g.models.shared.offload import Offload
from s2g.models.shared.pipeline_network import build_on_meta, random_network, read_network
from s2g.models.shared.pipeline_text import cached_text
from s2g.models.shared.prompt_cache import Embedded
from s2g.models.shared.text import BOTH, CachedText, RandomText, TextFrontEnd, conditions
from s2g.models.video import negative_words

Shape = tuple[int, ...]


class PipelineDenoiser:
    """A pipeline's transformer behind our adapter; text front-end and decoder are objects of their own.

    A small model with another text front-end and decoder is the same adapter as the large ones. Subclasses set the class
    variables and say how the network is called (`forward`).
    """

    family: ClassVar[Family]
    network_class: ClassVar[type[nn.Module]]
    decoder_class: ClassVar[type[PipelineDecoder]] = PipelineDecoder
    order: ClassVar[tuple[str, ...]] = ("cond", "uncond")  # the stock pipeline's
    stock_passes: ClassVar[str] = "separate"
    embeddings: ClassVar[tuple[str, ...]] = BOTH  # what the network reads of a text
    text_widths: ClassVar[tuple[str, ...]] = ("joint_attention_dim", "pooled_projection_dim")  # network settings: their widths
    padded_length: ClassVar[int | None] = None  # tokens that shorter texts are padded to with zeros
    convention: Convention = Flow()  # the output is noise - data

    def __init__(
        self,
        network: Any,
        text: TextFrontEnd,
        decoder: Callable[[Tensor], Tensor],
        size: Any,
        passes: str = "",
        offload: Offload | None = None,
        negative: str = "",
    ) -> None:
        """text: prompts to embeddings; decoder: latents to uint8 pixels; size: that of the latents, as `shapes` takes it;
        passes: "batched" or "separate", by default as the stock pipeline; negative: the text of uncond."""
        self.network, self.text, self.decoder, self.negative = network, text, decoder, negative
        self.passes = passes or self.stock_passes
        self.offload = offload or Offload(torch.device("cpu"), "as it is")
        self.latent_shape, self.token_grid = self.shapes(network.config, size)

    @classmethod
    def load(cls, config: ModelConfig, device: torch.device, dtype: torch.dtype) -> Self:
        """Return the pipeline of `config`; its text encoders are opened when a prompt is new. UserError for files that do
        not fit."""
        text: TextFrontEnd
        if (seed := config.weights_seed) is not None:
            network = random_network(cls.network_class, config, dtype, cls.fixed_tensors(config.network, dtype))
            text = cls.random_text(config.network, dtype, device, seed)
            vae = cls.decoder_class.random(seed, cls.latent_channels(config.network), dtype)
        else:
            located = config.pipeline()
            if located.absent:
                print(
                    f"{config.key} = {config.weights}: {' and '.join(located.absent)} are [null, null] in {INDEX}; zeros take "
                    "the place of their embeddings",
                    file=sys.stderr,
                )
            network = read_network(cls.network_class, config, located, dtype)
            text = cls.cached_text(config, located, device, dtype)
            channels = cls.latent_channels(located.network_config)
            variant = located.variant if has_variant(located.folders[DECODER], DECODER, located.variant) else ""
            vae = cls.decoder_class.read(located.folders[DECODER], config, channels, dtype, variant)
        cls.finish(network)
        offload = Offload(device, config.memory, network, vae)
        decoder = cls.decoder_class(vae, offload, config.vae_tiling)
        return cls(network, text, decoder, cls.latent_size(config), config.passes, offload, cls.negative_text(config))

    @classmethod
    def meta_model(cls, config: ModelConfig) -> Self:
        """Return the stated network without numbers, on the meta device: for counting FLOPs."""
        network = build_on_meta(cls.network_class, config.network, config)
        text = cls.random_text(config.network, torch.float32, "meta")
        return cls(network, text, lambda latents: latents, cls.latent_size(config), config.passes)

    @classmethod
    def precompute_text(cls, config: ModelConfig, prompts: Sequence[str], device: torch.device, dtype: torch.dtype) -> None:
        """Embed all prompts of a run before the network is loaded, so that text encoders and network never share memory."""
        text = cls.cached_text(config, config.pipeline(), device, dtype)
        text.precompute([*prompts, cls.negative_text(config)])

    @classmethod
    def cached_text(cls, config: ModelConfig, located: Located, device: torch.device, dtype: torch.dtype) -> CachedText:
        """Return the stock pipeline's text encoders behind a cache on disk."""
        pipeline = partial(cls.stock_pipeline, config, located)
        facts = cls.embedding_facts()
        return cached_text(config, located, device, dtype, pipeline, cls.embed, cls.embeddings, cls.padded_length, **facts)

    @classmethod
    def random_text(
        cls, network: Mapping[str, Any], dtype: torch.dtype, device: torch.device | str, seed: int = 0
    ) -> RandomText:
        """Return random embeddings in the shape of the stock pipeline's; network: its settings."""
        width, *pooled = (int(network[name]) for name in cls.text_widths)
        return RandomText((cls.family.text_tokens, width), pooled[0] if pooled else None, dtype, device, seed)

    @classmethod
    def negative_text(cls, config: ModelConfig) -> str:
        """Return the text of uncond; presets have names for video models only."""
        return negative_words(config.negative) if cls.family.makes_videos else config.negative

    @property
    def blocks(self) -> Sequence[nn.Module]:
        return self.family.blocks_of(self.network)

    def encode(self, prompts: Sequence[str]) -> dict[str, Conditioning]:
        return conditions(self.text, prompts, self.embeddings, self.negative)

    def decode(self, latents: Tensor) -> Tensor:
        return self.decoder(latents)

    # What families differ in.

    @classmethod
    def latent_size(cls, config: ModelConfig) -> Any:
        """Return the size of the latents, as `shapes` takes it: by default the side of square images."""
        return config.resolution // cls.family.stride

    @classmethod
    def shapes(cls, network: Mapping[str, Any], size: Any) -> tuple[Shape, Shape]:
        """Return the shape of an item's latents and the grid of its tokens; network: its settings."""
        raise NotImplementedError

    @classmethod
    def latent_channels(cls, network: Mapping[str, Any]) -> int:
        """Return the channels of the decoder's latents; network: its settings."""
        return int(network["in_channels"])

    @classmethod
    def fixed_tensors(cls, network: Mapping[str, Any], dtype: torch.dtype) -> dict[str, Tensor]:
        """Return the tensors of a checkpoint that random weights must not draw."""
        return {}

    @classmethod
    def finish(cls, network: Any) -> None:
        """Fill in what a network built on the meta device lacks after its weights are loaded."""

    @classmethod
    def stock_pipeline(cls, config: ModelConfig, located: Located, arguments: Mapping[str, Any]) -> Any:
        """Return diffusers' pipeline of text encoders alone; arguments: further ones of from_pretrained."""
        raise NotImplementedError

    @staticmethod
    def embed(stock: Any, prompt: str, device: torch.device) -> Embedded:
        """Return what the stock pipeline's encoders make of one prompt."""
        raise NotImplementedError

    @classmethod
    def embedding_facts(cls) -> dict[str, str]:
        """Return what embeddings depend on besides encoders, dtype and device."""
        return {}
