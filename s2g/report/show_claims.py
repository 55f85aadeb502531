"""Print the verdicts on the paper's claims, and write them with all their numbers."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from rich.console import Console

from s2g.experiments.claims import Claim
from s2g.experiments.specification import PROFILES
from s2g.experiments.verdicts import Judged, judge_all
from s2g.io.atomic import write_bytes
from s2g.report.tables import console_table, markdown_table
from s2g.report.write_results import make_folder


def show_claims(folder: Path, results: Path, out: Path, console: Console) -> None:
    """Print every claim's verdict from the results in `results`; write them with all numbers to out/claims.md."""
    judged = judge_all(folder, results)
    make_folder(out)
    rows = [[claim.claim, *map(_word, verdicts.values())] for claim, verdicts in _by_claim(judged)]
    console.print(console_table(["claim", *PROFILES], rows, left=True))  # sources are in the file: 80 columns are few
    write_bytes(out / "claims.md", claims_markdown(judged).encode())
    where = os.path.relpath(out / "claims.md")
    console.print(
        f"profiles tiny and real: the small built-in models, with their own metrics. Numbers: {where}", soft_wrap=True
    )


def verdict_table(judged: Mapping[str, Mapping[str, Judged]]) -> str:
    """Return the verdicts as a Markdown table."""
    rows = [[claim.claim, claim.source, *map(_word, verdicts.values())] for claim, verdicts in _by_claim(judged)]
    return markdown_table(["claim", "source", *PROFILES], rows)


def claims_markdown(judged: Mapping[str, Mapping[str, Judged]]) -> str:
    """Return the verdicts as a table, and below it the comparisons that each rests on."""
    lines = [
        "# The paper's claims against what was measured",
        "",
        "Profiles tiny (synthetic scenes) and real (photographs of clothes) are the small built-in models with their own "
        "metrics: they say nothing of the paper's models. "
        "Brackets are 95 % intervals, without a correction for the number of comparisons. Made by `make claims`.",
        "",
        verdict_table(judged),
    ]
    for claim, verdicts in _by_claim(judged):
        for profile, one in verdicts.items():
            if any(found.file for found in one.found):
                lines += [f"## {claim.claim} ({profile}): {one.verdict}", ""]
                lines += [f"- {found.verdict}: {found.said} ({found.file})" for found in one.found]
                lines.append("")
    return "\n".join(lines)


def _by_claim(judged: Mapping[str, Mapping[str, Judged]]) -> list[tuple[Claim, Mapping[str, Judged]]]:
    return [(next(iter(verdicts.values())).claim, verdicts) for verdicts in judged.values()]


def _word(judged: Judged) -> str:
    """A verdict, or that a profile has nothing to show it with."""
    return str(judged.verdict) if judged.claim.checks.get(judged.profile) else "no counterpart"
