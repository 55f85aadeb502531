"""The command `s2g`: look around, run, and see the demo. Nothing heavy is imported before it is needed."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import typer

from s2g import __version__
from s2g.cli.commands.env import app as env_app
from s2g.cli.commands.vbench import COMMANDS as VBENCH
from s2g.config.schema import CHECKOUT
from s2g.errors import KNOWN
from s2g.io.interrupt import STOPPED, uninterrupted

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="S2-Guidance and the bench for training-free guidance of diffusion models.",
    epilog="One run: s2g run model=tiny_sit guidance=s2 guidance.omega=0.5 (the same as python run.py ...).",
)
app.add_typer(env_app, name="env")
PASS_ON = {"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []}


@contextmanager
def stoppable() -> Iterator[None]:
    """Ctrl-C ends a command that samples as it ends a run: one line, exit code 130."""
    try:
        yield
    except KeyboardInterrupt:
        print(STOPPED, file=sys.stderr)
        raise typer.Exit(130) from None


@app.command(context_settings=PASS_ON, add_help_option=False)
def run(context: typer.Context) -> None:
    """One run, or with -m a sweep: s2g run guidance=s2 guidance.omega=0.5."""
    from s2g.cli.run import main as run_main

    raise typer.Exit(run_main(context.args))


@app.command()
def demo(
    num: int = typer.Option(256, help="Items of each method."),
    runs: str = typer.Option("runs", help="Where samples are kept."),
    out: Path = typer.Option(Path("outputs/demo"), help="Where table, picture and page go."),
    workers: int | None = typer.Option(None, help="Processes; as many as cores when not given."),
) -> None:
    """No guidance, CFG and S2 on the same noise: a table, a picture and a page."""
    with stoppable():
        with uninterrupted():
            from s2g.cli.commands.demo import make_demo
        make_demo(num, runs, out, workers)


@app.command()
def methods(
    num: int | None = typer.Option(None, help="Items of each row; the experiment's own number when not given."),
    runs: str = typer.Option("runs", help="Where samples are kept."),
    out: Path = typer.Option(Path("outputs/methods"), help="Where the table goes, as Markdown and JSON."),
    workers: int | None = typer.Option(None, help="Processes; as many as cores when not given."),
    command: str = typer.Option("s2g methods", help="What the table says it was made by."),
) -> None:
    """Every guidance method on the built-in model, beside CFG of the same strength and cost: one table."""
    with stoppable():
        with uninterrupted():
            from s2g.experiments.methods import make_methods
        make_methods(CHECKOUT / "experiments" / "methods.yaml", num, runs, out, workers, command)


@app.command()
def tune(
    name: str = typer.Argument("methods", help="An experiment with knobs to choose: experiments/NAME.yaml."),
    runs: str = typer.Option("runs", help="Where samples are kept."),
    workers: int | None = typer.Option(None, help="Processes; as many as cores when not given."),
) -> None:
    """Choose the methods' knobs on the tuning seed; writes experiments/NAME.chosen.yaml."""
    with stoppable():
        with uninterrupted():
            from s2g.experiments.tuning import tune as tune_methods
        tune_methods(CHECKOUT / "experiments" / f"{name}.yaml", runs, workers)


@app.command()
def table(
    names: list[str] = typer.Argument(help="Tables and figures of the paper: table1, table2, fig7, ..."),
    profile: str = typer.Option("tiny", help="tiny: the built-in models; paper: the paper's."),
    num: int | None = typer.Option(None, min=2, help="Items of each row; the profile's own number when not given."),
    runs: str = typer.Option("runs", help="Where samples are kept."),
    out: Path = typer.Option(Path("outputs/results"), help="Where the results go, as JSON, Markdown, CSV and LaTeX."),
    workers: int | None = typer.Option(None, help="Processes; as many as cores when not given."),
    command: str = typer.Option("s2g table", help="What the results say they were made by."),
    logger: str = typer.Option("none", help="wandb: the same table and pictures as a run of Weights & Biases."),
) -> None:
    """Tables and figures of the paper: runs what is missing, scores, prints, writes."""
    with stoppable():
        with uninterrupted():
            from rich.console import Console

            from s2g.engine.pool import Pool
            from s2g.experiments.runner import Maker
            from s2g.experiments.specification_file import panels
            from s2g.integrations.wandb.run_log import read_logger
        maker = Maker(CHECKOUT / "experiments", out, runs, num, workers, command, read_logger({"name": logger}))
        with Pool(workers) as pool:
            for panel in [panel for name in names for panel in panels(maker.folder, name)]:
                maker.make(panel, profile, Console(highlight=False), pool)


@app.command()
def tables(
    results: Path = typer.Option(CHECKOUT / "experiments" / "results", help="Where measured results lie."),
) -> None:
    """Print every measured table from its file: no model and no run is needed; says which rows are stale."""
    with uninterrupted():
        from rich.console import Console

        from s2g.report.published import print_results
    print_results(CHECKOUT / "experiments", results, Console(highlight=False))


