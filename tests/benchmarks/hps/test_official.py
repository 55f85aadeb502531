"""The official hpsv2 package in its own environment beside our scorer: the same network, weights, images and prompts.

Slow: a randomly initialised ViT-H-14 is a file of 4 GB, and each side holds it in memory.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from s2g.benchmarks.hps import checkpoint, official
from s2g.benchmarks.hps.clip import Clip
from s2g.errors import UserError
from s2g.scoring.file_scoring import Image as Judged
from s2g.scoring.isolated.environment import build

PROMPTS = ["a red circle left of a blue square", "Concept art of a CASTLE at night, 4k", "", "日本 painting"]


@pytest.mark.external
def test_the_official_package_scores_like_ours(tmp_path: Path) -> None:
    build(official.environment())
    weights = tmp_path / "random.pt"
    generator = torch.Generator().manual_seed(0)
    state = {}
    for name, like in checkpoint.empty(checkpoint.ARCHITECTURE).state_dict().items():
        gain = like.ndim == 1 and name.endswith("weight")
        std = 0.02 if like.ndim < 2 else min(0.05, like[0].numel() ** -0.5)
        state[name] = torch.empty(like.shape).normal_(float(gain), std, generator=generator)
    torch.save({"state_dict": state}, weights)
    del state
    noise, images, pixels = np.random.default_rng(0), [], []
    for item, size in enumerate(((224, 224), (512, 512), (300, 200), (100, 160))):
        small = noise.integers(0, 256, (size[0] // 20 + 1, size[1] // 20 + 1, 3), dtype=np.uint8)
        shown = Image.fromarray(small).resize((size[1], size[0]), Image.Resampling.BICUBIC)
        shown.save(tmp_path / f"{item}.png")
        pixels.append(np.asarray(shown))
        images.append(
            Judged(item, tmp_path / f"{item}.png", hashlib.sha256((tmp_path / f"{item}.png").read_bytes()).hexdigest())
        )
    theirs = official.scores(images, PROMPTS, str(weights), tmp_path / "judged")
    pairs = list(zip(pixels, PROMPTS, strict=True))
    ours = {on: Clip(str(weights), antialias=on).scores(pairs, "cpu") for on in (True, False)}
    apart = {on: np.abs(np.subtract(ours[on], theirs)).max() for on in ours}
    print(f"official {theirs}; ours {ours[True]}; largest difference {apart[True]:.6f}, without antialias {apart[False]:.6f}")
    assert np.ptp(theirs) > 0.1
    assert apart[True] < (0.5 if torch.cuda.is_available() else 1e-3)  # a GPU computes the package's side in half precision
    assert apart[False] > 10 * apart[True]


def test_scores_that_are_not_finite_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A mean would leave them out without a word."""
    monkeypatch.setattr(official, "identity", lambda weights: {})
    (weights := tmp_path / "weights.pt").write_bytes(b"")
    images = [Judged(item, tmp_path / f"{item}.png", str(item)) for item in range(3)]

    def scores(*values: float) -> list[float]:
        return official.scores(images, ["a"] * 3, str(weights), tmp_path, lambda inquiry: list(values))

    assert scores(0.25, 0.5, -0.125) == [25.0, 50.0, -12.5]
    for value in (float("nan"), float("inf")):
        with pytest.raises(UserError, match=r"1 scores of the official package are not finite \(1\.png the first\)"):
            scores(0.25, value, 0.5)
