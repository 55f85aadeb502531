"""What reads features off images as they are sampled: the rows of one or more networks side by side."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from s2g.benchmarks.distances.network import Network, Part
from s2g.benchmarks.distances.resize import center_square
from s2g.errors import MissingError, UserError
from s2g.store.retention import IMAGES


@dataclass(frozen=True)
class Extractor:
    """Features of images by `networks`, in this order."""

    keep: str
    networks: tuple[Network, ...]
    side: int | None = None  # of the images, in pixels; None: any
    scored: bool = True  # images that nothing is to be scored of need not be read
    fit: bool = False  # the middle square is resized to `side` first
    name: str = "imagenet"  # of the bench, for messages

    def identity(self) -> str:
        if self.idle:
            return "none"
        fitted = f" middle square, bicubic to {self.side}" if self.fit else ""
        return " + ".join(network.identity() for network in self.networks) + fitted

    @property
    def idle(self) -> bool:
        """Return whether images go unread: none are kept to score, or they are kept themselves and read when scored.

        Only runs of random weights come here without the networks' weights (`DistanceBench.check_files`).
        """
        return self.keep == "none" or (self.keep in IMAGES and not (self.scored and self.networks and self._there()))

    def _there(self) -> bool:
        try:
            for network in self.networks:
                network.check()
        except MissingError:
            return False
        return True

    def read(self, images: np.ndarray, device: str = "auto") -> np.ndarray:
        """Return float32 [B, D] of uint8 images [B, H, W, 3]; UserError for images of another kind or size."""
        wrong = images.dtype != np.uint8 or images.ndim != 4 or images.shape[3] != 3
        if wrong or not (self.fit or self.side is None or images.shape[1:3] == (self.side, self.side)):
            raise UserError(
                f"bench = {self.name}: the model made {images.dtype} of {list(images.shape[1:])}",
                allowed="uint8 images" + (f" of {self.side} x {self.side}" if self.side and not self.fit else " of 3 channels"),
            )
        if self.fit and self.side is not None:
            images = np.stack([center_square(image, self.side) for image in images])
        return np.concatenate([network.read(images, device) for network in self.networks], axis=1)

    def columns(self, part: Part) -> slice:
        """Return where a part of one of the networks stands in a row."""
        offset = 0
        for network in self.networks:
            if part in network.parts:
                stop = network.width if part.columns.stop is None else part.columns.stop
                return slice(offset + (part.columns.start or 0), None if stop is None else offset + stop)
            assert network.width is not None  # only the last one's may be unknown
            offset += network.width
        raise KeyError(part.name)
