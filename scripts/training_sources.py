"""What the built-in networks learn from: batches of images and classes that depend on the seed and the step alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from s2g.rng import Purpose, philox
from s2g.worlds.fashion import data as fashion
from s2g.worlds.images import Images, Wobble, as_floats, batch
from s2g.worlds.mixtures.mixture import Mixture
from s2g.worlds.shapes import captions, motion
from s2g.worlds.shapes.render import render
from s2g.worlds.shapes.vocabulary import STILLS, VIDEOS
from s2g.worlds.shapes.world import EASY, FULL, HELD_OUT_SEED, NUM_CLASSES, TRAIN_SEED, Ranges, scenes
from s2g.worlds.two_class import cifar, digits

SEED = 1  # of the order in which images are drawn
POINTS_WITHOUT_LABEL = 0.2
HELD_OUT_STEP = 2**32  # a step that no training of points reaches


class Source(Protocol):
    """Images [B, C, H, W] in [-1, 1] and classes [B]."""

    def batch(self, step: int, count: int) -> tuple[Tensor, Tensor]:
        """Return the training data of step `step`."""
        ...

    def held_out(self) -> tuple[Tensor, Tensor]:
        """Return what is never trained on."""
        ...


@dataclass(frozen=True)
class World:
    """Scenes of the built-in world, large and upright ones for the first `easy` steps."""

    device: str
    easy: int = 0

    def batch(self, step: int, count: int) -> tuple[Tensor, Tensor]:
        return images_and_labels(TRAIN_SEED, step * count, count, self.device, EASY if step < self.easy else FULL)

    def held_out(self) -> tuple[Tensor, Tensor]:
        return images_and_labels(HELD_OUT_SEED, 0, 256, self.device)


@dataclass(frozen=True)
class Captions:
    """Scenes of one and two objects and the tokens of their captions, large objects for the first `easy` steps."""

    device: str
    easy: int = 0

    def batch(self, step: int, count: int) -> tuple[Tensor, Tensor]:
        return self._drawn(TRAIN_SEED, step * count, count, captions.LARGE if step < self.easy else captions.WHOLE)

    def held_out(self) -> tuple[Tensor, Tensor]:
        return self._drawn(HELD_OUT_SEED, 0, 256, captions.WHOLE)

    def _drawn(self, seed: int, first: int, count: int, places: captions.Places) -> tuple[Tensor, Tensor]:
        indices = np.arange(first, first + count)
        scenes = captions.draw_classes(seed, indices)
        images = torch.from_numpy(captions.render(scenes, seed, indices, places) * 2 - 1)
        numbers = torch.tensor([STILLS.tokens(caption) for caption in scenes.captions()])
        return images.to(self.device), numbers.to(self.device)


@dataclass(frozen=True)
class Objects:
    """Scenes of one and two objects of every class, and what they hold: columns first, second, relation of `Captioned`."""

    device: str

    def batch(self, step: int, count: int) -> tuple[Tensor, Tensor]:
        return self.clean(TRAIN_SEED, step * count, count)

    def held_out(self) -> tuple[Tensor, Tensor]:
        return self.clean(HELD_OUT_SEED, 0, 256)

    def clean(self, seed: int, first: int, count: int) -> tuple[Tensor, Tensor]:
        """Render the items first .. first + count - 1 without noise."""
        indices = np.arange(first, first + count)
        scenes = captions.draw_classes(seed, indices, one=0.3, classes=np.arange(NUM_CLASSES))
        images = torch.from_numpy(captions.render(scenes, seed, indices) * 2 - 1)
        asked = torch.from_numpy(np.stack([scenes.first, scenes.second, scenes.relation], axis=1))
        return images.to(self.device), asked.to(self.device)


@dataclass(frozen=True)
class Videos:
    """Videos of the built-in world [B, 3, F, H, W] and the tokens of their captions, large objects for the first steps."""

    device: str
    easy: int = 0

    def batch(self, step: int, count: int) -> tuple[Tensor, Tensor]:
        return self._drawn(TRAIN_SEED, step * count, count, motion.LARGE if step < self.easy else motion.WHOLE)

    def held_out(self) -> tuple[Tensor, Tensor]:
        return self._drawn(HELD_OUT_SEED, 0, 128, motion.WHOLE)

    def _drawn(self, seed: int, first: int, count: int, spread: motion.Spread) -> tuple[Tensor, Tensor]:
        indices = np.arange(first, first + count)
        kinds = motion.draw_kinds(seed, indices)
        videos = torch.from_numpy(motion.render(kinds, seed, indices, spread) * 2 - 1)
        numbers = torch.tensor([VIDEOS.tokens(motion.caption(kind)) for kind in kinds.tolist()])
        return videos.to(self.device), numbers.to(self.device)


@dataclass(frozen=True)
class Motions:
    """Videos of every kind, and their kinds [B]."""

    device: str

    def batch(self, step: int, count: int) -> tuple[Tensor, Tensor]:
        return self.clean(TRAIN_SEED, step * count, count)

    def held_out(self) -> tuple[Tensor, Tensor]:
        return self.clean(HELD_OUT_SEED, 0, 256)

    def clean(self, seed: int, first: int, count: int) -> tuple[Tensor, Tensor]:
        """Render the items first .. first + count - 1 without noise."""
        indices = np.arange(first, first + count)
        kinds = motion.draw_kinds(seed, indices, np.arange(motion.NUM_KINDS))
        videos = torch.from_numpy(motion.render(kinds, seed, indices) * 2 - 1)
        return videos.to(self.device), torch.from_numpy(kinds).to(self.device)


@dataclass(frozen=True)
class Pictures:
    """Real images, drawn with replacement and moved a little."""

    device: str
    seen: Images
    kept: Images
    wobble: Wobble

    def batch(self, step: int, count: int) -> tuple[Tensor, Tensor]:
        return self._on_device(*batch(self.seen, self.wobble, SEED, step, count))

    def held_out(self) -> tuple[Tensor, Tensor]:
        return self._on_device(as_floats(self.kept.pixels), self.kept.label)

    def _on_device(self, images: np.ndarray, labels: np.ndarray) -> tuple[Tensor, Tensor]:
        return torch.from_numpy(images).to(self.device), torch.from_numpy(labels).to(self.device)


@dataclass(frozen=True)
class Points:
    """Points of a mixture, each with its noise and time, [B, 2 D + 1]; and labels, a fifth of them "none"."""

    device: str
    mixture: Mixture
    seed: int

    def batch(self, step: int, count: int) -> tuple[Tensor, Tensor]:
        mixture, random = self.mixture, np.random.Generator(philox(Purpose.TRAINING, self.seed, step=step))
        mode = random.integers(len(mixture.means), size=count)
        data = mixture.means[mode] + mixture.std * random.standard_normal((count, mixture.dimensions))
        noise, t = random.standard_normal(data.shape), random.random((count, 1))
        labels = np.where(random.random(count) < POINTS_WITHOUT_LABEL, mixture.num_classes, mixture.labels[mode])
        return torch.from_numpy(np.hstack([data, noise, t])).to(self.device), torch.from_numpy(labels).to(self.device)

    def held_out(self) -> tuple[Tensor, Tensor]:
        return self.batch(HELD_OUT_STEP, 1024)


def images_and_labels(seed: int, first: int, count: int, device: str, ranges: Ranges = FULL) -> tuple[Tensor, Tensor]:
    """Render images [B, 3, 32, 32] in [-1, 1] and classes [B] of scenes first .. first + count - 1."""
    drawn = scenes(seed, np.arange(first, first + count), ranges=ranges)
    return torch.from_numpy(render(drawn) * 2 - 1).to(device), torch.from_numpy(drawn.label).to(device)


def of_digits(device: str, images: Images) -> Pictures:
    """Return scikit-learn's digits, every fifth of a class held out."""
    kept = digits.held_out(images)
    return Pictures(device, images.where(~kept), images.where(kept), digits.WOBBLE)


def of_cifar(device: str, data: str, download: bool) -> Pictures:
    """Return CIFAR-10's horses and automobiles, test set held out; UserError if the data is missing."""
    seen, kept = (cifar.pair(data, "data", download, train) for train in (True, False))
    return Pictures(device, seen, kept, cifar.WOBBLE)


def of_fashion(device: str, data: str) -> Pictures:
    """Return Fashion-MNIST's training images; held out are the first 500 test images. UserError if the data is missing."""
    test = fashion.photographs("t10k", data)
    return Pictures(device, fashion.photographs("train", data), test.where(np.arange(500)), Wobble())
