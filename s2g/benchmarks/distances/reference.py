"""What samples are compared with: ADM's statistics, or those of one's own images, made once for each network and kept.

ADM's is an npz with mu [2048], sigma, mu_s [2023], sigma_s, of the whole training set; and arr_0, 10,000 of its images, for
precision, recall and KID alone: a FID against those 10,000 is another number. It has no statistics of other networks than
Inception: they are those of arr_0's images.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

import numpy as np

from s2g.benchmarks.distances.batch import BROKEN, Batch, header
from s2g.benchmarks.distances.images import Images
from s2g.benchmarks.distances.network import Network, Part
from s2g.errors import MissingError, UserError
from s2g.io.atomic import write_bytes
from s2g.io.hashing import content_hash
from s2g.metrics.frechet import Moments, not_a_covariance
from s2g.store.retention import spooled

KEY = "bench.reference"
OFFICIAL = "VIRTUAL_imagenet256_labeled.npz"
SOURCE = f"https://openaipublic.blob.core.windows.net/diffusion/jul-2021/ref_batches/imagenet/256/{OFFICIAL}"
STATISTICS = {"mu": (2048,), "sigma": (2048, 2048), "mu_s": (2023,), "sigma_s": (2023, 2023)}
PAIRS = (("mu", "sigma"), ("mu_s", "sigma_s"))
LEAST = 4  # reference images of which each has three others beside it
MOST = 10_000  # reference images for precision, recall and KID
CHUNK = 64


@dataclass(frozen=True)
class Reference:
    """A file of statistics, or a folder or tar of images of `side` pixels; fit: cropped and resized to that."""

    place: str
    side: int | None
    fit: bool = False

    @property
    def path(self) -> Path:
        """Return the path."""
        return Path(self.place).expanduser()

    @cached_property
    def images(self) -> Images:
        """Return the images; UserError if it is none of images."""
        return Images.of(self.path, self.side, KEY, self.fit)

    @property
    def of_images(self) -> bool:
        """Return whether it is images, so that statistics have to be computed."""
        return self.path.is_dir() or self.path.suffix in (".tar", ".tgz") or self.path.name.endswith(".tar.gz")

    def check(self, images: bool) -> None:
        """Raise UserError for what is wrong and can be known before sampling; `images`: whether reference images are needed."""
        if not (self.path.is_dir() or self.path.is_file()):  # a pipe would block
            raise MissingError(
                KEY,
                self.place,
                f"no file {self.path}",
                allowed=f"{OFFICIAL} (openai/guided-diffusion; 2 GB), or a folder or .tar of images of {self.side} pixels",
                todo=f"curl -LO {SOURCE}, then {KEY}=FILE",
            )
        if self.of_images:
            self._enough(len(self.images), images)
            return
        shapes = self._shapes()
        lacking = [name for name in STATISTICS if name not in shapes]
        if lacking:
            what = ", that is a batch of samples or images" if set(shapes) == {"arr_0"} else ""
            raise UserError(
                f"{KEY} = {self.place}: lacks {', '.join(lacking)}; it holds {', '.join(shapes) or 'nothing'}{what}",
                allowed=f"mu, sigma, mu_s, sigma_s as in {OFFICIAL}",
                todo=f"curl -LO {SOURCE}, or {KEY}=FOLDER of the reference images",
            )
        wrong = [
            f"{name} is {list(shapes[name])} instead of {list(want)}"
            for name, want in STATISTICS.items()
            if shapes[name] != want
        ]
        if wrong:
            raise UserError(f"{KEY} = {self.place}: {'; '.join(wrong)}", allowed=f"the layout of {OFFICIAL}")
        _check_statistics(self.path, self.place, content_hash(self.path))
        if not images:
            return
        if "arr_0" not in shapes:
            raise UserError(
                f"{KEY} = {self.place}: holds no reference images (arr_0), which precision, recall and KID need",
                todo="bench.score=[fid,sfid,is], or give a file with arr_0",
            )
        batch = Batch.of(self.path, KEY)
        if batch.shape[1:3] != (self.side, self.side):
            raise UserError(
                f"{KEY} = {self.place}: its images are {batch.shape[1]} x {batch.shape[2]}",
                allowed=f"{self.side} x {self.side}",
            )
        self._enough(len(batch), images)

    def _enough(self, count: int, needed: bool) -> None:
        if needed and count < LEAST:
            raise UserError(
                f"{KEY} = {self.place}: holds {count} images; precision and recall look at each one's three nearest",
                allowed=f"{LEAST} or more, or bench.score=[fid,sfid,is]",
            )

    def identity(self) -> str:
        """Return the sha256 of the file's content; of a folder or tar, of its images' names and contents."""
        return self.images.identity() if self.of_images else content_hash(self.path)

    @property
    def count(self) -> int:
        """Return how many images it holds; of ADM's statistics, how many beside them."""
        return len(self.images) if self.of_images else len(Batch.of(self.path, KEY))

    def moments(self, part: str, network: Network) -> Moments:
        """Return moments of a part of a network's features, read off the images first if they are not stated."""
        names = network.part(part)
        stored = self._stated if self._states(part) else self._statistics(network)
        return Moments.stored(stored[names.mean], stored[names.covariance], 2)  # how many images they are of is in no formula

    def features(self, part: str, network: Network) -> np.ndarray:
        """Return a part of a network's features [M, D] of at most 10,000 reference images; cached beside the reference."""
        return self._statistics(network)[part]

    def _states(self, part: str) -> bool:
        """Return whether the file has the statistics of a part itself."""
        return not self.of_images and part in ("pool", "spatial")

    @property
    def _stated(self) -> dict[str, np.ndarray]:
        return np.load(self.path)  # each array loaded when asked for

    def _statistics(self, network: Network) -> dict[str, np.ndarray]:
        """Return what is known of a network's features of the images, by name; each loaded when asked for."""
        kept = self._beside(network)
        with contextlib.suppress(OSError, ValueError, zipfile.BadZipFile):
            return np.load(kept)
        batch = None if self.of_images else Batch.of(self.path, KEY)
        return _built(
            self.images if batch is None else batch, network, kept, [p for p in network.parts if self._states(p.name)]
        )

    def _beside(self, network: Network) -> Path:
        """Return where statistics are cached: beside the reference, named by its content and the network."""
        fitted = f" middle square, bicubic to {self.side}" if self.fit else ""
        name = hashlib.sha256(f"{self.identity()} {network.identity()}{fitted}".encode()).hexdigest()[:12]
        return self.path.absolute().parent / f"{self.path.name}.s2g-{name}.npz"

    def _shapes(self) -> dict[str, tuple[int, ...]]:
        try:
            with zipfile.ZipFile(self.path) as archive:
                found = {}
                for name in archive.namelist():
                    with archive.open(name) as stream:
                        found[name.removesuffix(".npy")] = header(stream)[0]
                return found
        except BROKEN as error:
            raise UserError(
                f"{KEY} = {self.place}: is no npz, or one that was cut short ({error})",
                allowed=f"{OFFICIAL}, or a folder or .tar of images",
                todo=f"curl -LO {SOURCE} again",
            ) from error


