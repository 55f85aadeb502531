"""Contrast, saturation and clipping of images whose values are known."""

from __future__ import annotations

import colorsys

import numpy as np
import pytest

from s2g.metrics.pixels import clipped, contrast, saturation


def plain(*color: int) -> np.ndarray:
    return np.full((4, 4, 3), color, np.uint8)


def test_contrast_is_the_spread_of_luma() -> None:
    halves = np.concatenate([np.zeros((2, 4, 3), np.uint8), np.full((2, 4, 3), 255, np.uint8)])
    red = halves * np.array([1, 0, 0], np.uint8)
    images = np.stack([halves, plain(200, 10, 30), red])
    np.testing.assert_allclose(contrast(images), [0.5, 0, 0.5 * 0.299], atol=1e-12)


def test_saturation_is_that_of_hsv() -> None:
    images = np.stack([plain(255, 0, 0), plain(90, 90, 90), plain(0, 0, 0), plain(200, 150, 100)])
    np.testing.assert_allclose(saturation(images), [1, 0, 0, 0.5])
    noise = np.random.default_rng(0).integers(0, 256, (1, 5, 5, 3)).astype(np.uint8)
    want = np.mean([colorsys.rgb_to_hsv(*(pixel / 255.0))[1] for pixel in noise.reshape(-1, 3)])
    assert saturation(noise)[0] == pytest.approx(want)


def test_clipped_counts_channel_values_at_either_end() -> None:
    image = plain(1, 254, 128)
    image[0, 0] = (0, 255, 7)
    np.testing.assert_allclose(clipped(np.stack([image, plain(255, 0, 3)])), [2 / 48, 2 / 3])
