"""Rows are composed quickly, and as the command line they stand for."""

from __future__ import annotations

from dataclasses import replace

import pytest

from s2g.config.compose import compose_config
from s2g.config.schema import CHECKOUT
from s2g.errors import UserError
from s2g.experiments.composition import compose_row
from s2g.experiments.specification import RunSpec, run_specs
from s2g.experiments.specification_file import experiment_names, find_experiment

FOLDER = CHECKOUT / "experiments"
WANT = RunSpec("g", "r", "label", "shapes", {"guidance": "s2", "num": 32})


@pytest.mark.slow("composes every row twice")
def test_every_table_is_composed_as_its_rows_would_be_typed() -> None:
    for name in experiment_names(FOLDER):
        for profile in find_experiment(FOLDER, name).profiles.values():
            rows = run_specs(profile)
            for spec in (rows[0], rows[len(rows) // 2], rows[-1]):
                assert compose_row(spec) == compose_config(*spec.overrides), (name, spec.row)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("guidance.base", "apg"),
        ("guidance.base_args", {"scale": 3}),
        ("guidance.window", [0.1, 0.9]),
        ("guidance.omega", None),
        ("sampler", "heun"),
        ("plan", True),
        ("runs", "a folder"),
        ("runs", "true"),
        ("seed", 3),
    ],
)
def test_a_value_is_what_hydra_makes_of_it(key: str, value: object) -> None:
    spec = replace(WANT, set={**WANT.set, key: value})
    assert compose_row(spec) == compose_config(*spec.overrides)


@pytest.mark.parametrize(("key", "value"), [("model.network.std", 1), ("model.network.seed", 3)])
def test_what_another_group_reads_is_read_there_too(key: str, value: object) -> None:
    spec = RunSpec("g", "r", "label", "gmm", {"model": "toy_2d", "bench": "gmm", key: value})
    assert compose_row(spec) == compose_config(*spec.overrides)


def test_one_rows_values_are_not_the_next_ones() -> None:
    first = compose_row(replace(WANT, set={**WANT.set, "guidance.protect": [0, 1]}))
    first["guidance"]["protect"].append(2)
    assert compose_row(WANT)["guidance"]["protect"] is None


def test_what_is_not_there_is_named() -> None:
    with pytest.raises(UserError, match=r"guidance\.omgea: there is no such key\. Did you mean 'omega'"):
        compose_row(replace(WANT, set={**WANT.set, "guidance.omgea": 1}))
