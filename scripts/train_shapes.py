"""Train the networks of the shapes world and of Figure 4's two classes.

    python scripts/train_shapes.py model=probe
    python scripts/train_shapes.py model=tiny_sit [steps=3200] [device=cpu|cuda] [out=training]
    python scripts/train_shapes.py model=reader
    python scripts/train_shapes.py model=tiny_sd3
    python scripts/train_shapes.py model=video_reader
    python scripts/train_shapes.py model=tiny_wan
    python scripts/train_shapes.py model=digits_probe, model=digits_sit
    python scripts/train_shapes.py model=cifar_sit device=cuda data=FOLDER [download=true]

State is written to OUT/MODEL/state.pt every 250 steps and a run that was stopped goes on from there; the loss goes to
OUT/MODEL/loss.csv. `python scripts/train_shapes.py export model=tiny_sit` writes the weights that ship with the
package (cifar_sit's, which do not, to OUT/cifar_sit), and for a probe its features of true images. Every batch depends on
the seed and the step alone, so a resumed run sees what a straight one would have seen.
"""

from __future__ import annotations

import copy
import csv
import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import torch
from omegaconf import OmegaConf
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from training_sources import Captions, Motions, Objects, Source, Videos, World, images_and_labels, of_cifar, of_digits

from s2g.config.schema import BUILTIN, PAIRS, config_dir
from s2g.errors import UserError
from s2g.metrics.frechet import Moments
from s2g.models import tiny_sd3, tiny_wan
from s2g.models.sit import SiT, initialise
from s2g.models.tiny_sd3 import TinySD3
from s2g.models.tiny_wan import TinyWan
from s2g.worlds.shapes import captions, motion, video_prompts
from s2g.worlds.shapes.probe import Probe
from s2g.worlds.shapes.prompts import COUNT, prompt_classes
from s2g.worlds.shapes.reader import Reader
from s2g.worlds.shapes.render import render
from s2g.worlds.shapes.video_reader import VideoReader
from s2g.worlds.shapes.world import ATTRIBUTES, HELD_OUT_SEED, REFERENCE_SEED, attributes_of, scenes
from s2g.worlds.two_class.digits import digits, held_out, pair
from s2g.worlds.two_class.probe import DigitsProbe, read_digits

WEIGHTS = BUILTIN


@dataclass
class Settings:
    """What can be typed as key=value."""

    model: str = "tiny_sit"
    steps: int = 0  # 0: the model's own
    batch: int = 0
    device: str = "cpu"
    out: str = "training"
    threads: int = 2
    data: str = "data/cifar10"  # of cifar_sit
    download: bool = False


@dataclass(frozen=True)
class Recipe:
    """How one network is trained."""

    steps: int
    batch: int
    lr: float
    easy: int = 0  # steps on large upright shapes before the whole world is shown
    weak_at: int | None = None  # step after which the EMA is kept as the weaker network
    noisier_at: int | None = None  # step after which noise levels are shifted by 2: what moves where is decided at high ones


RECIPES = {
    "probe": Recipe(800, 128, 2e-3),
    "tiny_sit": Recipe(3200, 96, 2e-3, easy=2000, weak_at=2300),
    "reader": Recipe(1500, 128, 2e-3),
    "tiny_sd3": Recipe(3200, 64, 2e-3, easy=1800),
    "video_reader": Recipe(1000, 64, 2e-3),
    "tiny_wan": Recipe(3600, 48, 2e-3, easy=900, noisier_at=1500),
    "digits_probe": Recipe(1500, 128, 2e-3),
    "digits_sit": Recipe(2000, 64, 2e-3, weak_at=500),
    "cifar_sit": Recipe(60_000, 256, 1e-3, weak_at=15_000),  # ours, and not run: no data was at hand
}
PROBES = {"probe": Probe, "digits_probe": DigitsProbe, "reader": Reader, "video_reader": VideoReader}
BLOCKS = ("blocks.", "transformer.transformer_blocks.", "transformer.blocks.", "text.blocks.")
EMA_DECAY = 0.999
LABEL_DROPOUT = 0.1