@app.command()
def figures(
    out: Path = typer.Option(CHECKOUT / "experiments" / "results", help="Where measured results lie, and plots go."),
) -> None:
    """Draw every measured table or figure that has a plot, from its file, as SVG and PNG. Runs nothing."""
    with uninterrupted():
        from rich.console import Console

        from s2g.report.published import draw_results
    draw_results(CHECKOUT / "experiments", out, Console(highlight=False))


@app.command()
def claims(
    out: Path = typer.Option(CHECKOUT / "experiments" / "results", help="Where measured results lie, and claims.md goes."),
) -> None:
    """The paper's claims against what was measured: holds, does not hold, inconclusive, not run. Runs nothing."""
    with uninterrupted():
        from rich.console import Console

        from s2g.experiments.verdicts import show_claims
    show_claims(CHECKOUT / "experiments", out, Console(highlight=False))


@app.command()
def report(
    results: Path = typer.Option(CHECKOUT / "experiments" / "results", help="Where measured results lie."),
    out: Path = typer.Option(Path("outputs/report"), help="Where the pages go; the folder is made anew."),
    runs: str = typer.Option("runs", help="Where samples are kept: what is there is shown with its configuration."),
) -> None:
    """Everything that was measured as a static site that opens from a disk. Runs nothing."""
    with uninterrupted():
        from rich.console import Console

        from s2g.report.html.site import write_site
    write_site(CHECKOUT / "experiments", results, runs, out, Console(highlight=False))


@app.command()
def plan(
    name: str = typer.Argument(help="A table or figure of the paper: table1, table2, ..."),
    profile: str = typer.Option("tiny", help="tiny: the built-in models; paper: the paper's."),
    num: int | None = typer.Option(None, min=2, help="Items of each row; the profile's own number when not given."),
    runs: str = typer.Option("runs", help="Where samples are kept."),
) -> None:
    """What a table or figure would take: items, network calls, FLOPs, GPU-hours, disk, downloads, licences."""
    with stoppable():
        with uninterrupted():
            from s2g.experiments.planning import show_plan_of
        show_plan_of(CHECKOUT / "experiments", name, profile, num, runs)


@app.command()
def ls() -> None:
    """What there is: models, guidance methods, samplers, benches."""
    from s2g.cli.commands.inventory import show_registries

    show_registries()


@app.command()
def show(
    run: str = typer.Argument(help="A run's folder, its key, or the beginning of its key."),
    runs: str = typer.Option("runs", help="Where samples are kept."),
) -> None:
    """One stored run: what made it, how far it is, its scores."""
    from s2g.cli.commands.inventory import show_run

    show_run(run, runs)


@app.command()
def status(
    run: str = typer.Argument("", help="A run's folder, its key, or the beginning of its key; all runs when not given."),
    runs: str = typer.Option("runs", help="Where samples are kept."),
) -> None:
    """How far the runs are: done, missing, failed, who works on them, how long it will take."""
    from s2g.cli.commands.upkeep import show_status

    show_status(run, runs)


@app.command()
def verify(
    run: str = typer.Argument(help="A run's folder, its key, or the beginning of its key."),
    runs: str = typer.Option("runs", help="Where samples are kept."),
    repair: bool = typer.Option(False, "--repair", help="Make what is damaged anew, and hold it against what was recorded."),
    replace: bool = typer.Option(False, "--replace", help="Repair also where whole items of a damaged unit would change."),
    workers: int | None = typer.Option(None, help="Processes of the repair; as many as cores when not given."),
) -> None:
    """Hash every stored item and hold it against its record; 1 if something is damaged."""
    from s2g.cli.commands.upkeep import show_verify

    with stoppable():
        raise typer.Exit(show_verify(run, runs, repair, workers, replace))


@app.command(name="export-npz")
def export_npz(
    run: str = typer.Argument(help="A run's folder, its key, or the beginning of its key."),
    file: Path = typer.Argument(help="Where the batch goes; .npz."),
    runs: str = typer.Option("runs", help="Where samples are kept."),
    num: int | None = typer.Option(None, min=1, help="Images from the first on; all that were asked for when not given."),
) -> None:
    """The same as s2g export RUN FILE --to adm: arr_0, uint8 [N, H, W, 3], in item order."""
    from s2g.cli.commands.verify_fid import export_npz as export

    with stoppable():
        export(run, runs, file, num)


@app.command()
def export(
    run: str = typer.Argument(help="A run's folder, its key, or the beginning of its key."),
    out: Path = typer.Argument(help="Where the images or videos go: an empty folder; for adm, a .npz."),
    to: str = typer.Option(..., help="adm, compbench, hps or vbench: whose names the files get."),
    runs: str = typer.Option("runs", help="Where samples are kept."),
    num: int | None = typer.Option(None, min=1, help="Images from the first on; all that were asked for when not given."),
) -> None:
    """A run's images under the names of an official evaluator; refused while any of them is missing."""
    from s2g.cli.commands.export import export as export_run

    with stoppable():
        export_run(run, runs, to, out, num)


