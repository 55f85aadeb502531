"""The paper's tables as data: its numbers by arithmetic, every row composed in both profiles, mistakes by file and line."""

from __future__ import annotations

from pathlib import Path

import pytest
from omegaconf import OmegaConf
from rich.console import Console

from s2g.cli.commands.table import TableMaker
from s2g.config.schema import CHECKOUT
from s2g.engine.bench import PlannedBench
from s2g.engine.resolve import outline
from s2g.errors import UserError
from s2g.experiments.composition import compose_row
from s2g.experiments.specification import ExperimentSpec, command_of, paper_number, run_specs
from s2g.experiments.specification_file import expand_panels, experiment_names, find_experiment, read_experiment
from s2g.experiments.study_rows import study_columns
from s2g.metrics.likeness import LIKENESS
from s2g.metrics.trajectories import WAYS

FOLDER = CHECKOUT / "experiments"
RUN = [name for name in experiment_names(FOLDER) if not find_experiment(FOLDER, name).only_printed]
EVERY = [(name, profile) for name in experiment_names(FOLDER) for profile in read_experiment(FOLDER / f"{name}.yaml").profiles]
SMALL = """
title: A table
source: nowhere
columns: {fid: {bench: imagenet, metric: fid}}
paper: {big: {cfg: [2.0]}}
against: cfg
rows:
  cfg: {label: CFG, set: {guidance: cfg}}
  s2: {label: S², set: {guidance: s2}}
profiles:
  tiny:
    groups: {tiny_sit: {label: tiny, set: {model: tiny_sit}}}
    columns: {fd: {bench: shapes, metric: fd, beside: fid}}
"""


REAL = {"table2", "table4", "table7", "fig5", "fig7a", "fig7b", "fig7c", "fig7d", "fig7e", "fig8", "fig14", "fig15"}


def test_every_table_has_its_profiles() -> None:
    assert {f"table{number}" for number in range(1, 8)} <= set(RUN)
    for name in filter(paper_number, RUN):
        profiles = {"tiny", "paper", *(["real"] if name in REAL else [])}  # what asks for classes and images
        assert set(read_experiment(FOLDER / f"{name}.yaml").profiles) == profiles, name


def metrics_of(bench: object) -> set[str]:
    return set(bench.columns) if isinstance(bench, PlannedBench) else {metric.name for metric in bench.metrics}


@pytest.mark.slow("composes every row of every table")
@pytest.mark.parametrize(("name", "profile"), EVERY)
def test_every_row_composes_and_every_column_is_a_metric_of_its_bench(name: str, profile: str) -> None:
    found = find_experiment(FOLDER, name).profiles[profile]
    rows = run_specs(found)
    benches = {spec.bench: outline(compose_row(spec)).bench for spec in rows}
    if found.study:
        assert list(study_columns(found, rows)) == list(found.columns)
        return
    for column in found.columns.values():
        assert column.metric in metrics_of(benches[column.bench or rows[0].bench]) | set(LIKENESS) | set(WAYS), column


def table(name: str) -> ExperimentSpec:
    return find_experiment(FOLDER, name)


def test_hps_averages_are_means_of_the_styles() -> None:
    for group in table("table1").paper.values():
        for row, values in group.items():
            # Four numbers and their mean, each rounded by at most 0.005.
            assert sum(values[:4]) / 4 == pytest.approx(values[4], abs=0.01), row


def test_vbench_totals_are_four_parts_quality_and_one_semantic() -> None:
    for group in table("table3").paper.values():
        for row, (total, quality, semantic, *_) in group.items():
            assert (4 * quality + semantic) / 5 == pytest.approx(total, abs=0.0061), row


def test_costs_of_table_5_are_a_third_pass_in_23_of_28_steps() -> None:
    (cfg, s2) = table("table5").paper["sd3"].values()
    seconds, flops, memory = (one / other for one, other in zip(s2, cfg, strict=True))
    assert flops == pytest.approx((2 * 28 + 23) / (2 * 28), abs=0.001)  # 1.411
    assert seconds == pytest.approx(1.377, abs=0.001) and memory == 1.0


def test_table_6_prints_cfgs_average_a_hundredth_too_high() -> None:
    rows = table("table6").paper["flux"]
    off = {row: round(sum(values[:4]) / 4 - values[4], 4) for row, values in rows.items()}
    assert off["cfg"] == pytest.approx(-0.0075) and abs(off["s2"]) < 0.006 and abs(off["cfg_1_4_nfe"]) < 0.006


