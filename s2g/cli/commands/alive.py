"""`s2g alive`: whether every method does something on every kind of model, from small networks with random weights."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated

import typer
from rich.console import Console

from s2g.config.registry import GUIDANCE
from s2g.engine.alive import FAMILIES, Finding, examine_all
from s2g.errors import unknown
from s2g.report.tables import console_table


def alive(
    method: Annotated[list[str] | None, typer.Option(help="Only this method; may be repeated.")] = None,
    family: Annotated[list[str] | None, typer.Option(help="Only this kind of model; may be repeated.")] = None,
) -> int:
    """Print how far every method moves the samples of every kind of model; exit code 1 if one is not as it should be."""
    for key, named, allowed in (("--method", method, GUIDANCE), ("--family", family, FAMILIES)):
        for name in named or ():
            if name not in allowed:
                raise unknown(key, name, list(allowed))
    findings = {(found.method, found.family): found for found in examine_all(method or (), family or ())}
    methods, families = (list(dict.fromkeys(key[at] for key in findings)) for at in (0, 1))
    rows = [[name, *(cell(findings[name, kind]) for kind in families)] for name in methods]
    console = Console(highlight=False)
    console.print(console_table(["method", *families], rows))
    console.print("Root mean square of samples less the base's, relative; small networks, six steps.", soft_wrap=True)
    for line in notes(findings.values()):
        console.print(line, soft_wrap=True)
    return int(any(found.wrong for found in findings.values()))


def cell(found: Finding) -> str:
    """Return a finding in few characters."""
    if found.wrong:
        return "WRONG"
    return "refused" if found.difference is None else f"{100 * found.difference:.1f} %"


def notes(findings: Iterable[Finding]) -> list[str]:
    """Return what is wrong, and each reason of a refusal once, with where it holds."""
    lines: dict[str, list[str]] = {}
    for found in findings:
        for words in (*found.wrong, *([found.refused] if found.refused else [])):
            lines.setdefault(f"{'wrong' if found.wrong else 'refused'}: {found.method}: {words}", []).append(found.family)
    return [f"{words} ({', '.join(families)})" for words, families in lines.items()]
