"""Wan2.1 (arXiv 2503.20314), text to video: diffusers' transformer behind our adapter, two calls a step.

Shapes: B batch, C channels, F h w frames, height and width of the latents.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from diffusers.models.transformers.transformer_wan import WanRotaryPosEmbed, WanTransformer3DModel
from diffusers.pipelines.wan.pipeline_wan import WanPipeline, prompt_clean
from diffusers.utils.import_utils import is_ftfy_available
from torch import Tensor

from s2g.config.pipelines import Located
from s2g.config.schema import ModelConfig
from s2g.models.base import Conditioning, Output
from s2g.models.family import WAN
from s2g.models.shared.pipeline_model import PipelineDenoiser, Shape
from s2g.models.shared.pipeline_text import truncation
from s2g.models.shared.prompt_cache import Embedded
from s2g.models.shared.text import TOKENS
from s2g.models.shared.video_decoder import VideoDecoder

T5_TOKENS = WAN.text_tokens  # the stock pipeline's, with its default max_sequence_length


class WanDenoiser(PipelineDenoiser):
    """A Wan transformer behind its adapter: prompts are texts, uncond is the negative prompt, one call for each."""

    family = WAN
    network_class = WanTransformer3DModel
    decoder_class = VideoDecoder
    embeddings = TOKENS
    text_widths = ("text_dim",)
    padded_length = T5_TOKENS

    @classmethod
    def latent_size(cls, config: ModelConfig) -> tuple[int, int, int]:
        """Return (F, h, w)."""
        return cls.family.latent_size(*config.video)

    @classmethod
    def shapes(cls, network: Mapping[str, Any], size: tuple[int, int, int]) -> tuple[Shape, Shape]:
        grid = tuple(side // patch for side, patch in zip(size, network["patch_size"], strict=True))
        return (int(network["in_channels"]), *size), grid

    @classmethod
    def finish(cls, network: WanTransformer3DModel) -> None:
        """Compute the table of rotations, which no checkpoint holds."""
        settings = network.config
        network.rope = WanRotaryPosEmbed(settings["attention_head_dim"], settings["patch_size"], settings["rope_max_seq_len"])

    def forward(self, x: Tensor, level: float, conditioning: Conditioning, timestep: Tensor | None = None) -> Output:
        """Predict the velocity [B, C, F, h, w]; the network is given the scheduler's timestep, or 1000 times the level."""
        network: Any = self.offload.use(self.network)
        t = torch.full((), 1000 * level, dtype=torch.float32, device=x.device) if timestep is None else timestep
        out = network(
            # What takes x in: `network.dtype` would look through all modules, which took as long as a block.
            hidden_states=x.to(network.patch_embedding.weight.dtype),
            timestep=t.expand(x.shape[0]),
            encoder_hidden_states=conditioning.tensors["tokens"],
            return_dict=False,
        )
        return Output(out[0])

    @classmethod
    def stock_pipeline(cls, config: ModelConfig, located: Located, arguments: Mapping[str, Any]) -> Any:
        """Return the pipeline of its encoder, UMT5."""
        return WanPipeline.from_pretrained(located.root, **arguments, transformer=None, transformer_2=None)

    @staticmethod
    @torch.inference_mode()
    def embed(stock: Any, prompt: str, device: torch.device) -> Embedded:
        """Return one prompt, cleaned and encoded by the stock pipeline, without the zeros that pad it."""
        padded, _ = stock.encode_prompt(prompt, do_classifier_free_guidance=False, max_sequence_length=T5_TOKENS, device=device)
        length = int(padded[0].any(dim=-1).nonzero().max()) + 1
        return Embedded({"tokens": padded[0, :length]}, truncation(stock, prompt_clean(prompt), {"tokenizer": T5_TOKENS}))

    @classmethod
    def embedding_facts(cls) -> dict[str, str]:
        """Return whether ftfy is there: without it the stock pipeline leaves broken characters of a prompt as they are."""
        return {"ftfy": str(is_ftfy_available())}
