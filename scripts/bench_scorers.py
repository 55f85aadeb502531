"""Time the networks that score images: one image at a time, as scores are made, beside a batch, and bf16 beside fp32.

Scores are made one at a time so that no value depends on its neighbors; Inception and DINOv2 read fixed batches of 16. These
ratios say what that costs. Random weights: the image encoders, which are nearly all of the work.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import torch
from gpu_measuring import Sizes, in_turn
from torch import Tensor, nn

IMAGES = 8


def inception(small: bool) -> nn.Module:
    """Build torchvision's Inception v3: the blocks of FID's, of the same sizes."""
    from torchvision.models import inception_v3

    return inception_v3(weights=None, init_weights=False, aux_logits=False)


def clip(small: bool) -> nn.Module:
    """Build the image encoder of HPSv2.1's CLIP."""
    import open_clip

    return open_clip.create_model("ViT-B-32" if small else "ViT-H-14", pretrained=None).visual  # type: ignore[return-value]


def blip(small: bool) -> nn.Module:
    """Build the image encoder of BLIP-VQA, capfilt-large."""
    from transformers import BlipVisionConfig, BlipVisionModel

    sizes = {"num_hidden_layers": 4} if small else {"num_hidden_layers": 24}
    return BlipVisionModel(
        BlipVisionConfig(hidden_size=1024, intermediate_size=4096, num_attention_heads=16, image_size=480, **sizes)
    )


# name -> its network, the side of its images
NETWORKS: dict[str, tuple[Callable[[bool], nn.Module], int]] = {
    "Inception": (inception, 299),
    "CLIP of HPSv2.1": (clip, 224),
    "BLIP-VQA": (blip, 480),
}


def in_parts(network: nn.Module, images: Tensor, size: int, half: bool) -> None:
    """Read images [N, 3, H, W], `size` at once; half: in bf16 by autocast."""
    with torch.autocast(images.device.type, torch.bfloat16, enabled=half):
        for part in images.split(size):
            network(part)


def scorers(sizes: Sizes, small: bool) -> Iterator[tuple[str, str, str, float, float, float]]:
    """Yield network, way, the way it is compared with, ratio, seconds an image, and GB at the peak."""
    for name, (build, side) in NETWORKS.items():
        with sizes.device:  # a CPU would take long to draw the weights
            network, images = build(small).eval(), torch.randn(IMAGES, 3, side, side)
        alone, together = "one at a time", f"{IMAGES} at once"
        ways = {
            alone: partial(in_parts, network, images, 1, False),
            together: partial(in_parts, network, images, IMAGES, False),
        }
        if sizes.device.type == "cuda":
            ways["one at a time, bf16"] = partial(in_parts, network, images, 1, True)
        turns = in_turn(ways, sizes)
        for way in ways:
            yield name, way, alone, turns.ratio(way, alone), turns.median(way) / IMAGES, turns.peak(way)
