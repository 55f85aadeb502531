"""The reference of bench=imagenet: ADM's statistics, or those of one's own images, made once and kept as such a file.

An npz with mu [2048], sigma, mu_s [2023], sigma_s, of the whole training set in ADM's; and arr_0, 10,000 of its images,
for precision, recall and KID alone: a FID against those 10,000 is another number.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

import numpy as np

from s2g.benchmarks.imagenet.batch import BROKEN, Batch, header
from s2g.benchmarks.imagenet.images import Images
from s2g.benchmarks.imagenet.inception import POOL, SPATIAL
from s2g.errors import MissingError, UserError
from s2g.io.atomic import write_bytes
from s2g.io.hashing import content_hash
from s2g.metrics.frechet import Moments, not_a_covariance
from s2g.store.retention import spooled

KEY = "bench.reference"
OFFICIAL = "VIRTUAL_imagenet256_labeled.npz"
SOURCE = f"https://openaipublic.blob.core.windows.net/diffusion/jul-2021/ref_batches/imagenet/256/{OFFICIAL}"
STATISTICS = {"mu": (2048,), "sigma": (2048, 2048), "mu_s": (2023,), "sigma_s": (2023, 2023)}
NAMES = {"pool": ("mu", "sigma"), "spatial": ("mu_s", "sigma_s")}
LEAST = 4  # reference images of which each has three others beside it
MOST = 10_000  # reference images for precision, recall and KID
CHUNK = 64
Read = Callable[[np.ndarray], np.ndarray]  # uint8 [B, H, W, 3] -> float32 [B, 5079]


@dataclass(frozen=True)
class Reference:
    """A file of statistics, or a folder or tar of images of `side` pixels."""

    place: str
    side: int

    @property
    def path(self) -> Path:
        """Return the path."""
        return Path(self.place).expanduser()

    @cached_property
    def _images(self) -> Images:
        return Images.of(self.path, self.side, KEY)

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
                todo=f"curl -LO {SOURCE} and {KEY}=FILE",
            )
        if self.of_images:
            self._enough(len(self._images), images)
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
        return self._images.identity() if self.of_images else content_hash(self.path)

    def moments(self, which: str, read: Read, network: str) -> Moments:
        """Return moments of "pool" or "spatial" features, computed first if the reference is images.

        read: reads images; network: which one does, for what is kept.
        """
        mean, covariance = (self._statistics(read, network)[name] for name in NAMES[which])
        return Moments.stored(mean, covariance, 2)  # how many images they are of is in no formula

    def features(self, read: Read, network: str) -> np.ndarray:
        """Return pool features [M, 2048] of at most 10,000 reference images; cached beside the reference."""
        if self.of_images:
            return self._statistics(read, network)["pool"]
        kept = self._beside(network)
        with contextlib.suppress(OSError, ValueError, KeyError, zipfile.BadZipFile), np.load(kept) as stored:
            return stored["pool"]
        pool = np.concatenate([read(chunk)[:, POOL] for chunk in Batch.of(self.path, KEY).chunks(CHUNK)])
        _keep(kept, {"pool": pool})
        return pool

    def _statistics(self, read: Read, network: str) -> dict[str, np.ndarray]:
        """Return mu, sigma, mu_s, sigma_s, each loaded when asked for; and pool if the reference is images."""
        if not self.of_images:
            return np.load(self.path)
        kept = self._beside(network)
        with contextlib.suppress(OSError, ValueError, zipfile.BadZipFile):
            return np.load(kept)
        return _built(self._images, read, kept)

    def _beside(self, network: str) -> Path:
        """Return where statistics are cached: beside the reference, named by its content and the network."""
        name = hashlib.sha256(f"{self.identity()} {network}".encode()).hexdigest()[:12]
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
    for _, sigma in NAMES.values():
        if wrong := not_a_covariance(statistics[sigma]):
            raise UserError(
                f"{KEY} = {place}: {sigma} is not a covariance: {wrong}",
                allowed="a symmetric matrix without negative eigenvalues",
                todo=f"curl -LO {SOURCE}, or {KEY}=FOLDER of the reference images",
            )


def _built(images: Images, read: Read, kept: Path) -> dict[str, np.ndarray]:
    """Compute statistics of all images of a folder or tar, and features of up to 10,000 of them, evenly spaced; keep both."""
    chosen = set(np.unique(np.linspace(0, len(images) - 1, min(MOST, len(images))).astype(int)).tolist())
    found: dict[str, np.ndarray] = {}
    pool: list[np.ndarray] = []

    def rows() -> Iterator[np.ndarray]:
        at = 0
        for chunk in images.chunks(CHUNK):
            features = read(chunk)
            pool.extend(row for place, row in enumerate(features[:, POOL], at) if place in chosen)
            at += len(features)
            yield features

    with spooled(rows()) as features:  # both kinds from one reading of the images
        for which, columns in (("pool", POOL), ("spatial", SPATIAL)):
            moments = Moments.streamed(block[:, columns] for block in features())
            found |= dict(zip(NAMES[which], (moments.mean, moments.covariance), strict=True))
    found["pool"] = np.stack(pool)
    _keep(kept, found)
    return found


def _keep(path: Path, arrays: dict[str, np.ndarray]) -> None:
    stream = io.BytesIO()
    np.savez(stream, **arrays)  # type: ignore[arg-type]
    with contextlib.suppress(OSError):  # a folder that cannot be written is read all the same
        write_bytes(path, stream.getvalue())
