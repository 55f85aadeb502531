"""Train the toy networks on their Gaussian mixture: about a minute each.

    python scripts/train_toy.py model=toy_1d [seed=0] [steps=3000] [out=training/toy] [threads=1] [NETWORK KEYS]

Writes a network (the EMA), its earlier state ("_early": the EMA after an eighth of the steps) and, with `small`, a network of
a third of the depth and half the width, trained as long: the two ways in which a weak model is made. place, std, classes,
width, depth and seed go into the files' names (s2g/worlds/mixtures/weights_index.py), where model.network finds them;
`export` writes into the package. Every batch depends on the seed and the step alone.
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

from s2g.config.schema import config_dir
from s2g.models.toy import ToyNetwork, initialise
from s2g.rng import Purpose, philox
from s2g.worlds.mixtures.mixture import Mixture
from s2g.worlds.mixtures.weights_index import DATA, SEED, SHIPPED, TRAINED, file_name

LABEL_DROPOUT = 0.2
EMA_DECAY = 0.998
WEAK_AT = 8  # the weak network is the EMA after this part of the steps
NETWORK = ("std", "classes", "width", "depth", "seed")


@dataclass
class Settings:
    """What can be typed as key=value, beside the keys of a network."""

    model: str = "toy_2d"
    steps: int = 3000
    batch: int = 1024
    lr: float = 3e-3
    out: str = str(TRAINED)
    threads: int = 1  # on which the last bits depend
    network: dict[str, Any] = field(default_factory=dict)


def of_model(settings: Settings) -> dict[str, Any]:
    """Return the network of the model's YAML, updated with the command line's settings."""
    own: Any = OmegaConf.to_container(OmegaConf.load(config_dir() / "model" / f"{settings.model}.yaml"))
    return {**own["network"], **settings.network}


def small(network: dict[str, Any]) -> dict[str, Any]:
    """Return a network of a third of the depth and half the width."""
    return {**network, "width": network["width"] // 2, "depth": network["depth"] // 3}


def build(network: dict[str, Any]) -> tuple[ToyNetwork, Mixture]:
    """Build a freshly initialised network and its data; the same numbers each time."""
    settings = {key: value for key, value in network.items() if key not in (*DATA, SEED)}
    mixture = Mixture.named(network["place"], float(network["std"]), network["classes"])
    torch.manual_seed(network[SEED])
    made = ToyNetwork(mixture.dimensions, num_classes=mixture.num_classes, **settings)
    initialise(made)
    return made, mixture


def batches(mixture: Mixture, seed: int, size: int, steps: int) -> Iterator[tuple[torch.Tensor, ...]]:
    """Yield noisy points, times, labels (a fifth of them "none") and velocities data - noise, one batch per step."""
    for step in range(steps):
        rng = np.random.Generator(philox(Purpose.TRAINING, seed, step=step))
        mode = rng.integers(len(mixture.means), size=size)
        data = mixture.means[mode] + mixture.std * rng.standard_normal((size, mixture.dimensions))
        noise, t = rng.standard_normal(data.shape), rng.random((size, 1))
        labels = np.where(rng.random(size) < LABEL_DROPOUT, mixture.num_classes, mixture.labels[mode])
        points = (t * data + (1 - t) * noise, t[:, 0], labels, data - noise)
        yield tuple(torch.from_numpy(a if a.dtype == np.int64 else a.astype(np.float32)) for a in points)


def train(network: dict[str, Any], settings: Settings) -> tuple[nn.Module, nn.Module, float]:
    """Train; return the EMA at the end and after an eighth of the steps, and the seconds it took."""
    began = time.perf_counter()
    model, mixture = build(network)
    ema = copy.deepcopy(model).requires_grad_(False)
    weak = ema
    optim = torch.optim.AdamW(model.parameters(), lr=settings.lr, weight_decay=0.0)
    for step, (x, t, labels, velocity) in enumerate(batches(mixture, network[SEED], settings.batch, settings.steps)):
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


def write(path: Path, network: nn.Module) -> None:
    """Write weights in half precision: kilobytes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file({key: value.half().contiguous() for key, value in network.state_dict().items()}, path)
    print("wrote", path, flush=True)


def main(arguments: list[str]) -> int:
    """Parse key=value and the verbs "export" and "small"."""
    kinds = {f.name: type(getattr(Settings(), f.name)) for f in fields(Settings) if f.name != "network"}
    settings = Settings()
    for argument in arguments:
        key, _, value = argument.partition("=")
        if key in kinds and (key != "model" or (config_dir() / "model" / f"{value}.yaml").exists()):
            setattr(settings, key, kinds[key](value))
        elif key in NETWORK:
            settings.network[key] = value if key == "classes" else float(value) if key == "std" else int(value)
        elif argument not in ("export", "small"):
            print(f"unknown: {argument}; keys: {', '.join([*kinds, *NETWORK])}; verbs: export, small", file=sys.stderr)
            return 2
    torch.set_num_threads(settings.threads)
    folder = SHIPPED if "export" in arguments else Path(settings.out)
    network = of_model(settings)
    ema, weak, seconds = train(network, settings)
    write(folder / file_name(network), ema)
    write(folder / file_name(network, early=True), weak)
    print(f"{file_name(network)}: {seconds:.0f} s")
    if "small" in arguments:
        ema, _, seconds = train(small(network), settings)
        write(folder / file_name(small(network)), ema)
        print(f"{file_name(small(network))}: {seconds:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
