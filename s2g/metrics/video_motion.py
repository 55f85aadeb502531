"""What a video's pixels say of one object on an even ground: where it is, whether it moves, how steadily. No network.

Shapes: B videos, F frames; uint8 [B, F, H, W, 3]. Places are in pixels: x to the right, y down.
"""

from __future__ import annotations

import numpy as np

SEEN = 24.0  # sum over channels of how far a pixel of the object is from the ground, of 765


def paths(videos: np.ndarray) -> np.ndarray:
    """Return the object's position in each frame [B, F, 2]: the mean of what differs from the background, NaN if nothing does.

    The ground is the median color of a video's borders.
    """
    pixels = videos.astype(np.float64)
    borders = [pixels[:, :, 0], pixels[:, :, -1], pixels[:, :, :, 0], pixels[:, :, :, -1]]
    ground = np.median(np.concatenate([border.reshape(len(videos), -1, 3) for border in borders], axis=1), axis=1)
    away = np.abs(pixels - ground[:, None, None, None]).sum(-1)
    weight = np.where(away > SEEN, away, 0.0)
    total = weight.sum((2, 3))
    rows, columns = (np.arange(size) for size in weight.shape[2:])
    with np.errstate(invalid="ignore", divide="ignore"):
        x, y = (weight.sum(2) * columns).sum(-1) / total, (weight.sum(3) * rows).sum(-1) / total
    return np.stack([x, y], axis=-1)


def displacement(path: np.ndarray) -> np.ndarray:
    """Return the distance from the first frame that shows the object to the last, in pixels [B]; 0 if fewer than two do."""
    seen, every = np.isfinite(path[..., 0]), np.arange(len(path))
    first, last = seen.argmax(1), path.shape[1] - 1 - seen[:, ::-1].argmax(1)
    return np.nan_to_num(np.linalg.norm(path[every, last] - path[every, first], axis=-1))


def jitter(path: np.ndarray) -> np.ndarray:
    """Return the mean distance of a position from the midpoint of its neighbors', in pixels [B]; NaN if ever unseen."""
    return np.linalg.norm(path[:, 1:-1] - (path[:, :-2] + path[:, 2:]) / 2, axis=-1).mean(1)


def steadiness(videos: np.ndarray) -> np.ndarray:
    """Return 1 minus the mean absolute difference of successive frames over 255 [B]; VBench's formula for flickering."""
    frames = videos.astype(np.float64)
    return 1 - np.abs(np.diff(frames, axis=1)).mean((1, 2, 3, 4)) / 255


def consistency(features: np.ndarray) -> np.ndarray:
    """Return the mean over frames after the first of the mean cosine to the frame before and to the first, none below 0 [B].

    VBench's formula for subject consistency; features [B, F, D].
    """
    known = features.astype(np.float64)
    unit = known / np.maximum(np.linalg.norm(known, axis=-1, keepdims=True), 1e-12)
    before = (unit[:, 1:] * unit[:, :-1]).sum(-1).clip(0, 1)  # 1, not a last bit more
    first = (unit[:, 1:] * unit[:, :1]).sum(-1).clip(0, 1)
    return ((before + first) / 2).mean(1)
