"""What a method asks of a model, refused before anything is loaded; and neutral knobs, which are legal and said."""

from __future__ import annotations

import pytest

from s2g.config.compose import compose_config
from s2g.engine.resolve import outline
from s2g.errors import UserError
from s2g.guidance.cfg import CFG
from s2g.guidance.channels import Channels
from s2g.guidance.rivals.sgg import SGG
from s2g.guidance.rivals.smc_cfg import SMCCFG
from s2g.guidance.rivals.tag import TAG
from s2g.guidance.s2 import S2
from s2g.guidance.slg import SLG
from s2g.guidance.window import Window, Windowed
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
        ("smc_cfg", Windowed(SMCCFG(gain=0.0), Window(0, 0.5)), ["smc_cfg is active in 5 of 10 steps", "gain = 0"]),
        (
            "s2",
            S2(SMCCFG(gain=0.0), omega=0.0),
            ["s2 is active in 0 of 10", "its base method is active in 0 of 10 steps: gain = 0"],
        ),
        ("slg", SLG(CFG(3.0), slg_scale=0.0), ["slg is active in 0 of 10 steps: a weight of 0: it is its base"]),
        ("sgg", Channels(SGG(split=1.0), 3), ["sgg is active in 0 of 10 steps: split = 1: it is CFG"]),
    ],
)
def test_neutral_knobs_are_legal_and_said(name: str, guidance, said: list[str]) -> None:
    notes = " | ".join(method_notes(name, guidance, Euler(10), 12))
    assert all(words in notes for words in said), notes


def test_methods_that_act_say_nothing() -> None:
    assert method_notes("tag", TAG(CFG(3.0)), Euler(10), 12) == []
    assert method_notes("smc_cfg", SMCCFG(), Euler(10), 12) == []
