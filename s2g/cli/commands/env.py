"""The commands `s2g env …`: isolated environments of scorers that cannot live with us."""

from __future__ import annotations

import typer

app = typer.Typer(no_args_is_help=True, help="Environments of their own, for scorers whose pins would break ours.")


@app.command(name="build")
def build_environments(
    names: list[str] = typer.Argument(help="Scorers: s2g env list shows them; all builds every one."),
) -> None:
    """Make an environment in the cache, unless it is there: pinned packages by uv, its own Python."""
    from s2g.cli.commands.environments import build_shown

    build_shown(names)


@app.command(name="list")
def list_environments() -> None:
    """Every scorer with an environment of its own: what it pins, whether it is built, where, how large."""
    from s2g.cli.commands.environments import list_shown

    list_shown()


@app.command(name="doctor")
def doctor_environment(name: str = typer.Argument(help="A scorer: s2g env list shows them.")) -> None:
    """Whether an environment is whole: uv, Python, every pin, and that its script can import what it needs."""
    from s2g.cli.commands.environments import doctor_shown

    raise typer.Exit(doctor_shown(name))
