"""bench=cifar: CIFAR-10's automobiles and horses in turn, in features of CLIP ViT-B/32 (paper Figure 4, Appendix B.1.3)."""

from __future__ import annotations

import contextlib
import hashlib
import io
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from s2g.benchmarks.two_class.bench import PairBench
from s2g.config.schema import ModelConfig, canonical
from s2g.io.atomic import write_bytes
from s2g.io.interrupt import uninterrupted
from s2g.worlds.two_class.cifar import PAIR, SIZE, pair, require_files

CHUNK = 64  # images that CLIP reads at once


@dataclass(frozen=True)
class Cifar(PairBench):
    """Real images: the 10,000 of the two classes in the training set; features: CLIP's image embedding, 512, as it is.

    Not brought to unit length, as in FD_CLIP (arXiv 2203.06026); the paper does not say.
    """

    num: int = 3000  # Appendix B.1.3
    data: str = "data/cifar10"
    clip: str = "openai"
    architecture: str = "ViT-B-32-quickgelu"
    download: bool = False

    name: ClassVar[str] = "cifar"
    kind: ClassVar[str] = "CLIP"
    pair: ClassVar[tuple[str, str]] = PAIR
    shape: ClassVar[tuple[int, int]] = (SIZE, 3)
    models: ClassVar[str] = "cifar_sit"

    def check(self, model: ModelConfig) -> None:
        super().check(model)
        require_files(self.data, "bench.data", self.download)
        with uninterrupted():
            from s2g.benchmarks.distances.clip import weights_file  # loads torch, but only where there is data to read

        weights_file(self.architecture, self.clip, self.download)

    def version(self) -> dict[str, Any]:
        from s2g.benchmarks.distances.clip import identity

        return {"bench": self.name, "version": 1, "clip": identity(self.architecture, self.clip)}

    def real(self) -> tuple[np.ndarray, np.ndarray]:
        return reference(self)

    def read(self, images: np.ndarray) -> dict[str, np.ndarray]:
        with uninterrupted():
            from s2g.benchmarks.distances.clip import features_of

        return {"features": features_of(self.architecture, self.clip, images, self.download)}


@cache
def reference(bench: Cifar) -> tuple[np.ndarray, np.ndarray]:
    """Return features [10000, 512] and classes of the real images; kept beside CIFAR-10's own files, if that folder takes them.

    UserError if the images are not there.
    """
    name = hashlib.sha256(canonical({"pair": PAIR, **bench.version()}).encode()).hexdigest()[:12]
    kept = Path(bench.data).expanduser() / f"s2g-features-{name}.npz"
    with contextlib.suppress(OSError, ValueError, KeyError), np.load(kept) as stored:
        return stored["features"], stored["label"]
    images = pair(bench.data, "bench.data", bench.download)
    chunks = [images.pixels[start : start + CHUNK] for start in range(0, len(images), CHUNK)]
    features = np.concatenate([bench.read(chunk)["features"] for chunk in chunks])
    stream = io.BytesIO()
    np.savez_compressed(stream, features=features, label=images.label)
    with contextlib.suppress(OSError):  # a folder that cannot be written is read all the same
        write_bytes(kept, stream.getvalue())
    return features, images.label
