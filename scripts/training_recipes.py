"""How each built-in network is built and trained: its recipe, its source of data and its loss."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from omegaconf import OmegaConf
from torch import Tensor, nn
from training_losses import caption_loss, class_loss, point_loss, probe_loss, reader_loss, velocity_loss, video_reader_loss
from training_sources import Captions, Motions, Objects, Points, Source, Videos, World, of_cifar, of_digits, of_fashion

from s2g.config.schema import BUILTIN, FASHION, PAIRS, config_dir
from s2g.models import tiny_sd3, tiny_wan, toy
from s2g.models.sit import SiT, initialise
from s2g.models.tiny_sd3 import TinySD3
from s2g.models.tiny_wan import TinyWan
from s2g.models.toy import ToyNetwork
from s2g.worlds.fashion.classifier import FashionClassifier
from s2g.worlds.mixtures.mixture import Mixture
from s2g.worlds.mixtures.weights_index import DATA, SEED
from s2g.worlds.mixtures.weights_index import SHIPPED as MIXTURES
from s2g.worlds.shapes.probe import Probe
from s2g.worlds.shapes.reader import Reader
from s2g.worlds.shapes.video_reader import VideoReader
from s2g.worlds.two_class.digits import digits, pair
from s2g.worlds.two_class.probe import DigitsProbe

Loss = Callable[..., Tensor]
READERS = {
    "probe": Probe,
    "digits_probe": DigitsProbe,
    "reader": Reader,
    "video_reader": VideoReader,
    "fashion_classifier": FashionClassifier,
}


@dataclass(frozen=True)
class Recipe:
    """How one network is trained."""

    steps: int
    batch: int
    lr: float
    loss: Loss = velocity_loss
    place: Path | None = BUILTIN  # where its weights ship; None: they do not
    warm_up: int = 100  # steps
    decay: float = 0.0  # weight decay of the blocks' matrices
    easy: int = 0  # steps on large upright shapes before the whole world is shown
    weak_at: int | None = None  # step after which the EMA is kept as the weaker network
    ema: float = 0.999  # decay of the running mean
    betas: tuple[float, float] = (0.9, 0.99)  # of AdamW
    clip: float | None = 1.0  # largest norm of the gradients
    muon: bool = True  # for the matrices of blocks
    shelf: bool = False  # a toy: its files are named by its network
    noisier_at: int | None = None  # step after which noise levels are shifted by 2: what moves where is decided at high ones


TOY = Recipe(3000, 1024, 3e-3, point_loss, MIXTURES, ema=0.998, betas=(0.9, 0.999), clip=None, muon=False, shelf=True)
FLOW = {"place": FASHION, "warm_up": 200, "decay": 0.01}
RECIPES = {
    "probe": Recipe(800, 128, 2e-3, probe_loss, muon=False),
    "tiny_sit": Recipe(3200, 96, 2e-3, easy=2000, weak_at=2300),
    "reader": Recipe(1500, 128, 2e-3, reader_loss, muon=False),
    "tiny_sd3": Recipe(3200, 64, 2e-3, caption_loss, easy=1800),
    "video_reader": Recipe(1000, 64, 2e-3, video_reader_loss, muon=False),
    "tiny_wan": Recipe(3600, 48, 2e-3, caption_loss, easy=900, noisier_at=1500),
    "digits_probe": Recipe(1500, 128, 2e-3, class_loss, PAIRS, muon=False),
    "digits_sit": Recipe(2000, 64, 2e-3, place=PAIRS, weak_at=500),
    "cifar_sit": Recipe(60_000, 256, 1e-3, place=None, weak_at=15_000),  # ours, and not run: no data was at hand
    "fashion_classifier": Recipe(4000, 128, 2e-3, class_loss, FASHION, muon=False),
    "fashion_sit": Recipe(1363, 1024, 2e-3, **FLOW),  # the steps that fitted into three minutes of an H100 (docs/fashion.md)
    "fashion_sit_small": Recipe(5000, 128, 2e-3, **FLOW),
    "toy_1d": TOY,
    "toy_2d": TOY,
}


def network_of(name: str, typed: Mapping[str, Any]) -> dict[str, Any]:
    """Return the network of the model's YAML with what was typed; nothing of what reads samples, which has none."""
    path = config_dir() / "model" / f"{name}.yaml"
    own: Any = OmegaConf.to_container(OmegaConf.load(path).network) if path.exists() else {}
    return {**own, **typed}


def build(name: str, network: Mapping[str, Any]) -> nn.Module:
    """Build a freshly initialised network; the same numbers each time, of a toy those of its seed."""
    torch.manual_seed(network.get(SEED, 0))
    if name in READERS:
        return READERS[name]()
    if RECIPES[name].shelf:
        mixture = mixture_of(network)
        settings = {key: value for key, value in network.items() if key not in (*DATA, SEED)}
        points = ToyNetwork(mixture.dimensions, num_classes=mixture.num_classes, **settings)
        toy.initialise(points)
        return points
    if name == "tiny_sd3":
        captioned = TinySD3(network)
        tiny_sd3.initialise(captioned)
        return captioned
    if name == "tiny_wan":
        filmed = TinyWan(network)
        tiny_wan.initialise(filmed)
        return filmed
    model = SiT(**network)
    initialise(model)
    return model


def mixture_of(network: Mapping[str, Any]) -> Mixture:
    """Return the mixture that a toy learns."""
    return Mixture.named(network["place"], float(network["std"]), network["classes"])


def source_of(
    model: str, device: str, data: str = "", download: bool = False, network: Mapping[str, Any] | None = None
) -> Source:
    """Return a model's training source; UserError where its data is missing. network: a toy's."""
    if RECIPES[model].shelf:
        assert network is not None
        return Points(device, mixture_of(network), network[SEED])
    if model.startswith("fashion_"):
        return of_fashion(device, data)
    if model == "cifar_sit":
        return of_cifar(device, data or "data/cifar10", download)
    if model in ("digits_probe", "digits_sit"):
        return of_digits(device, digits() if model == "digits_probe" else pair())
    if model == "reader":
        return Objects(device)
    if model == "video_reader":
        return Motions(device)
    world = {"tiny_sd3": Captions, "tiny_wan": Videos}.get(model, World)
    return world(device, RECIPES[model].easy)
