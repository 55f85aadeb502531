"""RESULTS.md: claims, every measured table and figure with its command, and what was not run with its price."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from s2g.errors import NotBuiltError
from s2g.experiments import planning
from s2g.experiments.results import Results
from s2g.experiments.specification import PROFILES, ExperimentSpec, command_of
from s2g.experiments.specification_file import experiment_files, read_experiment
from s2g.experiments.verdicts import judge_all
from s2g.io.json_files import load_json
from s2g.report.control import control_paragraph
from s2g.report.methods_table import methods_table, short_table
from s2g.report.published import measured_results
from s2g.report.results_table import results_table
from s2g.report.show_claims import verdict_table
from s2g.report.show_plan import hours_text
from s2g.report.tables import markdown_table, to_markdown

SHOWN = 2  # metrics a table has here; the linked file has all
PICTURES = (".png", ".grid.png", ".drawing.png")
MODELS = {
    "tiny": "built-in models of synthetic scenes",
    "real": "the built-in model of photographs of clothes",
    "paper": "computed or counted, without weights",
}


def results_page(folder: Path, measured: Path) -> str:
    """Return the page, in Markdown, of the results in `measured` of the experiments in `folder`.

    Links lead from the checkout's root. UserError if nothing was measured.
    """
    known = experiment_files(folder, measured)
    done = {
        (experiment.name, results.profile): (experiment, results) for experiment, results in measured_results(folder, measured)
    }
    lines = [
        "# Results",
        "",
        "Everything measured so far, with command, date and machine; made by `make results` from `experiments/results/`. "
        "Profile *tiny* is the built-in models of synthetic scenes, *real* that of photographs of clothes (28×28). **No number "
        "of ours is one of the paper's models**: profile *paper* holds what is counted or computed without their weights. ± is "
        "the half-width of a 95 % confidence interval; Δ is paired on the same noise, bold where its interval leaves out 0.",
        "",
        "## The paper's claims",
        "",
        verdict_table(judge_all(folder, measured)),
        "What each verdict rests on: [claims](experiments/results/claims.md).",
        "",
        "## Tables, figures and studies",
        "",
    ]
    for name in known:
        found = [done[name, profile] for profile in PROFILES if (name, profile) in done]
        if found:
            lines += [f"### {found[0][0].title}", ""]
            shown: set[str] = set()
            for experiment, results in found:
                lines += _measured(experiment, results, measured, folder.parent, shown)
    methods = [path for profile in PROFILES if (path := measured / f"methods-{profile}.json").exists()]
    if methods:
        equal = "*Equal strength* is CFG at the row's own effective scale: how far the method moves along CFG's direction."
        lines += ["### Every method, at equal strength and cost", "", equal, ""]
        for path in methods:
            lines += _methods(path, folder.parent)
    lines += ["## GPU", "", f"[What was measured on GPUs]({_link(measured / 'gpu' / 'README.md', folder.parent)}).", ""]
    lines += ["## Not run", "", *_not_run(folder, known, {name for name, profile in done if profile == "paper"})]
    return "\n".join(lines)


def _measured(experiment: ExperimentSpec, results: Results, measured: Path, root: Path, shown: set[str]) -> Iterator[str]:
    """Yield an experiment's table in one profile, short, its picture, and where its numbers come from.

    shown: the tables of its other profiles; one that is among them (a computation that has no model) is only named.
    """
    stem = f"{results.exhibit}-{results.profile}"
    table = results_table(experiment, results)
    metrics = list(experiment.profile(results.profile).columns)[:SHOWN]
    keep = [
        at
        for at, column in enumerate(table.columns)
        if (column.key in metrics or column.label in ("FLOPs", "n")) and any(row.cells[at].text for row in table.rows)
    ]
    columns = [table.columns[at] for at in keep]
    rows = [replace(row, cells=[replace(row.cells[at], remarks=()) for at in keep]) for row in table.rows]
    text = to_markdown(replace(table, columns=columns, rows=rows))
    yield _made(results.profile, results.made)
    yield f"[All columns and remarks]({_link(measured / f'{stem}.md', root)})" + (
        "; the numbers are those above." if text in shown else ""
    )
    yield ""
    if text in shown:
        return
    shown.add(text)
    yield text
    for picture in (measured / f"{stem}{ending}" for ending in PICTURES):
        if picture.exists():
            yield f"![{experiment.title}, profile {results.profile}]({_link(picture, root)})"
            yield ""


def _methods(path: Path, root: Path) -> Iterator[str]:
    """Yield the comparison of methods on one model, short, and what its negative control wins."""
    results, profile = load_json(path), path.stem.partition("-")[2]
    yield _made(profile, results["made"])
    yield f"[All columns, and how to read them]({_link(path.with_suffix('.md'), root)})"
    yield ""
    yield to_markdown(short_table(methods_table(results)))
    if control := control_paragraph(results):
        yield f"**The negative control.** {control}"
        yield ""


def _made(profile: str, made: Mapping[str, str]) -> str:
    """Return the line above a table: on which models, by which command, when and where."""
    return f"**Profile {profile}** ({MODELS[profile]}): `{made['command']}`, {made['date']}, {made['machine']}."


def _not_run(folder: Path, known: dict[str, Path], computed: set[str]) -> Iterator[str]:
    """Yield the paper's exhibits that need its models, with the command and the GPU-hours of each."""
    yield (
        "Nothing was sampled on the paper's models. What it takes, in hours of the denoiser alone on one GPU at "
        f"{planning.UTILISATION:.0%} of its peak (assumed):"
    )
    yield ""
    rows = []
    for name, path in known.items():
        experiment = read_experiment(path)
        if name in computed or "paper" not in experiment.profiles:
            continue
        try:
            plans = planning.plan(experiment.profile("paper"), None, "runs")
        except NotBuiltError as error:
            rows.append([experiment.title, "", f"not built: {error}", ""])
            continue
        hours = [sum(one.hours[gpu] for one in planning.distinct(plans)) for gpu in ("H20", "H100")]
        rows.append(
            [
                experiment.title,
                f"`{command_of(name, 'paper')}`",
                *("< 0.01" if hour < 0.01 else hours_text(hour) for hour in hours),
            ]
        )
    yield markdown_table(["", "command", "H20 hours", "H100 hours"], rows)
    yield "`make plan-NAME PROFILE=paper` shows downloads, licences and disk as well."
    yield ""


def _link(path: Path, root: Path) -> str:
    return posixpath.relpath(path.absolute().as_posix(), root.absolute().as_posix())
