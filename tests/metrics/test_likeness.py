"""Structural similarity against its formula, written out."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import correlate1d

from s2g.metrics.likeness import ssim


def written_out(a: np.ndarray, b: np.ndarray) -> float:
    """SSIM of two images [H, W, C] in 0 to 1, by its definition, with mirrored edges."""
    at = np.arange(-5, 6)
    weights = np.exp(-(at**2) / (2 * 1.5**2))
    weights /= weights.sum()

    def mean(image: np.ndarray) -> np.ndarray:
        return correlate1d(correlate1d(image, weights, axis=0, mode="mirror"), weights, axis=1, mode="mirror")

    ma, mb = mean(a), mean(b)
    va, vb, cov = mean(a * a) - ma**2, mean(b * b) - mb**2, mean(a * b) - ma * mb
    c1, c2 = 0.01**2, 0.03**2
    return float((((2 * ma * mb + c1) * (2 * cov + c2)) / ((ma**2 + mb**2 + c1) * (va + vb + c2))).mean())


def test_it_is_its_formula() -> None:
    rng = np.random.default_rng(0)
    a = rng.integers(0, 256, (5, 32, 40, 3), dtype=np.uint8)
    b = np.clip(a.astype(int) + rng.integers(-60, 60, a.shape), 0, 255).astype(np.uint8)
    expected = [written_out(x / 255, y / 255) for x, y in zip(a, b, strict=True)]
    assert ssim(a, b) == pytest.approx(expected, abs=1e-5)
    assert ssim(a[:1], b[:1]) == pytest.approx(expected[:1], abs=1e-5)


def test_equal_images_are_one_and_others_less() -> None:
    image = np.random.default_rng(1).integers(0, 256, (2, 32, 32, 3), dtype=np.uint8)
    assert ssim(image, image) == pytest.approx([1, 1])
    assert (ssim(image, 255 - image) < 0).all()


def test_of_videos_it_is_the_mean_over_frames() -> None:
    a, b = np.random.default_rng(2).integers(0, 256, (2, 3, 4, 16, 20, 3), dtype=np.uint8)
    frames = [ssim(a[:, at], b[:, at]) for at in range(4)]
    assert ssim(a, b) == pytest.approx(np.mean(frames, axis=0), abs=1e-6) and ssim(a, b).shape == (3,)
    assert (ssim(a, a[:, ::-1]) < 0.9).all()  # the same frames at other times
    with pytest.raises(ValueError, match="not alike in size"):
        ssim(a, b[:, :3])
