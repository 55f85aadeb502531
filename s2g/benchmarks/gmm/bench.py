"""bench=gmm: points held against the Gaussian mixture they should come from, class by class; lengths in the data's units."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from scipy.spatial.distance import cdist, pdist

from s2g.config.schema import ModelConfig
from s2g.engine.bench import NOT_NEGATIVE, Arrays, MeasuredBench, Metric
from s2g.errors import UserError
from s2g.worlds.mixtures.mixture import Mixture, quantile

DIRECTIONS = 32  # of a half circle, on which a plane is looked at
TRUTH = 512  # points of a class that stand for it in the energy distance
FAR = 3.0  # standard deviations beyond which a point belongs to no mode


@dataclass(frozen=True)
class GMM(MeasuredBench):
    """Item i is of class i mod C; the mixture is the model's own (configs/bench/gmm.yaml reads it there)."""

    num: int = 2048
    place: str = ""
    std: float = 0.0
    classes: str = ""

    @property
    def mixture(self) -> Mixture:
        """Return the true mixture."""
        return Mixture.named(self.place, self.std, self.classes)

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """Return the metrics of points [N, D] of a mixture."""
        return metrics(self.mixture)

    @property
    def cycle(self) -> int:
        return self.mixture.num_classes

    def check(self, model: ModelConfig) -> None:
        own = {name: model.network.get(name) for name in ("place", "std", "classes")}
        if not self.place or own != {"place": self.place, "std": self.std, "classes": self.classes}:
            raise UserError(
                f"bench = gmm: {model.name} is a model of {own['place'] or 'something else'}",
                allowed="models of Gaussian mixtures: toy_1d, toy_2d, exact_1d, exact_2d",
                todo="name place, std and classes under model.network; the bench reads them there",
            )

    def items_id(self) -> Any:
        return {"labels": f"index mod {self.mixture.num_classes}"}

    def version(self) -> dict[str, Any]:
        return {"bench": "gmm", "version": 2, "place": self.place, "std": self.std, "classes": self.classes}

    def prompts(self, items: Sequence[int]) -> list[int]:
        return [item % self.cycle for item in items]

    def caption(self, item: int) -> str:
        centre = self.mixture.of(item % self.cycle)
        return " or ".join("(" + ", ".join(f"{value:g}" for value in mean) + ")" for mean in centre)

    def measure(self, values: np.ndarray, items: Sequence[int]) -> dict[str, np.ndarray]:
        points, mixture = values.astype(np.float64), self.mixture
        near = mixture.nearest(points)
        label = np.array(self.prompts(items))
        from_truth = np.empty(len(points))
        for asked in np.unique(label):
            own = label == asked
            from_truth[own] = cdist(points[own], truth(self.place, self.std, self.classes, int(asked))).mean(1)
        return {"points": points, "label": label, "mode": near, "away": mixture.distance(points), "from_truth": from_truth}


def metrics(mixture: Mixture) -> tuple[Metric, ...]:
    """Return the metrics of points [N, D] of a mixture."""
    flat = mixture.dimensions == 1
    wasserstein = Metric("w1", "W1" if flat else "sliced W1", False, 3, value=_by_class(mixture, sliced), limits=NOT_NEGATIVE)
    energy = Metric("energy", "energy distance", False, 4, value=lambda of: energy_of(of, mixture), limits=NOT_NEGATIVE)
    return (
        wasserstein,
        # Outwards is away from the origin, where a guidance that exaggerates what tells classes apart pushes.
        Metric("outwards", "mean offset outwards", None, 3, value=lambda of: outwards(of, mixture)),
        Metric("offset", "mean offset", False, 3, value=lambda of: offset(of, mixture), limits=NOT_NEGATIVE, main=False),
        Metric("spread", "std / true", None, 3, value=lambda of: spread(of, mixture)),
        Metric("right", "in own modes %", True, 1, items=lambda of: 100.0 * own(of, mixture), bounds=(0.0, 100.0)),
        Metric("beyond", "beyond 3 std %", False, 2, items=lambda of: 100.0 * (of["away"] > FAR), bounds=(0.0, 100.0)),
        Metric(
            "balance",
            "least mode's share / fair",
            True,
            2,
            value=lambda of: balance(of, mixture),
            limits=(0.0, 1.0),
            main=False,
        ),
        energy,
    )


