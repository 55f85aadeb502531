"""`s2g reproduce`: presets of published numbers, each with its run, and the verdict."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from s2g.cli.commands.check import committed_results
from s2g.cli.commands.options import EXPERIMENTS, RESULTS
from s2g.cli.commands.reproduce import reproduce, row_of
from s2g.config.compose import compose_config
from s2g.config.schema import CHECKOUT
from s2g.engine.pool import Pool
from s2g.engine.resolve import outline, resolve
from s2g.errors import UserError
from s2g.experiments.produce import produce
from s2g.experiments.reproduce import Preset, Verdict, check_preset, find_preset, judge, judge_differences, read_presets
from s2g.io.json_files import load_json
from s2g.io.yaml_files import read_yaml
from s2g.metrics.statistics import Estimate

PRESETS = read_presets(EXPERIMENTS)
OWN = [name for name, preset in PRESETS.items() if "results/" in preset.source]  # of built-in models


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_is_a_run_whose_bench_measures_its_numbers(name: str) -> None:
    preset = PRESETS[name]
    check_preset(preset)
    assert preset.source and all(tolerance < 0.08 * abs(published) for published, tolerance in preset.numbers.values())
    assert not preset.against or set(preset.numbers) & set(PRESETS[preset.against].numbers)


@pytest.mark.slow("composes 240 runs")
def test_every_committed_row_can_be_typed_and_is_the_run_that_was_made() -> None:
    typed = 0
    for file in committed_results(RESULTS, []):
        for row in load_json(file)["rows"]:
            if row.get("runs") == 1 and row.get("command", "").startswith("python run.py "):
                raw = compose_config(*row["command"].removeprefix("python run.py ").split())
                benches = {name.split()[0]: key for name, key in row["keys"].items()}
                assert raw["bench"]["name"] in benches, (file.name, row["command"])
                start = f"{raw['model']['name']}-{raw['guidance']['name']}-"
                assert benches[raw["bench"]["name"]].startswith(start), (file.name, row["command"])
                typed += 1
    assert typed > 240


def test_every_number_of_the_papers_tables_is_judged() -> None:
    judged = {(name, metric): number for name, one in PRESETS.items() for metric, (number, _) in one.numbers.items() if one.row}
    printed = {}
    for table in ("table1", "table2", "table3", "table4", "table6"):
        about = read_yaml(EXPERIMENTS / f"{table}.yaml")[0]
        for group, rows in about["paper"].items():
            for row, numbers in rows.items():
                for column, number in zip(about["columns"].values(), numbers, strict=True):
                    printed[f"{table}.{group}.{row}.{column['bench']}", column["metric"]] = number
    assert judged == printed and len(judged) == 12 * 10 + 7 * 2 + 8 * 9 + 5 + 3 * 6  # Tables 5 and 7 print costs and variances
    s2 = PRESETS["table1.sd35.s2.hps"]
    assert s2.run == ("model=sd35", "guidance=s2", "bench=hps") and s2.against == "table1.sd35.cfg.hps"
    assert PRESETS[s2.against].against == "" and PRESETS["table2.sit_xl.s2.imagenet"].run[-1] == "bench=imagenet"
    assert "bench.score=[is,fid]" in PRESETS["table2.sit_xl.s2.imagenet"].run  # without networks that no number needs


@pytest.mark.parametrize("name", OWN)
def test_numbers_of_built_in_models_are_the_committed_ones(name: str) -> None:
    preset = PRESETS[name]
    file, date = preset.source.split(", ")
    results = load_json(CHECKOUT / file)
    assert results["made"]["date"] == date
    own = outline(compose_config(*preset.run))
    found = []
    for row in results["rows"]:
        typed = str(row.get("command", "")).removeprefix("python run.py ").split()
        if row["status"] == "run" and row["runs"] == 1 and set(typed) <= {*preset.run}:
            assert outline(compose_config(*typed)) == own  # what a file leaves out is the default
            found.append({metric: row["cells"][metric]["value"] for metric in preset.numbers})
    assert {metric: number for metric, (number, _) in preset.numbers.items()} in found
    assert len({tuple(one.items()) for one in found}) == 1


@pytest.mark.parametrize(
    ("name", "sampler", "steps", "num"),
    [("sit_xl_cfg", "Heun", 125, 50000), ("sit_xl_cfg_sde", "SDE", 250, 50000), ("dit_xl_cfg", "DDPM", 250, 50000)],
)
def test_published_rows_run_with_their_papers_samplers(name: str, sampler: str, steps: int, num: int) -> None:
    about = outline(compose_config(*PRESETS[name].run))
    assert (type(about.sampler).__name__, about.sampler.steps, about.num) == (sampler, steps, num)
    assert about.guidance.channels == 3  # as the published numbers


@pytest.mark.parametrize(
    ("name", "judged"), [("exact_2d_cfg", 2), pytest.param("toy_2d_s2", 4, marks=pytest.mark.slow("four sub-networks a step"))]
)
def test_presets_of_the_built_in_models_pass(
    name: str, judged: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert reproduce(name, runs=str(tmp_path), workers=1) == 0
    out = capsys.readouterr().out
    assert out.count("pass") == judged and "FAIL" not in out and "python run.py" in out


def test_another_run_fails(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    other = replace(PRESETS["exact_2d_cfg"], run=("model=exact_2d", "guidance=none", "bench=gmm", "num=1024"))
    monkeypatch.setattr("s2g.cli.commands.reproduce.read_presets", lambda folder: {"exact_2d_cfg": other})
    assert reproduce("exact_2d_cfg", runs=str(tmp_path), workers=1) == 1
    assert capsys.readouterr().out.count("FAIL") == 2


def test_numbers_that_are_both_met_the_other_way_round_fail(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    better = Preset("better", ("model=exact_2d", "guidance=cfg", "bench=gmm", "num=1024"), {"w1": (0.31, 0.1)}, "here")
    worse = Preset("worse", ("model=exact_2d", "guidance=none", "bench=gmm", "num=1024"), {"w1": (0.32, 9.0)}, "here")
    presets = {"better": better, "worse": replace(worse, against="better")}
    monkeypatch.setattr("s2g.cli.commands.reproduce.read_presets", lambda folder: presets)
    code, out = reproduce("worse", runs=str(tmp_path), workers=1), capsys.readouterr().out
    ours, other = (
        produce([resolve(compose_config(*one.run))[0]], str(tmp_path), Pool(1), Console())[0] for one in (worse, better)
    )
    apart = ours.estimates["w1"].value - other.estimates["w1"].value
    (verdict,) = judge_differences(presets["worse"], better, ours, other)
    assert (verdict.published, verdict.tolerance, verdict.value) == pytest.approx((0.01, 0.01, apart))
    assert code == int(not 0 <= apart <= 0.02) and out.count("w1") == 2 and "w1 - better's" in " ".join(out.split())


def test_a_score_that_is_not_comparable_passes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    said = "not comparable with published numbers: the checkpoint is not known"
    monkeypatch.setattr("s2g.engine.bench.Bench.remarks", lambda *_: [said])
    assert reproduce("exact_2d_cfg", runs=str(tmp_path), workers=1) == 1
    out = capsys.readouterr().out
    assert out.count("void") == 2 and said in out and "pass" not in out and "FAIL" not in out


def test_places_may_be_typed_and_nothing_that_makes_another_run(capsys: pytest.CaptureFixture[str]) -> None:
    check_preset(PRESETS["sit_xl_cfg"], ["model.weights=x.pt", "bench.inception=y.pth", "bench.reference=z.npz"])
    check_preset(PRESETS["table1.sd3.s2.hps"], ["bench.weights=x.pt", "executor=ray", "executor.compile=blocks"])
    for typed in ("guidance.scale=1.6", "num=100", "model=sd3", "seed=1", "bench.antialias=true", "sampler.steps=10"):
        with pytest.raises(UserError, match="would make another run than the published one"):
            check_preset(PRESETS["sit_xl_cfg"], [typed])
    assert reproduce("exact_2d_cfg", ["executor.workers=1"], plan=True) == 0
    assert "1,024" in capsys.readouterr().out


def test_the_list_and_a_plan(capsys: pytest.CaptureFixture[str]) -> None:
    assert reproduce() == 0
    out = " ".join(capsys.readouterr().out.split())
    assert "sit_xl_cfg" in out and "fid 2.15 +- 0.1" in out and "table1.sd3.ROW.hps cfg, cfgpp, apg" in out
    assert reproduce("toy_2d_s2", plan=True) == 0
    assert capsys.readouterr().out.count("toy_2d-s2") >= 2  # both runs


def test_verdicts() -> None:
    preset = PRESETS["sit_xl_cfg"]
    fid, inception = judge(preset, {"fid": Estimate(2.24, 2.1, 2.4, 10), "is": Estimate(251.0, None, None, 1)})
    assert fid.passes and not inception.passes
    assert row_of(fid) == ["fid", "2.15", "2.24", "[2.1, 2.4]", "+0.09", "0.1", "pass"]
    assert row_of(inception) == ["is", "258.09", "251", "", "-7.09", "5", "FAIL"]
    assert not Verdict("fid", 2.0, 0.1, float("nan")).passes
    with pytest.raises(UserError, match="is was not measured"):
        judge(preset, {"fid": Estimate(2.2, None, None, 1)})


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: {run: model=x, numbers: {fid: [1, 0.1]}}", "not a preset"),
        ("a: {run: model=x, numbers: {fid: [1, 0.1]}, source: s, more: 1}", "more"),
        ("a: {run: model=x, numbers: {fid: 1}, source: s}", "fid"),
        ("a: {run: model=x, numbers: {fid: [1, 0]}, source: s}", "the second above 0"),
        ("a: {run: model=x, numbers: {fid: [one, 0.1]}, source: s}", "fid"),
        ("a: {run: model=x, numbers: {fid: [1, 0.1]}, source: s, against: b}", "a.against = b"),
        ("a: {run: model=x, numbers: {}, source: s}", r"METRIC: \[PUBLISHED, TOLERANCE\]"),
    ],
)
def test_bad_presets_are_named(text: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "reproduce.yaml").write_text("presets: {" + text + "}")
    with pytest.raises(UserError, match=said):
        read_presets(path=tmp_path / "reproduce.yaml")


def test_unknown_names_and_metrics_are_named() -> None:
    with pytest.raises(UserError, match="Did you mean 'sit_xl_cfg'"):
        find_preset("sit_xl_cgf", PRESETS)
    wrong = replace(PRESETS["sit_xl_cfg"], numbers={"avg": (30.0, 0.1)})
    with pytest.raises(UserError, match="bench=imagenet does not measure avg"):
        check_preset(wrong)
