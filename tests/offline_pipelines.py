"""Small pipelines of images and videos from text, with random weights and built without a network.

Every component is diffusers' and transformers' own.

Weights are drawn anew, since the default initialisation has gates near zero and hides whether a block was dropped.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import (
    AutoencoderKL,
    AutoencoderKLWan,
    FlowMatchEulerDiscreteScheduler,
    FluxPipeline,
    FluxTransformer2DModel,
    SD3Transformer2DModel,
    StableDiffusion3Pipeline,
    UniPCMultistepScheduler,
    WanPipeline,
    WanTransformer3DModel,
)
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors
from torch import nn
from transformers import (
    CLIPTextConfig,
    CLIPTextModel,
    CLIPTextModelWithProjection,
    CLIPTokenizer,
    T5Config,
    T5EncoderModel,
    T5TokenizerFast,
    UMT5Config,
    UMT5EncoderModel,
)

from s2g.guidance.base import Guidance
from s2g.models.flux import FluxDenoiser
from s2g.models.sd3 import SD3Denoiser
from s2g.models.shared.autoencoder import PipelineDecoder
from s2g.models.shared.offload import Offload
from s2g.models.shared.video_decoder import VideoDecoder
from s2g.models.wan import T5_TOKENS, WanDenoiser
from s2g.network.evaluate import Evaluator
from s2g.sampling.base import Sampler
from s2g.sampling.loop import Sampled, initial_noise, sample
from s2g.sampling.unit import Unit
from tests.small_networks import randomise

SIDE = 64  # pixels of the images; 8 x 8 latents
FRAMES, HEIGHT, WIDTH = 9, 32, 64  # of the videos; 3 x 4 x 8 latents
BEGIN, END = "<|startoftext|>", "<|endoftext|>"
RESIDENT = Offload(torch.device("cpu"), "resident")
PIECES = [" ", *(chr(c) for c in range(33, 127)), "▁a", "▁the", "▁cat", "▁dog", "ing", "ed"]


def clip_tokenizer(folder: Path) -> CLIPTokenizer:
    """Bytes as they are: 256 symbols, the same at a word's end, begin and end; it reads any Unicode."""
    folder.mkdir(parents=True, exist_ok=True)
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in printable]
    symbols = [chr(byte) for byte in printable] + [chr(256 + place) for place in range(len(others))]
    vocabulary = [*symbols, *(f"{symbol}</w>" for symbol in symbols), BEGIN, END]
    (folder / "vocab.json").write_text(json.dumps({symbol: place for place, symbol in enumerate(vocabulary)}))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    special = {"bos_token": BEGIN, "eos_token": END, "unk_token": END, "pad_token": END}
    about = {"tokenizer_class": "CLIPTokenizer", "model_max_length": 77, **special}
    (folder / "tokenizer_config.json").write_text(json.dumps(about))
    return CLIPTokenizer.from_pretrained(folder)


def t5_tokenizer(folder: Path) -> T5TokenizerFast:
    """Unigram over single characters and a few pieces, so that nothing is trained."""
    folder.mkdir(parents=True, exist_ok=True)
    pieces = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), ("▁", -2.0), *((piece, -3.0) for piece in PIECES if piece != " ")]
    tokenizer = Tokenizer(models.Unigram(pieces, unk_id=2))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    tokenizer.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    tokenizer.add_special_tokens(["<pad>", "</s>", "<unk>"])
    tokenizer.save(str(folder / "tokenizer.json"))
    special = {"pad_token": "<pad>", "eos_token": "</s>", "unk_token": "<unk>"}
    about = {"tokenizer_class": "T5Tokenizer", "extra_ids": 0, "model_max_length": 512, **special}
    (folder / "tokenizer_config.json").write_text(json.dumps(about))
    return T5TokenizerFast.from_pretrained(folder)


def clip_config() -> CLIPTextConfig:
    return CLIPTextConfig(
        vocab_size=514, hidden_size=32, intermediate_size=64, num_hidden_layers=3, num_attention_heads=4, projection_dim=32,
        bos_token_id=512, eos_token_id=513, pad_token_id=513,
    )  # fmt: skip


