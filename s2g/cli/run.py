"""`python run.py` and `s2g run`: compose with Hydra, sample what is missing, score, print."""

from __future__ import annotations

import errno
import math
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from threading import current_thread, main_thread
from typing import Any

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from rich.console import Console

from s2g.config.compose import COMPOSITION_ERRORS, check_arguments, explain_composition, swept_knobs
from s2g.config.own_modules import import_own_modules
from s2g.config.plugins import store_registered_methods
from s2g.config.schema import ExecutorConfig, config_dir
from s2g.engine.pool import Pool
from s2g.errors import KNOWN, DamageError, IsolatedError, UnitsFailedError, UserError
from s2g.io.interrupt import INTERRUPTED, uninterrupted


@dataclass
class Session:
    """State of one command line: worker pools, results and errors of all runs of a sweep."""

    console: Console
    stack: ExitStack = field(default_factory=ExitStack)
    pools: dict[ExecutorConfig, Pool] = field(default_factory=dict)
    command: Sequence[str] = ()  # arguments as typed
    swept: Mapping[str, int] = field(default_factory=dict)  # how many values of each knob
    baseline: int = 1
    jobs: list[Any] = field(default_factory=list)  # report.sweep.Job of each scored job of a sweep
    failed: list[str] = field(default_factory=list)
    errors: list[Exception] = field(default_factory=list)
    elsewhere: bool = False  # in a process that a launcher of Hydra has started for one job of the sweep

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle for such a process: what the command line says, and nothing of what was done so far."""
        return _session_elsewhere, (tuple(self.command), dict(self.swept))

    def place(self) -> tuple[int, str]:
        """Return the number of the running job of a sweep, from 1, and "2 of 6: guidance=s2" to name it."""
        number = HydraConfig.get().job.num + 1
        knobs = [text for text in HydraConfig.get().overrides.task if text.partition("=")[0] in self.swept]
        return number, ": ".join([f"{number} of {math.prod(self.swept.values())}", *([" ".join(knobs)] if knobs else [])])

    def pool(self, config: ExecutorConfig) -> Pool:
        """Return the workers of this configuration, shared by every run of the sweep that has it."""
        if config not in self.pools:
            self.pools[config] = self.stack.enter_context(Pool(config=config))
        return self.pools[config]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command line; return 0 on success, 1 on a failure, 2 on a user's mistake, 130 on an interrupt."""
    os.environ["HYDRA_FULL_ERROR"] = "1"  # exceptions come to us instead of Hydra's own report
    # SIGTERM is what a cluster sends before it kills: stop as for Ctrl-C.
    handled = signal.signal(signal.SIGTERM, _terminated) if current_thread() is main_thread() else None
    before = sys.argv
    given = list(sys.argv[1:] if arguments is None else arguments)
    session = Session(Console(highlight=False), command=given)
    try:
        with session.stack:
            sys.argv = ["run.py", *overrides_first(import_own_modules(given))]
            check_arguments(sys.argv[1:])
            session.swept = swept_knobs(sys.argv[1:])
            store_registered_methods()
            hydra.main(version_base="1.3", config_path=str(config_dir()), config_name="run")(lambda c: job(c, session))()
        end_sweep(session)
    except (*COMPOSITION_ERRORS, OSError, UserError) as error:
        session.errors.append(error)
    except ValueError as error:
        session.errors.append(reworded(error))
    except KeyboardInterrupt:
        print(INTERRUPTED, file=sys.stderr)
        end_sweep(session)  # of the jobs that were done
        return 130
    finally:
        sys.argv = before
        if handled is not None:
            signal.signal(signal.SIGTERM, handled)
    for message in dict.fromkeys(explain(error) for error in session.errors):
        print(f"error: {message}", file=sys.stderr)
    return min((exit_code(error) for error in session.errors), default=0)


def _session_elsewhere(command: Sequence[str], swept: Mapping[str, int]) -> Session:
    return Session(Console(highlight=False), command=command, swept=swept, elsewhere=True)


