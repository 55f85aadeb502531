"""`s2g reproduce`: presets of published numbers, each with its run, and the verdict."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from s2g.cli.commands.check import reproduce, row_of
from s2g.config.compose import compose_config
from s2g.engine.resolve import outline
from s2g.errors import UserError
from s2g.experiments.reproduce import Verdict, check_preset, find_preset, judge, read_presets
from s2g.metrics.statistics import Estimate

PRESETS = read_presets()


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_is_a_run_whose_bench_measures_its_numbers(name: str) -> None:
    preset = PRESETS[name]
    check_preset(preset)
    assert preset.source and all(tolerance < abs(published) for published, tolerance in preset.numbers.values())


@pytest.mark.parametrize(
    ("name", "sampler", "steps", "num"),
    [("sit_xl_cfg", "Heun", 125, 50000), ("sit_xl_cfg_sde", "SDE", 250, 50000), ("dit_xl_cfg", "DDPM", 250, 50000)],
)
def test_published_rows_run_with_their_papers_samplers(name: str, sampler: str, steps: int, num: int) -> None:
    about = outline(compose_config(*PRESETS[name].run))
    assert (type(about.sampler).__name__, about.sampler.steps, about.num) == (sampler, steps, num)
    assert about.guidance.channels == 3  # as the published numbers


@pytest.mark.parametrize(
    "name", ["exact_2d_cfg", "toy_2d_s2", pytest.param("toy_2d_s2_naive", marks=pytest.mark.slow("four sub-networks a step"))]
)
def test_presets_of_the_built_in_models_pass(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert reproduce(name, False, str(tmp_path), 1) == 0
    out = capsys.readouterr().out
    assert out.count("pass") == 2 and "FAIL" not in out and "python run.py" in out


def test_another_run_fails(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    other = replace(PRESETS["exact_2d_cfg"], run=("model=exact_2d", "guidance=none", "bench=gmm", "num=1024"))
    monkeypatch.setattr("s2g.cli.commands.check.read_presets", lambda: {"exact_2d_cfg": other})
    assert reproduce("exact_2d_cfg", False, str(tmp_path), 1) == 1
    assert capsys.readouterr().out.count("FAIL") == 2


def test_the_list_and_a_plan(capsys: pytest.CaptureFixture[str]) -> None:
    assert reproduce() == 0
    assert "sit_xl_cfg" in (out := capsys.readouterr().out) and "fid 2.15 +- 0.1" in " ".join(out.split())
    assert reproduce("toy_2d_s2", True) == 0


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
        ("a: {run: model=x, numbers: {}, source: s}", r"METRIC: \[PUBLISHED, TOLERANCE\]"),
    ],
)
def test_bad_presets_are_named(text: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "reproduce.yaml").write_text(text)
    with pytest.raises(UserError, match=said):
        read_presets(tmp_path / "reproduce.yaml")


def test_unknown_names_and_metrics_are_named() -> None:
    with pytest.raises(UserError, match="Did you mean 'sit_xl_cfg'"):
        find_preset("sit_xl_cgf", PRESETS)
    wrong = replace(PRESETS["sit_xl_cfg"], numbers={"avg": (30.0, 0.1)})
    with pytest.raises(UserError, match="bench=imagenet does not measure avg"):
        check_preset(wrong)