def build(name: str) -> nn.Module:
    """Build a freshly initialised network; the same numbers each time."""
    torch.manual_seed(0)
    if name in PROBES:
        return PROBES[name]()
    network = OmegaConf.load(config_dir() / "model" / f"{name}.yaml").network
    if name == "tiny_sd3":
        pair = TinySD3(network)
        tiny_sd3.initialise(pair)
        return pair
    if name == "tiny_wan":
        filmed = TinyWan(network)
        tiny_wan.initialise(filmed)
        return filmed
    model = SiT(**network)
    initialise(model)
    return model


def source_of(settings: Settings) -> Source:
    """Return a model's training source; UserError where its data is missing."""
    if settings.model == "cifar_sit":
        return of_cifar(settings.device, settings.data, settings.download)
    if settings.model in ("digits_probe", "digits_sit"):
        return of_digits(settings.device, digits() if settings.model == "digits_probe" else pair())
    if settings.model == "reader":
        return Objects(settings.device)
    if settings.model == "video_reader":
        return Motions(settings.device)
    world = {"tiny_sd3": Captions, "tiny_wan": Videos}.get(settings.model, World)
    return world(settings.device, RECIPES[settings.model].easy)


def noisy(images: Tensor, generator: torch.Generator) -> Tensor:
    """Add a little noise to images: samples are never as clean as scenes."""
    noise = (
        torch.randn(images.shape, generator=generator)
        * torch.rand(len(images), *(1,) * (images.ndim - 1), generator=generator)
        * 0.15
    )
    return images + noise.to(images.device)


def probe_loss(model: nn.Module, images: Tensor, labels: Tensor, generator: torch.Generator) -> Tensor:
    """Compute the cross entropy of the three heads."""
    reading = model(noisy(images, generator))
    truth = attributes_of(labels)
    return sum(nn.functional.nll_loss(reading.logp[name], truth[name]) for name in ATTRIBUTES)


def reader_loss(model: Reader, images: Tensor, asked: Tensor, generator: torch.Generator) -> Tensor:
    """Compute the cross entropy of the layout and of the present objects' attributes; asked: Captioned's columns [B, 3]."""
    reading = model(noisy(images, generator))
    loss = nn.functional.nll_loss(reading.layout, asked[:, 2] + 1)
    for objects, label in zip(reading.objects, asked.T, strict=False):
        there = label >= 0
        truth = attributes_of(label[there])
        loss = loss + sum(nn.functional.nll_loss(objects[name][there], truth[name]) for name in ATTRIBUTES)
    return loss


def video_reader_loss(model: VideoReader, videos: Tensor, kinds: Tensor, generator: torch.Generator) -> Tensor:
    """Compute the cross entropy of shape, color and motion."""
    reading, truth = model(noisy(videos, generator)), motion.attributes_of(kinds)
    return sum((nn.functional.nll_loss(reading.logp[name], truth[name]) for name in truth), torch.zeros(()))


def digits_loss(model: nn.Module, images: Tensor, labels: Tensor, generator: torch.Generator) -> Tensor:
    """Compute the cross entropy of the ten digits."""
    return nn.functional.nll_loss(model(noisy(images, generator))[0], labels)


def velocity_loss(model: SiT, images: Tensor, labels: Tensor, generator: torch.Generator) -> Tensor:
    """Compute flow matching at logit-normal times (arXiv 2403.03206); a tenth of the labels becomes "no class"."""
    noise = torch.randn(images.shape, generator=generator).to(images.device)
    t = torch.randn(len(images), generator=generator).sigmoid().to(images.device)
    dropped = (torch.rand(len(images), generator=generator) < LABEL_DROPOUT).to(images.device)
    t_image = t[:, None, None, None]
    prediction = model(t_image * images + (1 - t_image) * noise, t, torch.where(dropped, model.num_classes, labels))
    return (prediction - (images - noise)).square().mean()