def overrides_first(arguments: Sequence[str]) -> list[str]:
    """Return the arguments with flags after overrides: Hydra's parser refuses overrides on both sides of a flag."""
    return sorted(arguments, key=lambda argument: argument.startswith("-") or ("=" not in argument and argument[:1] != "~"))


def end_sweep(session: Session) -> None:
    """Print and write what the jobs of a sweep gave, if any was scored."""
    if session.jobs:
        from s2g.report.show_sweep import show_sweep
        from s2g.report.sweep import Sweep

        show_sweep(Sweep(session.jobs, session.baseline, session.failed), session.command, session.console)


def reworded(error: ValueError) -> UserError:
    """Return our message for two mistakes that Hydra reports as a ValueError; raise any other error again."""
    if "Config group override" in str(error):
        todo = "s2g ls lists names; no guidance at all is guidance=none"
        return UserError("a group was set to null: it is needed, by name", todo=todo)
    if "only one of" in str(error).lower():
        return UserError(str(error), todo="keep one of these flags")
    raise error


def exit_code(error: Exception) -> int:
    """Return 2 for a user's mistake, 1 for a failure."""
    asked = isinstance(error, (UserError, *COMPOSITION_ERRORS)) and not isinstance(error, DamageError)
    return 2 if asked else 1


def _terminated(number: int, frame: Any) -> None:
    raise KeyboardInterrupt


def job(composed: DictConfig, session: Session) -> None:
    """Run one configuration; keep its error so that the other runs of a sweep go on, or raise it for a launcher."""
    try:
        one(composed, session)
    except KNOWN as error:
        session.errors.append(error)
        if HydraConfig.get().mode == RunMode.MULTIRUN:
            reason = explain(error).splitlines()[0]
            session.failed.append(f"job {session.place()[1]}: {reason}")
            session.console.print(f"{session.place()[1]}: failed: {reason}", soft_wrap=True, markup=False)
    if session.elsewhere:
        session.stack.close()
        for error in session.errors:
            raise error


def one(composed: DictConfig, session: Session) -> None:
    """Sample what a run is missing, score it and print it; with plan=true only print its plan."""
    from s2g.engine.resolve import resolve
    from s2g.engine.run import RANDOM
    from s2g.experiments.produce import sampled
    from s2g.integrations.wandb.run_log import log_run, read_logger
    from s2g.store.store import Store

    raw = OmegaConf.to_container(composed, resolve=True)
    assert isinstance(raw, dict)
    for key in ("plan", "runs", "logger"):
        if key not in raw:
            raise UserError(f"{key}: it was deleted, but is required", todo=f"leave out ~{key}")
    if raw.get("plan") is True:
        with uninterrupted():
            from s2g.report.show_plan import show_run_plan
        read_logger(raw["logger"])
        show_run_plan(raw, str(raw["runs"]), session.console)  # type: ignore[arg-type]
        return
    run, executor_config, settings = resolve(raw, fetching=True)  # type: ignore[arg-type]
    logger = read_logger(raw["logger"])
    sweeping = HydraConfig.get().mode == RunMode.MULTIRUN
    check_baseline(settings.baseline, session, sweeping)
    store = Store.of(run, settings.runs)
    with sampled([run], settings.runs, session.pool(executor_config), session.console, settings.score) as samples:
        if not settings.score:
            left = len(store.missing(run))
            session.console.print(made_here(samples.made, left, store.display_path()), soft_wrap=True)
            return
        try:
            (result,) = samples.scores()
        except UserError:  # a scorer may refuse random weights
            text = f"{samples.made} items made now, {run.num} kept, none scored: {store.display_path()}"
            session.console.print(text, soft_wrap=True)
            if run.random:
                session.console.print(RANDOM, soft_wrap=True)
            raise
    if sweeping:
        from s2g.report.sweep import Job

        number, name = session.place()
        overrides = dict(text.split("=", 1) for text in HydraConfig.get().overrides.task if "=" in text)
        session.jobs.append(Job(number, overrides, result, settings.runs))
        session.console.print(f"{name}: {brief(result)}; {samples.made} items made: {store.display_path()}", soft_wrap=True)
    else:
        show_result(session.console, result, store, samples.made)
    if run.config["bench"]["name"] == "prompts" and not sweeping:  # images are all it makes
        from s2g.report.html.gallery_page import write_gallery_page

        session.console.print(f"Page: {write_gallery_page([run], settings.runs)}", soft_wrap=True)
    if logger is not None:
        session.console.print(log_run(logger, result, store), soft_wrap=True)