def test_the_deviation_of_table_7_is_the_root_of_its_variance() -> None:
    mean, variance, deviation, relative = table("table7").paper["sd3"]["s2"]
    assert variance**0.5 == pytest.approx(deviation, abs=0.00005)
    assert 100 * deviation / (mean / 100) == pytest.approx(relative, abs=0.005)


def test_s2_is_best_in_table_2_as_the_paper_says() -> None:
    two = table("table2")
    values = two.paper["sit_xl"]
    assert max(values, key=lambda row: values[row][0]) == min(values, key=lambda row: values[row][1]) == "s2"
    assert two.printed("sit_xl", "s2", "fid") == 2.03
    assert two.printed("sit_xl", "nothing", "fid") is None


@pytest.mark.parametrize(
    ("old", "new", "line", "said"),
    [
        ("against: cfg", "against: cgf", 11, "Did you mean 'cfg'"),
        ("beside: fid", "beside: fit", 13, "Did you mean 'fid'"),
        ("label: S², set", "lable: S², set", 9, "Did you mean 'label'"),
        ("[2.0]", "[2.0, 1.0]", 5, "2 numbers for 1 columns"),
        ("  s2: {label: S²", "  cfg: {label: S²", 9, "is there twice"),
        ("  tiny:", "  tinny:", 11, "Did you mean 'tiny'"),
    ],
)
def test_a_mistake_is_named_with_file_and_line(tmp_path: Path, old: str, new: str, line: int, said: str) -> None:
    path = tmp_path / "table9.yaml"
    assert old in SMALL
    path.write_text(SMALL.replace(old, new))
    with pytest.raises(UserError) as raised:
        read_experiment(path)
    assert str(raised.value).startswith(f"table9.yaml:{line}: ")
    assert said in str(raised.value)


def test_a_sweep_is_a_row_for_each_value(tmp_path: Path) -> None:
    path = tmp_path / "fig9.yaml"
    path.write_text(SMALL.replace("set: {guidance: s2}", "set: {guidance: s2}, sweep: {guidance.omega: [0.1, 0.5]}"))
    rows = read_experiment(path).profiles["tiny"].rows
    assert list(rows) == ["cfg", "s2@0.1", "s2@0.5"]
    assert rows["s2@0.5"].set == {"guidance": "s2", "guidance.omega": 0.5}


@pytest.mark.parametrize(
    ("old", "new", "line", "said"),
    [
        ("guidance: s2", "guidance: s3", 9, "Did you mean 's2'"),
        ("{guidance: s2}", "{guidance: s2, guidance.omga: 1}", 9, "Did you mean 'omega'"),
        ("{guidance: s2}", "{guidance: s2, guidance.drop_blocks: 40}", 9, "guidance.drop_blocks"),
        ("{guidance: s2}", "{guidance: cfgpp, sampler: unipc}", 9, "euler"),
        ("metric: fd,", "metric: fdd,", 13, "Did you mean 'fd'"),
    ],
)
def test_a_misspelt_method_knob_or_metric_is_named_with_file_and_line(
    tmp_path: Path, old: str, new: str, line: int, said: str
) -> None:
    assert old in SMALL
    (tmp_path / "table9.yaml").write_text(SMALL.replace(old, new))
    with pytest.raises(UserError) as raised:
        TableMaker(tmp_path, tmp_path / "out", str(tmp_path / "runs"), 16, 1).make("table9", "tiny", Console(quiet=True))
    assert str(raised.value).startswith(f"table9.yaml:{line}: ") and said in str(raised.value)
    assert not (tmp_path / "runs").exists()


def test_what_is_only_printed_says_why(tmp_path: Path) -> None:
    printed = find_experiment(FOLDER, "fig11")
    with pytest.raises(UserError, match="nothing to run"):
        printed.profile("tiny")
    path = tmp_path / "fig9.yaml"
    path.write_text(SMALL + "printed: because\n")
    with pytest.raises(UserError, match="one of the two"):
        read_experiment(path)


def test_exhibits_come_by_number() -> None:
    names = experiment_names(FOLDER)
    assert names[:7] == [f"table{number}" for number in range(1, 8)]
    assert names.index("fig5") < names.index("fig7a") < names.index("fig7e") < names.index("fig12")


def test_an_unknown_table_is_answered_with_the_nearest() -> None:
    with pytest.raises(UserError, match="Did you mean 'table1'"):
        find_experiment(FOLDER, "tabel1")


def small(tmp_path: Path, *changes: tuple[str, str]) -> ExperimentSpec:
    text = SMALL
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    (tmp_path / "table1.yaml").write_text(text)
    return read_experiment(tmp_path / "table1.yaml")


