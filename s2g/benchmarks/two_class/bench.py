"""What the two benches of Figure 4 share: two classes in turn, features of real and generated images, and their numbers."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from functools import cache
from typing import Any, ClassVar

import numpy as np

from s2g.benchmarks.common_metrics import PERCENT, feature_distance, percent
from s2g.config.schema import ModelConfig
from s2g.engine.bench import Arrays, MeasuredBench, Metric
from s2g.errors import UserError
from s2g.metrics.frechet import Moments
from s2g.metrics.manifold import Manifold
from s2g.metrics.neighbours import leave_one_out, read_by_neighbours

NEAREST = 3  # k of precision and recall (arXiv 1904.06991)
VOTERS = 5  # k of separability (ours): odd, so that two classes never tie


class PairBench(MeasuredBench):
    """Item i is of class i mod 2. A bench says what its images are, and what reads them."""

    name: ClassVar[str]
    kind: ClassVar[str]  # of the features, as labels have it: never FID, which is Inception's
    pair: ClassVar[tuple[str, str]]
    shape: ClassVar[tuple[int, int]]  # pixels of a side, channels
    models: ClassVar[str]  # that make such images

    @abstractmethod
    def real(self) -> tuple[np.ndarray, np.ndarray]:
        """Return features [M, D] and classes [M] of the real images of both classes."""

    @abstractmethod
    def read(self, images: np.ndarray) -> dict[str, np.ndarray]:
        """Return per-item arrays of uint8 images [B, H, W, 3]: `features` [B, D], and whatever else can be read."""

    @property
    def metrics(self) -> tuple[Metric, ...]:
        return metrics(self)

    @property
    def cycle(self) -> int:
        return len(self.pair)

    def check(self, model: ModelConfig) -> None:
        of = model.network.get("num_classes"), model.resolution, model.network.get("channels")
        if of != (len(self.pair), *self.shape):
            raise UserError(
                f"bench = {self.name}: {model.name} makes {of[0]} classes at {of[1]} pixels in {of[2]} channels",
                allowed=f"models of 2 classes at {self.shape[0]} pixels in {self.shape[1]} channels: {self.models}",
            )

    def items_id(self) -> Any:
        return {"labels": f"index mod {len(self.pair)}", "pair": list(self.pair)}

    def prompts(self, items: Sequence[int]) -> list[int]:
        return [item % len(self.pair) for item in items]

    def caption(self, item: int) -> str:
        return self.pair[item % len(self.pair)]

    def measure(self, values: np.ndarray, items: Sequence[int]) -> dict[str, np.ndarray]:
        return {"label": np.array(self.prompts(items)), **self.read(values)}

    def reading(self, arrays: Arrays, item: int) -> tuple[dict[str, bool], str]:
        """Say which class the item's nearest real images have."""
        label = int(arrays["label"][item])
        read = int(neighbours_say(self, arrays["features"][item : item + 1])[0])
        return {"neighbours": read == label}, "" if read == label else f"its nearest real images are: {self.pair[read]}"


def metrics(bench: PairBench) -> tuple[Metric, ...]:
    """Return the metrics in a bench's features against its real images."""
    return (
        # Heusel et al. (arXiv 1706.08500), in these features. With few items and a finite set of real images it is biased
        # upwards, alike for all methods at an equal number.
        feature_distance(f"{bench.kind} FD", lambda: moments_of(bench), 2),
        # Kynkaanniemi et al. (arXiv 1904.06991): samples inside the real images' manifold, and the other way round.
        percent("precision", "precision %", lambda of: manifold_of(bench).balls_of(of["features"]) > 0, main=True),
        Metric("recall", "recall %", True, 1, value=lambda of: recall(of["features"], bench), limits=PERCENT),
        # Share of samples whose nearest real images are mostly of the class that was asked for: a k-NN classifier of the
        # real images, put to the samples. Ours: the paper shows separation in a plot and gives no number.
        percent(
            "separability", "k-NN separability %", lambda of: neighbours_say(bench, of["features"]) == of["label"], main=True
        ),
        # The same among the samples alone, each left out in turn: whether the two clouds are apart, right or wrong.
        Metric("apart", "own k-NN separability %", True, 1, value=lambda of: apart(of), limits=PERCENT, main=False),
        # Below 1 a class is narrower than the real one: what collapse is.
        Metric("spread", "spread / real", None, 3, value=lambda of: spread(of["features"], of["label"], bench)),
    )


def recall(features: np.ndarray, bench: PairBench) -> float:
    """Return the percentage of real images inside the manifold of features [N, D]; nan for too few features.

    Grows with N, so only equal N compare.
    """
    if len(features) <= NEAREST:
        return float("nan")
    return 100.0 * float((Manifold.of(features, NEAREST).balls_of(bench.real()[0]) > 0).mean())


def apart(of: Arrays) -> float:
    """Return the percentage of items with nearest others mostly of their class; nan for too few items."""
    features, label = of["features"], of["label"]
    return 100.0 * leave_one_out(features, label, VOTERS) if len(label) > VOTERS else float("nan")


def spread(features: np.ndarray, label: np.ndarray, bench: PairBench) -> float:
    """Return the root mean square distance from the class's mean, over the real images' own, as a mean over classes."""
    real, real_label = bench.real()
    parts = [(features[label == k], real[real_label == k]) for k in range(len(bench.pair))]
    return float(np.mean([_width(own) / _width(true) if len(own) > 1 else np.nan for own, true in parts]))


def neighbours_say(bench: PairBench, features: np.ndarray) -> np.ndarray:
    """Return the majority class [N] of the real images nearest to features [N, D]."""
    real, label = bench.real()
    return read_by_neighbours(real, label, features, VOTERS)


@cache
def moments_of(bench: PairBench) -> Moments:
    """Return the moments of the real images' features."""
    return Moments.of(bench.real()[0])


@cache
def manifold_of(bench: PairBench) -> Manifold:
    """Return balls around the real images' features, to the third nearest other one."""
    return Manifold.of(bench.real()[0], NEAREST)


def _width(features: np.ndarray) -> float:
    return float(np.sqrt(features.astype(np.float64).var(0, ddof=1).sum()))