@app.command()
def score(
    run: str = typer.Argument(help="A run's folder, its key, or the beginning of its key."),
    keys: list[str] = typer.Argument(None, help="Keys of its bench to change: bench.score=[blip,qalign]"),
    runs: str = typer.Option("runs", help="Where samples are kept."),
    num: int | None = typer.Option(None, min=2, help="Items from the first on; all that were asked for when not given."),
    allow_missing: bool = typer.Option(False, "--allow-missing", help="Score the images that are there, and label the score."),
    workers: int | None = typer.Option(None, help="Processes; as many as cores, or as GPUs, when not given."),
) -> None:
    """Scores of stored images, without the model that made them; goes on where it was stopped."""
    with stoppable():
        with uninterrupted():
            from rich.console import Console

            from s2g.cli.commands.score import score_stored
        score_stored(run, runs, keys or [], num, allow_missing, workers, Console(highlight=False))


@app.command(name="verify-fid")
def verify_fid(
    path: Path = typer.Argument(help="ADM's public batch of samples, or another npz of 256x256 images (--other)."),
    inception: str = typer.Option("weights-inception-2015-12-05-6726825d.pth", help="bench.inception: the network's weights."),
    reference: str = typer.Option("VIRTUAL_imagenet256_labeled.npz", help="bench.reference: ADM's statistics."),
    device: str = typer.Option("auto", help="cpu, cuda, or auto."),
    other: bool = typer.Option(False, "--other", help="It is another batch: print its numbers and compare nothing."),
) -> None:
    """Our FID, sFID, IS, precision and recall of a batch beside the official evaluator's (FID 3.94256, IS 215.837 of ADM's)."""
    from s2g.cli.commands.verify_fid import verify_fid as verify_batch

    with stoppable():
        raise typer.Exit(verify_batch(path, inception, reference, device, other))


@app.command()
def fetch(
    name: str = typer.Argument(help="A bench whose prompts and scorers are fetched: compbench, hps, vbench."),
    prompts_only: bool = typer.Option(False, "--prompts-only", help="Leave out what is large."),
) -> None:
    """Get what a bench needs from where it is published; sha256 are recorded at the first fetch and required ever after."""
    from s2g.cli.commands.fetch import fetch_shown

    with stoppable():
        fetch_shown(name, prompts_only)


@app.command(name="score-folder")
def score_folder(
    folder: Path = typer.Argument(help="Images under official names, as s2g export writes them: FOLDER/STYLE/NNNNN.jpg."),
    typed: list[str] = typer.Argument(None, help="Knobs of the bench: bench.path=FOLDER, bench.antialias=false, ..."),
    bench: str = typer.Option("hps", help="Whose names they are, and whose scores: hps, compbench."),
    allow_missing: bool = typer.Option(False, "--allow-missing", help="Score the images that are there, and label the score."),
    workers: int | None = typer.Option(None, help="Processes; as many as cores, or as GPUs, when not given."),
) -> None:
    """Scores of images that anybody made; missing, extra and unreadable ones are named and stop it."""
    from s2g.cli.commands.score_folder import score_folder as score_images

    with stoppable():
        score_images(folder, bench, typed or [], allow_missing, workers)


@app.command(name="compare-scorers")
def compare_scorers(
    run: str = typer.Argument(help="A run of bench=hps: its folder, its key, or the beginning of its key."),
    runs: str = typer.Option("runs", help="Where samples are kept."),
    num: int | None = typer.Option(None, min=1, help="Images from the first on; all that were asked for when not given."),
    workers: int | None = typer.Option(None, help="Processes; as many as cores, or as GPUs, when not given."),
) -> None:
    """Our HPS scorer beside the official hpsv2 package on the same images (s2g env build hpsv2)."""
    from s2g.cli.commands.compare_scorers import compare_scorers as compare

    with stoppable():
        compare(run, runs, num, workers)


for _name, _command in VBENCH.items():
    app.command(name=_name)(_command)


@app.command()
def gc(
    runs: str = typer.Option("runs", help="Where samples are kept."),
    whole: bool = typer.Option(False, "--runs-too", help="Also whole runs that no table or page refers to."),
    yes: bool = typer.Option(False, "--yes", help="Delete what is listed."),
    refer: list[Path] = typer.Option(
        [Path("outputs"), Path("experiments")], help="Folders whose tables and pages (their runs.json) refer to runs."
    ),
) -> None:
    """List what nothing refers to, with sizes; deletes it only with --yes."""
    from s2g.cli.commands.upkeep import show_gc

    show_gc(runs, whole, yes, refer)


@app.command()
def doctor() -> None:
    """What this machine has, and what is missing: Python, torch, devices, weights, prompts, disk."""
    from s2g.cli.commands.doctor import show_doctor

    raise typer.Exit(show_doctor())


@app.command()
def version() -> None:
    """The version of s2g."""
    print(__version__)


def main() -> int:
    """Entry point: a user's mistake is one message and exit code 2, what went wrong on the way one message and 1."""
    try:
        app(standalone_mode=True)
    except KNOWN as error:
        from s2g.cli.run import exit_code, explain

        print(f"error: {explain(error)}", file=sys.stderr)
        return exit_code(error)
    return 0


if __name__ == "__main__":
    sys.exit(main())
