"""Print the verdicts on the paper's claims, and write them with all their numbers."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from rich.console import Console

from s2g.experiments.claims import Claim, read_claims
from s2g.experiments.specification import PROFILES
from s2g.experiments.verdicts import Judged, judge
from s2g.io.atomic import write_bytes
from s2g.report.tables import console_table, markdown_table
from s2g.report.write_results import make_folder


def show_claims(folder: Path, results: Path, out: Path, console: Console) -> None:
    """Print every claim's verdict from the results in `results`; write them with all numbers to out/claims.md."""
    claims = read_claims(folder)
    make_folder(out)
    judged = {claim.name: {profile: judge(claim, profile, folder, results) for profile in PROFILES} for claim in claims}
    rows = [[c.claim, *(_word(judged[c.name][profile]) for profile in PROFILES)] for c in claims]
    console.print(console_table(["claim", *PROFILES], rows, left=True))  # sources are in the file: 80 columns are few
    write_bytes(out / "claims.md", claims_markdown(claims, judged).encode())
    where = os.path.relpath(out / "claims.md")
    console.print(
        f"profiles tiny and real: the small built-in models, with their own metrics. Numbers: {where}", soft_wrap=True
    )


def claims_markdown(claims: Sequence[Claim], judged: Mapping[str, Mapping[str, Judged]]) -> str:
    """Verdicts as a table, and below it the comparisons that each rests on."""
    rows = [[c.claim, c.source, *(_word(judged[c.name][profile]) for profile in PROFILES)] for c in claims]
    lines = [
        "# The paper's claims against what was measured",
        "",
        "Profiles tiny (synthetic scenes) and real (photographs of clothes) are the small built-in models with their own "
        "metrics: they say nothing of the paper's models. "
        "Brackets are 95 % intervals, without a correction for the number of comparisons. Made by `make claims`.",
        "",
        markdown_table(["claim", "source", *PROFILES], rows),
    ]
    for claim in claims:
        for profile, one in judged[claim.name].items():
            if any(found.file for found in one.found):
                lines += [f"## {claim.claim} ({profile}): {one.verdict}", ""]
                lines += [f"- {found.verdict}: {found.said} ({found.file})" for found in one.found]
                lines.append("")
    return "\n".join(lines)


def _word(judged: Judged) -> str:
    """A verdict, or that a profile has nothing to show it with."""
    return str(judged.verdict) if judged.claim.checks.get(judged.profile) else "no counterpart"
