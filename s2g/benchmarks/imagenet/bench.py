"""bench=imagenet: 256 x 256 class-conditional samples by the ADM evaluator's protocol (docs/imagenet.md)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from s2g.benchmarks.distances.bench import KEEP, DistanceBench
from s2g.benchmarks.distances.reference import OFFICIAL, Reference
from s2g.benchmarks.imagenet.labels import CLASSES, LABELS, described, labels_of
from s2g.config.coerce import at_least
from s2g.config.schema import ModelConfig
from s2g.engine.bench import Arrays
from s2g.errors import UserError, unknown
from s2g.store.retention import IMAGES

SIDE = 256
SCORE = ("fid", "sfid", "is", "precision", "recall", "kid")  # ADM's, and KID; the other distances are asked for
LICENCES = ("ADM statistics: MIT", "ImageNet images behind the statistics: non-commercial research")


@dataclass(frozen=True)
class ImageNet(DistanceBench):
    """50,000 items, classes by `labels`; protocol of openai/guided-diffusion, folder evaluations (MIT)."""

    num: int = 50_000
    labels: str = "uniform"
    label_seed: int = 0
    score: tuple[str, ...] = SCORE
    reference: str = OFFICIAL

    name: ClassVar[str] = "imagenet"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.labels not in LABELS:
            raise unknown("bench.labels", self.labels, LABELS)
        at_least(self.label_seed, 0, "bench.label_seed")

    @property
    def image_side(self) -> int:
        return SIDE

    @property
    def downloads(self) -> tuple[str, ...]:
        """List what scoring needs to have been fetched, with sizes."""
        return (*((f"{OFFICIAL}, 2 GB",) if self.compares else ()), *super().downloads)

    @property
    def licences(self) -> tuple[str, ...]:
        """List the licenses of what is fetched."""
        return LICENCES if self.compares else ()

    @property
    def cycle(self) -> int:
        return CLASSES if self.labels == "balanced" else 0

    def fitted(self, model: ModelConfig) -> ImageNet:
        """Choose what is kept of a model's images if nobody says: images if weights are random, to be looked at."""
        return self if self.keep is not None else replace(self, keep="png" if model.random else KEEP)

    def check(self, model: ModelConfig) -> None:
        classes = model.network.get("num_classes")
        if (classes, model.resolution) != (CLASSES, SIDE):
            does = "paints what words say" if model.reads_text else f"makes {classes} classes"
            raise UserError(
                f"bench = imagenet: {model.name} {does} at {model.resolution} pixels",
                allowed=f"models of {CLASSES} classes at {SIDE} pixels: sit_xl, dit_xl",
            )
        # That a network runs can be seen without them; scoring asks then.
        if not (model.random and self.keep in IMAGES):
            self.check_files()

    def make_reference(self) -> Reference:
        return Reference(self.reference, SIDE)

    def items_id(self) -> Any:
        return described(self.labels, self.label_seed)

    def prompts(self, items: Sequence[int]) -> list[int]:
        return labels_of(self.labels, self.label_seed, items)

    def caption(self, item: int) -> str:
        return f"class {self.prompts([item])[0]}"

    def remarks(self, num: int, arrays: Arrays | None = None) -> list[str]:
        """Say what FD-DINOv2 is against where ADM's file is the reference: it has no statistics of that network."""
        found = super().remarks(num, arrays)
        if "fd_dinov2" not in {metric.name for metric in self.metrics} or self.referred.of_images:
            return found
        return [
            *found,
            "FD-DINOv2 is taken against the reference images of ADM's file (10,000 of its arr_0), not against the training"
            " set: not comparable with published values",
        ]
