"""Small random networks of diffusers' transformer classes, and the arguments of one call of two items."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import diffusers
import torch
from torch import Tensor

from tests.small_networks import randomise

TEXT = 5  # tokens


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def built(kind: str, settings: dict[str, Any], std: float = 0.1) -> Any:
    torch.manual_seed(0)  # tables of some classes are drawn when they are built
    return randomise(getattr(diffusers, kind)(**settings), std)


MANY = torch.ones(2, TEXT, dtype=torch.long)
T = torch.tensor([500.0, 500.0])


def sd3() -> tuple[Any, dict[str, Any]]:
    settings = {
        "sample_size": 8, "patch_size": 2, "in_channels": 4, "out_channels": 4, "num_layers": 6, "num_attention_heads": 2,
        "attention_head_dim": 8, "joint_attention_dim": 24, "caption_projection_dim": 16, "pooled_projection_dim": 16,
        "pos_embed_max_size": 4, "dual_attention_layers": (0, 1, 2), "qk_norm": "rms_norm",
    }  # fmt: skip
    inputs = {"hidden_states": noise(2, 4, 8, 8), "timestep": T, "encoder_hidden_states": noise(2, TEXT, 24)}
    return built("SD3Transformer2DModel", settings), inputs | {"pooled_projections": noise(2, 16)}


def ids(height: int = 3, width: int = 4, axes: int = 3) -> dict[str, Tensor]:
    places = torch.cartesian_prod(torch.zeros(1), torch.arange(height).float(), torch.arange(width).float())
    fill = torch.zeros(len(places), axes)
    fill[:, :3] = places
    return {"img_ids": fill, "txt_ids": torch.zeros(TEXT, axes)}


PACKED = {
    "in_channels": 16, "num_layers": 3, "num_single_layers": 4, "num_attention_heads": 2, "attention_head_dim": 16,
    "joint_attention_dim": 24, "axes_dims_rope": (4, 6, 6),
}  # fmt: skip


def packed(kind: str, pooled: bool = True, **more: Any) -> tuple[Any, dict[str, Any]]:
    settings = PACKED | ({"pooled_projection_dim": 16} if pooled else {}) | more
    inputs = {"hidden_states": noise(2, 12, 16), "encoder_hidden_states": noise(2, TEXT, 24), "timestep": T / 1000, **ids()}
    return built(kind, settings), inputs | ({"pooled_projections": noise(2, 16)} if pooled else {})


def flux() -> tuple[Any, dict[str, Any]]:
    return packed("FluxTransformer2DModel")


def bria() -> tuple[Any, dict[str, Any]]:
    network, inputs = packed("BriaTransformer2DModel", pooled=False)
    return network, inputs | {"timestep": T}


def ovis() -> tuple[Any, dict[str, Any]]:
    return packed("OvisImageTransformer2DModel", pooled=False, out_channels=16)


def longcat() -> tuple[Any, dict[str, Any]]:
    return packed("LongCatImageTransformer2DModel", pooled=False, pooled_projection_dim=24)


def chroma() -> tuple[Any, dict[str, Any]]:
    more = {"approximator_num_channels": 8, "approximator_hidden_dim": 16, "approximator_layers": 1}
    network, inputs = packed("ChromaTransformer2DModel", pooled=False, **more)
    return network, inputs


def wan(kind: str = "WanTransformer3DModel", **more: Any) -> tuple[Any, dict[str, Any]]:
    settings = {
        "num_attention_heads": 2, "attention_head_dim": 12, "in_channels": 4, "out_channels": 4, "text_dim": 24,
        "freq_dim": 16, "ffn_dim": 48, "num_layers": 6, "rope_max_seq_len": 8,
    }  # fmt: skip
    inputs = {"hidden_states": noise(2, 4, 3, 4, 4), "timestep": T, "encoder_hidden_states": noise(2, TEXT, 24)}
    return built(kind, settings | more), inputs


def skyreels() -> tuple[Any, dict[str, Any]]:
    return wan("SkyReelsV2Transformer3DModel")


def chronoedit() -> tuple[Any, dict[str, Any]]:
    return wan("ChronoEditTransformer3DModel")


def wan_vace() -> tuple[Any, dict[str, Any]]:
    network, inputs = wan("WanVACETransformer3DModel", vace_layers=[0, 2, 4], vace_in_channels=6)
    return network, inputs | {"control_hidden_states": noise(2, 6, 3, 4, 4, seed=1)}


def wan_animate() -> tuple[Any, dict[str, Any]]:
    settings = {
        "in_channels": 12, "latent_channels": 4, "image_dim": None, "motion_encoder_size": 16, "motion_style_dim": 16,
        "motion_encoder_channel_sizes": {"4": 8, "8": 8, "16": 8}, "motion_dim": 4, "motion_encoder_dim": 16,
        "face_encoder_hidden_dim": 16, "face_encoder_num_heads": 2, "inject_face_latents_blocks": 2,
    }  # fmt: skip
    network, inputs = wan("WanAnimateTransformer3DModel", **settings)
    further = {"pose_hidden_states": noise(2, 4, 2, 4, 4, seed=1), "face_pixel_values": noise(2, 3, 8, 16, 16, seed=2)}
    return network, inputs | {"hidden_states": noise(2, 12, 3, 4, 4)} | further


def dit() -> tuple[Any, dict[str, Any]]:
    settings = {
        "sample_size": 8, "num_layers": 6, "num_attention_heads": 2, "attention_head_dim": 8, "out_channels": 8,
        "num_embeds_ada_norm": 10,
    }  # fmt: skip
    inputs = {"hidden_states": noise(2, 4, 8, 8), "timestep": T.long(), "class_labels": torch.tensor([1, 2])}
    return built("DiTTransformer2DModel", settings), inputs


def pixart() -> tuple[Any, dict[str, Any]]:
    settings = {
        "sample_size": 8, "num_layers": 6, "num_attention_heads": 2, "attention_head_dim": 8, "in_channels": 4,
        "out_channels": 8, "cross_attention_dim": 16, "caption_channels": 24, "use_additional_conditions": False,
    }  # fmt: skip
    inputs = {
        "hidden_states": noise(2, 4, 8, 8), "timestep": T, "encoder_hidden_states": noise(2, TEXT, 24),
        "added_cond_kwargs": {"resolution": None, "aspect_ratio": None},
    }  # fmt: skip
    return built("PixArtTransformer2DModel", settings), inputs


def latte() -> tuple[Any, dict[str, Any]]:
    settings = {
        "sample_size": 8, "num_layers": 3, "num_attention_heads": 2, "attention_head_dim": 8, "in_channels": 4,
        "out_channels": 8, "cross_attention_dim": 16, "caption_channels": 24, "patch_size": 2, "video_length": 3,
        "norm_type": "ada_norm_single", "num_embeds_ada_norm": 1000, "norm_elementwise_affine": False,
    }  # fmt: skip
    inputs = {"hidden_states": noise(2, 4, 3, 8, 8), "timestep": T.long(), "encoder_hidden_states": noise(2, TEXT, 24)}
    return built("LatteTransformer3DModel", settings), inputs


def hunyuan_dit() -> tuple[Any, dict[str, Any]]:
    settings = {
        "sample_size": 8, "num_layers": 6, "num_attention_heads": 2, "attention_head_dim": 8, "in_channels": 4,
        "patch_size": 2, "hidden_size": 16, "cross_attention_dim": 24, "cross_attention_dim_t5": 24,
        "pooled_projection_dim": 8, "text_len": TEXT, "text_len_t5": TEXT, "use_style_cond_and_image_meta_size": False,
    }  # fmt: skip
    inputs = {
        "hidden_states": noise(2, 4, 8, 8), "timestep": T, "encoder_hidden_states": noise(2, TEXT, 24),
        "text_embedding_mask": MANY, "encoder_hidden_states_t5": noise(2, TEXT, 24), "text_embedding_mask_t5": MANY,
        "image_rotary_emb": (torch.ones(16, 8), torch.zeros(16, 8)),
    }  # fmt: skip
    return built("HunyuanDiT2DModel", settings), inputs


def cogvideox() -> tuple[Any, dict[str, Any]]:
    settings = {
        "num_attention_heads": 2, "attention_head_dim": 8, "in_channels": 4, "out_channels": 4, "time_embed_dim": 8,
        "text_embed_dim": 24, "num_layers": 6, "sample_width": 8, "sample_height": 8, "sample_frames": 9,
        "max_text_seq_length": TEXT,
    }  # fmt: skip
    inputs = {"hidden_states": noise(2, 3, 4, 8, 8), "timestep": T.long(), "encoder_hidden_states": noise(2, TEXT, 24)}
    return built("CogVideoXTransformer3DModel", settings), inputs


def ltx() -> tuple[Any, dict[str, Any]]:
    settings = {
        "in_channels": 8, "out_channels": 8, "num_attention_heads": 2, "attention_head_dim": 8, "cross_attention_dim": 16,
        "num_layers": 6, "caption_channels": 24,
    }  # fmt: skip
    inputs = {
        "hidden_states": noise(2, 12, 8), "timestep": T, "encoder_hidden_states": noise(2, TEXT, 24),
        "encoder_attention_mask": MANY, "num_frames": 3, "height": 2, "width": 2,
    }  # fmt: skip
    return built("LTXVideoTransformer3DModel", settings), inputs


def ltx2() -> tuple[Any, dict[str, Any]]:
    settings = {
        "in_channels": 4, "out_channels": 4, "num_attention_heads": 2, "attention_head_dim": 8, "cross_attention_dim": 16,
        "audio_in_channels": 4, "audio_out_channels": 4, "audio_num_attention_heads": 2, "audio_attention_head_dim": 4,
        "audio_cross_attention_dim": 8, "num_layers": 5, "caption_channels": 24, "rope_double_precision": False,
    }  # fmt: skip
    inputs = {
        "hidden_states": noise(2, 8, 4), "audio_hidden_states": noise(2, 6, 4), "timestep": T[:, None].expand(2, 8),
        "audio_timestep": T[:, None].expand(2, 6),
        "encoder_hidden_states": noise(2, TEXT, 24), "audio_encoder_hidden_states": noise(2, TEXT, 24), "num_frames": 2,
        "height": 2, "width": 2, "audio_num_frames": 6,
    }  # fmt: skip
    return built("LTX2VideoTransformer3DModel", settings), inputs


def hunyuan_video() -> tuple[Any, dict[str, Any]]:
    settings = {
        "in_channels": 4, "out_channels": 4, "num_attention_heads": 2, "attention_head_dim": 10, "num_layers": 3,
        "num_single_layers": 3, "num_refiner_layers": 1, "patch_size": 1, "guidance_embeds": False, "text_embed_dim": 24,
        "pooled_projection_dim": 8, "rope_axes_dim": (2, 4, 4),
    }  # fmt: skip
    inputs = {
        "hidden_states": noise(2, 4, 2, 4, 4), "timestep": T, "encoder_hidden_states": noise(2, TEXT, 24),
        "encoder_attention_mask": MANY, "pooled_projections": noise(2, 8),
    }  # fmt: skip
    return built("HunyuanVideoTransformer3DModel", settings), inputs


def framepack() -> tuple[Any, dict[str, Any]]:
    settings = {
        "in_channels": 4, "out_channels": 4, "num_attention_heads": 2, "attention_head_dim": 10, "num_layers": 3,
        "num_single_layers": 3, "num_refiner_layers": 1, "guidance_embeds": False, "text_embed_dim": 24,
        "pooled_projection_dim": 8, "rope_axes_dim": (2, 4, 4), "has_image_proj": True, "image_proj_dim": 12,
        "has_clean_x_embedder": True,
    }  # fmt: skip
    frames = {"": 2, "_clean": 1, "_history_2x": 2, "_history_4x": 4}
    inputs = {
        "hidden_states": noise(2, 4, 2, 8, 8), "timestep": T, "encoder_hidden_states": noise(2, TEXT, 24),
        "encoder_attention_mask": MANY, "pooled_projections": noise(2, 8), "image_embeds": noise(2, 3, 12),
    }  # fmt: skip
    for seed, (name, count) in enumerate(frames.items()):
        inputs |= {f"latents{name}": noise(2, 4, count, 8, 8, seed=seed)} if name else {}
        inputs |= {f"indices_latents{name}": torch.arange(count).float()}
    return built("HunyuanVideoFramepackTransformer3DModel", settings), inputs


def hunyuan_image() -> tuple[Any, dict[str, Any]]:
    settings = {
        "in_channels": 4, "out_channels": 4, "num_attention_heads": 2, "attention_head_dim": 8, "num_layers": 3,
        "num_single_layers": 3, "num_refiner_layers": 1, "text_embed_dim": 24, "rope_axes_dim": (4, 4),
    }  # fmt: skip
    inputs = {
        "hidden_states": noise(2, 4, 4, 4), "timestep": T, "encoder_hidden_states": noise(2, TEXT, 24),
        "encoder_attention_mask": MANY,
    }  # fmt: skip
    return built("HunyuanImageTransformer2DModel", settings), inputs


def lumina2() -> tuple[Any, dict[str, Any]]:
    settings = {
        "sample_size": 8, "in_channels": 4, "hidden_size": 24, "num_layers": 6, "num_refiner_layers": 1,
        "num_attention_heads": 2, "num_kv_heads": 1, "multiple_of": 8, "axes_dim_rope": (4, 4, 4),
        "axes_lens": (32, 16, 16), "cap_feat_dim": 24,
    }  # fmt: skip
    inputs = {
        "hidden_states": noise(2, 4, 8, 8), "timestep": T / 1000, "encoder_hidden_states": noise(2, TEXT, 24),
        "encoder_attention_mask": MANY,
    }  # fmt: skip
    return built("Lumina2Transformer2DModel", settings), inputs


def sana() -> tuple[Any, dict[str, Any]]:
    settings = {
        "in_channels": 4, "out_channels": 4, "num_attention_heads": 2, "attention_head_dim": 8, "num_layers": 6,
        "num_cross_attention_heads": 2, "cross_attention_head_dim": 8, "cross_attention_dim": 16, "caption_channels": 24,
        "sample_size": 8,
    }  # fmt: skip
    inputs = {"hidden_states": noise(2, 4, 8, 8), "timestep": T, "encoder_hidden_states": noise(2, TEXT, 24)}
    return built("SanaTransformer2DModel", settings), inputs


def sana_video() -> tuple[Any, dict[str, Any]]:
    settings = {
        "in_channels": 4, "out_channels": 4, "num_attention_heads": 2, "attention_head_dim": 12, "num_layers": 6,
        "num_cross_attention_heads": 2, "cross_attention_head_dim": 12, "cross_attention_dim": 24, "caption_channels": 24,
        "sample_size": 8, "rope_max_seq_len": 16,
    }  # fmt: skip
    inputs = {"hidden_states": noise(2, 4, 3, 4, 4), "timestep": T, "encoder_hidden_states": noise(2, TEXT, 24)}
    return built("SanaVideoTransformer3DModel", settings), inputs


def auraflow() -> tuple[Any, dict[str, Any]]:
    settings = {
        "sample_size": 8, "in_channels": 4, "out_channels": 4, "num_mmdit_layers": 3, "num_single_dit_layers": 3,
        "attention_head_dim": 8, "num_attention_heads": 2, "joint_attention_dim": 24, "caption_projection_dim": 16,
        "pos_embed_max_size": 64,
    }  # fmt: skip
    inputs = {"hidden_states": noise(2, 4, 8, 8), "timestep": T / 1000, "encoder_hidden_states": noise(2, TEXT, 24)}
    return built("AuraFlowTransformer2DModel", settings), inputs


def qwen_image() -> tuple[Any, dict[str, Any]]:
    settings = {
        "in_channels": 16, "out_channels": 4, "num_layers": 6, "attention_head_dim": 16, "num_attention_heads": 2,
        "joint_attention_dim": 24, "axes_dims_rope": (4, 6, 6),
    }  # fmt: skip
    inputs = {
        "hidden_states": noise(2, 12, 16), "timestep": T / 1000, "encoder_hidden_states": noise(2, TEXT, 24),
        "encoder_hidden_states_mask": MANY, "img_shapes": [[(1, 3, 4)]] * 2,
    }  # fmt: skip
    return built("QwenImageTransformer2DModel", settings), inputs


def mochi() -> tuple[Any, dict[str, Any]]:
    settings = {
        "num_attention_heads": 2, "attention_head_dim": 8, "num_layers": 6, "pooled_projection_dim": 16, "in_channels": 4,
        "text_embed_dim": 24, "time_embed_dim": 8, "max_sequence_length": TEXT,
    }  # fmt: skip
    inputs = {
        "hidden_states": noise(2, 4, 2, 4, 4), "timestep": T, "encoder_hidden_states": noise(2, TEXT, 24),
        "encoder_attention_mask": MANY.bool(),
    }  # fmt: skip
    return built("MochiTransformer3DModel", settings), inputs


def cogview(kind: str, **more: Any) -> tuple[Any, dict[str, Any]]:
    settings = {
        "in_channels": 4, "out_channels": 4, "num_layers": 6, "attention_head_dim": 8, "num_attention_heads": 2,
        "text_embed_dim": 24, "time_embed_dim": 8, "condition_dim": 4, "sample_size": 8, "pos_embed_max_size": 8,
    }  # fmt: skip
    sizes = torch.full((2, 2), 64.0)
    inputs = {
        "hidden_states": noise(2, 4, 8, 8), "timestep": T, "encoder_hidden_states": noise(2, TEXT, 24),
        "original_size": sizes, "target_size": sizes, "crop_coords": torch.zeros(2, 2),
    }  # fmt: skip
    return built(kind, settings | more), inputs


def cogview3() -> tuple[Any, dict[str, Any]]:
    return cogview("CogView3PlusTransformer2DModel")


def cogview4() -> tuple[Any, dict[str, Any]]:
    return cogview("CogView4Transformer2DModel", rope_axes_dim=(16, 16))


def cosmos() -> tuple[Any, dict[str, Any]]:
    settings = {
        "in_channels": 4, "out_channels": 4, "num_attention_heads": 2, "attention_head_dim": 16, "num_layers": 6,
        "text_embed_dim": 24, "adaln_lora_dim": 4, "max_size": (4, 8, 8), "concat_padding_mask": False,
    }  # fmt: skip
    inputs = {"hidden_states": noise(2, 4, 2, 4, 4), "timestep": T, "encoder_hidden_states": noise(2, TEXT, 24), "fps": 16}
    return built("CosmosTransformer3DModel", settings), inputs


def allegro() -> tuple[Any, dict[str, Any]]:
    settings = {
        "num_attention_heads": 2, "attention_head_dim": 24, "in_channels": 4, "out_channels": 4, "num_layers": 6,
        "cross_attention_dim": 48, "caption_channels": 24, "sample_height": 8, "sample_width": 8, "sample_frames": 2,
    }  # fmt: skip
    grid = torch.cartesian_prod(torch.arange(2), torch.arange(4), torch.arange(4))
    angles = tuple((torch.ones(4, 8), torch.zeros(4, 8)) for _ in range(3))
    inputs = {
        "hidden_states": noise(2, 4, 2, 8, 8), "timestep": T, "encoder_hidden_states": noise(2, TEXT, 24),
        "image_rotary_emb": (angles, tuple(grid.T.unsqueeze(1))), "attention_mask": torch.ones(2, 2, 8, 8),
        "encoder_attention_mask": MANY,
    }  # fmt: skip
    return built("AllegroTransformer3DModel", settings), inputs


def z_image() -> tuple[Any, dict[str, Any]]:
    settings = {
        "in_channels": 4, "dim": 48, "n_layers": 6, "n_refiner_layers": 1, "n_heads": 2, "n_kv_heads": 2,
        "cap_feat_dim": 24, "axes_dims": [8, 8, 8], "axes_lens": [64, 32, 32],
    }  # fmt: skip
    inputs = {
        "x": list(noise(2, 4, 1, 8, 8)), "t": T / 1000, "cap_feats": list(noise(2, TEXT, 24)),
    }  # fmt: skip
    return built("ZImageTransformer2DModel", settings), inputs


def flux2() -> tuple[Any, dict[str, Any]]:
    network, inputs = packed(
        "Flux2Transformer2DModel", pooled=False, axes_dims_rope=(4, 4, 4, 4), guidance_embeds=False,
        timestep_guidance_channels=16,
    )  # fmt: skip
    return network, inputs | ids(axes=4)


def prx() -> tuple[Any, dict[str, Any]]:
    settings = {
        "in_channels": 4, "context_in_dim": 24, "hidden_size": 32, "num_heads": 2, "depth": 6, "axes_dim": [8, 8],
    }  # fmt: skip
    inputs = {"hidden_states": noise(2, 4, 8, 8), "timestep": T / 1000, "encoder_hidden_states": noise(2, TEXT, 24)}
    return built("PRXTransformer2DModel", settings), inputs


def kandinsky5() -> tuple[Any, dict[str, Any]]:
    settings = {
        "in_visual_dim": 4, "out_visual_dim": 4, "in_text_dim": 24, "in_text_dim2": 8, "time_dim": 16, "model_dim": 32,
        "ff_dim": 48, "num_text_blocks": 1, "num_visual_blocks": 6, "axes_dims": (4, 6, 6),
    }  # fmt: skip
    inputs = {
        "hidden_states": noise(1, 2, 4, 4, 4), "timestep": T[:1], "encoder_hidden_states": noise(1, TEXT, 24),
        "pooled_projections": noise(1, 8), "visual_rope_pos": [torch.arange(2), torch.arange(2), torch.arange(2)],
        "text_rope_pos": torch.arange(TEXT),
    }  # fmt: skip
    return built("Kandinsky5Transformer3DModel", settings), inputs


def stable_audio() -> tuple[Any, dict[str, Any]]:
    settings = {
        "sample_size": 8, "in_channels": 4, "out_channels": 4, "num_layers": 6, "attention_head_dim": 8,
        "num_attention_heads": 2, "num_key_value_attention_heads": 2, "cross_attention_dim": 16, "time_proj_dim": 8,
        "global_states_input_dim": 16, "cross_attention_input_dim": 24,
    }  # fmt: skip
    inputs = {
        "hidden_states": noise(2, 4, 8), "timestep": T, "encoder_hidden_states": noise(2, TEXT, 24),
        "global_hidden_states": noise(2, 1, 16), "rotary_embedding": (torch.ones(9, 4), torch.zeros(9, 4)),
    }  # fmt: skip
    return built("StableAudioDiTModel", settings), inputs


def easyanimate() -> tuple[Any, dict[str, Any]]:
    settings = {
        "num_attention_heads": 2, "attention_head_dim": 16, "in_channels": 4, "out_channels": 4, "patch_size": 2,
        "num_layers": 6, "mmdit_layers": 3, "time_embed_dim": 8, "text_embed_dim": 24, "add_noise_in_inpaint_model": False,
    }  # fmt: skip
    inputs = {"hidden_states": noise(2, 4, 2, 8, 8), "timestep": T, "encoder_hidden_states": noise(2, TEXT, 24)}
    return built("EasyAnimateTransformer3DModel", settings), inputs


NETWORKS: dict[str, Callable[[], tuple[Any, dict[str, Any]]]] = {
    "SD3Transformer2DModel": sd3,
    "FluxTransformer2DModel": flux,
    "Flux2Transformer2DModel": flux2,
    "BriaTransformer2DModel": bria,
    "OvisImageTransformer2DModel": ovis,
    "LongCatImageTransformer2DModel": longcat,
    "ChromaTransformer2DModel": chroma,
    "WanTransformer3DModel": wan,
    "SkyReelsV2Transformer3DModel": skyreels,
    "ChronoEditTransformer3DModel": chronoedit,
    "WanVACETransformer3DModel": wan_vace,
    "WanAnimateTransformer3DModel": wan_animate,
    "DiTTransformer2DModel": dit,
    "PixArtTransformer2DModel": pixart,
    "LatteTransformer3DModel": latte,
    "HunyuanDiT2DModel": hunyuan_dit,
    "CogVideoXTransformer3DModel": cogvideox,
    "LTXVideoTransformer3DModel": ltx,
    "LTX2VideoTransformer3DModel": ltx2,
    "HunyuanVideoTransformer3DModel": hunyuan_video,
    "HunyuanVideoFramepackTransformer3DModel": framepack,
    "HunyuanImageTransformer2DModel": hunyuan_image,
    "Lumina2Transformer2DModel": lumina2,
    "SanaTransformer2DModel": sana,
    "SanaVideoTransformer3DModel": sana_video,
    "AuraFlowTransformer2DModel": auraflow,
    "QwenImageTransformer2DModel": qwen_image,
    "MochiTransformer3DModel": mochi,
    "CogView3PlusTransformer2DModel": cogview3,
    "CogView4Transformer2DModel": cogview4,
    "CosmosTransformer3DModel": cosmos,
    "AllegroTransformer3DModel": allegro,
    "ZImageTransformer2DModel": z_image,
    "PRXTransformer2DModel": prx,
    "Kandinsky5Transformer3DModel": kandinsky5,
    "StableAudioDiTModel": stable_audio,
    "EasyAnimateTransformer3DModel": easyanimate,
}
