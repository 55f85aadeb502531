"""Which sampler a run gets, what its knobs may be, and which methods it refuses and why; all before torch is loaded."""

from __future__ import annotations

import dataclasses
import subprocess
import sys

import pytest
import yaml

from s2g.config.registry import SAMPLERS
from s2g.config.schema import CHECKOUT, ModelConfig, config_dir, read
from s2g.engine.resolve import able, read_sampler
from s2g.errors import UserError
from s2g.guidance.base import Requirement
from s2g.guidance.cfg import CFG
from s2g.sampling.base import WITHOUT

ALL = set(Requirement)
OFFERS = {
    "euler": ALL,
    "heun": ALL - {Requirement.EULER_LIKE},
    "dopri5": {Requirement.DETERMINISTIC, Requirement.FLOW},
    "sde": {Requirement.STEPS},
    "ddim": ALL - {Requirement.FLOW},
    "ddpm": {Requirement.STEPS},
    "flow_match_euler": ALL,
    "flux_euler": ALL,
    "unipc": ALL - {Requirement.EULER_LIKE},
    "dpmpp": ALL - {Requirement.EULER_LIKE},
}


def model(**sampler) -> ModelConfig:
    raw = yaml.safe_load((config_dir() / "model" / "tiny_sit.yaml").read_text())
    return read(ModelConfig, {**raw, "sampler": sampler or raw["sampler"]}, "model")


def test_what_each_offers() -> None:
    assert {name: set(SAMPLERS.load(name)().offers) for name in SAMPLERS} == OFFERS
    assert set(SAMPLERS.load("ddim")(eta=0.1).offers) == {Requirement.STEPS}
    assert set(WITHOUT) == ALL


@pytest.mark.parametrize("name", list(OFFERS))
def test_every_sampler_has_its_yaml_with_every_knob_left_open(name: str) -> None:
    text = (config_dir() / "sampler" / f"{name}.yaml").read_text()
    given = yaml.safe_load(text)
    assert text.startswith("# ") and given.pop("name") == name
    assert given == {f.name: None for f in dataclasses.fields(SAMPLERS.load(name))}


REFUSED = [
    ("s2", ["sampler=dopri5"], ["needs numbered steps", "no step index", "fresh masks"], ["euler", "sde"], ["dopri5"]),
    ("cfg_zero", ["sampler=ddim"], ["along the flow's velocity"], ["euler", "heun", "unipc"], ["ddim", "ddpm", "sde"]),
    ("cfg_zero", ["sampler=sde"], ["adds fresh noise", "velocity"], ["dpmpp"], ["sde"]),
    ("cfgpp", ["sampler=unipc"], ["Euler-like"], ["euler", "ddim", "flow_match_euler"], ["heun", "unipc", "ddpm"]),
    ("cfgpp", ["sampler=ddim", "sampler.eta=0.5"], ["Euler-like"], ["ddim (its defaults)"], ["ddpm"]),
]


@pytest.mark.parametrize(("method", "typed", "why", "allowed", "others"), REFUSED)
def test_refusals_say_why_and_what_will_do(run_of, method, typed, why, allowed, others) -> None:
    with pytest.raises(UserError) as caught:
        run_of(f"guidance={method}", *typed)
    problem, listed = str(caught.value).split("\n  allowed: ")
    assert problem.startswith(f"sampler = {typed[0].removeprefix('sampler=')}: {method} needs ")
    assert all(words in problem for words in why)
    names = listed.split("\n")[0].split(", ")
    assert set(allowed) <= set(names) and not set(others) & set(names)
    for name in names:
        run_of(f"guidance={method}", f"sampler={name.split()[0]}")


WRONG = [
    (["sampler=sde", "sampler.steps=1"], "sampler.steps = 1"),
    (["sampler=sde", "sampler.last_step=1"], "sampler.last_step = 1.0"),
    (["sampler=dopri5", "sampler.rtol=0"], "sampler.rtol = 0.0"),
    (["sampler=ddim", "sampler.eta=1.5"], "sampler.eta = 1.5"),
    (["sampler=ddpm", "sampler.variance=big"], "learned, small, large"),
    (["sampler=ddpm", "sampler.grid=linear"], "sampler.grid = linear"),
    (["sampler=ddim", "sampler.steps=0"], "sampler.steps = 0"),
    (["sampler=unipc", "sampler.shift=0"], "sampler.shift = 0.0"),
    (["sampler=euler", "sampler.shift=-1"], "sampler.shift = -1.0"),
]


@pytest.mark.parametrize(("typed", "said"), WRONG)
def test_wrong_knobs_are_named(run_of, typed: list[str], said: str) -> None:
    with pytest.raises(UserError) as caught:
        run_of("guidance=cfg", *typed)
    assert said in str(caught.value)


def test_the_shift_is_the_models_whatever_solves_and_steps_are_the_solvers_own() -> None:
    sd3 = model(name="flow_match_euler", steps=28, shift=3.0)
    for name in OFFERS:
        sampler = read_sampler({"name": name}, sd3)
        assert getattr(sampler, "shift", 3.0) == 3.0
        assert sampler.steps == SAMPLERS.load(name)().steps
    own = read_sampler({"name": "model", "steps": 7, "shift": None}, sd3)
    assert (type(own).__name__, own.steps, own.shift) == ("FlowMatchEuler", 7, 3.0)


def test_a_vp_model_takes_the_samplers_that_know_its_schedule() -> None:
    dit = model(name="ddpm", steps=250, grid="linear")
    for name in ("model", "ddim", "ddpm"):
        assert read_sampler({"name": name}, dit).grid == "linear"
    assert able(CFG(), dit) == ["ddim", "ddpm"]
    for name in set(OFFERS) - {"ddim", "ddpm"}:
        with pytest.raises(UserError, match=rf"sampler = {name}: .* variance-preserving(.|\n)*allowed: ddim, ddpm"):
            read_sampler({"name": name}, dit)
    for knobs in ({"grid": "flow"}, {"steps": 1}, {"steps": 1001}, {"shift": 2.0}):
        with pytest.raises(UserError):
            read_sampler({"name": "ddpm", **knobs}, dit)


def test_choosing_a_sampler_loads_nothing_heavy() -> None:
    code = (
        "import sys; from s2g.config.registry import SAMPLERS\n"
        "for name in SAMPLERS: SAMPLERS.load(name)().offers\n"
        "assert not {'torch', 'diffusers', 'torchdiffeq'} & set(sys.modules), sys.modules.keys()"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=CHECKOUT)
