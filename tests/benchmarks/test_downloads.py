"""What a plan says that scoring fetches: environments of its own are part of it."""

from __future__ import annotations

from s2g.benchmarks.compbench.bench import CompBench
from s2g.benchmarks.dpg.bench import DPG
from s2g.benchmarks.geneval2.bench import GenEval2
from s2g.benchmarks.hps.bench import HPS21


def test_environments_are_among_what_is_fetched() -> None:
    assert any("environment phrases" in line for line in CompBench().downloads)
    assert not any("environment phrases" in line for line in CompBench(score=("qalign",)).downloads)
    assert any("environment hpsv2" in line for line in HPS21(scorer="official").downloads)
    assert not any("environment hpsv2" in line for line in HPS21().downloads)
    for bench in (DPG, GenEval2):
        assert any(f"environment {bench.name}" in line for line in bench().downloads)
        assert not any("environment" in line for line in bench(score=()).downloads)
