"""Train a built-in network.

    python scripts/train.py model=tiny_sit [steps=3200 | seconds=180] [batch=96] [device=cpu|cuda] [threads=2] [out=training]
    python scripts/train.py model=fashion_sit device=cuda [data=FOLDER]
    python scripts/train.py model=cifar_sit device=cuda data=FOLDER [download=true]
    python scripts/train.py model=fashion_sit_small depth=6 [width=64] [out=training]
    python scripts/train.py model=toy_2d [std=0.5] [classes=each] [width=32] [depth=12] [seed=0] threads=1
    python scripts/train.py export model=tiny_sit

State is written to OUT/MODEL/state.pt every 250 steps, and a run that was stopped goes on from there; the loss goes to
OUT/MODEL/loss.csv. Every batch depends on the seed and the step alone, so a resumed run sees what a straight one would have
seen, and on a CPU ends at the same bytes. A budget of seconds=N ends training, and lets the learning rate fall, by the clock.
`export` writes the weights that ship with the package (cifar_sit's, which do not, to OUT/cifar_sit), and of a network that
reads samples what they are measured against; a network of another depth or width than the model's stays in OUT, under a name
that says so. A toy's weights also go to OUT/toy, where model.network finds them; std, classes, width, depth and seed are in
their names (s2g/worlds/mixtures/weights_index.py). Models and recipes: scripts/training_recipes.py.
"""

from __future__ import annotations

import csv
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from training_export import export, report
from training_recipes import READERS, RECIPES, Recipe, build, network_of, source_of
from training_state import Training

from s2g.errors import UserError
from s2g.worlds.mixtures.weights_index import file_name

EARLY = 8  # a toy's earlier state is the EMA after this part of the steps
NETWORK = {"std": float, "classes": str, "width": int, "depth": int, "seed": int}  # of toys
RESIZED = ("fashion_sit", "fashion_sit_small")  # depth and width can be typed of these too
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
    network: dict[str, Any] = field(default_factory=dict)  # what was typed of NETWORK, each a key

    @property
    def recipe(self) -> Recipe:
        """How it is trained, with what was typed in place of the recipe's own."""
        own = RECIPES[self.model]
        steps = self.steps or (sys.maxsize if self.seconds else own.steps)
        weak_at = steps // EARLY if own.shelf else own.weak_at
        return replace(own, steps=steps, batch=self.batch or own.batch, weak_at=weak_at)

    @property
    def folder(self) -> Path:
        """Where state and losses go: OUT/MODEL, with a typed depth and width; of a toy OUT/toy/NAME of its weights."""
        if self.recipe.shelf:
            return Path(self.out) / "toy" / Path(file_name(network_of(self.model, self.network))).stem
        return Path(self.out) / "-".join([self.model, *(f"{key}{value}" for key, value in sorted(self.network.items()))])


def train(settings: Settings) -> None:
    """Train until the last step or second, from the stored state if there is one."""
    recipe = settings.recipe
    steps = recipe.steps
    network_keys = network_of(settings.model, settings.network)
    source = source_of(settings.model, settings.device, settings.data, settings.download, network_keys)  # it may be missing
    folder = settings.folder
    folder.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(settings.threads)
    began = time.perf_counter()
    training = Training.begin(build(settings.model, network_keys), recipe, folder, settings.device)
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
            images, labels = source.batch(training.step, recipe.batch)
            random = torch.Generator().manual_seed(training.step)
            with torch.autocast("cuda", torch.bfloat16, enabled=on_gpu):
                loss = recipe.loss(network, images, labels, random, **_shift(recipe, training.step))
            for optim in training.optims:
                optim.zero_grad(set_to_none=True)
            loss.backward()
            if recipe.clip:
                torch.nn.utils.clip_grad_norm_(model.parameters(), recipe.clip)
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


def export_trained(settings: Settings, place: Path | None = None) -> None:
    """Write the weights into the package, or into `place`; those of another size of network beside their state."""
    folder = settings.folder
    if settings.network and place is None:
        place = folder
    export(settings.model, folder, settings.recipe.steps, settings.data, folder.name, place)


def parse(arguments: list[str]) -> Settings:
    """Read key=value; SystemExit naming the keys for anything else."""
    kinds = {item.name: item.type for item in fields(Settings) if item.name != "network"}
    values: dict[str, Any] = {"network": {}}
    for argument in arguments:
        key, _, value = argument.partition("=")
        if key in NETWORK:
            values["network"][key] = NETWORK[key](value)
        elif key not in kinds or (key == "model" and value not in RECIPES):
            known = f"keys: {', '.join(kinds)}, of toys {', '.join(NETWORK)}; models: {', '.join(RECIPES)}"
            raise UserError(f"{argument}: unknown", allowed=known)
        else:
            values[key] = int(value) if kinds[key] == "int" else value == "true" if kinds[key] == "bool" else value
    settings = Settings(**values)
    free = NETWORK if settings.recipe.shelf else ("depth", "width") if settings.model in RESIZED else ()
    if fixed := [key for key in settings.network if key not in free]:
        allowed = f"{', '.join(NETWORK)} with model=toy_1d and toy_2d; depth and width with {', '.join(RESIZED)}"
        raise UserError(f"{', '.join(fixed)}: fixed in model={settings.model}", allowed=allowed)
    return settings


def main(arguments: list[str]) -> int:
    """Parse key=value and the optional verb "export"; train or export."""
    try:
        settings = parse([argument for argument in arguments if argument != "export"])
        if "export" in arguments:
            export_trained(settings)
        else:
            train(settings)
            if settings.recipe.shelf:  # where model.network finds what does not ship
                export_trained(settings, settings.folder.parent)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
