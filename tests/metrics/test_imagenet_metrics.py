"""FID, IS, KID and their per-item forms against other formulas: in parts and whole, few items, features far from zero."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from scipy import linalg
from sklearn.metrics.pairwise import polynomial_kernel
from torchmetrics.image.kid import poly_mmd

from s2g.metrics.frechet import Moments, frechet_distance, transport
from s2g.metrics.frechet_influence import frechet_items
from s2g.metrics.inception_score import inception_score_items, splits
from s2g.metrics.kernel_distance import kernel_items, kernel_items_of

CASES = [(400, 24, 0.0), (400, 24, 1e3), (20, 24, 0.0), (9, 24, 1e3)]  # items, dimensions, mean: N <= D among them


def features(count: int, size: int, mean: float, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.normal(size=(count, size)) @ rng.normal(size=(size, size)) / size**0.5 + mean


def parts(rows: np.ndarray, size: int) -> Iterator[np.ndarray]:
    return (rows[start : start + size] for start in range(0, len(rows), size))


def by_sqrtm(a: np.ndarray, b: np.ndarray) -> float:
    """The distance as the ADM evaluator has it: scipy's root of the product, without the `disp` that scipy 1.18 takes away."""
    one, two = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    root = linalg.sqrtm(one @ two)
    return float(((a.mean(0) - b.mean(0)) ** 2).sum() + np.trace(one) + np.trace(two) - 2 * np.trace(root).real)


@pytest.mark.parametrize(("count", "size", "mean"), CASES)
@pytest.mark.parametrize("block", [1, 7, 10_000])
def test_frechet_in_parts_is_the_official_formula_of_the_whole(count: int, size: int, mean: float, block: int) -> None:
    own, reference = features(count, size, mean), features(500, size, mean + 0.1, seed=1)
    items = frechet_items(lambda: parts(own, block), Moments.of(reference))
    # A singular product's root is where scipy loses digits: by as much the two may differ.
    assert items.mean() == pytest.approx(by_sqrtm(own, reference), rel=1e-6 if count > size else 1e-5)
    assert items.mean() == pytest.approx(frechet_distance(Moments.of(own), Moments.of(reference)), rel=1e-7)


def test_streamed_moments_are_those_of_the_whole() -> None:
    rows = features(301, 12, 1e3)
    one, two = Moments.of(rows), Moments.streamed(parts(rows, 40))
    assert two.count == one.count and np.allclose(one.mean, two.mean, rtol=1e-13)
    assert np.allclose(one.scatter, two.scatter, rtol=1e-9, atol=1e-9 * one.scatter.max())
    gaps = Moments.streamed([rows[:0], rows[:100], rows[:0], rows[100:], rows[:0]])
    assert np.array_equal(gaps.scatter, Moments.streamed([rows[:100], rows[100:]]).scatter) and gaps.count == 301
    for nothing in ((), (rows[:0],)):
        with pytest.raises(ValueError, match="no features"):
            Moments.streamed(nothing)


@pytest.mark.parametrize("absent", [-1e4, -np.inf])
def test_a_class_that_no_item_of_a_split_has_adds_nothing(absent: float) -> None:
    """Two classes in turn, each certain, and a third of probability 0: the score is 2."""
    logits = np.array([[1e4, 0, absent], [0, 1e4, absent]] * 3)
    found = inception_score_items([logits], 6, 4)
    assert np.array_equal(found, np.full(6, 2.0))


def test_transport_takes_one_covariance_to_the_other() -> None:
    a, b = Moments.of(features(400, 12, 0)), Moments.of(features(400, 12, 0, seed=1))
    moved = transport(a, b.root)
    assert np.allclose(moved @ a.covariance @ moved, b.covariance) and np.allclose(moved, moved.T)


def test_an_items_part_is_what_the_distance_loses_without_it() -> None:
    own, reference = features(400, 6, 0), Moments.of(features(500, 6, 0.3, seed=1))
    items = frechet_items(lambda: parts(own, 64), reference)
    for left_out in range(5):
        rest = frechet_distance(Moments.of(np.delete(own, left_out, 0)), reference)
        assert (items.mean() - rest) * (len(own) - 1) == pytest.approx(items[left_out] - items.mean(), abs=0.2)
    spread = [frechet_distance(Moments.of(np.delete(own, row, 0)), reference) for row in range(400)]
    jackknife = np.sqrt(399 / 400 * ((np.array(spread) - np.mean(spread)) ** 2).sum())
    assert items.std(ddof=1) / 20 == pytest.approx(jackknife, rel=0.05)


