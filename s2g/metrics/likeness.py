"""How alike two images, or two videos, are that began as the same noise."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np


def ssim(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return the structural similarity [B] of uint8 images [B, H, W, C] of at least 11 pixels a side, 1 where they are equal.

    Wang et al. 2004: a Gaussian window of sigma 1.5 over 11 pixels, constants 0.01 and 0.03, mean over pixels and channels;
    edges are mirrored (torchmetrics), where the original leaves them out: of 32 pixels that would be a third. Of videos
    [B, F, H, W, C] it is the mean over frames, each with the other's of its time; ValueError unless they have as many.
    """
    if a.shape != b.shape:
        raise ValueError(f"{a.shape} and {b.shape}: not alike in size")
    if a.ndim == 5:  # one at a time: as floats a video is four times as large
        return np.array([ssim(*pair).mean() for pair in zip(a, b, strict=True)], np.float32)
    import torch  # nothing else that tables need loads it
    from torchmetrics.functional.image import structural_similarity_index_measure

    one, other = (torch.from_numpy(np.ascontiguousarray(images.transpose(0, 3, 1, 2))).float() / 255 for images in (a, b))
    found = structural_similarity_index_measure(one, other, reduction="none", data_range=1.0)
    assert isinstance(found, torch.Tensor)
    return found.numpy().reshape(len(a))


@dataclass(frozen=True)
class Likeness:
    """A number of two images or videos, as a table shows it."""

    label: str
    higher: bool
    digits: int
    of: Callable[[np.ndarray, np.ndarray], np.ndarray]  # uint8 [B, H, W, 3] or [B, F, H, W, 3] twice -> [B]
    version: int = 1  # raised whenever the same images give other numbers


LIKENESS = {"ssim": Likeness("SSIM to the compared row", True, 3, ssim)}
