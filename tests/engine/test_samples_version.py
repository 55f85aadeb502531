"""Today's samples against the golden ones: changed mathematics under an old SAMPLES_VERSION would mix runs without a word."""

from __future__ import annotations

import json

import golden_samples
import numpy as np
import pytest
from omegaconf import OmegaConf

from s2g.config.schema import config_dir
from s2g.engine.run import SAMPLES_VERSION

GOLDEN = json.loads(golden_samples.FILE.read_text())
ADVICE = "raise SAMPLES_VERSION in s2g/engine/run.py, then run scripts/golden_samples.py"


def test_golden_samples_are_of_this_version_and_of_every_method_sampler_and_built_in_model() -> None:
    assert GOLDEN["version"] == SAMPLES_VERSION, "run scripts/golden_samples.py"
    assert set(GOLDEN["cases"]) == set(golden_samples.cases()), "run scripts/golden_samples.py"
    configs = {path.stem: OmegaConf.load(path) for path in (config_dir() / "model").glob("*.yaml")}
    built_in = {name for name, config in configs.items() if config.weights in ("builtin", "none")}
    assert {f"model={name}" for name in built_in - {"tiny_sit"}} <= set(GOLDEN["cases"])  # tiny_sit is the default


@pytest.mark.parametrize("name", golden_samples.cases())
def test_samples_are_those_of_this_version(name: str) -> None:
    now, golden = golden_samples.sampled(golden_samples.cases()[name]), GOLDEN["cases"][name]
    # Machines differ in the last bits: 1e-3 is far above what six steps make of those, and far below any other formula.
    np.testing.assert_allclose(now["latents"], golden["latents"], rtol=1e-3, atol=1e-3, err_msg=f"{name}: {ADVICE}")
    np.testing.assert_allclose(now["items"], golden["items"], rtol=1e-3, atol=1, err_msg=f"{name}: {ADVICE}")
