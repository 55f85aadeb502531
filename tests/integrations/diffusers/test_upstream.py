"""What is inert or wrong in the pinned diffusers' guiders, tried on small pipelines (docs/guidance.md, diffusers' guiders).

If one of these fails, diffusers has mended it: say so on that page.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers.guiders import (
    AdaptiveProjectedGuidance,
    AutoGuidance,
    ClassifierFreeGuidance,
    MagnitudeAwareGuidance,
    PerturbedAttentionGuidance,
    SkipLayerGuidance,
    SmoothedEnergyGuidance,
)
from diffusers.hooks import LayerSkipConfig, SmoothedEnergyGuidanceConfig
from torch import Tensor

from s2g.integrations.diffusers.modular import SkippedLayersGuidance
from tests.modular_pipelines import modular, modular_latents
from tests.offline_pipelines import start
from tests.small_pipelines import BUILD, SCALE

FIRST_STEP = 0.2  # of five: the guider's window is open at its start, so its step 0 is plain CFG
NAMES = {"sd3": "transformer_blocks", "wan": "blocks"}
SWAPPED = "shape .* is invalid for input of size"


@pytest.fixture(autouse=True)
def _silent() -> Iterator[None]:
    logging.disable(logging.CRITICAL)  # a failing block logs its traceback at every level of the pipeline
    yield
    logging.disable(logging.NOTSET)


@pytest.fixture
def latents(tmp_path: Path) -> Callable[[str, Any], Tensor]:
    """Return the latents of a guider in a pipeline of the test's own: what fails leaves hooks behind."""
    built: dict[str, tuple[Any, Tensor]] = {}

    def get(name: str, guider: Any) -> Tensor:
        if name not in built:
            pipeline = BUILD[name][0](tmp_path / name)
            built[name] = pipeline, start(BUILD[name][1](pipeline), 1)
        pipeline, noise = built[name]
        return modular_latents(name, modular(name, pipeline, guider), noise)

    return get


def skipping(name: str, blocks: Sequence[int]) -> SkipLayerGuidance:
    config = LayerSkipConfig(list(blocks), fqn=NAMES[name])
    return SkipLayerGuidance(SCALE, 2.8, 0.0, 1.0, skip_layer_config=config)


@pytest.mark.parametrize("name", NAMES)
def test_smoothed_energy_guidance_is_plain_cfg(name: str, latents: Callable[[str, Any], Tensor]) -> None:
    config = SmoothedEnergyGuidanceConfig([1, 2], fqn=NAMES[name])
    blurred = latents(name, SmoothedEnergyGuidance(SCALE, 2.8, seg_guidance_config=config))
    assert torch.equal(blurred, latents(name, ClassifierFreeGuidance(SCALE)))


@pytest.mark.parametrize("name", NAMES)
def test_adaptive_projected_guidance_with_its_defaults_is_plain_cfg(name: str, latents: Callable[[str, Any], Tensor]) -> None:
    projected = latents(name, AdaptiveProjectedGuidance(SCALE))
    torch.testing.assert_close(projected, latents(name, ClassifierFreeGuidance(SCALE)), rtol=0, atol=1e-5)


def test_skipped_blocks_are_right_where_two_swaps_cancel_and_on_one_stream(latents: Callable[[str, Any], Tensor]) -> None:
    for name, blocks in (("sd3", (1, 2)), ("wan", (1,)), ("wan", (1, 3))):
        ours = latents(name, SkippedLayersGuidance(blocks, SCALE, 2.8, start=FIRST_STEP, stop=1.0))
        torch.testing.assert_close(latents(name, skipping(name, blocks)), ours, rtol=0, atol=1e-4)


def test_skipped_blocks_that_are_no_neighbors_are_silently_wrong_on_sd3(latents: Callable[[str, Any], Tensor]) -> None:
    plain = latents("sd3", ClassifierFreeGuidance(SCALE))
    ours = latents("sd3", SkippedLayersGuidance((1, 3), SCALE, 2.8, start=FIRST_STEP, stop=1.0))
    theirs = latents("sd3", skipping("sd3", (1, 3)))
    assert (theirs - ours).norm() > 0.5 * (ours - plain).norm()  # wrong by more than half of the effect


@pytest.mark.parametrize("blocks", [(1,), (2, 3, 4)])
def test_an_odd_run_of_skipped_blocks_fails_on_sd3_and_leaves_its_hooks(
    blocks: tuple[int, ...], latents: Callable[[str, Any], Tensor]
) -> None:
    with pytest.raises(RuntimeError, match=SWAPPED):
        latents("sd3", skipping("sd3", blocks))
    with pytest.raises(RuntimeError, match=SWAPPED):  # the next call has no such guider any more
        latents("sd3", ClassifierFreeGuidance(SCALE))


@pytest.mark.parametrize("name", NAMES)
def test_guiders_that_fail(name: str, latents: Callable[[str, Any], Tensor]) -> None:
    config = LayerSkipConfig([1], fqn=NAMES[name])
    with pytest.raises(TypeError, match="'int' has no len"):
        latents(name, SkipLayerGuidance(SCALE, 2.8, 0.0, 1.0, skip_layer_guidance_layers=[2]))
    with pytest.raises(RuntimeError, match="dim must be a 2-tuple"):
        latents(name, MagnitudeAwareGuidance(SCALE))
    with pytest.raises(ValueError, match="not registered"):  # last, since its hooks stay
        latents(name, PerturbedAttentionGuidance(SCALE, 2.8, 0.0, 1.0, perturbed_guidance_config=config))


def test_autoguidance_fails_on_sd3(latents: Callable[[str, Any], Tensor]) -> None:
    with pytest.raises(RuntimeError, match=SWAPPED):
        latents("sd3", AutoGuidance(SCALE, auto_guidance_config=LayerSkipConfig([1], fqn=NAMES["sd3"])))
