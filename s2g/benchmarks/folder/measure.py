"""A folder of images from any source, measured as bench=folder measures a run's."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from s2g.benchmarks.distances.images import ENDINGS, Images
from s2g.benchmarks.distances.metrics import DISTANCES
from s2g.benchmarks.distances.reference import CHUNK, LEAST
from s2g.benchmarks.folder.bench import Folder, same_size
from s2g.errors import UserError
from s2g.store.retention import spooled

KEY = "FOLDER"  # how the command names what is scored


def samples(folder: Path, bench: Folder) -> Images:
    """Return the images of a folder or .tar, each decoded once.

    UserError, before any network is loaded, for what scoring lacks, and for images that cannot be read, have another size
    than the reference's, or are too few.
    """
    bench.check_files()
    images = Images.of(folder, bench.side, KEY, bench.fits)
    size = images.check()
    if bench.compares and bench.side is None:
        same_size(size, f"{KEY} = {folder}: images", bench.referred)
    if len(images) < LEAST and {"precision", "recall"} & {DISTANCES[name].kind for name in bench.score}:
        raise UserError(
            f"{KEY} = {folder}: holds {len(images)} images; precision and recall look at each one's three nearest",
            allowed=f"{LEAST} or more, or bench.score=[fid]",
        )
    return images


def distances(images: Images, bench: Folder, device: str, advance: Callable[[int], None]) -> dict[str, np.ndarray]:
    """Return per-image arrays, in the order of names; features lie in a temporary folder meanwhile, 20 kB an image."""
    networks = bench.networks.values()

    def rows() -> Iterator[np.ndarray]:
        for chunk in images.chunks(CHUNK):  # already of the size that the bench asks for
            yield np.concatenate([network.read(chunk, device) for network in networks], axis=1)
            advance(len(chunk))

    with spooled(rows()) as features:
        return bench.gather(features, len(images))


def remarks_of(images: Images, bench: Folder, arrays: dict[str, np.ndarray]) -> list[str]:
    """Return what is to be printed beside the scores."""
    same = bench.compares and images.identity() == bench.referred.identity()
    twice = [f"{images.path} and {bench.reference} hold the same images under the same names"] if same else []
    both = [images, bench.referred.images] if bench.compares else [images]
    left = [f"{one.path}: {one.others:,} other files not read (read: {', '.join(ENDINGS)})" for one in both if one.others]
    return [*twice, *left, *bench.remarks(len(images), arrays)]
