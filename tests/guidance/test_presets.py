"""Every model's presets: each method can be assembled from them as they stand."""

from __future__ import annotations

import pytest
from omegaconf import OmegaConf

from s2g.config.registry import GUIDANCE
from s2g.config.schema import ModelConfig, config_dir, read
from s2g.errors import UserError
from s2g.guidance.apg import APG
from s2g.guidance.assemble import Fit, assemble, bases
from s2g.guidance.s2 import S2

METHODS = sorted(path.stem for path in (config_dir() / "guidance").glob("*.yaml"))
EXACT = ["exact_1d", "exact_2d"]  # denoisers without blocks that could be dropped or edited
MODELS = sorted({path.stem for path in (config_dir() / "model").glob("*.yaml")} - set(EXACT))


def model(name: str) -> ModelConfig:
    return read(ModelConfig, OmegaConf.to_container(OmegaConf.load(config_dir() / "model" / f"{name}.yaml")), "model")  # type: ignore[arg-type]


def fit(name: str) -> Fit:
    about = model(name)
    return Fit(about.blocks, about.presets)


def test_the_models_of_the_paper_are_there() -> None:
    assert {"tiny_sit", "sit_xl", "dit_xl", "sd3", "sd35", "flux", "wan_1_3b", "wan_14b"} <= set(MODELS)


@pytest.mark.parametrize("name", MODELS)
def test_every_method_has_a_preset_that_can_be_assembled(name: str) -> None:
    about = model(name)
    assert about.name == name
    assert set(about.presets) == set(METHODS) <= set(GUIDANCE)
    for method in METHODS:
        assemble(method, {}, fit(name))
    for base in bases():
        assemble("s2", {"base": base}, fit(name))


@pytest.mark.parametrize("name", EXACT)
def test_an_exact_denoiser_has_the_methods_that_need_no_sub_network(name: str) -> None:
    assert {"none", "cfg", "cfgpp", "apg", "cfg_zero", "adg"} <= set(model(name).presets)
    # They have no weaker network, no blocks to skip, and points have no rows and columns.
    assert set(model(name).presets) == set(bases()) - {"autoguidance", "sgg", "fdg"}
    for method in model(name).presets:
        assemble(method, {}, fit(name))
    with pytest.raises(UserError, match=r"no block can be left out: 1 blocks of which \[0\] are protected"):
        assemble("s2", {}, fit(name))


@pytest.mark.parametrize("method", ["slg", "stg", "pag", "seg", "sgg", "stg_official"])
@pytest.mark.parametrize("name", MODELS)
def test_layers_are_stated_and_lie_in_the_model(name: str, method: str) -> None:
    layers = model(name).presets[method]["layers"]
    assert layers and all(0 < layer < model(name).blocks for layer in layers)


def test_the_papers_settings() -> None:
    """Appendix B.4: CFG 7.5 and 5.0, omega 0.25; Section 4.5: about 10 % of the blocks, the first never."""
    for name, scale, drop in (("sd3", 7.5, 2), ("sd35", 7.5, 2), ("wan_1_3b", 5.0, 3), ("wan_14b", 5.0, 4)):
        s2 = assemble("s2", {}, fit(name))
        assert isinstance(s2, S2)
        assert (s2.base.scale, s2.omega, s2.drop, s2.protect) == (scale, 0.25, drop, (0,))  # type: ignore[attr-defined]


def test_a_wrappers_preset_scale_is_of_the_base_it_was_chosen_over() -> None:
    presets = {"s2": {"scale": 1.5, "omega": 0.5}, "apg": {"scale": 2.5}, "cfgpp": {"lam": 0.35}, "cfg": {"scale": 1.75}}
    fitted = Fit(12, presets)
    for base, scale in (("cfg", 1.5), ("apg", 2.5)):
        assert assemble("s2", {"base": base}, fitted).base.scale == scale  # type: ignore[attr-defined]
    assert assemble("s2", {"base": "cfgpp"}, fitted).base == assemble("cfgpp", {}, fitted)  # type: ignore[attr-defined]
    assert assemble("s2", {"base": "apg", "scale": 4}, fitted).base.scale == 4.0  # type: ignore[attr-defined]
    assert assemble("s2", {"base": "apg"}, fitted).omega == 0.5  # type: ignore[attr-defined]
    over_apg = Fit(12, {**presets, "s2": {"base": "apg", "scale": 3.0}})
    assert assemble("s2", {}, over_apg).base.scale == 3.0  # type: ignore[attr-defined]


def test_a_preset_of_one_form_says_nothing_of_another() -> None:
    fitted = Fit(12, {"apg": {"scale": 2.5, "r_rms": 0.0}})
    assert assemble("apg", {"form": "diffusers"}, fitted) == APG(2.5, "diffusers", 1.0, 15.0, None, 0.0)
    assert assemble("apg", {"form": "paper"}, fitted) == assemble("apg", {}, fitted) == APG(2.5, r_rms=0.0)
    assert APG(2.0, r=0) == APG(2.0, r_rms=0)
