"""A small Qwen-Image with random weights, built without a network: diffusers' and transformers' own parts."""

from __future__ import annotations

from pathlib import Path

from diffusers import AutoencoderKLQwenImage, FlowMatchEulerDiscreteScheduler, QwenImagePipeline, QwenImageTransformer2DModel
from tokenizers import pre_tokenizers
from transformers import Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration, Qwen2Tokenizer

from tests.offline_pipelines import drawn


def qwen_tokenizer() -> Qwen2Tokenizer:
    """Bytes as they are."""
    symbols = ["<|endoftext|>", *sorted(pre_tokenizers.ByteLevel.alphabet())]
    return Qwen2Tokenizer(vocab={symbol: place for place, symbol in enumerate(symbols)}, merges=[])


def qwen_text() -> Qwen2_5_VLForConditionalGeneration:
    """A language model of two layers, 32 wide; its eyes are never opened."""
    text = {
        "vocab_size": 257, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 2,
        "num_key_value_heads": 2, "rope_scaling": {"type": "mrope", "mrope_section": [2, 3, 3]}, "bos_token_id": 0,
        "eos_token_id": 0, "max_position_embeddings": 2048,
    }  # fmt: skip
    eyes = {"depth": 1, "hidden_size": 16, "intermediate_size": 16, "num_heads": 2, "out_hidden_size": 32}
    return Qwen2_5_VLForConditionalGeneration(Qwen2_5_VLConfig(text_config=text, vision_config=eyes))


def qwen_pipeline(tokenizers: Path | None = None) -> QwenImagePipeline:
    """Six blocks; 16 channels, 8 pixels a latent. tokenizers: where others write theirs; this one needs no files."""
    pipeline = QwenImagePipeline(
        scheduler=FlowMatchEulerDiscreteScheduler(use_dynamic_shifting=True),
        vae=drawn(AutoencoderKLQwenImage(base_dim=8, z_dim=16, num_res_blocks=1)),
        text_encoder=drawn(qwen_text()),
        tokenizer=qwen_tokenizer(),
        transformer=drawn(
            QwenImageTransformer2DModel(
                in_channels=64, out_channels=16, num_layers=6, attention_head_dim=16, num_attention_heads=2,
                joint_attention_dim=32, axes_dims_rope=(4, 6, 6),
            )
        ),
    )  # fmt: skip
    pipeline.set_progress_bar_config(disable=True)
    return pipeline
