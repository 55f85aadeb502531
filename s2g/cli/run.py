"""`python run.py` and `s2g run`: compose a configuration with Hydra, check it, run it, score it, print the result."""

from __future__ import annotations

import errno
import os
import signal
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from threading import current_thread, main_thread
from typing import Any

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import ConfigCompositionException, HydraException, MissingConfigException, OverrideParseException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from rich.console import Console

from s2g.config.schema import ExecutorConfig, config_dir
from s2g.errors import KNOWN, DamageError, IsolatedError, UnitsFailedError, UserError, no_such_key, unknown
from s2g.io.interrupt import STOPPED, uninterrupted


@dataclass
class Session:
    """One command line: the executors that the runs of a sweep share, their results and their errors."""

    console: Console
    stack: ExitStack = field(default_factory=ExitStack)
    executors: dict[ExecutorConfig, Any] = field(default_factory=dict)
    rows: list[tuple[dict[str, str], Any]] = field(default_factory=list)
    errors: list[Exception] = field(default_factory=list)

    def executor(self, config: ExecutorConfig) -> Any:
        """Return the pool for this configuration, started once."""
        from s2g.engine.executors.local import LocalExecutor

        if config not in self.executors:
            self.executors[config] = self.stack.enter_context(LocalExecutor(config))
        return self.executors[config]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command line; return 0 (done), 1 (failed while running), 2 (user error) or 130 (interrupted)."""
    os.environ["HYDRA_FULL_ERROR"] = "1"  # exceptions come to us instead of Hydra's own report
    # SIGTERM is what a cluster sends before it kills: stop as for Ctrl-C.
    handled = signal.signal(signal.SIGTERM, _terminated) if current_thread() is main_thread() else None
    before = sys.argv
    sys.argv = ["run.py", *(sys.argv[1:] if arguments is None else arguments)]
    session = Session(Console(highlight=False))
    try:
        with session.stack:
            hydra.main(version_base="1.3", config_path=str(config_dir()), config_name="run")(lambda c: job(c, session))()
        if len(session.rows) > 1:
            from s2g.report.sweep import show_sweep

            show_sweep(session.rows, session.console)
    except (HydraException, OmegaConfBaseException, OSError) as error:
        session.errors.append(error)
    except ValueError as error:
        if "Config group override" not in str(error):  # Hydra's word for guidance=null
            raise
        todo = "s2g ls lists names; no guidance at all is guidance=none"
        session.errors.append(UserError("a group was set to null: it is needed, by name", todo=todo))
    except KeyboardInterrupt:
        print(STOPPED, file=sys.stderr)
        return 130
    finally:
        sys.argv = before
        if handled is not None:
            signal.signal(signal.SIGTERM, handled)
    for said in dict.fromkeys(explain(error) for error in session.errors):
        print(f"error: {said}", file=sys.stderr)
    return min((exit_code(error) for error in session.errors), default=0)


def exit_code(error: Exception) -> int:
    """Return 2 for a user error, 1 for a failure while running."""
    asked = isinstance(error, UserError | HydraException | OmegaConfBaseException) and not isinstance(error, DamageError)
    return 2 if asked else 1


def _terminated(number: int, frame: Any) -> None:
    raise KeyboardInterrupt


def job(composed: DictConfig, session: Session) -> None:
    """Run one configuration; keep its error, so that the other runs of a sweep continue."""
    try:
        one(composed, session)
    except KNOWN as error:
        session.errors.append(error)


def one(composed: DictConfig, session: Session) -> None:
    """Plan a run, or sample its missing units, score it and print the result."""
    from s2g.engine.run import RANDOM, resolve
    from s2g.integrations.wandb.run_log import log_run, read_logger
    from s2g.scoring.score import score
    from s2g.scoring.scoring_pool import Crew
    from s2g.store.locks import in_use
    from s2g.store.store import Store

    raw = OmegaConf.to_container(composed, resolve=True)
    assert isinstance(raw, dict)
    if raw.get("plan") is True:
        with uninterrupted():
            from s2g.experiments.planning import show_run_plan
        read_logger(raw["logger"])
        show_run_plan(raw, str(raw["runs"]), session.console)  # type: ignore[arg-type]
        return
    run, executor_config, settings = resolve(raw, fetching=True)  # type: ignore[arg-type]
    logger = read_logger(raw["logger"])
    store = Store.of(run, settings.runs)
    store.begin(run, executor_config.reuse)
    made = 0
    with in_use(store.folder):
        if store.missing(run):
            with uninterrupted():
                from s2g.engine.execute import execute  # loads torch, which a fully stored run does not need

            executor = session.executor(executor_config)
            done = execute([run], settings.runs, executor, executor_config.reuse, session.console)
            done.check(run)
            made = done.items
        try:
            result = score(run, store, Crew(lambda: session.executor(executor_config), session.console))
        except UserError:  # what a run of random weights lacks is said now, not before it
            session.console.print(f"{made} items made now, {run.num} kept, none scored: {store.shown()}", soft_wrap=True)
            if run.random:
                session.console.print(RANDOM, soft_wrap=True)
            raise
    overrides = dict(text.split("=", 1) for text in HydraConfig.get().overrides.task if "=" in text)
    session.rows.append((overrides, result))
    show_result(session.console, result, store, made)
    if logger is not None:
        session.console.print(log_run(logger, result, store), soft_wrap=True)


def show_result(console: Console, result: Any, store: Any, made: int) -> None:
    """Print a run's scores, its cost and its folder."""
    from s2g.engine.run import RANDOM
    from s2g.report.tables import console_table, cost_line, heading, scale_line, with_interval

    run = result.run
    rows = [[heading(m), with_interval(result.estimates[m.name], m.digits)] for m in run.bench.metrics]
    if rows:
        console.print(console_table([f"{run.model.name}, {run.name}, n = {run.num}", "value"], rows))
    of_images = "; no number here is an ImageNet number" if run.config.get("bench", {}).get("name") == "shapes" else ""
    console.print(
        (f"± is half a 95 % interval over {over(result)}{of_images}\n" if rows else "nothing is scored\n")
        + f"{cost_line(result.cost)}\n"
        f"{scale_line(result.effective)}\n"
        f"{made} items made now, {run.num if rows else 0} scored: {store.shown()}",
        soft_wrap=True,
    )
    if run.random:
        console.print(RANDOM, soft_wrap=True)
    for remark in result.remarks:
        console.print(remark, soft_wrap=True, markup=False)
    if result.not_kept:
        console.print(f"the scores could not be kept there: {result.not_kept}")