def caption_loss(
    model: TinySD3 | TinyWan, images: Tensor, tokens: Tensor, generator: torch.Generator, shift: float = 1.0
) -> Tensor:
    """Compute `velocity_loss` for captions of images or videos, in SD3's and Wan's own direction: noise - data at level s."""
    noise = torch.randn(images.shape, generator=generator).to(images.device)
    level = torch.randn(len(images), generator=generator).sigmoid().to(images.device)
    dropped = (torch.rand(len(images), generator=generator) < LABEL_DROPOUT).to(images.device)
    level = shift * level / (1 + (shift - 1) * level)  # flow shift, as in sampling
    level_image = level.view(-1, *(1,) * (images.ndim - 1))
    nothing = torch.tensor(model.text.vocabulary.tokens(""), device=tokens.device)
    given = torch.where(dropped[:, None], nothing, tokens)
    return (model((1 - level_image) * images + level_image * noise, level, given) - (noise - images)).square().mean()


def optimisers(model: nn.Module, lr: float, muon: bool) -> list[torch.optim.Optimizer]:
    """Build Muon for the matrices of the blocks (the probe has none), AdamW for everything else."""
    named = [(name, p) for name, p in model.named_parameters() if p.requires_grad]
    matrices = [p for name, p in named if muon and name.startswith(BLOCKS) and p.ndim == 2]
    chosen = {id(p) for p in matrices}
    others = [p for _, p in named if id(p) not in chosen]
    found: list[torch.optim.Optimizer] = [torch.optim.AdamW(others, lr=lr, weight_decay=0.0, betas=(0.9, 0.99))]
    if matrices:
        found.append(torch.optim.Muon(matrices, lr=lr, weight_decay=0.0, adjust_lr_fn="match_rms_adamw"))
    return found


def train(settings: Settings) -> None:
    """Train until the last step, from the stored state if there is one."""
    recipe = RECIPES[settings.model]
    steps, batch = settings.steps or recipe.steps, settings.batch or recipe.batch
    source = source_of(settings)  # before anything is written: its data may not be there
    folder = Path(settings.out) / settings.model
    folder.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(settings.threads)
    model = build(settings.model).to(settings.device).train()
    ema = copy.deepcopy(model).eval().requires_grad_(False)
    losses = {
        "probe": probe_loss,
        "digits_probe": digits_loss,
        "reader": reader_loss,
        "video_reader": video_reader_loss,
        "tiny_sd3": caption_loss,
        "tiny_wan": caption_loss,
    }
    loss_of = losses.get(settings.model, velocity_loss)
    optims = optimisers(model, recipe.lr, muon=settings.model not in PROBES)
    step, seconds = 0, 0.0
    state_file = folder / "state.pt"
    if state_file.exists():
        state = torch.load(state_file, weights_only=True, map_location=settings.device)
        model.load_state_dict(state["model"])
        ema.load_state_dict(state["ema"])
        for optim, saved in zip(optims, state["optims"], strict=True):
            optim.load_state_dict(saved)
        step, seconds = state["step"], state["seconds"]
        print(f"{settings.model}: going on from step {step} of {steps}", flush=True)

    held_images, held_labels = source.held_out()
    log = (folder / "loss.csv").open("a+", newline="")
    log.seek(0)
    known = [row for row in csv.reader(log) if row and row[0].isdigit() and int(row[0]) <= step]
    log.truncate(0)  # what was logged after the stored state is trained again
    writer = csv.writer(log)
    writer.writerows([["step", "seconds", "loss", "held_out_loss"], *known])
    running, since = [], time.perf_counter()
    while step < steps:
        warm = min(1.0, (step + 1) / 100)
        for optim in optims:
            for group in optim.param_groups:
                group["lr"] = recipe.lr * warm * (1 - step / steps)
        images, labels = source.batch(step, batch)
        loss = loss_of(model, images, labels, torch.Generator().manual_seed(step), **_shift(recipe, step))
        for optim in optims:
            optim.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for optim in optims:
            optim.step()
        decay = min(EMA_DECAY, (1 + step) / (10 + step))
        with torch.no_grad():
            for kept, new in zip(ema.state_dict().values(), model.state_dict().values(), strict=True):
                kept.lerp_(new, 1 - decay) if kept.is_floating_point() else kept.copy_(new)
        running.append(loss.item())
        step += 1
        if step % 50 == 0 or step == steps:
            with torch.no_grad():
                held = loss_of(ema, held_images, held_labels, torch.Generator().manual_seed(2**40)).item()
            elapsed = seconds + time.perf_counter() - since
            writer.writerow([step, f"{elapsed:.1f}", f"{np.mean(running):.5f}", f"{held:.5f}"])
            log.flush()
            print(
                f"{settings.model} {step}/{steps} loss {np.mean(running):.4f} held out {held:.4f} {elapsed:.0f} s", flush=True
            )
            running = []
        if step == recipe.weak_at:
            torch.save(ema.state_dict(), folder / "weak.pt")
        if step % 250 == 0 or step == steps:
            state = {"model": model.state_dict(), "ema": ema.state_dict(), "optims": [o.state_dict() for o in optims]}
            torch.save(state | {"step": step, "seconds": seconds + time.perf_counter() - since}, folder / "state.tmp")
            os.replace(folder / "state.tmp", state_file)
    log.close()
    if settings.model == "probe":
        report_probe(ema, settings.device)
    if settings.model == "reader":
        report_reader(ema, settings.device)
    if settings.model == "video_reader":
        report_video_reader(ema, settings.device)
    if settings.model == "digits_probe":
        with torch.no_grad():
            right = ema(held_images)[0].argmax(-1) == held_labels
        print(f"held out: {int(right.sum())} of {len(right)} digits right ({right.float().mean():.4f})")


