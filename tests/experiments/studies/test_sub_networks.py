"""Studies of sub-networks on real images: cosines, losses and changes by hand; which images, noises and masks are asked."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from experiments.studies.constant_network import Data, understood
from rich.console import Console

from s2g.cli.commands.table import TableMaker
from s2g.engine.run import Run
from s2g.errors import MissingError, UserError
from s2g.experiments.results import Results
from s2g.experiments.studies import alignment, redundancy, weakness
from s2g.experiments.studies.alignment import Alignment
from s2g.experiments.studies.predicted import Predicted, drawn_masks, noised, predict
from s2g.experiments.studies.redundancy import Redundancy
from s2g.experiments.studies.weakness import Weakness, extrapolated
from s2g.guidance.s2 import S2
from s2g.rng import Purpose, normal
from s2g.worlds.fashion import data as fashion
from s2g.worlds.shapes.world import HELD_OUT_SEED, scenes

BLOCKS = ((9.0, 9.0), (3.0, 4.0), (0.0, 2.0), (0.0, 0.0))  # what each adds; the first is protected
MODELS = {
    "shapes": "tiny_sit",
    "shapes_t2i": "tiny_sd3",
    "shapes_t2v": "tiny_wan",
}


@pytest.fixture
def constant(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    return understood(monkeypatch)


def test_cosines_of_constant_networks_by_hand(constant: Callable[..., Any]) -> None:
    # cond = (12, 16) with told (0, 1); weak - cond = (-12, -15) + (9, 15) = (-3, 0).
    run = constant(BLOCKS[:3], (0.0, 1.0), weak=(9.0, 16.0))
    masks = drawn_masks(run, 40)
    assert set(masks) == {(1,), (2,)}
    share = masks.count((1,)) / 40  # of masks whose sub-network departs by (-3, -4); the others by (0, -2)
    found = Alignment(count=4, masks=40).measure(run)
    assert found["weak"] == pytest.approx(share * 3 / 5)
    assert found["other"] == pytest.approx(found["weak"]) and found["above"] == pytest.approx(0)  # all images are one
    assert found["uncond"] == pytest.approx(share * 4 / 5 + (1 - share))
    assert found["among"] == pytest.approx(4 / 5)
    mean = np.array([3 * share, 4 * share + 2 * (1 - share)])
    assert found["mean"] == pytest.approx(mean[0] / np.linalg.norm(mean))
    assert found["size"] == pytest.approx(np.sqrt((25 * share + 4 * (1 - share)) / 9))
    assert abs(found["random"]) < 0.2
    assert set(Alignment(count=4).measure(constant(BLOCKS[:3], (0.0, 1.0)))) == {"uncond", "among"}  # no weaker network


def test_a_sub_network_that_is_the_weaker_network_is_found_and_another_image_is_told_apart() -> None:
    rng = np.random.default_rng(0)
    cond, away, random = rng.standard_normal((3, 40, 500))
    subs = np.stack([cond + 2 * away, cond + 0.1 * away])
    found = alignment.compare(Predicted(cond, cond, cond + 1, subs, cond + away), random[None])
    assert found["weak"] == pytest.approx(1) and found["mean"] == pytest.approx(1) and found["among"] == pytest.approx(1)
    assert abs(found["other"]) < 0.03 and abs(found["random"]) < 0.03 and found["above"] == pytest.approx(1 - found["other"])


def test_losses_of_constant_networks_by_hand(constant: Callable[..., Any]) -> None:
    """At an image c a constant p has the loss (p + c)^2 + 1 - 2 (p + c) noise, all means over noise and numbers."""
    run = constant(BLOCKS[:2], weak=(0.0, 0.0), bench=Data((1.0, -1.0)), seed=3)
    noise = np.stack([normal(Purpose.STUDY, 3, i, (2,)) for i in range(96, 128)]).astype(float)

    def loss(*prediction: float) -> float:
        return float(((np.array(prediction) + np.array([1, -1]) - noise) ** 2).mean())

    found = Weakness(count=32, masks=3).measure(run)
    assert found["full"] == pytest.approx(loss(12, 13))
    assert found["sub"] == pytest.approx(100 * (loss(9, 9) / loss(12, 13) - 1)) and found["sub"] < 0
    assert found["weak"] == pytest.approx(100 * (loss(0, 0) / loss(12, 13) - 1))
    assert found["worse"] == 0
    least = min((loss(12 + 3 * w, 13 + 4 * w), w) for w in np.linspace(-5, 5, 10001))
    assert found["best"] == pytest.approx(least[1], abs=1e-3)
    assert found["gain"] == pytest.approx(-100 * (1 - least[0] / loss(12, 13)), rel=1e-4)  # towards it, so negative
    assert set(Weakness(masks=3).measure(constant(BLOCKS))) == {"full", "sub", "worse", "best", "best_uncond", "gain"}


def test_the_best_step_away_is_known_where_errors_are() -> None:
    rng = np.random.default_rng(0)
    truth, error = rng.standard_normal((2, 30, 8))
    cond = truth + error
    found = weakness.compare(Predicted(truth, cond, cond + 4 * error, np.stack([cond + 2 * error] * 2), cond - 0.5 * error))
    assert found["best"] == pytest.approx(1 / 2) and found["gain"] == pytest.approx(100)  # exaggerates the error: undone
    assert found["best_uncond"] == pytest.approx(1 / 4)
    assert found["best_weak"] == pytest.approx(-2) and found["gain_weak"] == pytest.approx(-100)  # it was the better network
    assert found["sub"] == pytest.approx(800) and found["weak"] == pytest.approx(-75) and found["worse"] == 100
    across = np.stack([-error[:, 1], error[:, 0]], 1)
    assert extrapolated(across, error[:, :2]) == pytest.approx((0, 0), abs=1e-12)
    assert extrapolated(np.zeros((3, 2)), np.ones((3, 2))) == (0, 0)


def test_a_block_that_does_nothing_changes_nothing_and_others_what_they_add(constant: Callable[..., Any]) -> None:
    run = constant(BLOCKS, bench=Data((2.0, 0.0)), key="by hand")
    found = redundancy.by_block(run, Redundancy(count=8))
    size = np.linalg.norm((12, 15))
    np.testing.assert_allclose(found.change, np.array([np.sqrt(162), 5, 2, 0]) / size)
    assert found.excess[3] == found.gain[3] == 0 and (found.excess[:3] != 0).all() and (found.gain[:3] < 0).all()
    table = Redundancy(count=8).measure(run)
    assert table["least"] == 0 and table["most"] == pytest.approx(500 / size)
    assert table["mean"] == pytest.approx(100 * 7 / 3 / size) and table["first"] == pytest.approx(100 * np.sqrt(162) / size)
    # Behind the blocks the state is (9, 9), (12, 13), (12, 15), (12, 15): the last is not entered by any block.
    cosines = [(9 * 12 + 9 * 13) / np.sqrt(162 * 313), (144 + 13 * 15) / np.sqrt(313 * 369)]
    assert table["similar"] == pytest.approx(np.mean(cosines))


@pytest.mark.parametrize("bench", MODELS)
def test_images_are_of_the_kind_the_network_knows_and_other_ones_for_every_seed(bench: str, run_of: Callable[..., Run]) -> None:
    run = run_of(f"model={MODELS[bench]}", f"bench={bench}", "guidance=s2", "seed=2")
    seen, more = noised(run, 0.0, 3), noised(run, 0.25, 3)
    values, prompts = run.bench.unseen([6, 7, 8])
    assert (seen.x.numpy() == values).all() and prompts == seen.prompts
    assert values.dtype == np.float32 and -1 <= values.min() < -0.5 and 0.5 < values.max() <= 1
    noise = more.truth.reshape(values.shape) + values
    assert more.x.numpy() == pytest.approx(0.75 * values + 0.25 * noise, abs=1e-6)
    assert (run.bench.unseen([5, 6])[0][1] == values[0]).all()  # an image depends on its index alone
    found = predict(run, 0.5, 3, [(1,)])
    # A trained network knows its data: far below the error 1 of predicting the noise alone, and the caption matters.
    assert (found.error**2).mean() < 0.2 and (found.cond != found.uncond).any()


def test_scenes_are_those_that_are_kept_from_training(run_of: Callable[..., Run]) -> None:
    labels = run_of("model=tiny_sit", "bench=shapes", "guidance=s2").bench.unseen(range(20))[1]
    assert labels == scenes(HELD_OUT_SEED, np.arange(20)).label.tolist()


def test_sub_networks_are_those_that_s2_draws_and_the_weaker_network_is_autoguidances(run_of: Callable[..., Run]) -> None:
    run = run_of("model=tiny_sit", "bench=shapes", "guidance=s2", "guidance.base=autoguidance", "mask_seed=5")
    assert isinstance(run.guidance, S2) and run.weak is not None
    masks = drawn_masks(run, 6)
    found = predict(run, 0.7, 2, masks)
    alone = [predict(run, 0.7, 2, [mask]).subs[0] for mask in masks]
    np.testing.assert_allclose(found.subs, np.stack(alone), atol=1e-5)
    early = run_of("model=tiny_sit", "model.weights=builtin:early", "bench=shapes", "guidance=s2")
    assert found.weak is not None
    np.testing.assert_allclose(found.weak, predict(early, 0.7, 2, [(1,)]).cond, atol=1e-5)
    assert np.abs(found.weak - found.cond).max() > 0.01


def test_a_bench_without_such_images_says_so(run_of: Callable[..., Run]) -> None:
    with pytest.raises(UserError, match=r"(?s)GMM: .*allowed: shapes, shapes_t2i, shapes_t2v, fashion$"):
        Weakness().measure(run_of("model=toy_2d", "bench=gmm", "guidance=s2"))


TABLE = """
title: Weakness
source: nowhere
study: weakness
columns: {}
rows:
  level: {label: "level {}", set: {study.count: 4, study.masks: 2}, sweep: {study.level: [0.9, 0.5]}}
