"""Inception of 2015-12-05 as FID has it, through torch-fidelity: its weights from a file, TensorFlow 1's resize, three outputs.

An image is read into one row: 2048 numbers of pool_3, 2023 of mixed_6's first convolution, 1008 logits without bias.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from s2g.benchmarks.distances.network import Network, Part, place_of
from s2g.errors import MissingError, UserError
from s2g.io.hashing import content_hash
from s2g.io.interrupt import uninterrupted
from s2g.io.one_thread import one_thread
from s2g.scoring.comparability import NOT_COMPARABLE

KEY = "bench.inception"
OFFICIAL = "weights-inception-2015-12-05-6726825d.pth"
BEGINS = "6726825d"  # the official file's sha256, as its name says
SOURCE = f"https://github.com/toshas/torch-fidelity/releases/download/v0.2.0/{OFFICIAL}"
POOL, SPATIAL, LOGITS = slice(0, 2048), slice(2048, 4071), slice(4071, 5079)
CHANNELS = 7  # of 192: openai/guided-diffusion, evaluations
BATCH = 16  # images at once: 16 of 299 x 299 take about 300 MB inside the network


@dataclass(frozen=True)
class Inception(Network):
    """Inception by its weights; the statistics of its parts are named as in ADM's file."""

    weights: str

    parts: ClassVar[tuple[Part, ...]] = (
        Part("pool", POOL),
        Part("spatial", SPATIAL, "mu_s", "sigma_s", kept=False),
        Part("logits", LOGITS, "", "", kept=False),
    )
    download: ClassVar[str] = f"{OFFICIAL}, 91 MB"
    width: ClassVar[int] = LOGITS.stop  # type: ignore[assignment]

    def check(self) -> None:
        weights_file(self.weights)

    def identity(self) -> str:
        return identity(self.weights)

    def remark(self) -> str:
        if identity(self.weights).startswith(BEGINS):
            return ""
        return (
            f"{KEY} = {self.weights}: not the official Inception, whose sha256 begins with {BEGINS}: {NOT_COMPARABLE} numbers"
        )

    def read(self, images: np.ndarray, device: str = "auto") -> np.ndarray:
        return read(self.weights, images, device)


def weights_file(weights: str) -> Path:
    """Return the weights' path; UserError naming bench.inception, the source and the next command if there is none."""
    path = Path(weights).expanduser()
    if not path.is_file():
        raise MissingError(
            KEY,
            weights,
            f"no file {path}",
            allowed=f"{OFFICIAL} (torch-fidelity's release; TensorFlow's Inception of 2015-12-05, 91 MB)",
            todo=f"curl -LO {SOURCE}, then {KEY}=FILE",
        )
    if not os.access(path, os.R_OK):
        raise UserError(f"{KEY} = {weights}: {path} cannot be read", todo="make it readable")
    return path


def identity(weights: str) -> str:
    """Return the sha256 of the weights' bytes."""
    return content_hash(weights_file(weights))


def read(weights: str, images: np.ndarray, device: str = "cpu") -> np.ndarray:
    """Compute features, float32 [B, 5079], of uint8 images [B, H, W, 3]: pool, spatial, logits; one thread on CPU.

    device: "cpu", "cuda:0", ..., or "auto". Of mixed_6 (torch: Mixed_6d) the convolution of 1 x 1 after ReLU, its first 7
    channels, 17 x 17 x 7 flattened channels last, as mu_s and sigma_s of the ADM statistics are.
    """
    with uninterrupted():
        import torch

    place = place_of(device)
    network = _network(str(weights_file(weights).absolute()), identity(weights), place)
    with one_thread(), torch.inference_mode():
        batches = torch.from_numpy(np.array(images)).movedim(-1, 1).split(BATCH)
        return np.concatenate([_rows(network, batch.contiguous().to(place)) for batch in batches])


def _rows(network: Any, images: Any) -> np.ndarray:
    import torch

    spatial: list[torch.Tensor] = []
    hook = network.Mixed_6d.branch1x1.register_forward_hook(
        lambda module, inputs, output: spatial.append(output[:, :CHANNELS].permute(0, 2, 3, 1).flatten(1).clone())
    )
    try:
        pool, logits = network(images)
    finally:
        hook.remove()
    return torch.cat([pool, spatial[0].float(), logits], 1).cpu().numpy()


@cache
def _network(weights: str, digest: str, device: str) -> Any:
    """Load torch-fidelity's network in evaluation mode; UserError for a file that does not fit."""
    from s2g.models.shared.weights import read_weights

    with uninterrupted():
        from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3
    read_weights(Path(weights), KEY)  # torch-fidelity unpickles whatever it is given; this refuses what is not tensors
    try:
        return FeatureExtractorInceptionV3("s2g", ["2048", "logits_unbiased"], weights).to(device)
    except (RuntimeError, KeyError) as error:
        said = (str(error).splitlines()[1:] or [str(error)])[0].strip()[:120]
        raise UserError(
            f"{KEY} = {weights}: is no such Inception ({said})", allowed=OFFICIAL, todo=f"curl -LO {SOURCE}"
        ) from error
