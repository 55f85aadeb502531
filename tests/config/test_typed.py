"""What was typed, read off a stored configuration: typed again, it is the same run."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from typing import Any

import pytest

from s2g.config.compose import compose_config
from s2g.config.typed import command, differing, overrides_of, words
from s2g.engine.resolve import resolve
from s2g.engine.run import Run

PROMPTS = ("model=tiny_sd3", "bench=prompts")


@pytest.mark.parametrize(
    ("typed", "shown"),
    [
        ((), "defaults"),
        (("guidance=s2", "guidance.omega=null"), "defaults"),
        (("guidance=cfg", "guidance.scale=2.5", "seed=3"), "guidance=cfg guidance.scale=2.5 seed=3"),
        (("guidance.window=[0.1,0.9]", "model.unit=8"), "model.unit=8 guidance.window=[0.1, 0.9]"),
        (("guidance.window={start: 0.1, stop: 0.9, by: level}",), "guidance.window={start: 0.1, stop: 0.9, by: level}"),
        (("sampler=heun", "sampler.steps=4", "mask_seed=1"), "sampler=heun sampler.steps=4 mask_seed=1"),
        (("model.network.heads=12", "model.weights=random:7"), 'model.weights="random:7" model.network.heads=12'),
        ((*PROMPTS, 'bench.text=["a red circle, a blue square", "red"]'),
         'model=tiny_sd3 bench=prompts bench.text=["a red circle, a blue square", red]'),
        ((*PROMPTS, "bench.text=[a red circle]", "bench.seeds=[4]"),
         "model=tiny_sd3 bench=prompts bench.text=[a red circle] bench.seeds=[4]"),
    ],
)  # fmt: skip
def test_overrides_are_what_was_typed_and_make_the_same_run(
    typed: tuple[str, ...], shown: str, run_of: Callable[..., Run]
) -> None:
    run = run_of(*typed)
    found = overrides_of(run.config)
    assert words(found) == shown
    assert resolve(compose_config(*shlex.split(command(found, run.num))[2:]))[0].key == run.key


@pytest.mark.parametrize(
    "text", ['say "hi"', "back\\slash", 'end\\"', "12", "true", "a: b, c", "it's 5 o'clock", "x\\", "{a} $b"]
)
def test_text_survives_hydra(text: str) -> None:
    raw = {**compose_config(*PROMPTS)["bench"], "text": [text], "examples": []}
    again = shlex.split(command(overrides_of({"bench": raw})))[2:]
    assert compose_config(*PROMPTS, *again)["bench"]["text"] == [text]


def test_files_of_one_name_are_told_apart(composed: Callable[..., dict[str, Any]]) -> None:
    for typed in ("sampler=sit_ode_heun", "bench=hps_qalign", "bench=compbench_before_qalign"):
        assert words(overrides_of(composed(typed))) == typed


def test_a_name_without_a_file_shows_its_knobs() -> None:
    assert words(overrides_of({"guidance": {"name": "mine", "scale": None, "blur": 0.5}})) == "guidance=mine guidance.blur=0.5"


def test_long_values_are_cut() -> None:
    assert words({"bench.text": ["x" * 90]}) == f"bench.text=[{'x' * 46}…"


def test_runs_are_labeled_by_what_differs() -> None:
    runs = {"a": {"guidance": "cfg", "seed": 1}, "b": {"seed": 1, "guidance.omega": 0.5}}
    assert differing(runs) == {"a": {"guidance": "cfg"}, "b": {"guidance.omega": 0.5}}
