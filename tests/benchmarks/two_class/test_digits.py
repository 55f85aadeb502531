"""The digits bench: what real images score, what each number notices, and what ships against what it was made of."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from s2g.benchmarks.two_class.bench import VOTERS
from s2g.benchmarks.two_class.digits import Digits, off_by, reference
from s2g.cli.run import main
from s2g.engine.bench import Arrays
from s2g.errors import UserError
from s2g.scoring.score import estimate
from s2g.worlds.two_class.digits import held_out, pair
from s2g.worlds.two_class.probe import read_digits

BENCH = Digits()
REAL, LABEL = BENCH.real()


def scores(arrays: Arrays) -> dict[str, float]:
    units = np.arange(len(arrays["label"])) // 32
    return {metric.name: estimate(metric, arrays, units).value for metric in BENCH.metrics}


def arrays_of(features: np.ndarray, label: np.ndarray) -> dict[str, np.ndarray]:
    return {"features": features, "label": label, "digit": np.array([1, 8])[label], "nearest": np.zeros(len(label))}


def test_what_ships_is_the_probe_on_scikit_learns_images() -> None:
    real, stored = pair(), reference()
    assert (stored["pixels"] == real.pixels).all() and (stored["label"] == real.label).all()
    assert (stored["held_out"] == held_out(real)).all()
    digit, features = read_digits(real.pixels)
    np.testing.assert_allclose(features, stored["features"], rtol=1e-4, atol=1e-4)
    right = digit == np.array([1, 8])[real.label]
    assert right[held_out(real)].mean() > 0.97 and right.mean() > 0.99


def test_real_features_as_samples_are_perfect() -> None:
    found = scores(arrays_of(REAL, LABEL))
    assert found["fd"] == pytest.approx(0, abs=1e-6) and found["precision"] == found["recall"] == 100
    assert found["spread"] == pytest.approx(1) and found["accuracy"] == 100
    # Each image votes for itself among its five, so this is what five neighbours say of the training set itself.
    from sklearn.neighbors import KNeighborsClassifier

    said = KNeighborsClassifier(VOTERS, algorithm="brute").fit(REAL, LABEL).score(REAL, LABEL)
    assert found["separability"] == pytest.approx(100 * said)


def test_asking_for_the_other_class_turns_separability_round() -> None:
    one, other = scores(arrays_of(REAL, LABEL)), scores(arrays_of(REAL, 1 - LABEL))
    assert one["separability"] + other["separability"] == pytest.approx(100)
    assert other["apart"] == pytest.approx(one["apart"])  # which does not know what was asked for
    assert other["fd"] == one["fd"]  # nor does a distance of the whole set


def test_a_shift_of_features_adds_its_square_to_the_distance() -> None:
    assert scores(arrays_of(REAL + 0.5, LABEL))["fd"] == pytest.approx(64 * 0.25, rel=1e-5)


def test_collapse_is_seen() -> None:
    means = np.stack([REAL[k == LABEL].mean(0) for k in (0, 1)])[LABEL]
    half = scores(arrays_of(means + (REAL - means) / 2, LABEL))
    assert half["spread"] == pytest.approx(0.5, rel=1e-5) and half["separability"] > 99
    assert half["recall"] < 60 and half["fd"] > 5


def test_few_items_are_scored_without_what_few_do_not_have() -> None:
    few = scores(arrays_of(REAL[[0, -1]], LABEL[[0, -1]]))
    assert all(np.isnan(few[name]) for name in ("recall", "apart", "spread"))
    assert np.isfinite(few["fd"]) and few["precision"] == 100


def test_images_are_measured_and_copies_are_seen() -> None:
    training = reference()["pixels"][~reference()["held_out"]]
    shown = np.repeat(training[[0, -1]], 3, axis=-1)
    arrays = BENCH.measure(shown, range(2))
    assert arrays["digit"].tolist() == [1, 8] and arrays["label"].tolist() == [0, 1]
    assert arrays["nearest"].tolist() == [0, 0] and arrays["features"].shape == (2, 64)
    assert BENCH.reading(arrays, 1) == ({"digit": True}, "") and BENCH.caption(1) == "8"
    swapped = BENCH.measure(shown[::-1].copy(), range(2))
    assert BENCH.reading(swapped, 0) == ({"digit": False}, "the probe reads: 8")
    brighter = np.clip(training[:1].astype(int) + 10, 0, 255).astype(np.uint8)
    changed = (brighter != training[0]) * (brighter.astype(float) - training[0])
    assert off_by(brighter, training[:1])[0] == pytest.approx(np.sqrt((changed**2).mean()))


def test_models_of_something_else_are_refused(run_of) -> None:
    with pytest.raises(UserError, match=r"tiny_sit makes 108 classes at 32 pixels in 3 channels[\s\S]*digits_sit"):
        run_of("bench=digits")
    with pytest.raises(UserError, match="digits_sit makes 2 classes at 8"):
        run_of("model=digits_sit", "bench=shapes")


def test_samples_are_grey_and_are_the_digits_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run_of) -> None:
    from s2g.scoring.score import score
    from s2g.store.store import Store

    monkeypatch.chdir(tmp_path)
    typed = ["model=digits_sit", "bench=digits", "guidance=cfg", "num=64"]
    assert main([*typed, "executor.workers=1"]) == 0
    run = run_of(*typed)
    store = Store.of(run, "runs")
    images = store.items(range(64))
    assert images.shape == (64, 8, 8, 3) and (images == images[..., :1]).all() and images.std() > 50
    found = score(run, store)
    assert found.estimates["accuracy"].value >= 95
    assert 10 < found.estimates["nearest"].value < 60  # neither copies nor noise
    assert set(found.arrays) == {"label", "features", "digit", "nearest"}


def test_names_are_unique_and_planning_loads_no_torch_nor_scikit_learn() -> None:
    names, labels = ({getattr(metric, part) for metric in BENCH.metrics} for part in ("name", "label"))
    assert len(names) == len(labels) == len(BENCH.metrics) and not any("FID" in label for label in labels)
    heavy = "{'torch', 'sklearn', 'torchvision', 'open_clip'}"
    code = (
        "import sys, s2g.benchmarks.two_class.digits as d, s2g.benchmarks.two_class.cifar as c;"
        f"d.Digits().version(), d.Digits().real(), c.Cifar().metrics; sys.exit(bool({heavy} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
