"""The commands `s2g vbench-…`: VBench's results and folders of videos, whoever made them."""

from __future__ import annotations

from pathlib import Path

import typer


def totals(
    files: list[Path] = typer.Argument(help="*_eval_results.json of the official package, or a folder of them."),
    allow_missing: bool = typer.Option(False, "--allow-missing", help="A partial total of the dimensions there are, labelled."),
    path: str = typer.Option(
        "", help="VBench_full_info.json, to hold videos against; where bench=vbench finds it if not given."
    ),
) -> None:
    """Quality, Semantic and Total of results that exist, with every term; what is missing or looks wrong is named."""
    from s2g.cli.commands.vbench_results import show_totals

    show_totals(files, allow_missing, path)


def compare(
    a: str = typer.Argument(help="A file or folder of *_eval_results.json; several, with commas between."),
    b: str = typer.Argument(help="The same of the other method; the difference is B - A."),
    seed: int = typer.Option(0, min=0, help="Of the resamples."),
    allow_missing: bool = typer.Option(False, "--allow-missing", help="Compare the videos that both have, labelled."),
    path: str = typer.Option(
        "", help="VBench_full_info.json, to hold videos against; where bench=vbench finds it if not given."
    ),
) -> None:
    """B - A in every dimension, Quality, Semantic and Total: 95 % intervals by a paired bootstrap over prompts."""
    from s2g.cli.commands.vbench_results import show_comparison

    show_comparison(a, b, seed, path, allow_missing)


def check(
    folder: Path = typer.Argument(help="A flat folder of PROMPT-NUMBER.mp4, as the official package reads it."),
    path: str = typer.Option("", help="VBench_full_info.json; where bench=vbench finds it if not given."),
) -> None:
    """Whether a folder is complete: missing, extra, cut-off videos and those of another size are named; nothing is scored."""
    from s2g.cli.commands.vbench_results import show_check

    show_check(folder, path)


def score(
    folder: Path = typer.Argument(help="A flat folder of PROMPT-NUMBER.mp4, made by anybody."),
    path: str = typer.Option("", help="VBench_full_info.json; where bench=vbench finds it if not given."),
    weights: str = typer.Option("", help="The package's cache; VBENCH_CACHE_DIR, else ~/.cache/vbench."),
    out: Path = typer.Option(Path("outputs/vbench"), help="Where NAME_eval_results.json goes, in the package's form."),
    allow_missing: bool = typer.Option(False, "--allow-missing", help="Score the videos that are there, and label the total."),
) -> None:
    """Check a folder, score it by the official package (s2g env build vbench), print the totals; goes on where it stopped."""
    from s2g.cli.commands.vbench_results import score_folder

    score_folder(folder, path, weights, out, allow_missing)


COMMANDS = {"vbench-totals": totals, "vbench-compare": compare, "vbench-check": check, "vbench-score": score}
