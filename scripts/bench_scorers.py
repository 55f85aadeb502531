"""Time the networks that score images: one image at a time, as scores are made, beside a batch, and bf16 beside fp32.

CLIP and BLIP score one image at a time so that no value depends on its neighbors; Inception reads fixed batches of 16. These
ratios say what that costs. Random weights: the image encoders, which are nearly all of the work.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from functools import partial

import torch
from bench_rows import Row
from gpu_measuring import Sizes, Way, in_turn
from torch import Tensor, nn

IMAGES = 16  # a whole batch of Inception


def inception(small: bool) -> nn.Module:
    """Build torchvision's Inception v3: the blocks of FID's, of the same sizes."""
    from torchvision.models import inception_v3

    return inception_v3(weights=None, init_weights=False, aux_logits=False)


def clip(small: bool) -> nn.Module:
    """Build the image encoder of HPSv2.1's CLIP, ViT-H/14; small: ViT-B/32."""
    import open_clip

    return open_clip.create_model("ViT-B-32" if small else "ViT-H-14", pretrained=None).visual  # type: ignore[return-value]


def blip(small: bool) -> nn.Module:
    """Build the image encoder of BLIP-VQA, capfilt-large, of 24 layers; small: of 4."""
    from transformers import BlipVisionConfig, BlipVisionModel

    sizes = {"num_hidden_layers": 4} if small else {"num_hidden_layers": 24}
    return BlipVisionModel(
        BlipVisionConfig(hidden_size=1024, intermediate_size=4096, num_attention_heads=16, image_size=480, **sizes)
    )


# What it is called at full size and small, its network, the side of its images, and how many are scored at once.
NETWORKS: tuple[tuple[str, str, Callable[[bool], nn.Module], int, int], ...] = (
    ("Inception v3", "Inception v3", inception, 299, 16),
    ("CLIP of HPSv2.1, ViT-H/14", "CLIP, ViT-B/32", clip, 224, 1),
    ("BLIP-VQA's encoder, 24 layers", "BLIP's encoder, 4 of 24 layers", blip, 480, 1),
)


def in_parts(network: nn.Module, images: Tensor, size: int, half: bool) -> None:
    """Read images [N, 3, H, W], `size` at once; half: in bf16 by autocast."""
    with torch.autocast(images.device.type, torch.bfloat16, enabled=half):
        for part in images.split(size):
            network(part)


def scoring(sizes: Sizes, small: bool, until: float = math.inf) -> Iterator[Row]:
    """Time the networks that score images as they are used, in other batches and in bf16; seconds are of one image."""
    for full, little, build, side, used in NETWORKS:
        with sizes.device:  # a CPU would take long to draw the weights
            network, images = build(small).eval(), torch.randn(IMAGES, 3, side, side)

        def read(size: int, half: bool, round_number: int, network: nn.Module = network, images: Tensor = images) -> None:
            in_parts(network, images, size, half)

        names = {1: "one at a time", **{size: f"{size} at once" for size in (8, 16)}}
        to = names[used]
        ways: dict[str, Way] = {to: partial(read, used, False)}
        ways |= {names[other]: partial(read, other, False) for other in (1, 8) if other != used}
        if sizes.device.type == "cuda":
            ways[f"{to}, bf16"] = partial(read, used, True)
        turns = in_turn(ways, sizes, until)
        for way in ways:
            seconds = turns.median(way) / IMAGES
            section = f"scoring an image, {little if small else full}"
            yield Row.of(section, way, to, turns, sizes.device.type, seconds=seconds)
