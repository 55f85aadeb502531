"""CMMD's embeddings by a small random CLIP against the authors' steps, written out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import open_clip
import pytest
import small_clip
import torch
from PIL import Image

from s2g.benchmarks.distances.clip import UnitClip
from s2g.benchmarks.folder.bench import Folder
from s2g.errors import UserError
from s2g.metrics.gaussian_discrepancy import gaussian_items

MEAN, STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)


@pytest.fixture
def clip(tmp_path: Path) -> UnitClip:
    weights, sizes = small_clip.write(tmp_path / "clip")
    open_clip.add_model_config(sizes)
    return UnitClip(str(weights), "small")


def embedded(images: list[np.ndarray]) -> np.ndarray:
    """Middle square, Pillow's bicubic to 32, CLIP's mean and spread, the projected embedding, unit length."""
    network, found = small_clip.network(), []
    for image in images:
        height, width = image.shape[:2]
        least = min(height, width)
        left, top = (width - least) // 2, (height - least) // 2
        square = Image.fromarray(image).crop((left, top, left + least, top + least)).resize((32, 32), Image.Resampling.BICUBIC)
        pixels = (np.asarray(square).astype(np.float32) / 255 - np.array(MEAN, np.float32)) / np.array(STD, np.float32)
        with torch.inference_mode():
            row = network.encode_image(torch.from_numpy(pixels).movedim(-1, 0)[None])[0].double().numpy()
        found.append(row / np.linalg.norm(row))
    return np.stack(found)


@pytest.mark.parametrize("shape", [(64, 64), (50, 81), (32, 32)])
def test_embeddings_are_the_authors(clip: UnitClip, shape: tuple[int, int]) -> None:
    images = np.random.default_rng(0).integers(0, 256, (3, *shape, 3), dtype=np.uint8)
    found = clip.read(images, "cpu")
    assert found.shape == (3, 16) and clip.width == 16 and np.allclose((found**2).sum(1), 1, atol=1e-5)
    assert np.abs(found - embedded(list(images))).max() < 1e-5 and np.abs(found[0] - found[1]).max() > 0.01


def test_cmmd_of_a_folder_is_that_of_the_embeddings(clip: UnitClip, tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    real = np.random.default_rng(1).integers(0, 256, (6, 40, 40, 3), dtype=np.uint8)
    for at, image in enumerate(real):
        Image.fromarray(image).save(tmp_path / "real" / f"{at}.png")
    fake = np.random.default_rng(2).integers(0, 128, (5, 40, 40, 3), dtype=np.uint8)
    bench = Folder(reference=str(tmp_path / "real"), clip=clip.weights, clip_architecture="small", score=("cmmd",))
    found = bench.measure(fake, range(5))["cmmd"].mean()
    assert found == pytest.approx(gaussian_items(embedded(list(fake)), embedded(list(real))).mean(), rel=1e-3) and found > 0


def test_a_clip_that_is_not_here_is_said_to_be(own_cache: Path) -> None:
    with pytest.raises(UserError, match=r"bench\.clip = openai: (.|\n)*hf download timm/vit_large_patch14_clip_336"):
        UnitClip().check()