def t5_encoder(width: int) -> T5EncoderModel:
    return T5EncoderModel(T5Config(vocab_size=128, d_model=width, d_kv=16, d_ff=64, num_layers=2, num_heads=2))


def vae() -> AutoencoderKL:
    """Narrow, 16 channels, 8 pixels a latent, with the scale and shift of SD3's."""
    return AutoencoderKL(
        latent_channels=16, block_out_channels=(8, 8, 16, 16), layers_per_block=1, norm_num_groups=4,
        down_block_types=("DownEncoderBlock2D",) * 4, up_block_types=("UpDecoderBlock2D",) * 4,
        scaling_factor=1.5305, shift_factor=0.0609, use_quant_conv=False, use_post_quant_conv=False,
    )  # fmt: skip


def drawn(network: Any, std: float = 0.12) -> Any:
    """All its weights anew, the same each time."""
    found: nn.Module = randomise(network, std)
    return found


def sd3_network(second: bool = True) -> SD3Transformer2DModel:
    kind = {"dual_attention_layers": (0, 1, 2), "qk_norm": "rms_norm"} if second else {}
    return drawn(
        SD3Transformer2DModel(
            sample_size=8, patch_size=2, in_channels=16, out_channels=16, num_layers=6, num_attention_heads=4,
            attention_head_dim=8, joint_attention_dim=64, caption_projection_dim=32, pooled_projection_dim=64,
            pos_embed_max_size=16, **kind,
        )  # type: ignore[arg-type]
    )  # fmt: skip


def sd3_pipeline(tokenizers: Path, t5: bool = True, second: bool = True) -> StableDiffusion3Pipeline:
    """A small SD3.5 (`second`: with second attentions and qk-norm) or SD3; without T5 its part of the text is zeros."""
    pipeline = StableDiffusion3Pipeline(
        transformer=sd3_network(second),
        scheduler=FlowMatchEulerDiscreteScheduler(shift=3.0),
        vae=drawn(vae()),
        text_encoder=drawn(CLIPTextModelWithProjection(clip_config())),
        tokenizer=clip_tokenizer(tokenizers / "1"),
        text_encoder_2=drawn(CLIPTextModelWithProjection(clip_config()), 0.15),
        tokenizer_2=clip_tokenizer(tokenizers / "2"),
        text_encoder_3=drawn(t5_encoder(64)) if t5 else None,
        tokenizer_3=t5_tokenizer(tokenizers / "3") if t5 else None,
    )
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def flux_network() -> FluxTransformer2DModel:
    return drawn(
        FluxTransformer2DModel(
            in_channels=64, num_layers=3, num_single_layers=5, num_attention_heads=2, attention_head_dim=16,
            joint_attention_dim=32, pooled_projection_dim=32, axes_dims_rope=(4, 6, 6),
        )
    )  # fmt: skip


def flux_pipeline(tokenizers: Path) -> FluxPipeline:
    """A small Flux without embedded guidance."""
    pipeline = FluxPipeline(
        transformer=flux_network(),
        scheduler=FlowMatchEulerDiscreteScheduler(use_dynamic_shifting=True, shift=3.0),
        vae=drawn(vae()),
        text_encoder=drawn(CLIPTextModel(clip_config())),
        tokenizer=clip_tokenizer(tokenizers / "1"),
        text_encoder_2=drawn(t5_encoder(32)),
        tokenizer_2=t5_tokenizer(tokenizers / "2"),
    )
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def wan_network() -> WanTransformer3DModel:
    return drawn(
        WanTransformer3DModel(
            num_attention_heads=2, attention_head_dim=12, in_channels=16, out_channels=16, text_dim=32, freq_dim=16,
            ffn_dim=48, num_layers=6, rope_max_seq_len=16,
        )
    )  # fmt: skip