def _shift(recipe: Recipe, step: int) -> dict[str, float]:
    """Return the further arguments of a step's loss."""
    return {} if recipe.noisier_at is None or step < recipe.noisier_at else {"shift": 2.0}


def report_probe(probe: nn.Module, device: str, count: int = 10_000) -> None:
    """Report the accuracy on held-out clean images, per attribute and joint."""
    images, labels = images_and_labels(HELD_OUT_SEED, 100_000, count, device)
    truth = attributes_of(labels)
    with torch.no_grad():
        readings = [probe(chunk).logp for chunk in images.split(500)]
    right = {name: torch.cat([r[name] for r in readings]).argmax(-1) == truth[name] for name in ATTRIBUTES}
    joint = torch.stack(list(right.values())).all(0)
    print(
        "held out:",
        {k: round(v.float().mean().item(), 4) for k, v in right.items()},
        "joint",
        round(joint.float().mean().item(), 4),
    )


def report_reader(reader: nn.Module, device: str, count: int = 10_000) -> None:
    """Report the share of held-out clean scenes of every class read without an error: of one object, and of two."""
    images, captioned = Objects(device).clean(HELD_OUT_SEED, 100_000, count)
    with torch.no_grad():
        readings = [reader(chunk) for chunk in images.split(500)]
    right = torch.cat([r.layout for r in readings]).argmax(-1) == captioned[:, 2] + 1
    for number, label in enumerate(captioned.T[:2]):
        for name, truth in attributes_of(label).items():
            right &= (torch.cat([r.objects[number][name] for r in readings]).argmax(-1) == truth) | (label < 0)
    for words, chosen in (("one object", captioned[:, 1] < 0), ("two objects", captioned[:, 1] >= 0)):
        print(f"held out, {words}: {int(right[chosen].sum())} of {int(chosen.sum())} read without an error")


def report_video_reader(reader: nn.Module, device: str, count: int = 10_000) -> None:
    """Report the share of held-out clean videos of every kind read without an error."""
    videos, kinds = Motions(device).clean(HELD_OUT_SEED, 100_000, count)
    with torch.no_grad():
        read = np.concatenate([reader(chunk).kinds() for chunk in videos.split(500)])
    print(f"held out: {int((read == kinds.cpu().numpy()).sum())} of {count} videos read without an error")