def over(result: Any) -> str:
    """Return the number and kind of samples behind the intervals, as text."""
    if hasattr(result.run.bench, "clusters"):
        return f"{next(iter(result.estimates.values())).units} prompts"
    return f"{len(result.run.units)} units"


def explain(error: Exception) -> str:
    """Return an error's message; errors of Hydra, OmegaConf and the system in our form: key, value, allowed, what to do."""
    if isinstance(error, UserError | UnitsFailedError | IsolatedError):
        return str(error)
    if isinstance(error, OSError) and not isinstance(error, HydraException):  # a missing config is both
        where = error.filename or "writing"
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            todo = "free the disk, or use another folder (runs=FOLDER); what is stored stays, the same command goes on"
        elif error.errno in (errno.EROFS, errno.EACCES, errno.EPERM):
            todo = "use a folder you may write to: runs=FOLDER"
        else:
            todo = "the same command goes on from what is stored"
        return f"{where}: {error.strerror or error}\n  do: {todo}"
    if isinstance(error, MissingConfigException) and error.missing_cfg_file and error.options:
        group, _, name = error.missing_cfg_file.partition("/")
        return str(unknown(group, name, error.options, todo="s2g ls lists what there is"))
    cause = error.__cause__
    if isinstance(error, ConfigCompositionException) and isinstance(cause, OmegaConfBaseException):
        key, parent = str(cause.full_key or ""), cause.parent_node
        known = [str(name) for name in parent] if isinstance(parent, DictConfig) else []
        if known and key.rpartition(".")[2] not in known:
            return str(no_such_key(key, [name for name in known if name != "name"]))
    if isinstance(error, OverrideParseException):
        example = "guidance.omega=0.3, or several with -m: guidance.omega=0.1,0.25"
        return f"{error.override}: cannot be read\n  allowed: key=value, e.g. {example}"
    lines = [line for line in str(error).splitlines() if line.strip()]
    return "\n  ".join(lines[:3]) + "\n  do: python run.py --help lists groups and keys"
