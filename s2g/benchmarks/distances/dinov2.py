"""DINOv2's class token, the features of FD-DINOv2 (arXiv 2306.04675): from a file of weights, images at 224 pixels.

bench.dinov2_resize   how an image comes to 224 x 224
pillow                Pillow's bicubic to whole levels, as layer6ai-labs/dgm-eval and EDM2's reference mode: published values
tensorflow            TensorFlow 1's bilinear without smoothing, as torch-fidelity: another metric
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from s2g.benchmarks.distances.network import Network, Part, place_of
from s2g.benchmarks.distances.resize import stretched
from s2g.errors import MissingError, UserError, unknown
from s2g.io.hashing import content_hash
from s2g.io.interrupt import uninterrupted
from s2g.io.one_thread import one_thread
from s2g.scoring.comparability import NOT_COMPARABLE

KEY = "bench.dinov2"
OFFICIAL = "dinov2_vitl14_pretrain.pth"
SOURCE = f"https://dl.fbaipublicfiles.com/dinov2/dinov2_vitl14/{OFFICIAL}"
RESIZES = ("pillow", "tensorflow")
SIDE, BATCH = 224, 16
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # ImageNet's, of DINOv2's training


@dataclass(frozen=True)
class DinoV2(Network):
    """DINOv2 by its weights, and how images come to its size."""

    weights: str = OFFICIAL
    resize: str = "pillow"

    parts: ClassVar[tuple[Part, ...]] = (Part("dinov2", slice(None)),)
    download: ClassVar[str] = f"{OFFICIAL} (DINOv2 ViT-L/14, Apache-2.0), 1.2 GB"

    def __post_init__(self) -> None:
        if self.resize not in RESIZES:
            raise unknown("bench.dinov2_resize", self.resize, RESIZES)

    @property
    def path(self) -> Path:
        """Return the weights' path."""
        return Path(self.weights).expanduser()

    def check(self) -> None:
        if not self.path.is_file():
            raise MissingError(
                KEY, self.weights, f"no file {self.path}", allowed=self.download, todo=f"curl -LO {SOURCE}, then {KEY}=FILE"
            )

    def identity(self) -> str:
        self.check()
        return f"dinov2 {content_hash(self.path)} {self.resize}"

    def remark(self) -> str:
        return "" if self.resize == "pillow" else f"DINOv2 with TensorFlow's resize: {NOT_COMPARABLE} FD-DINOv2"

    def read(self, images: np.ndarray, device: str = "auto") -> np.ndarray:
        self.check()
        import torch

        place = place_of(device)
        network = _network(str(self.path.absolute()), content_hash(self.path), place)
        with one_thread(), torch.inference_mode():
            batches = (self.prepared(images[at : at + BATCH]) for at in range(0, len(images), BATCH))
            return np.concatenate([network(batch.to(place)).float().cpu().numpy() for batch in batches])

    def prepared(self, images: np.ndarray) -> Any:
        """Return float32 [B, 3, 224, 224] of uint8 images [B, H, W, 3]: resized, scaled to 0 to 1, normalized."""
        import torch

        if self.resize == "pillow":
            levels = torch.from_numpy(np.stack([stretched(image, SIDE) for image in images])).movedim(-1, 1).float()
        else:
            from torch_fidelity.interpolate_compat_tensorflow import interpolate_bilinear_2d_like_tensorflow1x

            whole = torch.from_numpy(np.array(images)).movedim(-1, 1).float()
            levels = interpolate_bilinear_2d_like_tensorflow1x(whole, size=(SIDE, SIDE), align_corners=False)
        mean, std = (torch.tensor(values)[:, None, None] for values in (MEAN, STD))
        return (levels / 255 - mean) / std


@cache
def _network(weights: str, digest: str, device: str) -> Any:
    """Load the network in evaluation mode; UserError for a file that is not DINOv2's."""
    from s2g.models.shared.weights import read_weights

    with uninterrupted():
        from s2g.benchmarks.distances.vision_transformer import VisionTransformer
    tensors = read_weights(Path(weights), KEY)
    try:
        return VisionTransformer({name: tensor.float() for name, tensor in tensors.items()}).to(device)
    except (RuntimeError, KeyError, ValueError) as error:
        said = " ".join(str(error).split())[:120]
        raise UserError(
            f"{KEY} = {weights}: is no such DINOv2 ({said})", allowed=DinoV2.download, todo=f"curl -LO {SOURCE}"
        ) from error
