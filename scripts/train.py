"""Train a built-in network.

    python scripts/train.py model=tiny_sit [steps=3200 | seconds=180] [batch=96] [device=cpu|cuda] [threads=2] [out=training]
    python scripts/train.py model=fashion_sit device=cuda [data=FOLDER]
    python scripts/train.py model=cifar_sit device=cuda data=FOLDER [download=true]
    python scripts/train.py export model=tiny_sit

State is written to OUT/MODEL/state.pt every 250 steps, and a run that was stopped goes on from there; the loss goes to
OUT/MODEL/loss.csv. Every batch depends on the seed and the step alone, so a resumed run sees what a straight one would have
seen, and on a CPU ends at the same bytes. A budget of seconds=N ends training, and lets the learning rate fall, by the clock.
`export` writes the weights that ship with the package (cifar_sit's, which do not, to OUT/cifar_sit), and of a network that
reads samples what they are measured against. Models and recipes: scripts/training_recipes.py.
"""

from __future__ import annotations

import copy
import csv
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from training_export import export, report
from training_recipes import READERS, RECIPES, Recipe, build, source_of

from s2g.errors import UserError

BLOCKS = ("blocks.", "transformer.transformer_blocks.", "transformer.blocks.", "text.blocks.")
EMA_DECAY = 0.999
LOGGED = 50  # steps between rows of loss.csv
STORED = 250  # steps between states


@dataclass
class Settings:
    """What can be typed as key=value."""

    model: str = "tiny_sit"
    steps: int = 0  # 0: the recipe's own
    seconds: int = 0  # of training, compilation included; 0: as long as the steps take
    batch: int = 0
    device: str = "cpu"
    out: str = "training"
    threads: int = 2
    data: str = ""  # of the models of real images: the folder of the data set
    download: bool = False

    @property
    def folder(self) -> Path:
        """Where state and losses go."""
        return Path(self.out) / self.model


@dataclass
class Training:
    """A network in training, its running mean, its optimisers and how far it is."""

    model: nn.Module
    ema: nn.Module
    optims: list[torch.optim.Optimizer]
    step: int = 0
    seconds: float = 0.0

    @classmethod
    def begin(cls, settings: Settings, recipe: Recipe) -> Training:
        """Build the network afresh, or as the last stored state left it."""
        model = build(settings.model).to(settings.device).train()
        ema = copy.deepcopy(model).eval().requires_grad_(False)
        training = cls(model, ema, optimisers(model, recipe, muon=settings.model not in READERS))
        if (stored := settings.folder / "state.pt").exists():
            state = torch.load(stored, weights_only=True, map_location=settings.device)
            model.load_state_dict(state["model"])
            ema.load_state_dict(state["ema"])
            for optim, saved in zip(training.optims, state["optims"], strict=True):
                optim.load_state_dict(saved)
            training.step, training.seconds = state["step"], state["seconds"]
        return training

    def store(self, folder: Path) -> None:
        """Write the state, whole or not at all."""
        state = {"model": self.model.state_dict(), "ema": self.ema.state_dict()}
        state |= {"optims": [o.state_dict() for o in self.optims], "step": self.step, "seconds": self.seconds}
        torch.save(state, folder / "state.tmp")
        os.replace(folder / "state.tmp", folder / "state.pt")

    @torch.no_grad()
    def average(self) -> None:
        """Move the running mean towards the network, faster during the first steps."""
        decay = min(EMA_DECAY, self.step / (9 + self.step))
        for kept, new in zip(self.ema.state_dict().values(), self.model.state_dict().values(), strict=True):
            kept.lerp_(new, 1 - decay) if kept.is_floating_point() else kept.copy_(new)


def optimisers(model: nn.Module, recipe: Recipe, muon: bool) -> list[torch.optim.Optimizer]:
    """Build Muon for the matrices of the blocks (what reads samples has none), AdamW for everything else."""
    named = [(name, p) for name, p in model.named_parameters() if p.requires_grad]
    matrices = [p for name, p in named if muon and name.startswith(BLOCKS) and p.ndim == 2]
    chosen = {id(p) for p in matrices}
    others = [p for _, p in named if id(p) not in chosen]
    found: list[torch.optim.Optimizer] = [torch.optim.AdamW(others, lr=recipe.lr, weight_decay=0.0, betas=(0.9, 0.99))]
    if matrices:
        found.append(torch.optim.Muon(matrices, lr=recipe.lr, weight_decay=recipe.decay, adjust_lr_fn="match_rms_adamw"))
    return found


