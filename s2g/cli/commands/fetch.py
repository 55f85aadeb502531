"""`s2g fetch NAME`: what a bench needs, from where it is published."""

from __future__ import annotations

from collections.abc import Callable

from rich.console import Console

from s2g.errors import SeveralError, UserError, gathered, unknown


def _hps(prompts_only: bool) -> list[Callable[[], list[str]]]:
    from s2g.benchmarks.hps.fetch import fetch_checkpoint, fetch_prompts

    return [fetch_prompts, *([] if prompts_only else [fetch_checkpoint])]


def _compbench(prompts_only: bool) -> list[Callable[[], list[str]]]:
    from s2g.benchmarks.compbench.fetch import addresses, fetch_file

    names = [name for name in addresses() if name.endswith(".txt") or not prompts_only]
    return [lambda name=name: [fetch_file(name)] for name in names]


def _vbench(prompts_only: bool) -> list[Callable[[], list[str]]]:
    from s2g.benchmarks.vbench.fetch import FILES, fetch_file

    del prompts_only  # the weights are of ten hosts: they are named with their addresses where one is missing
    return [lambda name=name: [fetch_file(name)] for name in FILES]


FETCHED = {"compbench": _compbench, "hps": _hps, "vbench": _vbench}


def fetch_shown(name: str, prompts_only: bool) -> None:
    """Fetch what a bench needs, and say what came; UserError with all that could not be had."""
    if name not in FETCHED:
        raise unknown("fetch", name, FETCHED)
    console, errors = Console(highlight=False), list[UserError]()
    for step in FETCHED[name](prompts_only):
        with gathered(errors):
            for line in step():
                console.print(line, soft_wrap=True)
    if errors:
        raise SeveralError.of(errors)
