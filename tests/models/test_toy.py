"""The exact denoiser against integrals, its flow against the mixture, and the order in which solvers come to it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.stats import norm
from toy_convergence import ends, errors, orders

from s2g.benchmarks.gmm.bench import sliced
from s2g.config.compose import compose_config
from s2g.config.schema import ModelConfig, read
from s2g.errors import UserError
from s2g.models.toy import ExactDenoiser, ToyDenoiser
from s2g.worlds.mixtures.mixture import Mixture


def config(name: str, **network: object) -> ModelConfig:
    raw = compose_config(f"model={name}")["model"]
    return read(ModelConfig, {**raw, "network": {**raw["network"], **network}}, "model")


def exact(name: str, **network: object) -> ExactDenoiser:
    return ExactDenoiser.load(config(name, **network), torch.device("cpu"), torch.float32)


@pytest.mark.parametrize("s", [0.05, 0.4, 0.95, 1.0])
@pytest.mark.parametrize("condition", ["cond", "uncond"])
def test_the_velocity_is_an_integral_over_what_x_may_come_from(s: float, condition: str) -> None:
    model, x = exact("exact_1d"), np.array([-3.0, -0.2, 0.7, 4.5])
    means = [4.0] if condition == "cond" else [-4.0, 4.0]
    output = model.forward(torch.tensor(x)[:, None], s, model.encode([1] * 4)[condition]).prediction[:, 0].numpy()

    data = np.linspace(-12, 12, 400_001)
    for at, found in zip(x, output, strict=True):
        weights = sum(norm.pdf(data, mean, 0.5) for mean in means) * norm.pdf(at, (1 - s) * data, s)
        noise = (at - (1 - s) * data) / s
        assert found == pytest.approx(((noise - data) * weights).sum() / weights.sum(), abs=1e-4)


@pytest.mark.parametrize(("name", "place"), [("exact_1d", "line"), ("exact_2d", "square")])
def test_the_exact_flow_ends_in_the_mixture(name: str, place: str) -> None:
    mixture = Mixture.named(place, 0.5, "each")
    points = ends(name, "euler", 200, 512 * mixture.num_classes)
    assert sliced(points[1 :: mixture.num_classes], mixture, 1) < 0.03


@pytest.mark.parametrize(("sampler", "order"), [("euler", 1.0), ("heun", 2.0)])
def test_order_of_convergence(sampler: str, order: float) -> None:
    assert orders(errors(sampler))[-2:] == pytest.approx([order] * 2, abs=0.1)


def test_a_class_of_two_modes_has_both() -> None:
    model = exact("exact_2d", classes="sides")
    middle = torch.tensor([[2.0, 0.0]])
    velocity = model.forward(middle, 0.5, model.encode([1])["cond"]).prediction
    assert velocity[0, 1].abs() < 1e-5  # between the two modes of the right side neither wins
    assert model.encode([0])["uncond"].tensors["labels"].tolist() == [2]


def test_a_toy_network_loads_what_the_script_writes_and_says_what_does_not_fit() -> None:
    made = ToyDenoiser.load(config("toy_2d"), torch.device("cpu"), torch.float32)
    made_for = config("toy_2d").weights_file()
    assert len(made.blocks) == 12 and made.latent_shape == (2,)
    out = made.forward(torch.zeros(3, 2), 0.5, made.encode([0, 1, 2])["cond"]).prediction
    assert out.shape == (3, 2) and torch.isfinite(out).all()
    with pytest.raises(UserError, match=r"no file [\s\S]*train.py model=toy_2d std=0.5 classes=each width=48 depth=12 seed=7"):
        ToyDenoiser.load(config("toy_2d", width=48, seed=7), torch.device("cpu"), torch.float32)
    with pytest.raises(UserError, match="does not fit"):
        ToyDenoiser.load(replace(config("toy_1d"), weights=str(made_for)), torch.device("cpu"), torch.float32)
    with pytest.raises(UserError, match="no such toy network"):
        ToyDenoiser.meta_model(config("toy_2d", heads=3))
    with pytest.raises(UserError, match=r"model\.network\.place"):
        ToyDenoiser.meta_model(config("toy_2d", place="sqare"))


@pytest.mark.parametrize("name", ["toy_1d", "toy_2d"])
def test_a_trained_network_is_near_the_exact_one(name: str) -> None:
    """Where the data is: at points the mixture itself would be noised to."""
    made = ToyDenoiser.load(config(name), torch.device("cpu"), torch.float32)
    truth = ExactDenoiser.load(config(name), torch.device("cpu"), torch.float32)
    rng = np.random.default_rng(0)
    label = rng.integers(made.mixture.num_classes, size=2000)
    data = made.mixture.means[label] + 0.5 * rng.standard_normal((2000, made.mixture.dimensions))
    for s in (0.2, 0.5, 0.8):
        x = torch.tensor((1 - s) * data + s * rng.standard_normal(data.shape), dtype=torch.float32)
        for condition in ("cond", "uncond"):
            of = [m.forward(x, s, m.encode(label.tolist())[condition]).prediction.detach() for m in (made, truth)]
            error, size = (of[0] - of[1]).square().mean().sqrt(), of[1].square().mean().sqrt()
            assert error / size < 0.1, (s, condition)