profiles:
  tiny:
    set: {guidance: s2}
    groups: GROUPS
    columns: {full: {metric: full}, weak: {metric: weak}}
    plot: {x: study.level, y: [full, weak], together: loss}
"""
FASHION = 'fashion_sit: {label: clothes, set: {model: fashion_sit, bench: fashion}, over: {"seed, mask_seed": [0, 1, 2]}}'
SHAPES = 'tiny_sit: {label: shapes, set: {model: tiny_sit, bench: shapes}, over: {"seed, mask_seed": [0, 1, 2]}}'


def made(tmp_path: Path, groups: str) -> Results:
    (tmp_path / "mine.yaml").write_text(TABLE.replace("GROUPS", f"{{{groups}}}"))
    maker = TableMaker(tmp_path, tmp_path / "out", str(tmp_path / "runs"), None, 1)
    found = maker.make("mine", "tiny", Console(quiet=True))
    assert found is not None
    return found


@pytest.fixture
def no_photographs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fashion, "DEBIAN", tmp_path / "nowhere")
    monkeypatch.chdir(tmp_path)
    fashion.photographs.cache_clear()


@pytest.mark.usefixtures("no_photographs")
def test_images_that_are_not_here_are_asked_for_before_anything_is_measured(tmp_path: Path) -> None:
    with pytest.raises(MissingError, match=r"(?s)bench\.data = data: no file.*dataset-fashion-mnist, or s2g fetch fashion"):
        made(tmp_path, FASHION)
    assert not list((tmp_path / "out").iterdir())
    results = made(tmp_path, f"{FASHION}, {SHAPES}")  # what can be measured is
    assert [row.status for row in results.rows] == ["no file: bench.data = data"] * 2 + ["run"] * 2


def test_intervals_are_over_draws_and_what_a_network_has_not_is_left_out(tmp_path: Path) -> None:
    results = made(tmp_path, SHAPES)
    for row in results.rows:
        cell = row.cell("full")
        assert row.n == 4 and row.runs == 3 and set(row.cells) == {"full"}
        assert cell is not None and cell.value is not None and cell.low is not None and cell.low < cell.value
    text = (tmp_path / "out" / "mine-tiny.md").read_text()
    assert "3 runs with other images, noises and masks" in text and (tmp_path / "out" / "mine-tiny.png").exists()


def test_noise_is_the_same_at_every_level(constant: Callable[..., Any]) -> None:
    run = constant(BLOCKS, bench=Data((1.0, 2.0)))
    high, low = noised(run, 0.9, 5), noised(run, 0.1, 5)
    assert (high.truth == low.truth).all()
    torch.testing.assert_close((high.x - 0.1 * torch.tensor([1.0, 2.0])) / 9, low.x - 0.9 * torch.tensor([1.0, 2.0]))