def train(settings: Settings) -> None:
    """Train until the last step or second, from the stored state if there is one."""
    recipe = RECIPES[settings.model]
    steps, batch = settings.steps or (sys.maxsize if settings.seconds else recipe.steps), settings.batch or recipe.batch
    source = source_of(settings.model, settings.device, settings.data, settings.download)  # before anything is written
    folder = settings.folder
    folder.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(settings.threads)
    began = time.perf_counter()
    training = Training.begin(settings, recipe)
    model, before = training.model, training.seconds
    of = f" of {steps}" if steps < sys.maxsize else ""
    if training.step:
        print(f"{settings.model}: going on from step {training.step}{of}", flush=True)
    on_gpu = settings.device.startswith("cuda") and settings.model not in READERS
    network = torch.compile(model) if on_gpu else model
    held_images, held_labels = source.held_out()
    with losses_of(folder, training.step) as log:
        running: list[float] = []
        while training.step < steps and not 0 < settings.seconds <= training.seconds:
            done = max(training.step / steps, training.seconds / settings.seconds if settings.seconds else 0.0)
            lr = learning_rate(recipe, training.step, done)
            for group in (group for optim in training.optims for group in optim.param_groups):
                group["lr"] = lr
            images, labels = source.batch(training.step, batch)
            random = torch.Generator().manual_seed(training.step)
            with torch.autocast("cuda", torch.bfloat16, enabled=on_gpu):
                loss = recipe.loss(network, images, labels, random, **_shift(recipe, training.step))
            for optim in training.optims:
                optim.zero_grad(set_to_none=True)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            for optim in training.optims:
                optim.step()
            training.step += 1
            training.average()
            running.append(loss.item())
            training.seconds = before + time.perf_counter() - began
            last = training.step == steps or 0 < settings.seconds <= training.seconds
            if training.step % LOGGED == 0 or last:
                with torch.no_grad():
                    held = recipe.loss(training.ema, held_images, held_labels, torch.Generator().manual_seed(2**40)).item()
                log.writerow([training.step, f"{training.seconds:.1f}", f"{np.mean(running):.5f}", f"{held:.5f}"])
                print(
                    f"{settings.model} {training.step}{of}: loss {np.mean(running):.4f}, held out {held:.4f}, "
                    f"{training.seconds:.0f} s",
                    flush=True,
                )
                running = []
            if training.step == recipe.weak_at:
                torch.save(training.ema.state_dict(), folder / "weak.pt")
            if training.step % STORED == 0 or last:
                training.store(folder)
    report(settings.model, training.ema, source, settings.device)


def learning_rate(recipe: Recipe, step: int, done: float) -> float:
    """Return the rate of a step: it warms up over the first steps and falls to zero over the budget; done: the share used."""
    return recipe.lr * min(1.0, (step + 1) / recipe.warm_up) * (1 - done)


@contextmanager
def losses_of(folder: Path, step: int) -> Iterator[Any]:
    """Open loss.csv for new rows; what was logged after the stored state is trained again, and dropped."""
    with (folder / "loss.csv").open("a+", newline="") as log:
        log.seek(0)
        known = [row for row in csv.reader(log) if row and row[0].isdigit() and int(row[0]) <= step]
        log.truncate(0)
        writer = csv.writer(log)
        writer.writerows([["step", "seconds", "loss", "held_out_loss"], *known])
        log.flush()

        class Rows:
            def writerow(self, row: list[Any]) -> None:
                writer.writerow(row)
                log.flush()

        yield Rows()


def _shift(recipe: Recipe, step: int) -> dict[str, float]:
    """Return the further arguments of a step's loss."""
    return {} if recipe.noisier_at is None or step < recipe.noisier_at else {"shift": 2.0}


def main(arguments: list[str]) -> int:
    """Parse key=value and the optional verb "export"."""
    known = {field.name: field.type for field in fields(Settings)}
    values: dict[str, Any] = {}
    for argument in arguments:
        if argument == "export":
            continue
        key, _, value = argument.partition("=")
        if key not in known or (key == "model" and value not in RECIPES):
            print(f"unknown: {argument}; keys: {', '.join(known)}; models: {', '.join(RECIPES)}", file=sys.stderr)
            return 2
        values[key] = int(value) if known[key] == "int" else value == "true" if known[key] == "bool" else value
    settings = Settings(**values)
    try:
        if "export" in arguments:
            export(settings.model, settings.folder, settings.steps or RECIPES[settings.model].steps, settings.data)
        else:
            train(settings)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
