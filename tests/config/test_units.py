"""How many items a unit has: what is typed, else what the model says for trained or random weights."""

from __future__ import annotations

import pytest

from s2g.config.schema import ModelConfig


@pytest.mark.parametrize(
    ("weights", "vae", "unit", "want"),
    [
        ("a.pt", "b", None, 16),
        ("none", "none", None, 16),
        ("random", "b", None, 2),
        ("a.pt", "random:3", None, 2),
        ("random", "b", 5, 5),
    ],
)
def test_a_units_size_follows_the_weights_unless_it_is_typed(weights: str, vae: str, unit: int | None, want: int) -> None:
    values = {"units": {"trained": 16, "random": 2}, "weights": weights, "vae": vae, "unit": unit}
    assert ModelConfig.settled(values) == {"weights": weights, "vae": vae, "unit": want}