def test_a_group_is_several_runs_and_one_value_may_be_of_two_keys(tmp_path: Path) -> None:
    over = 'set: {model: tiny_sit}, over: {"seed, mask_seed": [3, 4]}}}'
    rows = run_specs(small(tmp_path, ("set: {model: tiny_sit}}}", over)).profiles["tiny"])
    assert [(spec.row, spec.set["seed"], spec.set["mask_seed"]) for spec in rows] == [
        ("cfg", 3, 3), ("cfg", 4, 4), ("s2", 3, 3), ("s2", 4, 4),
    ]  # fmt: skip


def test_a_group_of_one_bench_has_that_bench_alone(tmp_path: Path) -> None:
    groups = (
        "{tiny_sit: {label: tiny, set: {model: tiny_sit, bench: shapes}}, toy: {label: toy, set: {model: toy_1d, bench: gmm}}}"
    )
    found = small(
        tmp_path,
        ("{tiny_sit: {label: tiny, set: {model: tiny_sit}}}", groups),
        ("metric: fd, beside: fid}", "metric: fd, beside: fid}, w1: {bench: gmm, metric: w1}"),
    )
    rows = run_specs(found.profiles["tiny"])
    assert [(spec.group, spec.bench) for spec in rows] == [("tiny_sit", "shapes")] * 2 + [("toy", "gmm")] * 2


def test_a_sweeps_value_stands_where_its_label_says(tmp_path: Path) -> None:
    swept = 's2: {label: "ω of {} and no more", set: {guidance: s2}, sweep: {guidance.omega: [0.5]}}'
    line = small(tmp_path, ("s2: {label: S², set: {guidance: s2}}", swept)).profiles["tiny"].rows["s2@0.5"]
    assert line.label == "ω of 0.5 and no more"


def test_knobs_of_a_study_are_no_configuration(tmp_path: Path) -> None:
    found = small(
        tmp_path,
        ("columns: {fid", "study: directions\ncolumns: {fid"),
        ("set: {guidance: s2}", "set: {guidance: s2, study.level: 0.3}"),
    )
    spec = run_specs(found.profiles["tiny"])[1]
    assert spec.study == {"level": 0.3} and spec.overrides == ["model=tiny_sit", "guidance=s2", "bench=shapes"]


@pytest.mark.parametrize("name", ["toy_1d", "toy_2d"])
def test_own_choices_of_figure_3_are_those_of_the_tuning(name: str) -> None:
    chosen = OmegaConf.to_container(OmegaConf.load(FOLDER / f"{name}.chosen.yaml"))["rows"]  # type: ignore[index,call-overload]
    rows = find_experiment(FOLDER, "fig3a").profiles["tiny"].rows
    of = {"s2_own": "s2", "naive_own": "s2_naive", "cfg_own": "cfg", "early_own": "early", "small_own": "small"}
    for row, tried in of.items():
        own = {key.removeprefix("guidance."): value for key, value in rows[row].set.items() if key != "guidance"}
        assert own == {key: value for key, value in chosen[tried]["knobs"].items() if key != "masks"}, row


def test_an_experiment_has_any_name_and_any_place(tmp_path: Path) -> None:
    folder = tmp_path / "experiments"
    folder.mkdir()
    names = ["table2", "table10", "fig7a", "a-table of mine", "mine.v2", "table_mine"]
    for name in names:
        (folder / f"{name}.yaml").write_text(SMALL)
    for other in ("claims.yaml", "methods.chosen.yaml"):
        (folder / other).write_text("rows: {}\n")
    (folder / "methods.yaml").write_text("model: tiny_sit\ntune: {seed: 1}\n")
    assert experiment_names(folder) == names
    assert expand_panels(folder, "fig7") == ["fig7a"] and expand_panels(folder, "table_mine") == ["table_mine"]
    elsewhere = str(folder / "mine.v2.yaml")
    assert expand_panels(tmp_path, elsewhere) == [elsewhere]
    assert find_experiment(tmp_path, elsewhere) == find_experiment(folder, "mine.v2")
    assert (command_of("table2", "paper"), command_of("mine.v2", "paper")) == (
        "make table2 PROFILE=paper",
        "s2g table mine.v2 --profile paper",
    )
    assert command_of("methods", "real", 250) == "make methods PROFILE=real NUM=250"
    assert command_of("mine", num=2) == "s2g table mine --num 2"
    with pytest.raises(UserError, match="Did you mean 'table_mine'"):
        expand_panels(folder, "tabel_mine")
    with pytest.raises(UserError, match=r"nowhere\.yaml: not there"):
        expand_panels(folder, "nowhere.yaml")