def made_here(made: int, left: int, where: str) -> str:
    """Return what a process without scoring says at its end; left: units that other processes are sampling."""
    others = f"; {left} units are being sampled by other processes" if left else "; nothing is missing"
    return f"{made} items made now, none scored{others}: {where}"


def check_baseline(baseline: int | None, session: Session, sweeping: bool) -> None:
    """Keep the sweep's baseline; UserError if there is no such job, or no sweep."""
    if baseline is not None and not sweeping:
        raise UserError(f"baseline = {baseline}: this is one run", allowed="with -m, the number of a job", todo="leave it out")
    session.baseline = 1 if baseline is None else baseline
    count = math.prod(session.swept.values())
    if session.swept and session.baseline > count:
        raise UserError(f"baseline = {baseline}: the sweep has {count} jobs", allowed=f"1 to {count}")


def brief(result: Any) -> str:
    """Return n and the main metrics of a result on one line."""
    from s2g.report.number_text import with_interval

    metrics = [m for m in result.run.bench.metrics if m.main]
    shown = [f"{metric.label} {with_interval(result.estimates[metric.name], metric.digits)}" for metric in metrics]
    return ", ".join([f"n = {result.run.num}", *shown])


def show_result(console: Console, result: Any, store: Any, made: int) -> None:
    """Print the scores of one run, its cost, and its folder."""
    from s2g.engine.run import RANDOM
    from s2g.report.number_text import cost_line, heading, interval_note, scale_line, with_interval
    from s2g.report.tables import console_table
    from s2g.sampling.activity import method_notes

    run = result.run
    rows = [[heading(m), with_interval(result.estimates[m.name], m.digits)] for m in run.bench.metrics]
    if rows:
        console.print(console_table([f"{run.model.name}, {run.name}, n = {run.num}", "value"], rows))
    of_images = "; no number here is an ImageNet number" if run.config.get("bench", {}).get("name") == "shapes" else ""
    whole = f" (a unit is made whole: {run.model.unit} items)" if made and run.num % run.model.unit else ""
    console.print(
        (f"{interval_note(run)}{of_images}\n" if rows else "this bench scores nothing\n") + f"{cost_line(result.cost)}\n"
        f"{scale_line(result.effective)}\n"
        f"{made} items made now{whole}, {run.num if rows else 0} scored: {store.display_path()}",
        soft_wrap=True,
    )
    for note in method_notes(run.name, run.guidance, run.sampler, run.model.blocks):
        console.print(note, soft_wrap=True, markup=False)
    if run.random:
        console.print(RANDOM, soft_wrap=True)
    for remark in result.remarks:
        console.print(remark, soft_wrap=True, markup=False)
    if result.not_kept:
        console.print(f"the scores could not be stored: {result.not_kept}")


def explain(error: Exception) -> str:
    """Return an error as a message in our form: key, value, allowed values, next command."""
    if isinstance(error, UserError | UnitsFailedError | IsolatedError):
        return str(error)
    if isinstance(error, OSError) and not isinstance(error, HydraException):  # a missing config is both
        where = error.filename or "writing"
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            todo = "free disk space, or use another folder (runs=FOLDER); what is stored is kept, and the same command resumes"
        elif error.errno in (errno.EROFS, errno.EACCES, errno.EPERM):
            todo = "use a folder you may write to: runs=FOLDER"
        else:
            todo = "run the same command again: it resumes from what is stored"
        return f"{where}: {error.strerror or error}\n  do: {todo}"
    return explain_composition(error)
