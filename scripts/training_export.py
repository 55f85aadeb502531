"""What ships of a trained network: its weights, what samples are measured against, and how well it reads held-out images."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from training_recipes import READERS, RECIPES
from training_sources import Motions, Objects, Source, images_and_labels

from s2g.config.schema import BUILTIN
from s2g.metrics.frechet import Moments, frechet_distance
from s2g.worlds.classifier import read_gray
from s2g.worlds.fashion.classifier import FashionClassifier
from s2g.worlds.fashion.data import photographs
from s2g.worlds.images import Images
from s2g.worlds.shapes import captions, motion, video_prompts
from s2g.worlds.shapes.probe import Probe
from s2g.worlds.shapes.prompts import COUNT, prompt_classes
from s2g.worlds.shapes.reader import Reader
from s2g.worlds.shapes.render import render
from s2g.worlds.shapes.video_reader import VideoReader
from s2g.worlds.shapes.world import ATTRIBUTES, HELD_OUT_SEED, REFERENCE_SEED, attributes_of, scenes
from s2g.worlds.two_class.digits import held_out, pair
from s2g.worlds.two_class.probe import read_digits

WEIGHTS = BUILTIN
FLOORS = (100, 250, 500, 1000, 2000, 5000)  # items at which the distance of real test images is written down


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


def report_classifier(classifier: nn.Module, images: Tensor, labels: Tensor) -> None:
    """Report the share of held-out images that are put into their class."""
    with torch.no_grad():
        right = torch.cat([classifier(chunk)[0].argmax(-1) for chunk in images.split(500)]) == labels
    print(f"held out: {int(right.sum())} of {len(right)} right ({right.float().mean():.4f})")


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


def report(model: str, network: nn.Module, source: Source, device: str) -> None:
    """Print how often a network that reads samples is right on held-out images; of other networks nothing."""
    if model == "probe":
        report_probe(network, device)
    elif model == "reader":
        report_reader(network, device)
    elif model == "video_reader":
        report_video_reader(network, device)
    elif model in READERS:
        report_classifier(network, *source.held_out())


def export(model: str, folder: Path, steps: int, data: str = "", name: str = "", place: Path | None = None) -> None:
    """Write the EMA weights (and the weaker network's) to where they ship: fp16, but fp32 for what measures.

    name: of the files, without suffix, if not the model's; place: another folder.
    """
    name = name or model
    dtype = torch.float32 if model in READERS else torch.float16
    state = torch.load(folder / "state.pt", weights_only=True, map_location="cpu")
    if state["step"] < steps:
        sys.exit(f"error: {folder} has {state['step']} steps; train on, or say which end is meant: steps={state['step']}")
    found = {name: state["ema"]}
    if (folder / "weak.pt").exists():
        found[f"{name}_{'early' if RECIPES[model].shelf else 'weak'}"] = torch.load(
            folder / "weak.pt", weights_only=True, map_location="cpu"
        )
    place = place or RECIPES[model].place or folder
    place.mkdir(parents=True, exist_ok=True)
    for file, state in found.items():
        save_file({k: v.to(dtype) if v.is_floating_point() else v for k, v in state.items()}, place / f"{file}.safetensors")
        print("wrote", place / f"{file}.safetensors")
    references: dict[str, Callable[[], None]] = {
        "probe": export_reference,
        "reader": export_captioned,
        "video_reader": export_moving,
        "digits_probe": lambda: export_digits_reference(place / "digits_reference.npz"),
        "fashion_classifier": lambda: export_fashion_reference(place / "fashion_reference.npz", data),
    }
    if model in references:
        references[model]()


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


def export_fashion_reference(path: Path, data: str, kept: int = 200, shown: int = 4) -> None:
    """Write what bench=fashion measures against.

    Moments of the shipped classifier's features of the 60,000 training images; the features, as float16, of the first
    `kept` of each class; the Fréchet distances of real test images, by how many there are of them (disjoint parts with
    every class equally often, averaged), the whole test set last; and the first `shown` test images of each class.
    """
    classifier = FashionClassifier()
    classifier.load_state_dict(load_file(path.with_name("fashion_classifier.safetensors")))
    torch.set_num_threads(1)

    def read(images: Images) -> np.ndarray:
        chunks = np.array_split(images.pixels, len(images) // 500)
        return np.concatenate([read_gray(classifier.eval(), chunk)[1] for chunk in chunks])

    train, test = photographs("train", data), photographs("t10k", data)
    features, others = read(train), read(test)
    moments = Moments.of(features)
    in_turn = np.stack([np.flatnonzero(test.label == label) for label in range(10)], axis=1).ravel()  # item i: class i mod 10
    counts = [*FLOORS, len(test)]
    floors = [
        np.mean([frechet_distance(Moments.of(others[part]), moments) for part in in_turn[: len(test) // n * n].reshape(-1, n)])
        for n in counts
    ]
    rows = np.concatenate([np.flatnonzero(train.label == label)[:kept] for label in range(10)])
    looked_at = in_turn[: 10 * shown]
    np.savez_compressed(
        path,
        mean=moments.mean,
        covariance=moments.covariance,
        count=moments.count,
        features=features[np.sort(rows)].astype(np.float16),
        floor_of=np.array(counts),
        floor=np.array(floors),
        pixels=test.pixels[looked_at, :, :, 0],
        label=test.label[looked_at].astype(np.int8),
    )
    read_right = [read_gray(classifier, chunk)[0].argmax(1) for chunk in np.array_split(test.pixels, 20)]
    right = 100 * (np.concatenate(read_right) == test.label).mean()
    told = ", ".join(f"{floor:.4f} of {n:,}" for n, floor in zip(counts, floors, strict=True))
    print(f"wrote {path}; right on {right:.2f} % of the {len(test):,} test images; distances {told}")
