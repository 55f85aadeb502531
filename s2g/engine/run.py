"""A run as a value: everything that determines its samples, and the key hashed from it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from enum import Enum
from typing import Any

from s2g.config.own_code import own_code
from s2g.config.schema import ModelConfig, WeakConfig, canonical
from s2g.engine.bench import Bench
from s2g.guidance.base import Guidance
from s2g.models.video import negative_words
from s2g.sampling.base import Sampler
from s2g.sampling.unit import Unit
from s2g.store.video import settings

ABOUT_MODEL = (
    "presets",
    "sampler",
    "weights",
    "channels",
    "vae",
    "base",
    "variant",
    "memory",
    "fps",
    "source",
    "licence",
    "download_gb",
    "film",
)  # resolved into other fields, or without influence on samples
RANDOM = "random weights: no number and no image of this run means anything"
SAMPLES_VERSION = 1  # raised whenever the mathematics of sampling changes (tests/engine/test_samples_version.py)


@dataclass(frozen=True)
class Run:
    """Model, sampler, guidance, items and seeds; `num` and `name` are not part of the key."""

    model: ModelConfig
    sampler: Sampler
    guidance: Guidance
    bench: Bench
    name: str  # of the method
    num: int
    seed: int
    mask_seed: int
    weak: WeakConfig | None = None  # the second network, if the method has one
    config: Mapping[str, Any] = field(default_factory=dict, compare=False)  # as composed; the run can be restored from it

    def identity(self) -> dict[str, Any]:
        """Return everything that determines the samples as plain data; weights enter by hash, not by path."""
        model = {k: v for k, v in describe(self.model).items() if k not in ABOUT_MODEL}
        model["family"] = self.model.traits.hashed_name or self.model.family
        if self.model.noise == "random":  # as in keys older than the alternative
            del model["noise"]
        if not self.model.vae_tiling:
            del model["vae_tiling"]
        for name in ("frames", "height", "width", "negative"):
            if not self.model.makes_videos:  # likewise
                del model[name]
        if self.model.negative and not self.model.makes_videos:
            model["negative"] = self.model.negative
        if self.model.makes_videos:
            model["negative"] = negative_words(self.model.negative)  # the text, not its name
            model["film"] = settings(self.model.film, self.model.video_fps)
        if self.model.vae != "none":
            model["vae_sha256"] = self.model.vae_sha256()
        weak = {} if self.weak is None else {"weak": weak_identity(self.weak)}
        code = own_code(self.added)
        return {
            "version": SAMPLES_VERSION,
            "model": model | {"weights_sha256": self.model.weights_sha256(), "tf32": False},
            **weak,
            "sampler": describe(self.sampler),
            "guidance": describe(self.guidance),
            "items": self.bench.items_id(),
            "seed": self.seed,
            "mask_seed": self.mask_seed,
            **({"code": code} if code else {}),
        }

    @property
    def added(self) -> list[Any]:
        """Return what may be a user's own class: the method, the sampler, the bench and the model's adapter."""
        own_adapter = [self.model.traits.load()] if self.model.traits.own else []
        return [self.guidance, self.sampler, self.bench, *own_adapter]

    @property
    def random(self) -> bool:
        """Whether any weights are random; its numbers then mean nothing."""
        return self.model.random or (self.weak is not None and self.weak.random)

    @property
    def key(self) -> str:
        """MODEL-METHOD-HASH, with 12 hex digits of the identity's sha256."""
        return key_of(self.identity(), f"{self.model.name}-{self.name}")

    @property
    def units(self) -> range:
        """Indices of the units that hold the first `num` items; the last unit may hold more."""
        return range(-(-self.num // self.model.unit))

    def unit(self, index: int) -> Unit:
        """Return the items of one unit."""
        first = index * self.model.unit
        items = tuple(range(first, first + self.model.unit))
        own = self.bench.streams(items)
        cycle = self.bench.cycle if self.model.noise == "even" else 0
        return Unit(index, items, self.seed, self.mask_seed, cycle, own)


def key_of(identity: Mapping[str, Any], name: str) -> str:
    """Return NAME-HASH, with 12 hex digits of the identity's sha256."""
    return f"{name}-{hashlib.sha256(canonical(identity).encode()).hexdigest()[:12]}"


def weak_identity(weak: WeakConfig) -> dict[str, Any]:
    """Return the second network's part of the identity as plain data."""
    return {"network": describe(weak.network), "weights_sha256": weak.weights_sha256()}


def describe(value: Any) -> Any:
    """Return a frozen dataclass as plain data, recursively: the class's name and its fields.

    Without those marked `place`, and those marked `later` at their default: keys are older than they are.
    """
    if is_dataclass(value) and not isinstance(value, type):
        told = [f for f in fields(value) if not f.metadata.get("place")]
        told = [f for f in told if not (f.metadata.get("later") and getattr(value, f.name) == f.default)]
        inside = {f.name: describe(getattr(value, f.name)) for f in told}
        return {"class": type(value).__name__, **inside}
    if isinstance(value, Mapping):
        return {str(k): describe(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [describe(item) for item in value]
    return value.value if isinstance(value, Enum) else value