def _by_class(mixture: Mixture, distance: Callable[[np.ndarray, Mixture, int], float]) -> Callable[[Arrays], float]:
    """Return the mean over classes of a distance between a class's points and the class."""

    def value(of: Arrays) -> float:
        parts = [of["points"][of["label"] == label] for label in range(mixture.num_classes)]
        return float(np.mean([distance(part, mixture, label) if len(part) else np.nan for label, part in enumerate(parts)]))

    return value


def sliced(points: np.ndarray, mixture: Mixture, label: int) -> float:
    """Return the Wasserstein-1 distance of points [N, D] from a class; in the plane, averaged over half the directions."""
    if mixture.dimensions == 1:
        directions = np.ones((1, 1))
    else:
        angles = np.pi * (np.arange(DIRECTIONS) + 0.5) / DIRECTIONS
        directions = np.stack([np.cos(angles), np.sin(angles)], 1)
    shares = (np.arange(len(points)) + 0.5) / len(points)
    means = mixture.of(label) @ directions.T  # [k, directions]
    seen = np.sort(points @ directions.T, axis=0)
    return float(
        np.mean([np.abs(seen[:, d] - quantile(shares, means[:, d], mixture.std)).mean() for d in range(len(directions))])
    )


def energy_of(of: Arrays, mixture: Mixture) -> float:
    """Return 2 E|X - Y| - E|X - X'| - E|Y - Y'| of points X and their class Y (Szekely and Rizzo 2013), as a mean over classes.

    The first term is each point's own; the second is of pairs, and all that has to be done again when points are left out.
    """
    found = []
    for label in range(mixture.num_classes):
        own = of["label"] == label
        count = int(own.sum())
        pairs = 2 * pdist(of["points"][own]).sum() / count**2 if count else np.nan
        found.append(
            2 * of["from_truth"][own].mean() - pairs - _within(mixture.draw(label, TRUTH).tobytes(), mixture.dimensions)
        )
    return float(np.mean(found))


@cache
def _within(points: bytes, dimensions: int) -> float:
    """Return the mean distance between points, each of them with itself among the pairs."""
    array = np.frombuffer(points).reshape(-1, dimensions)
    return float(2 * pdist(array).sum() / len(array) ** 2)


@cache
def truth(place: str, std: float, classes: str, label: int) -> np.ndarray:
    """Return points [512, D] that stand for a class."""
    return Mixture.named(place, std, classes).draw(label, TRUTH)


def _modes(of: Arrays, mixture: Mixture) -> list[tuple[np.ndarray, np.ndarray]]:
    """Yield each mode's mean [D] and the points [n, D] of its class that are nearest to it, if there are any."""
    asked = of["label"] == mixture.labels[of["mode"]]
    found = [(mean, of["points"][asked & (of["mode"] == k)]) for k, mean in enumerate(mixture.means)]
    return [(mean, part) for mean, part in found if len(part) > 1]


def offset(of: Arrays, mixture: Mixture) -> float:
    """Return the distance of the mean of a mode's points from the mode's mean, averaged over modes."""
    return float(np.mean([np.linalg.norm(part.mean(0) - mean) for mean, part in _modes(of, mixture)]))


def outwards(of: Arrays, mixture: Mixture) -> float:
    """Return the offset along the line from the origin to the mode, positive away from the origin, averaged over modes."""
    return float(np.mean([(part.mean(0) - mean) @ mean / np.linalg.norm(mean) for mean, part in _modes(of, mixture)]))


def spread(of: Arrays, mixture: Mixture) -> float:
    """Return the standard deviation of a mode's points along an axis, over the true one, as a mean over modes."""
    return float(np.mean([part.std(0, ddof=1).mean() / mixture.std for _, part in _modes(of, mixture)]))


def own(of: Arrays, mixture: Mixture) -> np.ndarray:
    """Return whether each point [N] is nearest to a mode of the class it was asked for."""
    return mixture.labels[of["mode"]] == of["label"]


def balance(of: Arrays, mixture: Mixture) -> float:
    """Return the smallest share of its class's points that a mode has, over the fair share: 1 if equal, 0 if one is missing."""
    shares = []
    for k, label in enumerate(mixture.labels):
        asked = of["label"] == label
        if asked.any():
            shares.append((of["mode"][asked] == k).mean() * (mixture.labels == label).sum())
    return float(min(shares))
