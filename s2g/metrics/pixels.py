"""Contrast, sharpness, saturation and clipping of images: what guidance at large scales does to them.

The mean HSV saturation and the RMS contrast are what arXiv 2410.02416 reports of oversaturated samples.
"""

from __future__ import annotations

import numpy as np

LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601, as in Pillow's grey


def contrast(images: np.ndarray) -> np.ndarray:
    """Return the RMS contrast [B] of uint8 images [B, H, W, 3]: standard deviation of luma in 0 to 1 (Peli 1990)."""
    return (images / 255.0 @ np.array(LUMA)).std((1, 2))


def sharpness(images: np.ndarray) -> np.ndarray:
    """Return the mean size [B] of luma steps between neighbouring pixels of uint8 images [B, H, W, 3], luma in 0 to 1."""
    luma = images / 255.0 @ np.array(LUMA)
    down, across = np.abs(np.diff(luma, axis=1)), np.abs(np.diff(luma, axis=2))
    return (down.sum((1, 2)) + across.sum((1, 2))) / (down[0].size + across[0].size)


def saturation(images: np.ndarray) -> np.ndarray:
    """Return the mean HSV saturation [B] of uint8 images [B, H, W, 3], (max - min) / max of a pixel's channels; 0 for black."""
    highest, lowest = images.max(-1).astype(np.float64), images.min(-1)
    return ((highest - lowest) / highest.clip(1)).mean((1, 2))


def clipped(images: np.ndarray) -> np.ndarray:
    """Return the share [B] of channel values of uint8 images [B, H, W, 3] at either end of their range, 0 or 255."""
    return ((images == 0) | (images == 255)).mean((1, 2, 3))
