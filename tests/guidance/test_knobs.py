"""From what a user types to a method, and the one sentence said about what cannot be."""

from __future__ import annotations

import pytest

from s2g.config.knob import Knob
from s2g.config.registry import GUIDANCE
from s2g.errors import UserError
from s2g.guidance.apg import APG
from s2g.guidance.assemble import Fit, assemble
from s2g.guidance.autoguidance import Autoguidance
from s2g.guidance.base import Wrapper
from s2g.guidance.cfg import CFG
from s2g.guidance.cfg_zero import CFGZero
from s2g.guidance.cfgpp import CFGPP
from s2g.guidance.none import NoGuidance
from s2g.guidance.pag import PAG
from s2g.guidance.rivals.nag import NAG
from s2g.guidance.rivals.tag import TAG
from s2g.guidance.s2 import S2
from s2g.guidance.seg import SEG
from s2g.guidance.slg import SLG
from s2g.guidance.stg import STG
from s2g.guidance.window import Window, Windowed

FIT = Fit(12)


WRAPPERS = ("s2", "s2_naive", "slg", "stg", "pag", "seg", "pruned", "stg_official", "tag", "nag")


@pytest.mark.parametrize("name", list(GUIDANCE))
def test_every_method_is_assembled_from_nothing_and_has_its_defaults(name: str) -> None:
    method = assemble(name, {}, FIT)
    assert type(method) is GUIDANCE.load(name)
    assert method == assemble(name, {}, FIT) and hash(repr(method))
    if isinstance(method, Wrapper):
        assert method.inside == CFG()
    if name in ("slg", "stg", "pag", "seg", "pruned"):
        assert method.layers == (6,)  # the middle of 12
    assert assemble(name, {"window": None, "name": name}, FIT) == method  # what the yaml leaves null


@pytest.mark.parametrize("name", [name for name in GUIDANCE if name not in WRAPPERS])
@pytest.mark.parametrize("around", WRAPPERS)
def test_every_base_goes_under_every_wrapper(name: str, around: str) -> None:
    if (around, name) == ("nag", "autoguidance"):  # the weaker network's conditional pass cannot be led
        with pytest.raises(UserError, match="guidance = nag: its base evaluates cond with WeakModel"):
            assemble(around, {"base": name}, FIT)
        return
    assert assemble(around, {"base": name}, FIT).inside == assemble(name, {}, FIT)  # type: ignore[attr-defined]


def test_tag_and_nag_go_around_wrappers_too() -> None:
    """Their term is about the whole step, or about the pass that others compare with."""
    fit = Fit(12, {"s2": {"scale": 4.0, "omega": 0.5}, "nag": {"base": "none"}})
    method = assemble("tag", {"base": "s2", "base_args": {"base": "apg"}, "eta": 1.2}, fit)
    assert method == TAG(S2(APG(), omega=0.5, drop=1), eta=1.2)
    assert assemble("tag", {"base": "s2", "scale": 6}, fit) == TAG(S2(CFG(6.0), omega=0.5, drop=1))
    assert assemble("tag", {"base": "nag"}, fit) == TAG(NAG(NoGuidance()))
    for name in ("tag", "nag"):
        with pytest.raises(UserError, match=f"guidance.base = {name}"):
            assemble(name, {"base": name}, fit)
    with pytest.raises(UserError, match=r"guidance.base = tag"):
        assemble("s2", {"base": "tag"}, fit)


def test_typed_knobs_arrive() -> None:
    assert assemble("cfgpp", {"scale": 5}, FIT) == CFGPP(5.0) and assemble("cfgpp", {"lam": 0.3}, FIT).lam == 0.3  # type: ignore[attr-defined]
    assert assemble("apg", {"form": "diffusers", "r": 0}, FIT) == APG(form="diffusers", r=0.0)
    assert assemble("apg", {"r_rms": 0.1}, FIT) == APG(r_rms=0.1)
    assert assemble("slg", {"layers": [-1, 3], "slg_scale": 2}, FIT) == SLG(CFG(), slg_scale=2.0, layers=(3, 11))
    assert assemble("pag", {"layers": 4, "scale": 2}, FIT) == PAG(CFG(2.0), layers=(4,))
    assert assemble("stg", {"mode": "attention"}, FIT) == STG(layers=(6,), mode="attention")
    assert assemble("seg", {"sigma": 3, "window": [0.2, 0.8]}, FIT) == SEG(layers=(6,), sigma=3.0, window=Window(0.2, 0.8))
    assert assemble("slg", {"window": {"start": 0.1, "stop": 0.5, "by": "strict"}}, FIT).window.by == "strict"  # type: ignore[attr-defined]
    assert assemble("adg", {"window": [0, 0.5]}, FIT) == Windowed(assemble("adg", {}, FIT), Window(0.0, 0.5))
    assert assemble("s2", {"base": "none"}, FIT).base == NoGuidance()  # type: ignore[attr-defined]
    typed = {"base": "cfg_zero", "scale": 3, "base_args": {"zero_init": 2, "window": [0, 0.5]}}
    assert assemble("slg", typed, FIT).base == Windowed(CFGZero(3.0, zero_init=2), Window(0.0, 0.5))  # type: ignore[attr-defined]
    typed = {"weak": "a.safetensors", "weak_network": {"depth": 6}}
    assert assemble("autoguidance", typed, FIT) == Autoguidance(weak="a.safetensors", weak_network={"depth": 6})


