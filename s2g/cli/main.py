"""The `s2g` command: a table of subcommands, each imported only when it is called."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any

try:
    import typer
    from typer.core import TyperCommand, TyperGroup
except ModuleNotFoundError:
    sys.exit("error: the s2g command needs the packages of the bench: pip install '.[bench]' in a checkout")

from s2g import __version__
from s2g.errors import KNOWN
from s2g.io.interrupt import INTERRUPTED, uninterrupted


@dataclass(frozen=True)
class Entry:
    """One subcommand: its function (or Typer group) in a module of s2g.cli.commands, and its line of help."""

    module: str
    attribute: str
    summary: str


COMMANDS = {
    "run": Entry("run", "run", "Run one configuration, or a sweep with -m: s2g run guidance=s2 guidance.omega=0.5."),
    "submit": Entry("run", "submit", "Submit a run or table to SLURM: s2g submit --gpus 16 table table2 --profile paper."),
    "demo": Entry("demo", "make_demo", "Compare no guidance, CFG and S2 on the same noise: a table, a picture and a page."),
    "methods": Entry(
        "methods", "methods", "Compare every guidance method with CFG of the same strength and cost on the built-in model."
    ),
    "tune": Entry("tune", "tune", "Choose the methods' settings on the tuning seed and write experiments/NAME.chosen.yaml."),
    "table": Entry("table", "table", "Make tables and figures of the paper: run what is missing, score, print, write."),
    "tables": Entry("tables", "tables", "Print every measured table from its results file, and which rows are stale."),
    "figures": Entry("tables", "figures", "Draw every measured table or figure that has a plot, as SVG and PNG."),
    "check": Entry("check", "check", "Sample the first items of committed results again and compare them item by item."),
    "everything": Entry("check", "everything", "Make every committed result again and compare all numbers: one night."),
    "reproduce": Entry("reproduce", "reproduce", "Run a preset with a published number, and say whether it is met."),
    "claims": Entry("tables", "claims", "Check the paper's claims against the measured results."),
    "report": Entry("pages", "report", "Write a static site of all measured results."),
    "plan": Entry("plan", "plan", "Estimate a table or figure: items, network calls, FLOPs, GPU-hours, disk, downloads."),
    "ls": Entry("inventory", "ls", "List models, guidance methods, samplers and benches."),
    "alive": Entry("alive", "alive", "Show that every method does something on every kind of model, from small networks."),
    "show": Entry("inventory", "show", "Show a stored run: its configuration, progress, cost and scores."),
    "status": Entry("upkeep", "status", "Show the progress of runs: done, missing and failed units, workers, time left."),
    "verify": Entry("upkeep", "verify", "Check the hash of every stored item of a run; exit code 1 if any is damaged."),
    "redo": Entry("check", "redo", "Make one item of a stored run again, and say whether it is the stored one."),
    "gc": Entry("upkeep", "gc", "List stored files that nothing refers to, with sizes; --yes deletes them."),
    "push": Entry("export", "push", "Copy a stored run to a tar file or a URL (s3://, gs://, a folder); again: what is new."),
    "pull": Entry("export", "pull", "Copy a pushed run into the store, and verify every item."),
    "gallery": Entry("pages", "gallery", "Write a page that switches between stored runs on the same prompts."),
    "study": Entry("study", "app", "Ask people which of stored runs they prefer: make, serve and count a blind study."),
    "export": Entry(
        "export", "export", "Export a complete run: images named after their prompts, or an official evaluator's layout."
    ),
    "score": Entry(
        "score", "score_stored", "Score the stored items of a run without loading the model; resumes where it stopped."
    ),
    "score-folder": Entry(
        "score_folder", "score_folder", "Score a folder of images from any source; --reference B: FID and others against B."
    ),
    "verify-fid": Entry(
        "verify_fid", "verify_fid", "Compare our FID, sFID, IS, precision and recall with the official evaluator's."
    ),
    "compare-scorers": Entry(
        "compare_scorers", "compare_scorers", "Compare our HPS scorer with the official hpsv2 package on the images of a run."
    ),
    "vbench-totals": Entry("vbench", "totals", "Compute VBench's Quality, Semantic and Total from existing result files."),
    "vbench-compare": Entry("vbench", "compare_results", "Compare two sets of VBench results, with 95 % intervals."),
    "vbench-check": Entry("vbench", "check", "Check that a folder of videos is complete for VBench; scores nothing."),
    "vbench-score": Entry("vbench", "score", "Score a folder of videos with the official VBench package."),
    "fetch": Entry("fetch", "fetch", "Download what a bench needs; verifies every file by sha256."),
    "env": Entry("env", "app", "Build, list and check the isolated environments of scorers."),
    "doctor": Entry("doctor", "doctor", "Check this machine: Python, packages, devices, weights, prompts, disk space."),
}
# What these are given is for others to parse: Hydra, --help included, and the command that is submitted.
PASS_ON = {
    "run": {"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []},
    "submit": {"allow_extra_args": True, "allow_interspersed_args": False},  # options before COMMAND are its own
}


def load(name: str) -> Any:
    """Return the click command `name`. Ctrl-C waits until the import is done: in the middle of loading torch it aborts."""
    entry = COMMANDS[name]
    with uninterrupted():
        target: typer.Typer | Callable[..., Any] = getattr(import_module(f"s2g.cli.commands.{entry.module}"), entry.attribute)
    if isinstance(target, typer.Typer):
        return typer.main.get_command(target)
    single = typer.Typer(add_completion=False)
    single.command(name, help=entry.summary, context_settings=PASS_ON.get(name))(target)
    return typer.main.get_command(single)


class Commands(TyperGroup):
    """The subcommands by their line of help; the one that is called is imported and run. Ctrl-C ends it with exit code 130."""

    def __init__(self, **settings: Any) -> None:
        stubs = {name: TyperCommand(name, help=entry.summary) for name, entry in COMMANDS.items()}
        settings["commands"] = stubs
        super().__init__(**settings)

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Import the files after --with, wherever they stand, and parse the other arguments."""
        if any(argument.partition("=")[0] == "--with" for argument in args):  # most commands need no registry yet
            from s2g.config.own_modules import import_own_modules

            args = import_own_modules(args)
        return super().parse_args(ctx, args)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Return the name, the imported command and its arguments."""
        name, _, rest = super().resolve_command(ctx, args)
        assert name is not None
        return name, load(name), rest

    def invoke(self, ctx: Any) -> None:
        """Run the subcommand; an integer that it returns is the exit code."""
        try:
            code = super().invoke(ctx)
        except KeyboardInterrupt:
            print(INTERRUPTED, file=sys.stderr)
            raise typer.Exit(130) from None
        if code:
            raise typer.Exit(code)


app = typer.Typer(
    cls=Commands,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="S2-Guidance and the bench for training-free guidance of diffusion models.",
    epilog="One run: s2g run model=tiny_sit guidance=s2 guidance.omega=0.5 (the same as python run.py ...).",
)


def _print_version(asked: bool) -> None:
    if asked:
        from s2g.engine.environment import commit

        at = commit()  # none in an installed package
        print(__version__ if at is None else f"{__version__} ({at['commit'][:10]}{', changed' if at['dirty'] else ''})")
        raise typer.Exit


@app.callback()
def options(
    version: bool = typer.Option(
        False, "--version", callback=_print_version, is_eager=True, help="Print the version, in a checkout with its commit."
    ),
    with_file: str = typer.Option(
        "", "--with", metavar="FILE", help="Import FILE.py first: methods of your own, for any command."
    ),
) -> None:
    """Options of s2g itself."""


def main() -> int:
    """Run the command line; a user's mistake ends in one message and exit code 2, a failure while running in exit code 1."""
    try:
        app(standalone_mode=True)
    except KNOWN as error:
        from s2g.cli.run import exit_code, explain

        print(f"error: {explain(error)}", file=sys.stderr)
        return exit_code(error)
    return 0


if __name__ == "__main__":
    sys.exit(main())
