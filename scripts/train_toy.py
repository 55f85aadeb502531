"""Train the toy networks on their Gaussian mixture: a minute and a half each on two cores.

    python scripts/train_toy.py model=toy_1d [seed=0] [steps=4000] [out=training/toy] [threads=2] [NETWORK KEYS]

Writes OUT/MODEL.safetensors (the EMA), OUT/MODEL_weak.safetensors (the EMA after an eighth of the steps) and
OUT/MODEL_small.safetensors (a network of a third of the depth and half the width, trained as long): the two ways in which
a weak model is made. With another seed the names end in -SEED; `export` writes into the package. place, std, classes, width
and depth can be given as key=value and go into the file's name as they differ from the model's YAML. Every batch depends
on the seed and the step alone.
"""

from __future__ import annotations

import copy
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np
import torch
from omegaconf import OmegaConf
from safetensors.torch import save_file
from torch import nn

from s2g.config import TOYS, config_dir
from s2g.models.toy import MIXTURE, ToyNetwork, initialise
from s2g.streams import Purpose, philox
from s2g.toy.mixture import Mixture

LABEL_DROPOUT = 0.2
EMA_DECAY = 0.998
WEAK_AT = 8  # the weak network is the EMA after this part of the steps
NETWORK = ("place", "std", "classes", "width", "depth")


@dataclass
class Settings:
    """What can be typed as key=value, beside the keys of a network."""

    model: str = "toy_2d"
    seed: int = 0
    steps: int = 4000
    batch: int = 1024
    lr: float = 3e-3
    out: str = "training/toy"
    threads: int = 2
    network: dict[str, Any] = field(default_factory=dict)


def of_model(settings: Settings) -> dict[str, Any]:
    """The network of the model's YAML with what was typed over it."""
    own: Any = OmegaConf.to_container(OmegaConf.load(config_dir() / "model" / f"{settings.model}.yaml"))
    return {**own["network"], **settings.network}


def named(settings: Settings) -> str:
    """The file's name: the model's, what differs from its YAML, and the seed where it is not 0."""
    changed = "".join(f"-{key}{value}" for key, value in settings.network.items())
    return f"{settings.model}{changed}" + (f"-{settings.seed}" if settings.seed else "")


def small(network: dict[str, Any]) -> dict[str, Any]:
    """A network of a third of the depth and half the width."""
    return {**network, "width": network["width"] // 2, "depth": network["depth"] // 3}


def build(network: dict[str, Any], seed: int) -> tuple[ToyNetwork, Mixture]:
    """A freshly initialised network and its data; the same numbers each time."""
    own = {key: value for key, value in network.items() if key not in MIXTURE}
    mixture = Mixture.named(network["place"], float(network["std"]), network["classes"])
    torch.manual_seed(seed)
    made = ToyNetwork(mixture.dimensions, num_classes=mixture.num_classes, **own)
    initialise(made)
    return made, mixture


def batches(mixture: Mixture, seed: int, size: int, steps: int) -> Iterator[tuple[torch.Tensor, ...]]:
    """Noisy points, times, labels (a fifth of them "none") and velocities data - noise, a batch a step."""
    for step in range(steps):
        rng = np.random.Generator(philox(Purpose.TRAINING, seed, step=step))
        mode = rng.integers(len(mixture.means), size=size)
        data = mixture.means[mode] + mixture.std * rng.standard_normal((size, mixture.dimensions))
        noise, t = rng.standard_normal(data.shape), rng.random((size, 1))
        labels = np.where(rng.random(size) < LABEL_DROPOUT, mixture.num_classes, mixture.labels[mode])
        points = (t * data + (1 - t) * noise, t[:, 0], labels, data - noise)
        yield tuple(torch.from_numpy(a if a.dtype == np.int64 else a.astype(np.float32)) for a in points)


def train(network: dict[str, Any], settings: Settings) -> tuple[nn.Module, nn.Module, float]:
    """The EMA at the end and after an eighth of the steps, and the seconds it took."""
    began = time.perf_counter()
    model, mixture = build(network, settings.seed)
    ema = copy.deepcopy(model).requires_grad_(False)
    weak = ema
    optim = torch.optim.AdamW(model.parameters(), lr=settings.lr, weight_decay=0.0)
    for step, (x, t, labels, velocity) in enumerate(batches(mixture, settings.seed, settings.batch, settings.steps)):
        for group in optim.param_groups:
            group["lr"] = settings.lr * min(1.0, (step + 1) / 100) * (1 - step / settings.steps)
        loss = (model(x, t, labels) - velocity).square().mean()
        optim.zero_grad(set_to_none=True)
        loss.backward()
        optim.step()
        decay = min(EMA_DECAY, (1 + step) / (10 + step))
        with torch.no_grad():
            torch._foreach_lerp_(list(ema.parameters()), list(model.parameters()), 1 - decay)
        if step + 1 == settings.steps // WEAK_AT:
            weak = copy.deepcopy(ema)
    return ema, weak, time.perf_counter() - began


def write(folder: Path, name: str, network: nn.Module) -> None:
    """Weights in half precision: kilobytes."""
    folder.mkdir(parents=True, exist_ok=True)
    save_file({key: value.half().contiguous() for key, value in network.state_dict().items()}, folder / f"{name}.safetensors")
    print("wrote", folder / f"{name}.safetensors", flush=True)


def main(arguments: list[str]) -> int:
    """Parse key=value and the optional verb "export"."""
    kinds = {f.name: type(getattr(Settings(), f.name)) for f in fields(Settings) if f.name != "network"}
    settings = Settings()
    for argument in arguments:
        key, _, value = argument.partition("=")
        if key in kinds and (key != "model" or (config_dir() / "model" / f"{value}.yaml").exists()):
            setattr(settings, key, kinds[key](value))
        elif key in NETWORK:
            settings.network[key] = value if key in ("place", "classes") else float(value) if key == "std" else int(value)
        elif argument != "export":
            print(f"unknown: {argument}; keys: {', '.join([*kinds, *NETWORK])}", file=sys.stderr)
            return 2
    torch.set_num_threads(settings.threads)
    folder = TOYS if "export" in arguments else Path(settings.out)
    network, name = of_model(settings), named(settings)
    ema, weak, seconds = train(network, settings)
    write(folder, name, ema)
    write(folder, f"{name}_weak", weak)
    ema, _, less = train(small(network), settings)
    write(folder, f"{name}_small", ema)
    print(f"{name}: {seconds:.0f} s, the small one {less:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
