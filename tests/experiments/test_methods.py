"""An experiment from its YAML to its table: what is chosen, what is matched, what is shown."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from omegaconf import OmegaConf

from s2g.cli.commands import check as check_command
from s2g.cli.commands.methods import make_methods
from s2g.cli.commands.tune import tune_experiment
from s2g.config.schema import CHECKOUT
from s2g.engine.pool import Pool
from s2g.errors import UserError
from s2g.experiments.methods import read_chosen
from s2g.experiments.specification_file import find_experiment
from s2g.experiments.trail import read_trail
from s2g.experiments.tuning import candidates, chosen_path, stages
from s2g.experiments.tuning_specification import TuningSpec, read_tuning

SMALL = """
model: tiny_sit
bench: shapes
sampler: {steps: 4}
against: cfg
tune: {seed: 1, num: 16, metric: joint, strength_num: 16}
report: {seed: 0, num: 64}
rows:
  none: {guidance: none, label: nothing}
  cfg: {guidance: cfg, label: CFG, choose: {scale: [1.5, 3]}}
  s2: {guidance: s2, label: S2, choose: {scale: [2], omega: [1.0]}}
  s2_zero: {guidance: s2, label: S2 over zero, over: zero, like: s2}
  zero: {guidance: cfg_zero, label: zero, knobs: {scale: 2}}
  weaker: {guidance: s2, label: S2 brought to CFG, like: s2, match: {scale: cfg, by: scale, between: [1.01, 4]}}
  twin: {guidance: cfg, label: CFG at S2's strength, match: {scale: s2}}
  longer: {guidance: cfg, label: CFG at S2's cost, like: cfg, match: {nfe: s2}}
  tdg: {guidance: tdg, label: The control, like: cfg, knobs: {mid: mean}}
"""
MADE = CHECKOUT / "experiments" / "methods.yaml"


@pytest.fixture
def small(tmp_path: Path) -> Path:
    path = tmp_path / "small.yaml"
    path.write_text(SMALL)
    return path


@pytest.mark.slow("tunes and compares methods")
def test_from_choosing_to_the_table(
    small: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    runs, out = str(tmp_path / "runs"), tmp_path / "out"
    with pytest.raises(UserError, match="make tune-small"):
        make_methods(small, None, runs, out, Pool(1))
    tune_experiment(small, runs, 1)
    chosen = OmegaConf.to_container(OmegaConf.load(chosen_path(small)))
    rows = chosen["rows"]  # type: ignore[index]
    assert chosen["made"]["seed"] == 1  # type: ignore[index]
    assert rows["cfg"]["knobs"]["scale"] in (1.5, 3) and rows["cfg"]["effective_scale"] == pytest.approx(
        rows["cfg"]["knobs"]["scale"]
    )
    assert rows["s2_zero"]["knobs"] == {"omega": 1.0, "base": "cfg_zero", "base_args": {"scale": 2}}
    assert rows["s2"]["evaluations"] == 4 * 2 + 3 and rows["longer"]["sampler"] == {"steps": 6}  # 4 x 11 / 8 = 5.5
    assert rows["weaker"]["effective_scale"] == pytest.approx(rows["cfg"]["effective_scale"], abs=0.02)
    assert rows["none"]["effective_scale"] is None
    assert rows["twin"]["knobs"] == {"scale": round(rows["s2"]["effective_scale"], 2)}
    capfd.readouterr()
    with Pool(1) as pool:
        make_methods(small, None, runs, out, pool)
    shown = capfd.readouterr().out
    table = (out / "small-tiny.md").read_text()
    assert "nothing" in shown and all(f"| {label}" in table for label in ("nothing", "S2 over zero", "CFG at S2's cost"))
    results = json.loads((out / "small-tiny.json").read_text())
    assert (results["made"]["seed"], results["made"]["n"]) == (0, 64)
    of = {row["row"]: row for row in results["rows"]}
    assert of["cfg"]["delta"] is None and of["none"].get("cfg_at_effective_scale") is None
    twin = of["s2"]["cfg_at_effective_scale"]
    assert (
        twin["scale"] == round(rows["s2"]["effective_scale"], 2) == pytest.approx(of["s2"]["effective_scale"]["value"], abs=0.3)
    )
    for metric in ("joint", "fd"):
        assert of["s2"]["delta"][metric]["value"] == pytest.approx(
            of["s2"]["values"][metric]["value"] - of["cfg"]["values"][metric]["value"], abs=1e-3
        )
        assert twin["delta"][metric]["value"] == pytest.approx(
            of["s2"]["values"][metric]["value"] - twin["values"][metric]["value"], abs=1e-3
        )
    assert "make methods" in table
    # Without text the control is CFG at 1.6 times the scale and 1/4: nothing is left of it at equal strength.
    control = of["tdg"]["cfg_at_effective_scale"]
    assert control["scale"] == pytest.approx(1.6 * rows["cfg"]["knobs"]["scale"] + 0.25)
    assert all(abs(delta["value"]) < 0.01 for delta in control["delta"].values() if delta["value"] is not None)
    assert of["longer"]["cfg_at_effective_scale"]["key"] == of["cfg"]["key"]  # the compared row is its own partner
    for text in (shown, table, (out / "small-tiny.tex").read_text()):
        assert "no scale" in text and "The control is built to win by strength alone" in text, text
    assert "of equal strength it wins none of" in table and "are the same to the digits shown" in table
    referred = json.loads((out / "small-tiny.runs.json").read_text())["runs"]
    assert {row["key"] for row in of.values()} < set(referred)

    # Its items are kept, so that another machine can sample the first ones again and compare.
    assert {name.partition("/")[0] for name in read_trail(out / "small-tiny.items.npz")} == set(referred)
    (out / "small-tiny.items.npz").rename(out / "methods-tiny.items.npz")
    monkeypatch.setitem(check_command.FILES, "tiny", small)
    assert check_command.check(["methods"], "tiny", 16, out, str(tmp_path / "again"), 1) == 0
    assert capfd.readouterr().out.count("16 of 16") == 2 * len(referred)

    # A row that is newer than the tuning: left out, said, and tuned alone.
    small.write_text(SMALL + "  late: {guidance: s2, label: A later row, like: s2, choose: {omega: [0.5]}}\n")
    with Pool(1) as pool:
        make_methods(small, None, runs, out, pool)
    said = "Left out, since their knobs are not tuned yet (make tune-small): A later row."
    assert said in capfd.readouterr().out and said in (out / "small-tiny.md").read_text()
    tune_experiment(small, runs, 1, new=True)
    again: Any = OmegaConf.to_container(OmegaConf.load(chosen_path(small)))
    late = again["rows"].pop("late")
    assert again == chosen and late["knobs"] == {"scale": 2, "omega": 0.5} and late["made"]["seed"] == 1
    small.write_text(small.read_text().replace("seed: 1, num: 16", "seed: 1, num: 32"))
    with pytest.raises(UserError, match="chosen with another num"):
        tune_experiment(small, runs, 1, new=True)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("seed: 0, num: 64", "seed: 1, num: 64", "tune.seed = report.seed"),
        ("like: s2}\n  zero", "like: s3}\n  zero", "Did you mean 's2'?"),
        ("against: cfg", "against: cgf", "Did you mean 'cfg'?"),
        ("{nfe: s2}", "{nef: s2}", "Did you mean 'nfe'?"),
        ("{nfe: s2}", "{nfe: s2, flops: s2}", "one of nfe, flops, scale"),
        (", by: scale, between: [1.01, 4]", "", "only CFG's effective scale is its scale"),
        ("label: nothing", "lable: nothing", "Did you mean 'label'?"),
        ("bench: shapes", "bnech: shapes", "Did you mean 'bench'?"),
    ],
)
def test_what_is_wrong_in_an_experiment_is_named(small: Path, old: str, new: str, said: str) -> None:
    small.write_text(SMALL.replace(old, new))
    with pytest.raises(UserError) as caught:
        read_tuning(small)
    assert said in str(caught.value)


def test_rows_that_wait_for_each_other_are_refused(small: Path) -> None:
    small.write_text(SMALL.replace("knobs: {scale: 2}", "like: s2_zero"))
    with pytest.raises(UserError, match="zero"):
        stages(read_tuning(small).rows)


@pytest.mark.slow("composes every row")
def test_the_committed_choices_are_the_presets_and_every_row_resolves() -> None:
    """What make methods calls a method's preset is what `guidance=METHOD model=tiny_sit` gives."""
    experiment, chosen = read_tuning(MADE), OmegaConf.to_container(OmegaConf.load(chosen_path(MADE)))["rows"]  # type: ignore[index]
    assert_lacking_rows_are_left_out(MADE, set(chosen))
    assert {"cfg", "cfgpp", "apg", "cfg_zero", "adg", "autoguidance", "s2", "s2_naive", "slg", "stg", "pag", "seg"} <= set(
        chosen
    )
    assert_presets(experiment, chosen)
    for name, row in experiment.rows.items():
        if name in chosen:
            experiment.run(row.guidance, chosen[name]["knobs"], experiment.report, sampler=chosen[name]["sampler"])
        for about in candidates(experiment, name, chosen, None) if not row.match else ():  # type: ignore[arg-type]
            experiment.run(row.guidance, about["knobs"], experiment.tune)


def assert_lacking_rows_are_left_out(path: Path, chosen: set[str]) -> None:
    """Rows that are newer than the last tuning are no part of the table."""
    whole = read_tuning(path)
    experiment, _ = read_chosen(path, whole)
    assert chosen <= set(whole.rows) and list(experiment.rows) == [row for row in whole.rows if row in chosen]


def assert_presets(experiment: TuningSpec, chosen: dict) -> None:
    """A method's own row is what `guidance=METHOD` gives on the model."""
    for name in (name for name in chosen if name == experiment.rows[name].guidance):
        typed = experiment.run(name, chosen[name]["knobs"], experiment.report)
        assert typed.key == experiment.run(name, {}, experiment.report).key, name


@pytest.mark.parametrize("name", ["methods.yaml", "methods_real.yaml"])
def test_the_control_is_a_row_and_every_method_of_labels_has_one(name: str) -> None:
    """nag reads the text, of which there is none; pruned is no guidance."""
    rows = read_tuning(MADE.with_name(name)).rows
    methods = {path.stem for path in (CHECKOUT / "configs" / "guidance").glob("*.yaml")}
    assert methods - {row.guidance for row in rows.values()} == {"nag", "pruned"}
    assert rows["tdg"].like == "cfg" and not rows["tdg"].choose  # no knob of it is chosen for its scores


def test_what_was_chosen_for_photographs_is_fashion_sits_presets_and_the_figures_scale() -> None:
    path = MADE.with_name("methods_real.yaml")
    experiment, chosen = read_tuning(path), OmegaConf.to_container(OmegaConf.load(chosen_path(path)))["rows"]  # type: ignore[index]
    assert_lacking_rows_are_left_out(path, set(chosen))
    assert {"none", "cfg", "s2", "s2_paper"} <= set(chosen)
    assert_presets(experiment, chosen)
    for name in ("table2", "table4", "table7", "fig5", "fig7b", "fig7c", "fig7e", "fig8", "fig14"):
        rows = find_experiment(path.parent, name).profiles["real"].rows
        of_s2 = [row for key, row in rows.items() if key.partition("@")[0] == "s2"]
        assert of_s2 and all(row.set["guidance.scale"] == chosen["cfg"]["knobs"]["scale"] for row in of_s2), name


def test_what_was_chosen_for_videos_is_tiny_wans_presets() -> None:
    path = MADE.with_name("t2v.yaml")
    experiment, chosen = read_tuning(path), OmegaConf.to_container(OmegaConf.load(chosen_path(path)))["rows"]  # type: ignore[index]
    assert set(chosen) == set(experiment.rows)
    for name in ("cfg", "cfgpp", "apg", "cfg_zero", "s2", "stg"):
        typed = experiment.run(name, chosen[name]["knobs"], experiment.report)
        assert typed.key == experiment.run(name, {}, experiment.report).key, name
