"""`s2g alive`: the whole table, and that it finds a method that does nothing, remembers, or leaves a hook behind."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import pytest
import torch
from torch import Tensor

from s2g.cli.commands.alive import alive, cell, notes
from s2g.config.family import import_object
from s2g.config.registry import GUIDANCE, MODELS
from s2g.engine.alive import FAMILIES, NEUTRAL, Cond, Finding, Small, _tried, base_of, examine, examine_all
from s2g.errors import UserError
from s2g.guidance.base import BaseMethod, Guidance, State, Step, Wrapper
from s2g.guidance.cfg import CFG
from s2g.guidance.channels import Channels
from s2g.guidance.none import NoGuidance
from s2g.guidance.s2 import S2
from s2g.guidance.window import Window, Windowed
from s2g.models.prediction_space import Space
from s2g.network.attention import SLOT
from s2g.network.branch import COND, UNCOND, Branch

# Refused before or at the first evaluation, and why: every other pair is alive.
REFUSED = {
    ("nag", "sit"): "it needs text",
    ("nag", "dit"): "it needs text",
    ("nag", "toy"): "it needs text",
    ("fdg", "flux"): "it needs latents in rows and columns",
    ("fdg", "toy"): "it needs latents in rows and columns",
    ("cfg_zero", "dit"): "cfg_zero needs steps along the flow's velocity",
    ("rectified_cfgpp", "dit"): "rectified_cfgpp needs steps along the flow's velocity",
    ("pag", "toy"): "where its self-attention is, is not known",
    ("seg", "toy"): "where its self-attention is, is not known",
}


def as_it_should_be(found: Finding) -> bool:
    assert not found.wrong, found
    said = REFUSED.get((found.method, found.family))
    if said is not None:
        return found.difference is None and said in found.refused
    return not found.refused and found.difference is not None and (found.difference > 1e-4) == (found.method != "none")


def test_every_family_has_a_small_network_and_every_method_a_neutral_value() -> None:
    built_in = {"tiny_sd3", "tiny_wan", "gmm"}  # other weights of the same networks; and no network at all
    shipped = {family.name for family in import_object(MODELS.records)}  # another test may have added one of its own
    assert shipped - built_in == set(FAMILIES) - {"sd35"}
    assert set(GUIDANCE) - set(NEUTRAL) == {"none", "pruned"}  # they have no strength


def test_points_of_the_toy_with_some_methods() -> None:
    small = Small("toy")
    for method in ("none", "cfg", "s2", "smc_cfg", "tag", "nag", "fdg"):
        assert as_it_should_be(examine(method, small)), method


@pytest.mark.slow("every method on a family's small network, five samplings each")
@pytest.mark.parametrize("family", FAMILIES)
def test_every_method_is_alive(family: str) -> None:
    findings = list(examine_all(families=[family]))
    assert [found.method for found in findings] == list(GUIDANCE)
    assert [found for found in findings if not as_it_should_be(found)] == []


@dataclass(frozen=True)
class Idle(Wrapper):
    base: Guidance = field(default_factory=lambda: CFG(3.0))

    @property
    def inside(self) -> Guidance:
        return self.base

    def branches(self, step: Step) -> Sequence[Branch]:
        return self.base.branches(step)

    def combine(self, preds: Mapping[Branch, Tensor], step: Step, state: State) -> Tensor:
        return self.base.combine(preds, step, state)


@dataclass(frozen=True)
class Leaky(BaseMethod):
    """Its memory is the class's, not the unit's."""

    memory: ClassVar[dict[str, Tensor]] = {}

    def branches(self, step: Step) -> Sequence[Branch]:
        return (COND, UNCOND)

    def combine(self, preds: Mapping[Branch, Tensor], step: Step, state: State) -> Tensor:
        difference = preds[COND] - preds[UNCOND] + 0.5 * self.memory.get("before", torch.zeros(()))
        self.memory["before"] = difference
        return preds[COND] + difference


@dataclass(frozen=True)
class Hooking(CFG):
    """It leaves a module's call replaced."""

    network: ClassVar[Any] = None

    def combine(self, preds: Mapping[Branch, Tensor], step: Step, state: State) -> Tensor:
        module: Any = self.network.blocks[0].norm
        setattr(module, SLOT, module._call_impl)
        return super().combine(preds, step, state)


def test_what_is_wrong_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    small = Small("toy")
    _, sampler, _ = small.typed("cfg")

    def wrong(guidance: Guidance, name: str = "mine") -> tuple[str, ...]:
        return _tried(name, guidance, sampler, "Euler", small)[3]

    assert wrong(CFG(3.0)) == ()
    assert wrong(Idle()) == ("it changes nothing",)
    assert wrong(Leaky()) == ("a unit is another one after another unit",)
    assert wrong(CFG(3.0), "none") == ("it is not cond alone",)
    monkeypatch.setitem(NEUTRAL, "cfg", (("guidance.scale=1.5",), "base"))  # type: ignore[misc]
    assert wrong(CFG(3.0), "cfg") == ("with guidance.scale=1.5 it is not base",)
    Hooking.network = network = small.networks[0].network
    assert wrong(Hooking(3.0)) == ("not given back: blocks.0.norm",)
    blocks: Any = network.blocks
    setattr(blocks[0].norm, SLOT, None)
    Hooking.network = small.networks[1].network  # the one that autoguidance evaluates beside it
    assert wrong(Hooking(3.0)) == ("not given back: weaker network: blocks.0.norm",)


def test_what_methods_are_held_against() -> None:
    assert base_of(CFG(3.0)) == Cond(Space.RAW)
    assert base_of(S2(CFG(3.0))) == CFG(3.0)
    windowed = Windowed(CFG(3.0), Window(0.1, 0.5))
    assert base_of(Channels(windowed, 3)) == Channels(Windowed(Cond(Space.RAW), Window(0.1, 0.5)), 3)
    assert Cond(Space.DENOISED).space is Space.DENOISED and isinstance(Cond(Space.RAW), NoGuidance)


def test_the_command_prints_a_table_and_ends_with_1_where_something_is_wrong(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert alive(method=["cfg", "nag"], family=["toy"]) == 0
    out = capsys.readouterr().out
    assert "toy" in out and " %" in out and "refused: nag: guidance = nag: it needs text" in out and "(toy)" in out
    dead = Finding("cfg", "toy", 0.0, "Euler", "", ("it changes nothing",))
    monkeypatch.setattr("s2g.cli.commands.alive.examine_all", lambda *_: iter([dead]))
    assert alive() == 1
    assert cell(dead) == "WRONG" and notes([dead]) == ["wrong: cfg: it changes nothing (toy)"]
    with pytest.raises(UserError, match="--family = toys"):
        alive(family=["toys"])