def test_typing_one_of_a_pair_unsets_the_others_preset() -> None:
    fit = Fit(12, {"cfgpp": {"lam": 0.386}, "apg": {"r_rms": 0.1, "momentum": -0.75}})
    assert assemble("cfgpp", {"scale": 5}, fit) == CFGPP(5.0)
    assert assemble("s2", {"base": "cfgpp", "scale": 5}, fit).base == CFGPP(5.0)  # type: ignore[attr-defined]
    assert assemble("s2", {"base": "cfgpp"}, fit).base == CFGPP(lam=0.386)  # type: ignore[attr-defined]
    assert assemble("apg", {"r": 3}, fit) == APG(r=3.0, momentum=-0.75)
    assert assemble("apg", {"form": "diffusers"}, fit) == APG(form="diffusers")  # the preset is of the other form


def test_a_presets_scale_goes_with_a_base_that_has_one() -> None:
    fit = Fit(12, {"s2": {"scale": 4.0}})
    assert assemble("s2", {"base": "none"}, fit).base == NoGuidance()  # type: ignore[attr-defined]
    assert assemble("s2", {}, fit).base == CFG(4.0)  # type: ignore[attr-defined]
    assert assemble("s2", {"base": "apg"}, fit).base == APG()  # type: ignore[attr-defined]  # it was chosen over CFG


def test_autoguidance_without_a_network_can_be_listed_but_not_run() -> None:
    """`s2g ls` assembles it; whoever asks which network it needs is told how to name one."""
    for method in (assemble("autoguidance", {}, FIT), assemble("s2", {"base": "autoguidance"}, FIT)):
        with pytest.raises(UserError, match=r"guidance\.weak: autoguidance needs a weaker network") as caught:
            _ = method.weaker
        assert "allowed:" in str(caught.value) and "do: guidance.weak=FILE" in str(caught.value)


REFUSED: list[tuple[str, dict, list[str]]] = [  # method, what is typed, what is said: key and value, then what is allowed
    ("cfg", {"rescale": 2}, ["guidance.rescale = 2.0", "0 (none) to 1"]),
    ("cfg", {"rescale": -0.1}, ["guidance.rescale = -0.1", "0 (none) to 1"]),
    ("cfg", {"scale": "high"}, ["guidance.scale = 'high'", "a number"]),
    ("cfg_zero", {"zero_init": -1}, ["guidance.zero_init = -1", "0 or more"]),
    ("cfg_zero", {"zero_init": 1.5}, ["guidance.zero_init = 1.5", "a whole number"]),
    ("cfgpp", {"lam": 1.5}, ["guidance.lam = 1.5", "0 to 1"]),
    ("cfgpp", {"lam": -0.1}, ["guidance.lam = -0.1", "0 to 1"]),
    ("cfgpp", {"scale": -1}, ["guidance.scale = -1.0", "0 or more"]),
    ("cfgpp", {"lam": 0.5, "scale": 5}, ["guidance.lam = 0.5 and guidance.scale = 5", "both were given", "keep one"]),
    ("cfgpp", {"renoise": "x"}, ["guidance.renoise = x", "noise, velocity"]),
    ("apg", {"r": 1, "r_rms": 0.1}, ["guidance.r = 1 and guidance.r_rms = 0.1", "both were given", "keep one"]),
    ("apg", {"r": -1}, ["guidance.r = -1.0", "0 (no cap) or more"]),
    ("apg", {"r_rms": -0.1}, ["guidance.r_rms = -0.1", "0 (no cap) or more"]),
    ("apg", {"momentum": 1.5}, ["guidance.momentum = 1.5", "above -1, below 1"]),
    ("apg", {"momentum": -1}, ["guidance.momentum = -1.0", "above -1, below 1"]),
    ("apg", {"form": "x"}, ["guidance.form = x", "paper, diffusers"]),
    ("adg", {"cap": 0}, ["guidance.cap = 0.0", "above 0, at most 90"]),
    ("adg", {"cap": 91}, ["guidance.cap = 91.0", "above 0, at most 90"]),
    ("slg", {"layers": [40]}, ["guidance.layers = [40]", "no block 40", "-12 to 11"]),
    ("pag", {"layers": [3, -13]}, ["guidance.layers = [3, -13]", "no block -13", "-12 to 11"]),
    ("seg", {"layers": []}, ["guidance.layers = []", "at least one"]),
    ("stg", {"layers": "all"}, ["guidance.layers = all", "a list"]),
    ("stg", {"mode": "x"}, ["guidance.mode = x", "residual, attention"]),
    ("seg", {"sigma": 0}, ["guidance.sigma = 0.0", "above 0"]),
    ("seg", {"sigma": -2}, ["guidance.sigma = -2.0", "above 0"]),
    ("s2_naive", {"masks": 0}, ["guidance.masks = 0", "1 or more"]),
    ("slg", {"window": {"by": "x"}}, ["guidance.window.by = x", "step, level, strict"]),
    ("slg", {"window": {"from": 0.1}}, ["guidance.window.from", "start"]),
    ("cfg", {"window": [0.4, 0.2]}, ["guidance.window = [0.4, 0.2]", "0 <= start < stop <= 1"]),
    ("pag", {"window": "early"}, ["guidance.window = early", "a list"]),
    ("slg", {"base": "s2"}, ["guidance.base = s2", "allowed: adg, apg", "a base method stands on its own"]),
    ("slg", {"base": "cgf"}, ["guidance.base = cgf", "Did you mean 'cfg'?"]),
    ("seg", {"base": "none", "scale": 3}, ["guidance.scale = 3", "none"]),
    ("s2", {"base": "none", "scale": 3}, ["guidance.scale = 3", "none"]),
    ("s2", {"scale": 3, "base_args": {"scale": 4}}, ["guidance.scale and guidance.base_args.scale", "keep one"]),
    ("s2", {"base": "cfgpp", "scale": 3, "base_args": {"lam": 0.4}}, ["guidance.scale and guidance.base_args.lam", "keep one"]),
    ("s2", {"base": "cfgpp", "base_args": {"lam": 0.4, "scale": 3}}, ["guidance.base_args.lam", "both were given"]),
    ("s2", {"base": "cfg_zero", "base_args": {"zero_intt": 2}}, ["guidance.base_args.zero_intt", "Did you mean 'zero_init'?"]),
    ("s2", {"base": "cfg_zero", "base_args": {"zero_init": -1}}, ["zero_init = -1", "0 or more"]),
    ("pag", {"base_args": 3}, ["guidance.base_args = 3", "a mapping"]),
    ("pag", {"pag_scal": 3}, ["guidance.pag_scal", "Did you mean 'pag_scale'?"]),
    ("cfgpp", {"lambda": 0.5}, ["guidance.lambda", "Did you mean 'lam'?"]),
    ("adg", {"layers": [1]}, ["guidance.layers", "cap, scale"]),
    ("autoguidance", {"weak_network": 6}, ["guidance.weak_network = 6", "a mapping"]),
    ("slgg", {}, ["guidance = slgg", "Did you mean 'slg'?"]),
]


