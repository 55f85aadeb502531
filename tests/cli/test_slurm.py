"""Runs and tables as SLURM jobs: the scripts, a stand-in for sbatch, a real cluster where there is one, sweeps by submitit."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from s2g.cli.main import app
from s2g.cli.slurm import SlurmJobs
from s2g.config.schema import CHECKOUT
from s2g.errors import UserError
from s2g.store.journal import Journal
from s2g.store.store import Store

QUICK = ["run", "guidance=none", "sampler.steps=1", "num=48"]


def test_workers_are_the_command_without_scores_and_the_scorer_is_the_command() -> None:
    jobs = SlurmJobs(["table", "table 2", "--profile", "paper"], 16, ["--partition=h100"])
    worker, scorer = jobs.worker().splitlines(), jobs.scorer("77").splitlines()
    assert {"#SBATCH --array=0-15", "#SBATCH --requeue", "#SBATCH --gres=gpu:1"} <= set(worker)
    assert worker[0] == scorer[0] == "#!/bin/bash" and "#SBATCH --dependency=afterany:77" in scorer
    assert all("#SBATCH --partition=h100" in script for script in (worker, scorer))
    assert f"{sys.executable} -m s2g.cli.main table --workers=1 'table 2' --profile paper --no-score &" in worker
    assert scorer[-1] == f"exec {sys.executable} -m s2g.cli.main table 'table 2' --profile paper"


@pytest.mark.parametrize("command", [[], ["tabel", "table2"]])
def test_only_runs_and_tables_are_submitted(command: list[str]) -> None:
    with pytest.raises(UserError, match=r"COMMAND(.|\n)*allowed: run, table"):
        SlurmJobs(command, 8)


def test_a_dry_run_prints_both_jobs_and_a_mistake_is_found_first(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    app(["submit", "--gpus", "2", "--dry-run", *QUICK], standalone_mode=False)
    out = capsys.readouterr().out
    assert "3 units to make" in out and "--array=0-1" in out and "afterany" in out and not list(tmp_path.iterdir())
    assert app(["submit", "--dry-run", "run", "guidance.omga=1"], standalone_mode=False) == 2
    assert "omga" in capsys.readouterr().err


@pytest.mark.parametrize("option", ["--dry-run", "--gpus=2"])
def test_an_option_of_submit_behind_the_command_is_refused_and_nothing_submitted(
    option: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sbatch = tmp_path / "sbatch"
    sbatch.write_text('#!/bin/sh\ntouch "$0.got"\necho 41\n')
    sbatch.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    with pytest.raises(UserError, match=rf"{option}: an option of submit(.|\n)*do: s2g submit {option} table"):
        app(["submit", "table", "table2", option], standalone_mode=False)
    assert not (tmp_path / "sbatch.got").exists()


def test_where_there_is_no_slurm_a_message_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UserError, match=r"sbatch: there is no such command(.|\n)*--dry-run(.|\n)*table table2 --no-score"):
        SlurmJobs(["table", "table2"], 8).submit()


def test_the_scorer_waits_for_the_array_and_a_refusal_is_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sbatch = tmp_path / "sbatch"
    sbatch.write_text('#!/bin/sh\ncat >> "$0.got"\necho "41;cluster"\n')
    sbatch.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    assert SlurmJobs(QUICK, 2).submit() == ("41", "41")
    got = (tmp_path / "sbatch.got").read_text()
    assert got.count("#!/bin/bash") == 2 and got.index("--array=0-1") < got.index("--dependency=afterany:41")
    sbatch.write_text("#!/bin/sh\necho 'error: invalid partition' >&2\nexit 1\n")
    with pytest.raises(UserError, match="invalid partition"):
        SlurmJobs(QUICK, 2).submit()


@pytest.mark.slow("a cluster")
def test_an_array_on_a_real_cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two workers and the scoring job; each unit is made once."""
    if shutil.which("sbatch") is None or subprocess.run(["squeue"], capture_output=True, check=False).returncode:
        pytest.skip("no SLURM here: apt-get install slurmctld slurmd munge, and one node in slurm.conf with Gres=gpu:2")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(CHECKOUT))
    array, scorer = SlurmJobs([*QUICK, f"runs={tmp_path / 'runs'}"], 2, logs=str(tmp_path)).submit()
    until = time.monotonic() + 500
    while time.monotonic() < until:
        if not subprocess.run(["squeue", "-h", "-j", f"{array},{scorer}"], capture_output=True, check=False).stdout:
            break
        time.sleep(1)
    (folder,) = (tmp_path / "runs").iterdir()
    begun = [event["unit"] for event in Journal(folder).events() if event["event"] == "begun"]
    assert sorted(begun) == [0, 1, 2] and Store(folder).stored() == {0, 1, 2}
    assert len(list((folder / "scores").iterdir())) == 2 and "48 scored" in (tmp_path / f"{scorer}.log").read_text()


@pytest.mark.slow("jobs of their own")
def test_a_sweep_by_submitit(tmp_path: Path) -> None:
    """The launcher's local executor stands in for SLURM: each job of a sweep runs in a process that submitit starts."""
    pytest.importorskip("hydra_plugins.hydra_submitit_launcher", reason="needs the extra slurm: pip install '.[slurm]'")
    sweep = ["-m", "hydra/launcher=submitit_local", "guidance=none,cfg", "sampler.steps=1", "num=16", "executor.workers=1"]
    done = subprocess.run(
        [sys.executable, str(CHECKOUT / "run.py"), *sweep, "runs=runs"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert sorted(path.name.split("-")[1] for path in (tmp_path / "runs").iterdir()) == ["cfg", "none"]
    assert all(len(list(path.glob("scores/*.json"))) == 1 for path in (tmp_path / "runs").iterdir())
