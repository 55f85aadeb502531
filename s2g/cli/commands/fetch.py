"""`s2g fetch`: download what a bench needs from its publishers."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console

from s2g.config.registry import BENCHES
from s2g.errors import SeveralError, UserError, gathered, unknown


def fetch(
    name: Annotated[
        str, typer.Argument(help="Bench whose files to download: compbench, dpg, fashion, geneval2, hps or vbench.")
    ],
    prompts_only: Annotated[bool, typer.Option("--prompts-only", help="Download prompts only, no weights.")] = False,
) -> None:
    """Download the files of a bench and print each; UserError listing every failure."""
    steps = BENCHES.load(name).downloaders(prompts_only) if name in BENCHES.entries else ()
    if not steps:
        raise unknown("fetch", name, [other for other in BENCHES if BENCHES.load(other).downloaders(prompts_only)])
    console, errors = Console(highlight=False), list[UserError]()
    for step in steps:
        with gathered(errors):
            for line in step():
                console.print(line, soft_wrap=True)
    if errors:
        raise SeveralError.of(errors)
