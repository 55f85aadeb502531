"""make table2: what is written, that it does not depend on the way there, and when committed results are stale."""

from __future__ import annotations

import csv
import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from s2g.benchmarks.compbench import blip, phrases, prompts
from s2g.benchmarks.compbench.prompts import CATEGORIES
from s2g.benchmarks.hps import checkpoint
from s2g.benchmarks.hps import prompts as hps_prompts
from s2g.benchmarks.qalign import qalign
from s2g.benchmarks.two_class.digits import Digits
from s2g.cli.commands.plan import show_plan_of
from s2g.cli.commands.table import TableMaker
from s2g.config.schema import CHECKOUT
from s2g.errors import MissingError, SeveralError, UserError
from s2g.experiments.claims import read_claims
from s2g.experiments.results import NOT_BUILT, Cell, Results
from s2g.experiments.runner import resolve_rows, what_lacks
from s2g.experiments.specification import PROFILES
from s2g.experiments.specification_file import experiment_names, find_experiment
from s2g.experiments.verdicts import judge
from s2g.report.html.site import write_site
from s2g.report.published import print_results, stale
from s2g.report.results_table import console_of, csv_of, markdown_of, notes, tex_of
from s2g.scoring.isolated.environment import Isolated

FOLDER = CHECKOUT / "experiments"
RESULTS = FOLDER / "results"
COMMITTED = [p for n in experiment_names(FOLDER) for profile in PROFILES if (p := RESULTS / f"{n}-{profile}.json").exists()]
SMALL = """
title: A table
source: nowhere
notes: [it contradicts itself]
columns: {fid: {bench: imagenet, metric: fid}}
paper: {big: {cfg: [2.03], s2@0.5: [1.5]}}
against: cfg
rows:
  cfg: {label: CFG, set: {guidance: cfg}, footnote: as ever}
  s2: {label: S², set: {guidance: s2}, sweep: {guidance.omega: [0.5, 0]}}
profiles:
  tiny:
    set: {num: 32, sampler.steps: 2}
    groups: {tiny_sit: {label: tiny, like: big, set: {model: tiny_sit}}}
    columns:
      joint: {bench: shapes, metric: joint}
      fd: {bench: shapes, metric: fd, beside: fid}
  paper:
    groups: {big: {label: SiT-XL/2, set: {model: sit_xl, model.family: vit}}}
"""
TWO_SCORERS = """
title: A table
source: nowhere
against: cfg
rows: {cfg: {label: CFG, set: {guidance: cfg}}}
profiles:
  tiny:
    set: {num: 32, sampler.steps: 2}
    groups: {one: {label: one, set: {model: tiny_sit}}}
    columns: {joint: {bench: shapes, metric: joint}, fd: {bench: digits, metric: fd}}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "experiments").mkdir()
    (tmp_path / "experiments" / "table9.yaml").write_text(SMALL)
    return tmp_path / "experiments"


def maker(folder: Path, root: str = "runs", workers: int = 1) -> TableMaker:
    return TableMaker(folder, folder / "out", str(folder / root), None, workers)


def timeless(results: Results) -> dict:
    plain = json.loads(json.dumps(results, default=vars))
    plain["made"].pop("date")
    for row in plain["rows"]:
        row.pop("seconds")
    return plain


@pytest.mark.slow("makes a table four times")
def test_a_table_is_written_four_times_and_is_the_same_whatever_the_way_there(folder: Path) -> None:
    silent = Console(quiet=True)
    results = maker(folder).make("table9", "tiny", silent)
    cfg, s2, off = results.rows
    assert (cfg.status, cfg.n, cfg.units, cfg.evaluations) == ("run", 32, 2, 4)
    assert cfg.command == "python run.py num=32 sampler.steps=2 model=tiny_sit guidance=cfg"
    assert cfg.cell("fd").delta is None and s2.cell("fd").delta["value"] != 0
    assert s2.cell("fd").value - cfg.cell("fd").value == pytest.approx(s2.cell("fd").delta["value"], abs=1e-3)
    assert off.keys != s2.keys
    again = Results.load(folder / "out" / "table9-tiny.json")
    assert timeless(again) == timeless(results)

    # Another store, half of it gone, another number of workers.
    other = maker(folder, "others", workers=2)
    other.make("table9", "tiny", silent)
    shutil.rmtree(next((folder / "others").glob("*-cfg-*")))
    assert timeless(other.make("table9", "tiny", silent)) == timeless(results)

    lines = list(csv.DictReader((folder / "out" / "table9-tiny.csv").open()))
    assert [line["paper"] for line in lines if line["column"] == "fd"] == ["2.03", "1.50", ""]
    text = (folder / "out" / "table9-tiny.md").read_text()
    assert "no number of ours here is one of the paper's metrics" in text and "† CFG: as ever" in text
    assert "paper: FID (SiT-XL/2)" in text and "it contradicts itself" in text
    tex = (folder / "out" / "table9-tiny.tex").read_text()
    assert r"S$^2$" in tex and r"\bottomrule" in tex
    runs = json.loads((folder / "out" / "table9-tiny.runs.json").read_text())["runs"]
    assert runs == sorted(row.keys["shapes"] for row in results.rows)


def test_what_is_not_built_is_said_and_nothing_is_made_for_it(folder: Path) -> None:
    results = maker(folder).make("table9", "paper", Console(quiet=True))
    assert [row.status for row in results.rows] == [NOT_BUILT] * 3
    assert not (folder / "runs").exists()
    assert "| CFG† | not built | 2.03 |" in (folder / "out" / "table9-paper.md").read_text()


def test_what_scores_and_is_not_here_is_named_and_nothing_is_made(folder: Path) -> None:
    file = folder / "table9.yaml"
    file.write_text(file.read_text().replace("model: sit_xl, model.family: vit", "model: sit_xl"))
    results = maker(folder).make("table9", "paper", Console(quiet=True))
    lacking = "no file: bench.inception = weights-inception-2015-12-05-6726825d.pth"
    assert {row.status for row in results.rows} == {lacking} and not (folder / "runs").exists()


def test_a_missing_decoder_is_named_and_so_is_the_network_it_belongs_to(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "SiT.pt").write_bytes(b"whatever: its place is asked for, its content when it is loaded")
    file = folder / "table9.yaml"
    (tmp_path / "real").mkdir()
    for name in ("real/a.png", "real/b.png", "inception.pth"):
        (tmp_path / name).write_bytes(b"likewise")
    there = f"bench.inception: {tmp_path / 'inception.pth'}, bench.reference: {tmp_path / 'real'}, bench.score: [fid]"
    more = f"{{model: sit_xl, model.weights: {tmp_path / 'SiT.pt'}, model.vae: {tmp_path / 'vae'}, {there}}}"
    file.write_text(file.read_text().replace("{model: sit_xl, model.family: vit}", more))
    results = maker(folder).make("table9", "paper", Console(quiet=True))
    (status,) = {row.status for row in results.rows}
    assert status.startswith(f"no decoder: {tmp_path / 'vae'}; the network: {tmp_path / 'SiT.pt'} (SiT-XL-2-256x256.pt from")
    for error, status in (
        (MissingError("model.weights", "SiT-XL-2-256x256.pt", "no file"), "no weights: SiT-XL-2-256x256.pt from somewhere"),
        (MissingError("guidance.weak", "a b.pt", "no file a b.pt").at("t.yaml:3: row x"), "no weights: guidance.weak = a b.pt"),
    ):
        assert what_lacks(error, {"weights": "SiT-XL-2-256x256.pt", "source": "SiT-XL-2-256x256.pt from somewhere"}) == status


def test_results_are_stale_when_a_row_would_be_another_run(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    results = maker(folder).make("table9", "tiny", Console(quiet=True))
    assert stale(find_experiment(folder, "table9"), results, folder) == []
    path = folder / "table9.yaml"
    path.write_text(SMALL.replace("sampler.steps: 2", "sampler.steps: 3"))
    assert len(stale(find_experiment(folder, "table9"), results, folder)) == 3
    path.write_text(SMALL.replace("against: cfg", "against: s2@0.5"))  # the same runs, but another difference
    assert len(stale(find_experiment(folder, "table9"), results, folder)) == 3
    path.write_text(SMALL.replace("[0.5, 0]", "[0.5, 1]"))
    assert stale(find_experiment(folder, "table9"), results, folder) == ["tiny_sit/s2@0"]
    print_results(folder, folder / "out", Console(width=120))
    assert "stale: tiny_sit/s2@0 would be other runs today" in capsys.readouterr().out


def test_a_result_of_another_version_is_refused(folder: Path) -> None:
    results = replace(maker(folder).make("table9", "paper", Console(quiet=True)))
    path = folder / "out" / "table9-paper.json"
    results.write(path)
    with pytest.raises(UserError, match="written before it had a column speed"):
        Results.load(path, [*results.columns, "speed"])
    path.write_text(path.read_text().replace('"schema": 1', '"schema": 0'))
    with pytest.raises(UserError, match="another version"):
        Results.load(path)


@pytest.mark.slow("composes every committed result")
@pytest.mark.parametrize("path", COMMITTED, ids=lambda path: path.stem)
def test_committed_results_are_not_stale(path: Path) -> None:
    results = Results.load(path)
    assert stale(find_experiment(FOLDER, results.exhibit), results, FOLDER) == []


@pytest.mark.parametrize("width", [60, 80, 100, 140])
def test_a_console_table_shows_what_fits_without_breaking_a_number(width: int) -> None:
    results = Results.load(RESULTS / "table2-tiny.json")
    with Console(width=width) as console, console.capture() as captured:
        console.print(console_of(find_experiment(FOLDER, "table2"), results, width))
    shown = captured.get()
    assert max(map(len, shown.splitlines())) <= width
    lines = [line for line in shown.splitlines() if line.strip()]
    assert sum("±" in line for line in lines) == len(results.rows)  # labels may take several lines, numbers may not
    assert "no guidance" in shown and "125.13" in shown
    assert ("FD" in shown, "calls" in shown) == (width >= 80, width >= 100)


def test_what_must_be_said_beside_a_number_is_in_every_form_of_the_table(tmp_path: Path) -> None:
    experiment, results = find_experiment(FOLDER, "table2"), Results.load(RESULTS / "table2-tiny.json")
    column, remarks = next(iter(results.columns)), ("not comparable: 7 of 10 images were there", "antialias=true")
    labelled = [replace(row, cells={**row.cells, column: Cell(1.0, 0.5, 1.5, None, remarks)}) for row in results.rows[:2]]
    results = replace(results, rows=(*labelled, *results.rows[2:]))
    results.write(tmp_path / "table2-tiny.json")
    results = Results.load(tmp_path / "table2-tiny.json")
    assert results.rows[0].cell(column).remarks == remarks  # type: ignore[union-attr]
    text = markdown_of(experiment, results)
    assert text.count(" [1] [2]") == 2 and "[1] not comparable: 7 of 10 images were there." in text
    assert "[2] antialias=true." in notes(experiment, results) and " [1] [2]" in tex_of(experiment, results)
    lines = list(csv.DictReader(csv_of(experiment, results).splitlines()))
    assert [line["remarks"] for line in lines].count(" | ".join(remarks)) == 2


def test_one_absent_scorer_leaves_the_others_of_its_row(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "table8.yaml").write_text(TWO_SCORERS)
    kinds = {
        "no file: bench.qalign = q-future/one-align": MissingError("bench.qalign", "q-future/one-align", "no folder with its"),
        "environment qalign: it is not built": MissingError("environment", "qalign", "not built (68)", kind="environment"),
        "bench.score = [x]: needs a GPU": SeveralError(
            [MissingError("bench.score", "[x]", "needs a GPU", kind="device"), MissingError("more", "a", "no file")]
        ),
    }
    for status, error in kinds.items():
        monkeypatch.setattr(Digits, "check", lambda self, model, error=error: raised(error))
        rows = resolve_rows(find_experiment(folder, "table8").profile("tiny"), None)
        assert [rows.specs[index].bench for index in rows.runs] == ["shapes"]
        assert [rows.specs[index].bench for index in rows.why] == ["digits"]
        assert set(rows.why.values()) == {status}
    mistake = SeveralError([MissingError("bench.weights", "a", "no file a"), UserError("bench.dtype = fp8")])
    monkeypatch.setattr(Digits, "check", lambda self, model: raised(mistake))
    with pytest.raises(UserError, match=r"table8\.yaml:\d+: row cfg: 2 things are missing or wrong"):
        resolve_rows(find_experiment(folder, "table8").profile("tiny"), None)


def raised(error: Exception) -> None:
    raise error


def test_whatever_a_scorer_needs_and_is_not_here_is_missing_and_not_a_mistake(tmp_path: Path) -> None:
    nowhere = str(tmp_path / "nowhere")
    for ask in (
        lambda: qalign.weights_folder(nowhere),
        lambda: blip.weights_folder(nowhere),
        lambda: phrases.model_place(nowhere),
        lambda: checkpoint.file_of(nowhere),
        lambda: prompts.load(nowhere, "2025-09", CATEGORIES),
        lambda: hps_prompts.load(nowhere, "official"),
        lambda: Isolated(FOLDER.parent / "tests/scoring/isolated/old_numpy").check(),
    ):
        with pytest.raises(MissingError):
            ask()


def test_a_table_of_ones_own_is_planned_made_listed_and_claimed(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mine = folder / "mine.yaml"
    mine.write_text(SMALL.replace("[0.5, 0]", "[0.5]"))
    show_plan_of(folder, "mine", "tiny", 32, str(folder / "runs"))
    assert "A table, profile tiny: what is missing" in capsys.readouterr().out
    silent = Console(quiet=True)
    results = maker(folder).make("mine", "tiny", silent)
    assert timeless(maker(folder).make(str(mine), "tiny", silent)) == timeless(results)
    print_results(folder, folder / "out", Console(width=120))
    shown = capsys.readouterr().out
    assert "A table, profile tiny" in shown and "stale" not in shown
    check = "{kind: better, exhibit: mine, rows: [s2], columns: [fd]}"
    (folder / "claims.yaml").write_text(f"mine: {{claim: it is better, source: ours, tiny: [{check}]}}\n")
    (claim,) = read_claims(folder)
    assert judge(claim, "tiny", folder, folder / "out").verdict in ("holds", "does not hold", "inconclusive")
    write_site(folder, folder / "out", str(folder / "runs"), tmp_path / "site", silent)
    assert "mine.html" in (tmp_path / "site" / "index.html").read_text() and (tmp_path / "site" / "mine.html").exists()


def test_a_row_is_typed_with_the_number_of_items_it_is_made_with(folder: Path) -> None:
    profile = find_experiment(folder, "table9").profile("tiny")
    for num, typed in ((None, "num=32"), (16, "num=16")):
        assert all(typed in spec.overrides for spec in resolve_rows(profile, num).specs)