@cache
def _check_statistics(path: Path, place: str, digest: str) -> None:
    """Raise UserError before sampling if means and covariances of the file with this digest cannot be such."""
    try:
        with np.load(path) as stored:
            statistics = {name: np.asarray(stored[name], np.float64) for name in STATISTICS}
    except (TypeError, *BROKEN) as error:
        raise UserError(f"{KEY} = {place}: is damaged ({error})", todo=f"curl -LO {SOURCE} again") from error
    bad = [name for name, values in statistics.items() if not np.isfinite(values).all()]
    if bad:
        raise UserError(f"{KEY} = {place}: {', '.join(bad)} holds numbers that are not finite", todo=f"curl -LO {SOURCE}")
    for _, sigma in PAIRS:
        if wrong := not_a_covariance(statistics[sigma]):
            raise UserError(
                f"{KEY} = {place}: {sigma} is not a covariance: {wrong}",
                allowed="a symmetric matrix without negative eigenvalues",
                todo=f"curl -LO {SOURCE}, or {KEY}=FOLDER of the reference images",
            )


def _built(images: Images | Batch, network: Network, kept: Path, stated: Sequence[Part]) -> dict[str, np.ndarray]:
    """Compute statistics of all images, and features of up to 10,000 of them, evenly spaced; keep both.

    stated: parts whose statistics are not needed, since a file states them.
    """
    chosen = set(np.unique(np.linspace(0, len(images) - 1, min(MOST, len(images))).astype(int)).tolist())
    found: dict[str, np.ndarray] = {}
    parts = [part for part in network.parts if part.kept]
    held: dict[str, list[np.ndarray]] = {part.name: [] for part in parts}

    def rows() -> Iterator[np.ndarray]:
        at = 0
        for chunk in images.chunks(CHUNK):
            features = network.read(chunk)
            for part in parts:
                held[part.name] += [row for place, row in enumerate(features[:, part.columns], at) if place in chosen]
            at += len(features)
            yield features

    with spooled(rows()) as features:  # all parts from one reading of the images
        for part in network.parts:
            if part.mean and part not in stated:
                moments = Moments.streamed(block[:, part.columns] for block in features())
                found |= {part.mean: moments.mean, part.covariance: moments.covariance}
    found |= {name: np.stack(values) for name, values in held.items()}
    _keep(kept, found)
    return found


def _keep(path: Path, arrays: dict[str, np.ndarray]) -> None:
    stream = io.BytesIO()
    np.savez(stream, **arrays)  # type: ignore[arg-type]
    with contextlib.suppress(OSError):  # a folder that cannot be written is read all the same
        write_bytes(path, stream.getvalue())