def export(settings: Settings) -> None:
    """Write the EMA weights (and the weaker network's) into the package: fp16, but fp32 for what measures."""
    dtype = torch.float32 if settings.model in PROBES else torch.float16
    folder = Path(settings.out) / settings.model
    state = torch.load(folder / "state.pt", weights_only=True, map_location="cpu")
    if state["step"] < (settings.steps or RECIPES[settings.model].steps):
        sys.exit(f"error: {folder} has {state['step']} steps; train on, or say which end is meant: steps={state['step']}")
    found = {settings.model: state["ema"]}
    if (folder / "weak.pt").exists():
        found[f"{settings.model}_weak"] = torch.load(folder / "weak.pt", weights_only=True, map_location="cpu")
    place = {"cifar_sit": folder, "digits_sit": PAIRS, "digits_probe": PAIRS}.get(settings.model, WEIGHTS)
    place.mkdir(parents=True, exist_ok=True)
    for name, state in found.items():
        save_file({k: v.to(dtype) if v.is_floating_point() else v for k, v in state.items()}, place / f"{name}.safetensors")
        print("wrote", place / f"{name}.safetensors")
    if settings.model == "probe":
        export_reference()
    if settings.model == "reader":
        export_captioned()
    if settings.model == "video_reader":
        export_moving()
    if settings.model == "digits_probe":
        export_digits_reference(place / "digits_reference.npz")


def export_reference(count: int = 10_000, kept: int = 2_000) -> None:
    """Write the moments of the shipped probe's features on true scenes, as uint8 pixels like every sample.

    The features themselves are kept of the first `kept` scenes, as float16 (the rounding is 0.05 %): what precision,
    recall, density and coverage are measured against.
    """
    probe = Probe()
    probe.load_state_dict(load_file(WEIGHTS / "probe.safetensors"))
    torch.set_num_threads(1)
    found = []
    with torch.no_grad():
        for first in range(0, count, 500):
            images = render(scenes(REFERENCE_SEED, np.arange(first, first + 500)))
            pixels = torch.from_numpy((images * 255 + 0.5).astype(np.uint8)).float() / 127.5 - 1
            found.append(probe.eval()(pixels).features.numpy())
    features = np.concatenate(found)
    moments = Moments.of(features)
    known = dict(mean=moments.mean, covariance=moments.covariance, count=moments.count)
    np.savez_compressed(WEIGHTS / "reference.npz", **known, features=features[:kept].astype(np.float16))
    print("wrote", WEIGHTS / "reference.npz")


def export_captioned() -> None:
    """Write the moments of the shipped reader's features on true scenes of bench=shapes_t2i's captions."""
    of = captions.Captioned(*prompt_classes().T)
    export_moments(Reader(), "reader", "captioned", COUNT, lambda at: captions.render(of, REFERENCE_SEED, at))


def export_moving() -> None:
    """Write the moments of the shipped video reader's features on true videos of bench=shapes_t2v's captions."""
    kinds = video_prompts.prompt_kinds()
    export_moments(VideoReader(), "video_reader", "moving", len(kinds), lambda at: motion.render(kinds, REFERENCE_SEED, at))


def export_moments(
    reader: nn.Module, name: str, file: str, count: int, render: Callable[[np.ndarray], np.ndarray], times: int = 40
) -> None:
    """Write the moments of a shipped reader's features on true scenes, `count` at a time, as uint8 pixels like every sample."""
    reader.load_state_dict(load_file(WEIGHTS / f"{name}.safetensors"))
    torch.set_num_threads(1)
    found = []
    with torch.no_grad():
        for first in range(0, times * count, count):
            pixels = (
                torch.from_numpy((render(np.arange(first, first + count)) * 255 + 0.5).astype(np.uint8)).float() / 127.5 - 1
            )
            found.append(reader.eval()(pixels).features.numpy())
    moments = Moments.of(np.concatenate(found))
    known = dict(mean=moments.mean, covariance=moments.covariance, count=moments.count)
    np.savez_compressed(WEIGHTS / f"{file}.npz", **known)
    print("wrote", WEIGHTS / f"{file}.npz")


def export_digits_reference(path: Path) -> None:
    """Write what the digits bench measures against: the shipped probe's features of the pair's real images, and these."""
    real = pair()
    known = dict(features=read_digits(real.pixels)[1], label=real.label.astype(np.int8), pixels=real.pixels)
    np.savez_compressed(path, **known, held_out=held_out(real))
    print("wrote", path)


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
        export(settings) if "export" in arguments else train(settings)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