def wan_pipeline(tokenizers: Path) -> WanPipeline:
    """A small Wan2.1 with its UniPC scheduler."""
    text = UMT5Config(vocab_size=128, d_model=32, d_kv=16, d_ff=64, num_layers=2, num_heads=2)
    pipeline = WanPipeline(
        tokenizer=t5_tokenizer(tokenizers / "1"),
        text_encoder=drawn(UMT5EncoderModel(text)),
        vae=drawn(AutoencoderKLWan(base_dim=8, z_dim=16, num_res_blocks=1)),
        scheduler=UniPCMultistepScheduler(prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=3.0),
        transformer=wan_network(),
    )
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


class StockTokens:
    """As StockText, for a pipeline without pooled vectors: prompt by prompt, followed by zeros."""

    def __init__(self, pipeline: WanPipeline) -> None:
        self.pipeline = pipeline

    def encode(self, prompts: Sequence[str]) -> tuple[torch.Tensor]:
        rows = [WanDenoiser.embed(self.pipeline, prompt, torch.device("cpu")).tensors["tokens"] for prompt in prompts]
        return (torch.stack([nn.functional.pad(row, (0, 0, 0, T5_TOKENS - len(row))) for row in rows]),)


def wan_denoiser(pipeline: WanPipeline, negative: str = "") -> WanDenoiser:
    """Our adapter around the components of a pipeline in memory."""
    size = ((FRAMES - 1) // 4 + 1, HEIGHT // 8, WIDTH // 8)
    decoder = VideoDecoder(pipeline.vae, RESIDENT)
    return WanDenoiser(pipeline.transformer, StockTokens(pipeline), decoder, size, negative=negative)


class StockText:
    """A text front-end that asks a pipeline in memory, prompt by prompt; `encoded` is the adapter's own."""

    def __init__(self, pipeline: Any, encoded: Any) -> None:
        self.pipeline, self.encoded = pipeline, encoded

    def encode(self, prompts: Sequence[str]) -> tuple[torch.Tensor, torch.Tensor]:
        rows = [self.encoded(self.pipeline, prompt, torch.device("cpu")).tensors for prompt in prompts]
        tokens, pooled = (torch.stack([row[name] for row in rows]) for name in ("tokens", "pooled"))
        return tokens, pooled


def sd3_denoiser(pipeline: StableDiffusion3Pipeline, negative: str = "") -> SD3Denoiser:
    """Our adapter around the components of a pipeline in memory."""
    decoder = PipelineDecoder(pipeline.vae, RESIDENT)
    return SD3Denoiser(pipeline.transformer, StockText(pipeline, SD3Denoiser.embed), decoder, SIDE // 8, negative=negative)


def flux_denoiser(pipeline: FluxPipeline, negative: str = "") -> FluxDenoiser:
    """Our adapter around the components of a pipeline in memory."""
    decoder = PipelineDecoder(pipeline.vae, RESIDENT)
    return FluxDenoiser(pipeline.transformer, StockText(pipeline, FluxDenoiser.embed), decoder, SIDE // 16, negative=negative)


def made(
    denoiser: Any, method: Guidance, sampler: Sampler, prompts: Sequence[str], reuse: bool = True
) -> tuple[Sampled, torch.Tensor]:
    """What our own loop makes of prompts: latents, and uint8 images [B, 3, H, W]."""
    with torch.inference_mode(), Evaluator(denoiser, reuse) as evaluator:
        unit = Unit(0, tuple(range(len(prompts))), 3, 4)
        sampled = sample(evaluator, method, sampler, evaluator.encode(prompts), unit)
        return sampled, denoiser.decode(sampled.latents)


def start(denoiser: Any, items: int) -> torch.Tensor:
    """The noise that `made` begins from."""
    return initial_noise(3, range(items), denoiser.latent_shape)


def pixels(images: Any) -> torch.Tensor:
    """uint8 [B, 3, H, W] of the PIL images that a pipeline gives."""
    return torch.stack([torch.from_numpy(np.array(image)).movedim(-1, 0) for image in images])
