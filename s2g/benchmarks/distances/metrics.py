"""The distances by name: in which network's features each is taken, and of which kind it is.

frechet    |m - r|^2 + tr(A + B - 2 (A B)^(1/2)) of means and covariances      FID, sFID, FD-DINOv2
score      exp of the mean divergence of p(y|x) from p(y); no reference        IS
kernel     mean of (x . y / D + 1)^3, unbiased, in subsets of 1,000            KID, KD-DINOv2
precision  share of samples inside the reference's manifold, k = 3
recall     share of the reference inside the samples' manifold, k = 3
sliced     3 D times the mean squared 1-D Wasserstein distance                 MIND
gaussian   1,000 times the biased discrepancy, sigma = 10                      CMMD

All but precision and recall are numbers of the whole set, written as means over items (s2g/metrics/frechet_influence.py).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from s2g.engine.bench import NOT_NEGATIVE, Arrays, Metric

NEAREST = 3  # k of precision and recall; openai/guided-diffusion, evaluations, torch-fidelity and dgm-eval
NETWORKS = ("inception", "clip", "dinov2")  # in the order of a row of features
OF_STATISTICS = ("frechet",)
OF_IMAGES = ("kernel", "precision", "recall", "sliced", "gaussian")  # kinds that need features of the reference's own images


@dataclass(frozen=True)
class Distance:
    """A metric of bench.score, the network and part of its features, and its kind."""

    metric: Metric
    network: str
    part: str
    kind: str

    @property
    def name(self) -> str:
        """Return the name under which it is asked for."""
        return self.metric.name


def _distance(name: str, label: str, digits: int) -> Metric:
    return Metric(name, label, False, digits, items=lambda of: of[name], limits=NOT_NEGATIVE)


def _unbiased(name: str, label: str, factor: float = 1.0) -> Metric:
    """Return a kernel distance, which is below zero half of the time where it is zero in truth."""
    return Metric(name, label, False, 3, items=lambda of: factor * of[name], main=False)


def _share(name: str, label: str) -> Metric:
    return Metric(name, label, True, 3, items=lambda of: of[name], bounds=(0.0, 1.0))


def _whole(name: str, label: str) -> Metric:
    def value(of: Arrays) -> float:
        return float(of[name][0])  # of the whole set; the same number with every item

    return Metric(name, label, True, 3, value=value, limits=(0.0, 1.0))


DISTANCES = {
    distance.name: distance
    for distance in (
        Distance(_distance("fid", "FID", 2), "inception", "pool", "frechet"),  # arXiv 1706.08500
        Distance(_distance("sfid", "sFID", 2), "inception", "spatial", "frechet"),  # arXiv 2103.03841
        Distance(Metric("is", "IS", True, 2, items=lambda of: of["is"]), "inception", "logits", "score"),
        Distance(_share("precision", "precision"), "inception", "pool", "precision"),
        Distance(_whole("recall", "recall"), "inception", "pool", "recall"),
        Distance(_unbiased("kid", "KID x 1000", 1000.0), "inception", "pool", "kernel"),
        Distance(_distance("mind", "MIND", 2), "inception", "pool", "sliced"),  # arXiv 2605.06797
        Distance(_distance("fd_dinov2", "FD-DINOv2", 1), "dinov2", "dinov2", "frechet"),  # arXiv 2306.04675
        Distance(_unbiased("kd_dinov2", "KD-DINOv2"), "dinov2", "dinov2", "kernel"),
        Distance(_share("precision_dinov2", "DINOv2 precision"), "dinov2", "dinov2", "precision"),
        Distance(_whole("recall_dinov2", "DINOv2 recall"), "dinov2", "dinov2", "recall"),
        Distance(_distance("cmmd", "CMMD", 3), "clip", "clip", "gaussian"),  # arXiv 2401.09603
    )
}


def networks_of(names: Iterable[str]) -> tuple[str, ...]:
    """Return the networks that metrics need, in the order of a row."""
    wanted = {DISTANCES[name].network for name in names}
    return tuple(network for network in NETWORKS if network in wanted)
