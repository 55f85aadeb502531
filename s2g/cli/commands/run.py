"""`s2g run`: the same as python run.py."""

from __future__ import annotations

import typer

from s2g.cli.run import main


def run(context: typer.Context) -> int:
    """Pass all arguments to Hydra; return the exit code."""
    return main(context.args)
