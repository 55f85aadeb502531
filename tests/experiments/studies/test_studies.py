"""Studies of networks: against the equations by hand, against masks that are known, and with answers that are known."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr

from s2g.engine.run import Run
from s2g.engine.worker import load
from s2g.errors import UserError
from s2g.experiments.studies import probed
from s2g.experiments.studies.directions import Directions, cosine, vectors
from s2g.experiments.studies.estimator import Estimator
from s2g.experiments.studies.probed import Probed, noised, probe
from s2g.experiments.studies.study import masks_of, read_study
from s2g.experiments.studies.uncertainty import Uncertainty, around, rank_correlation
from s2g.guidance.base import MaskSampler
from s2g.models.toy import ToyDenoiser

TOY = ("model=toy_2d", "bench=gmm", "guidance=s2")


@pytest.fixture
def run(run_of: Callable[..., Run]) -> Run:
    return run_of(*TOY)


def made_up(count: int = 50, seed: int = 0) -> Probed:
    rng = np.random.default_rng(seed)
    x, cond, uncond, exact, exact_uncond = rng.standard_normal((5, count, 2))
    return Probed(x, np.zeros(count, int), cond, uncond, rng.standard_normal((6, count, 2)), exact, exact_uncond)


def test_the_arrows_are_those_of_eq_4(run: Run) -> None:
    found = made_up()
    push, correction = vectors(found, run)
    scale, omega = run.guidance.base.scale, run.guidance.omega  # type: ignore[attr-defined]
    eq_3 = found.uncond + scale * (found.cond - found.uncond) - omega * (found.subs - found.cond).mean(0)
    np.testing.assert_allclose(found.cond + push + correction, eq_3, atol=1e-12)


def test_cosines() -> None:
    a = np.array([[1.0, 0], [0, 2], [3, 3]])
    assert cosine(a, 5 * a) == pytest.approx(1) and cosine(a, -a) == pytest.approx(-1)
    assert cosine(a, np.array([[0, 1.0], [7, 0], [1, -1]])) == pytest.approx(0, abs=1e-12)
    assert cosine(a, np.array([[1.0, 0], [0, 0], [0, 0]])) == pytest.approx(1)  # where there is no direction nothing is asked


def test_what_is_probed_is_the_network_without_those_blocks(run: Run) -> None:
    x, labels = noised(run, 0.6, 12)
    found = probe(run, x, 0.6, labels)
    masks = masks_of(run)
    assert masks == [(block,) for block in range(1, 12)] and found.subs.shape == (11, 12, 2)
    network: ToyDenoiser = load(run.model, "cpu")[0]  # type: ignore[assignment]
    kept = torch.nn.ModuleList([block for at, block in enumerate(network.network.blocks) if at != 4])
    whole, network.network.blocks = network.network.blocks, kept
    try:
        points = torch.tensor(x, dtype=torch.float32)
        velocity = network.forward(points, 0.6, network.encode(labels.tolist())["cond"]).prediction
        np.testing.assert_allclose(found.subs[3], (points - 0.6 * velocity).detach().numpy(), atol=2e-6)
    finally:
        network.network.blocks = whole
    assert np.abs(found.cond - found.subs[3]).max() > 1e-3
    assert np.abs(found.cond - found.exact_cond).mean() < 0.1


def test_points_are_as_the_mixture_is_noised(run: Run) -> None:
    x, labels = noised(run, 0.5, 8000)
    own = x[labels == 3]
    assert own.mean(0) == pytest.approx([2, 2], abs=0.05)
    assert own.std(0) == pytest.approx(np.sqrt(0.25**2 + 0.5**2), abs=0.03)
    assert (noised(run, 0.5, 8000)[0] == x).all() and (noised(run, 0.5, 8000, 1)[0] != x).any()
    assert np.abs(around(np.array([[4.0, 4], [-4, -4]]), 4000)).max() == pytest.approx(6, abs=0.01)


def test_uncertainty_that_marks_error_is_found_and_one_that_does_not_is_not(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(1)

    def told(spread: np.ndarray) -> Callable[..., Probed]:
        def probe_(run: Run, x: np.ndarray, level: float, labels: np.ndarray) -> Probed:
            zero = np.zeros_like(x)
            subs = np.stack([spread[:, None] * [1, 0], -spread[:, None] * [1, 0]])
            exact = error[:, None] * np.array([0.6, 0.8])
            return Probed(x, labels, zero, zero, subs, exact, exact)

        return probe_

    error = rng.exponential(size=400)
    study = Uncertainty(count=400)
    monkeypatch.setattr(probed, "probe", told(2 * error))
    found = study.measure(run)
    assert found["rank"] == pytest.approx(1) and found["quarters"] > 10
    assert found["error"] == pytest.approx(np.sqrt((error**2).mean()))
    assert found["spread"] == pytest.approx(2 * np.sqrt((error**2).mean()))
    monkeypatch.setattr(probed, "probe", told(rng.permutation(error)))
    assert abs(study.measure(run)["rank"]) < 0.15
    a, b = rng.integers(0, 9, (2, 300)).astype(float)  # with ties
    assert rank_correlation(a, b) == pytest.approx(spearmanr(a, b).statistic)


@pytest.mark.parametrize("masks", [1, 4])
def test_one_mask_is_unbiased_and_variance_falls_as_one_over_n(run: Run, masks: int) -> None:
    found = Estimator(masks, count=32, draws=1500).measure(run)
    assert found["bias"] < 2 and found["variance"] == pytest.approx(1, abs=0.08)


def test_a_biased_mask_and_dependent_masks_are_found(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(MaskSampler, "mask", lambda self, i, drop, protect: (1 + self.unit % 3,))
    found = Estimator(4, count=32, draws=300).measure(run)
    assert found["bias"] > 5 and found["variance"] > 2


def test_direction_numbers_are_those_of_the_vectors(run: Run) -> None:
    found = Directions(level=0.9, count=64).measure(run)
    x, labels = noised(run, 0.9, 64)
    seen = probe(run, x, 0.9, labels)
    push, correction = vectors(seen, run)
    assert found["push"] == pytest.approx(np.sqrt((push**2).sum(1).mean()))
    assert found["along"] == pytest.approx(cosine(correction, push))
    assert found["back"] == pytest.approx(cosine(correction, seen.exact_cond - seen.cond - push))


def test_what_cannot_be_asked_is_said(run: Run, run_of: Callable[..., Run]) -> None:
    x, labels = noised(run, 0.5, 4)
    with pytest.raises(UserError, match="the truth is known for toys alone"):
        probe(replace(run, model=run_of("model=exact_2d", "bench=gmm", "guidance=cfg").model), x, 0.5, labels)
    with pytest.raises(UserError, match="a study of sub-networks"):
        Estimator().measure(run_of("model=toy_2d", "bench=gmm", "guidance=cfg"))
    with pytest.raises(UserError, match=r"study\.plcaes"):
        read_study("uncertainty", {"plcaes": "data"})
    with pytest.raises(UserError, match=r"study\.places = nowhere"):
        read_study("uncertainty", {"places": "nowhere"})