@pytest.mark.parametrize(
    ("name", "typed", "said"), REFUSED, ids=lambda value: str(value)[:40] if isinstance(value, dict) else ""
)
def test_what_cannot_be_is_said_with_key_value_and_what_is_allowed(name: str, typed: dict, said: list[str]) -> None:
    with pytest.raises(UserError) as caught:
        assemble(name, typed, FIT)
    message = str(caught.value)
    assert all(part in message for part in said), message
    assert "allowed:" in message or "do:" in message


@pytest.mark.parametrize(
    ("name", "typed"),
    [
        ("cfg_zero", {"zero_init": 0}),
        ("cfgpp", {"lam": 0}),
        ("cfgpp", {"lam": 1}),
        ("cfg", {"rescale": 1}),
        ("apg", {"r": 0}),
        ("adg", {"cap": 90}),
        ("slg", {"layers": [0, 11]}),
        ("slg", {"layers": [-12]}),
        ("s2", {"omega": 0}),
        ("cfg", {"window": [0, 1]}),
    ],
)
def test_the_last_value_that_is_allowed_is(name: str, typed: dict) -> None:
    assemble(name, typed, FIT)


def test_knobs_that_mean_one_run_have_one_value() -> None:
    """Survivors of a mutation check: these values are part of the key."""
    assert CFGPP(lam=0.4) == CFGPP(scale=5.0) and CFGPP(lam=0.4).scale == 5.0
    assert SEG(sigma=9999.0).sigma == 9999.0 and SEG(sigma=9999.5) == SEG(sigma=1e9) == SEG() and SEG().sigma == 9999999.0


def test_the_default_layer_is_the_middle_block_of_an_odd_number_too() -> None:
    assert assemble("slg", {}, Fit(7)).layers == (3,)  # type: ignore[attr-defined]


def test_a_plan_names_knobs_as_they_are_typed() -> None:
    trace: list[Knob] = []
    assemble("s2", {"scale": 3, "drop_blocks": 2}, Fit(12), trace)
    names = [knob.key for knob in trace]
    assert {"guidance.scale", "guidance.drop_blocks", "guidance.omega", "guidance.window"} <= set(names)
    assert not {"guidance.drop", "guidance.base_args.scale"} & set(names)


@pytest.mark.parametrize("ratio", [-0.1, 0.0, 1.0])
def test_a_drop_ratio_is_a_share(ratio: float) -> None:
    with pytest.raises(UserError, match=r"guidance\.drop_ratio = .*: not a share of the blocks"):
        assemble("s2", {"drop_ratio": ratio}, Fit(12))