def test_inception_score_is_the_official_loop_over_splits() -> None:
    logits = np.random.default_rng(0).normal(size=(1203, 9), scale=2).astype(np.float32)
    scores = []
    for start in range(0, 1203, 500):  # two whole splits and one of 203, which counts as much
        part = np.exp(logits[start : start + 500].astype(np.float64))
        p = part / part.sum(1, keepdims=True)
        scores.append(np.exp(np.mean([(row * np.log(row / p.mean(0))).sum() for row in p])))
    assert len(scores) == 3
    assert inception_score_items(parts(logits, 64), 1203, split=500).mean() == pytest.approx(np.mean(scores), rel=1e-12)
    assert inception_score_items(parts(logits, 64), 1203, split=500).shape == (1203,)
    assert inception_score_items(parts(logits[::-1], 64), 1203, split=500).mean() != pytest.approx(
        np.mean(scores), rel=1e-6
    )  # order counts


def test_splits_join_blocks_anew_and_count() -> None:
    rows = np.arange(23)[:, None]
    assert [len(part) for part in splits(parts(rows, 4), 23, 10)] == [10, 10, 3]
    assert (np.concatenate(list(splits(parts(rows, 4), 23, 10))) == rows).all()
    with pytest.raises(ValueError, match="23 rows of features for 24"):
        list(splits(parts(rows, 4), 24, 10))


@pytest.mark.parametrize("mean", [0.0, 1e3])
def test_kernel_distance_is_the_unbiased_estimator_of_others(mean: float) -> None:
    import torch

    fake, real = features(60, 10, mean), features(50, 10, mean + 0.2, seed=1)
    kernels = [polynomial_kernel(*pair, degree=3, gamma=1 / 10, coef0=1) for pair in ((fake, fake), (real, real), (fake, real))]
    n, m = 60, 50
    want = (
        (kernels[0].sum() - np.trace(kernels[0])) / (n * (n - 1))
        + (kernels[1].sum() - np.trace(kernels[1])) / (m * (m - 1))
        - 2 * kernels[2].mean()
    )
    scale = np.abs(kernels[0]).max()
    assert kernel_items_of(fake, real).mean() == pytest.approx(want, rel=1e-6, abs=1e-12 * scale)
    theirs = float(poly_mmd(torch.tensor(fake[:50]), torch.tensor(real), 3, 0.1, 1.0))
    assert kernel_items_of(fake[:50], real).mean() == pytest.approx(theirs, rel=1e-6, abs=1e-12 * scale)


def test_kernel_distance_over_subsets_takes_them_in_order() -> None:
    """An item that would be alone at the end joins the subset before."""
    fake, real = features(41, 6, 0), features(35, 6, 0.2, seed=1)
    items = kernel_items(parts(fake, 7), 41, real, subset=10)
    sets = [
        (fake[:10], real[:10]),
        (fake[10:20], real[10:20]),
        (fake[20:30], real[20:30]),
        (fake[30:], real[:10]),
    ]  # 11 in the last
    want = sum(len(own) * kernel_items_of(own, other).mean() for own, other in sets) / 41
    assert items.shape == (41,) and items.mean() == pytest.approx(want, rel=1e-9)
    assert kernel_items(parts(fake, 7), 41, real, subset=50).mean() == pytest.approx(
        kernel_items_of(fake, real).mean(), rel=1e-9
    )


MEMORY = """
from pathlib import Path
import numpy as np
from s2g.metrics.frechet import Moments
from s2g.metrics.frechet_influence import frechet_items
def most():  # of this process alone; getrusage also knows what it was forked from
    return int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]) * 1024 / 1e6
before = most()
rows = np.random.default_rng(0).random((1000, 2048), dtype=np.float32)
reference = Moments.stored(np.full(2048, 0.5), np.eye(2048) / 12, 2)
frechet_items(lambda: (rows + np.float32(at / 50) for at in range(50)), reference)
print(before, most())
"""


@pytest.mark.slow("50,000 items of 2048 features")
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the kernel says it")
def test_fifty_thousand_items_of_2048_numbers_take_under_300_mb() -> None:
    """Everything: the interpreter and the workspace of LAPACK too."""
    done = subprocess.run([sys.executable, "-c", MEMORY], capture_output=True, text=True, check=True)
    before, most = (float(value) for value in done.stdout.split())
    assert before + 100 < most < 300
