"""Write docs/paper-map.md: every equation, algorithm, table, figure and claim of the paper, its file, command and result.

    python scripts/paper_map.py [--check]

Tables, figures and claims are read from experiments/; what the equations are is written here.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from s2g.experiments.specification import PROFILES, command_of, paper_number
from s2g.experiments.specification_file import experiment_files, read_experiment
from s2g.experiments.verdicts import judge_all
from s2g.report.show_claims import verdict_table
from s2g.report.tables import markdown_table

ROOT = Path(__file__).parents[1]
PAGE, EXPERIMENTS, RESULTS = ROOT / "docs/paper-map.md", ROOT / "experiments", ROOT / "experiments/results"
# What of the paper, in words, the file, and what shows it.
EQUATIONS = (
    ("Eq. 1, 15, 21, 23", "classifier-free guidance", "s2g/guidance/cfg.py", "equal to the stock pipelines to the bit"),
    ("Eq. 2", "a mask leaves out residual blocks", "s2g/network/branch.py", "equal to a network without these blocks"),
    ("Eq. 3", "Naive S²: the mean over N masks", "s2g/guidance/s2_naive.py", "`python run.py guidance=s2_naive`"),
    ("Eq. 4, Algorithm 1", "S²: one mask, fresh at each step", "s2g/guidance/s2.py", "`python run.py guidance=s2`"),
    (
        "Section 4.5, B.4",
        "about 10 % of the blocks, never block 0",
        "s2g/guidance/masks.py",
        "masks are a function of item and step",
    ),
    ("Section 4.5", "the window, the central 80 %", "s2g/guidance/window.py", "23 of 28 steps, as Table 5 counts"),
    ("Eq. 13, 14", "mean and variance over masks", "s2g/experiments/studies/uncertainty.py", "`make eq14`"),
    (
        "Eq. 5 to 12, 16 to 19, 22, 24",
        "the Bayesian reading of Eq. 20",
        "",
        "an argument; nothing to compute beyond Eq. 13, 14, 20",
    ),
    (
        "Eq. 20, 25",
        "the appendix's literal form, -ω D_sub",
        "s2g/guidance/s2.py",
        "`guidance.form=eq20`: contradicts Eq. 3, 4 and Algorithm 1, kept to show that",
    ),
    ("Eq. 26 to 29", "one mask as an unbiased estimate of many", "s2g/experiments/studies/estimator.py", "`make eq29`"),
)


def page() -> str:
    """Return the page, in Markdown."""
    lines = [
        "# Paper map",
        "",
        "Where everything in [the paper](https://arxiv.org/abs/2508.12880) is in this project, and what came out. Written by "
        "`scripts/paper_map.py`; profiles *tiny* and *real* are the small built-in models, *paper* what needs no weights.",
        "",
        "## Equations and algorithm",
        "",
        markdown_table(
            ["paper", "what", "file", "shown by"],
            [[where, what, f"[{file}](../{file})" if file else "", shown] for where, what, file, shown in EQUATIONS],
        ),
        "## Tables, figures and appendix",
        "",
        markdown_table(["", "file", "command", "measured"], list(exhibits())),
        "## Claims",
        "",
        verdict_table(judge_all(EXPERIMENTS, RESULTS)),
        "The numbers behind each verdict: [claims](../experiments/results/claims.md).",
        "",
    ]
    return "\n".join(lines)


def exhibits() -> list[list[str]]:
    """Return a row per table, figure and equation of the paper: title, file, command, results."""
    rows = []
    for name, path in experiment_files(EXPERIMENTS, RESULTS).items():
        if paper_number(name) is None:
            continue
        experiment = read_experiment(path)
        found = [
            f"[{profile}](../experiments/results/{name}-{profile}.md)"
            for profile in PROFILES
            if (RESULTS / f"{name}-{profile}.md").exists()
        ]
        file = f"[{path.name}](../experiments/{path.name})"
        measured = ", ".join(found) or experiment.only_printed or "not run"
        rows.append([experiment.title, file, f"`{command_of(name)}`", measured])
    return rows


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the page, or with --check say whether it is what would be written."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--check", action="store_true", help="write nothing; exit code 1 if the page is not up to date")
    content = page()
    if parser.parse_args(arguments).check:
        return int(PAGE.read_text() != content)
    PAGE.write_text(content)
    return 0


if __name__ == "__main__":
    sys.exit(main())
