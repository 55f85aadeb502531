"""What a method asks of a model, refused before anything is loaded; and neutral knobs, which are legal and said."""

from __future__ import annotations

import pytest

from s2g.config.compose import compose_config
from s2g.engine.alive import NEUTRAL, Small
from s2g.engine.resolve import outline
from s2g.errors import UserError
from s2g.guidance.adg import ADG
from s2g.guidance.base import Guidance
from s2g.guidance.cfg import CFG
from s2g.guidance.cfg_zero import CFGZero
from s2g.guidance.channels import Channels
from s2g.guidance.rivals.fdg import FDG
from s2g.guidance.rivals.sgg import SGG
from s2g.guidance.rivals.smc_cfg import SMCCFG
from s2g.guidance.rivals.tag import TAG
from s2g.guidance.s2 import S2
from s2g.guidance.slg import SLG
from s2g.guidance.window import InWindow, Window, Windowed
from s2g.sampling.activity import method_notes
from s2g.sampling.euler import Euler


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        (
            ["guidance=nag"],
            "guidance = nag: it needs text that the network reads token by token, and model = tiny_sit has none",
        ),
        (["guidance=tag", "guidance.base=nag"], "guidance = tag: it needs text"),
        (["guidance=tdg", "guidance.mid=tokens"], "guidance.mid=mean"),
        (["guidance=fdg", "model=toy_2d", "bench=gmm"], "it needs latents in rows and columns, and model = toy_2d has none"),
        (["guidance=s2", "guidance.base=fdg", "model=flux", "bench=prompts"], "it needs latents in rows and columns"),
        (["guidance=tag", "sampler=heun"], "tag needs Euler-like steps"),
        (["guidance=tag", "sampler=unipc"], "tag needs Euler-like steps"),
        (["guidance=sgg", "sampler=dopri5"], "sgg needs numbered steps"),
        (["guidance=rectified_cfgpp", "model=dit_xl", "bench=imagenet", "model.weights=random"], "needs numbered steps|flow"),
        (["guidance=tag", "guidance.window=[0.5,0.55]", "sampler.steps=6"], "tag acts in none of the 6 steps"),
    ],
)
def test_what_a_model_or_sampler_lacks_is_refused_before_loading(typed: list[str], said: str) -> None:
    with pytest.raises(UserError, match=said):
        outline(compose_config(*typed))


@pytest.mark.parametrize("typed", [["guidance=tdg"], ["guidance=fdg"], ["guidance=tag", "guidance.form=cfg", "sampler=heun"]])
def test_the_others_are_planned(typed: list[str]) -> None:
    assert outline(compose_config(*typed)).name == typed[0].removeprefix("guidance=")


@pytest.mark.parametrize(
    ("name", "guidance", "said"),
    [
        ("tag", TAG(CFG(3.0), eta=1.0), ["tag is active in 0 of 10 steps: eta = 1: it is its base"]),
        ("smc_cfg", Windowed(SMCCFG(gain=0.0), Window(0, 0.5)), ["smc_cfg is active in 0 of 10 steps: gain = 0: it is CFG"]),
        (
            "s2",
            S2(Windowed(SMCCFG(gain=0.0), Window(0, 0.5)), omega=0.0),
            [
                "s2 is active in 0 of 10 steps: omega = 0: it is its base",
                "its base method is active in 0 of 10 steps: gain = 0: it is CFG",
            ],
        ),
        (
            "s2",
            S2(CFG(1.0)),
            ["s2 is active in 8 of 10 steps", "its base method is active in 0 of 10 steps: scale = 1: it is cond alone"],
        ),
        ("slg", SLG(CFG(3.0), slg_scale=0.0), ["slg is active in 0 of 10 steps: a weight of 0: it is its base"]),
        ("sgg", Channels(SGG(split=1.0), 3), ["sgg is active in 0 of 10 steps: split = 1: it is CFG"]),
        ("sgg", SGG(1.0, split=1.0), ["sgg is active in 0 of 10 steps: split = 1, scale = 1: it is cond alone"]),
        ("sgg", SGG(1.0, 0.0), ["sgg is active in 0 of 10 steps: skip_scale = 0, scale = 1: it is cond alone"]),
        ("smc_cfg", SMCCFG(1.0), ["smc_cfg is active in 0 of 10 steps: scale = 1: it is cond alone"]),
        ("adg", ADG(0.5), ["adg is active in 0 of 10 steps: scale = 0.5: 1 or less is cond alone"]),
        ("adg", ADG(-1.0), ["adg is active in 0 of 10 steps: scale = -1: 1 or less is cond alone"]),
        (
            "fdg",
            FDG(-3.0, -3.0),
            [
                "fdg is active in 0 of 10 steps: scale = high_scale, parallel = 1: it is CFG",
                "guidance.scale = -3: a weight below 0 steers the other way",
                "guidance.high_scale = -3: a weight below 0 steers the other way",
            ],
        ),
        ("fdg", FDG(1.0, 1.0), ["fdg is active in 0 of 10 steps: scale = high_scale = 1: it is cond alone"]),
        ("fdg", FDG(3.0, 3.0), ["fdg is active in 0 of 10 steps: scale = high_scale, parallel = 1: it is CFG"]),
        (
            "cfg_zero",
            CFGZero(1.0, zero_init=2),
            ["cfg_zero is active in 0 of 10 steps: scale = 1: it is cond alone once x moves, after zero_init = 2"],
        ),
    ],
)
def test_neutral_knobs_are_legal_and_said_once(name: str, guidance: Guidance, said: list[str]) -> None:
    assert method_notes(name, guidance, Euler(10), 12) == said


@pytest.mark.parametrize("name", NEUTRAL)
@pytest.mark.parametrize("window", [(), ("guidance.window=[0,0.5]",)])
def test_every_method_says_that_it_is_switched_off_and_what_it_then_is(name: str, window: tuple[str, ...]) -> None:
    """The knobs and what they make of it are those of `s2g alive`, which samples both and finds them equal."""
    small, (knobs, becomes) = Small("sd3"), NEUTRAL[name]
    guidance, sampler, _ = small.typed(name, *knobs, *window)
    notes = method_notes(name, guidance, sampler, 4)
    assert len(notes) == 1 and notes[0].startswith(f"{name} is active in 0 of 6 steps: "), notes
    if becomes != "base":
        assert notes[0].endswith("it is uncond alone" if "guidance.scale=0" in becomes else "it is CFG")
    else:
        assert notes[0].endswith("it is its base" if isinstance(guidance, InWindow) else "cond alone")
    assert small.typed(name, *window)[0].neutral == ""


def test_methods_that_act_say_nothing() -> None:
    assert method_notes("tag", TAG(CFG(3.0)), Euler(10), 12) == []
    assert method_notes("smc_cfg", SMCCFG(), Euler(10), 12) == []
