"""Sweeps: the knobs that differ, runs that are one, and means over seeds."""

from __future__ import annotations

from pathlib import Path

import pytest
from scipy import stats

from s2g.cli.run import main
from s2g.metrics.statistics import over_seeds


def test_a_sweep_over_seeds_ends_in_means_over_seeds(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    sweep = ["-m", "guidance=none,cfg", "seed=1,2,3", "sampler.steps=2", "num=32", "executor.workers=1", f"runs={tmp_path}"]
    assert main(sweep) == 0
    lines = capfd.readouterr().out.splitlines()
    runs, seeds = (next(i for i, line in enumerate(lines) if line.split()[-1:] == [word]) for word in ("run", "seeds"))
    rows = [line.split() for line in lines[runs:seeds] if line.split()[:1] in (["none"], ["cfg"])]
    means = {line.split()[0]: line.split() for line in lines[seeds:] if line.split()[:1] in (["none"], ["cfg"])}
    assert len(rows) == 6 and set(means) == {"none", "cfg"}
    values = [float(row[3].partition("±")[0]) for row in rows if row[0] == "none"]
    mean, half = (float(text) for text in means["none"][2].split("±"))
    reach = stats.t.ppf(0.975, 2) * (sum((v - sum(values) / 3) ** 2 for v in values) / 2 / 3) ** 0.5
    assert (mean, half) == pytest.approx((sum(values) / 3, reach), abs=0.11) and means["none"][-1] == "3"


def test_one_seed_has_no_interval_over_seeds() -> None:
    assert over_seeds([3.0]).low is None
