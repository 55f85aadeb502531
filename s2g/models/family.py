"""The model families, one record each; nothing else in s2g lists them.

Nothing heavy is imported: the records are read before a run is planned.
"""

from __future__ import annotations

from s2g.config.family import Family, Layout

SIT = Family(
    name="sit",
    summary="SiT, class-conditional (arXiv 2401.08740)",
    adapter="s2g.models.sit:SiTDenoiser",
    random=True,
)
DIT = Family(
    name="dit",
    summary="DiT, class-conditional, variance preserving (arXiv 2212.09748)",
    adapter="s2g.models.dit:DiTDenoiser",
    random=True,
)
SD3 = Family(
    name="sd3",
    summary="Stable Diffusion 3 and 3.5, text to image (arXiv 2403.03206)",
    adapter="s2g.models.sd3:SD3Denoiser",
    reads_text=True,
    random=True,
    layout=Layout(
        "StableDiffusion3Pipeline",
        "SD3Transformer2DModel",
        ("tokenizer", "tokenizer_2", "tokenizer_3", "text_encoder", "text_encoder_2", "text_encoder_3"),
        optional=("tokenizer_3", "text_encoder_3"),
        distinguishing=("qk_norm", "dual_attention_layers"),  # SD3.5-medium has them, SD3-medium has not
    ),
    blocks=("transformer_blocks",),
    stride=8,
    text_tokens=77 + 256,  # CLIP, T5
)
TINY_SD3 = Family(
    name="tiny_sd3",
    summary="SD3's transformer on captions of the built-in world",
    adapter="s2g.models.tiny_sd3:TinySD3Denoiser",
    reads_text=True,
    blocks=("transformer_blocks",),
    one_size=True,
    vocabulary="s2g.worlds.shapes.vocabulary:STILLS",
    hashed_name="captioned",
)
FLUX = Family(
    name="flux",
    summary="FLUX.1 with true CFG, text to image",
    adapter="s2g.models.flux:FluxDenoiser",
    reads_text=True,
    packed=True,
    random=True,
    layout=Layout(
        "FluxPipeline",
        "FluxTransformer2DModel",
        ("tokenizer", "tokenizer_2", "text_encoder", "text_encoder_2"),
        depth=("num_layers", "num_single_layers"),
    ),
    blocks=("transformer_blocks", "single_transformer_blocks"),
    stride=8,
    patch=2,  # packed outside of the network, whose own patch_size is 1
    text_tokens=512,  # T5
)
WAN = Family(
    name="wan",
    summary="Wan2.1, text to video (arXiv 2503.20314)",
    adapter="s2g.models.wan:WanDenoiser",
    reads_text=True,
    makes_videos=True,
    random=True,
    # Wan2.2 has a second transformer for low noise levels; without it the first would be used beyond its range.
    layout=Layout(
        "WanPipeline",
        "WanTransformer3DModel",
        ("tokenizer", "text_encoder"),
        foreign=("transformer_2",),
        distinguishing=("image_dim", "added_kv_proj_dim"),  # the image-to-video networks have them
    ),
    stride=8,
    frame_stride=4,
    text_tokens=512,  # UMT5
)
TINY_WAN = Family(
    name="tiny_wan",
    summary="Wan's transformer on captioned videos of the built-in world",
    adapter="s2g.models.tiny_wan:TinyWanDenoiser",
    reads_text=True,
    makes_videos=True,
    vocabulary="s2g.worlds.shapes.vocabulary:VIDEOS",
    hashed_name="moving",
)
TOY = Family(
    name="toy",
    summary="residual networks on points of a Gaussian mixture",
    adapter="s2g.models.toy:ToyDenoiser",
    points=True,
    shipped="s2g.worlds.mixtures.weights_index:shipped",
)
GMM = Family(
    name="gmm",
    summary="the exact denoiser of a Gaussian mixture, in closed form",
    adapter="s2g.models.toy:ExactDenoiser",
    points=True,
    trained=False,
)
FAMILIES = (SIT, DIT, TINY_SD3, SD3, TINY_WAN, FLUX, WAN, TOY, GMM)
