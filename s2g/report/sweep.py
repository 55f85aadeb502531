"""A sweep's jobs compared: the knobs that differ, paired differences to a baseline job, and means over seeds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

from s2g.engine.bench import Metric
from s2g.engine.run import RANDOM
from s2g.metrics.statistics import Estimate, over_seeds
from s2g.report.number_text import heading, scale_of, with_interval
from s2g.scoring.score import Score, difference, unpaired

SEEDS = ("seed", "mask_seed")
RUN = "run"  # column: number of the distinct run


@dataclass(frozen=True)
class Job:
    """One job of a sweep that was scored."""

    number: int  # from 1, as it ran
    overrides: dict[str, str]  # as Hydra gave them to the job
    score: Score
    root: str  # folder that holds its run

    def number_of(self, knob: str) -> float | None:
        """Return a knob as a number; None if it is none."""
        try:
            return float(self.overrides[knob])
        except (KeyError, ValueError):
            return None


@dataclass(frozen=True)
class Sweep:
    """Jobs in the order they ran, the number of the job that the others are compared with, and what failed."""

    jobs: Sequence[Job]
    baseline: int = 1
    failed: Sequence[str] = field(default=())  # "job: reason"

    @cached_property
    def knobs(self) -> list[str]:
        """Return the names of the knobs that differ between jobs, in the order typed."""
        names = dict.fromkeys(name for job in self.jobs for name in job.overrides)
        return [name for name in names if len({job.overrides.get(name) for job in self.jobs}) > 1]

    @property
    def settings(self) -> list[str]:
        """Return the knobs other than seeds."""
        return [name for name in self.knobs if name not in SEEDS]

    @cached_property
    def metrics(self) -> list[Metric]:
        """Return every metric of any job's bench, by name."""
        return list({metric.name: metric for job in self.jobs for metric in job.score.run.bench.metrics}.values())

    @property
    def main(self) -> list[Metric]:
        """Return the metrics that tables show."""
        return [metric for metric in self.metrics if metric.main]

    @cached_property
    def numbers(self) -> dict[tuple[str, int], int]:
        """Return the number of each distinct run, by key and n."""
        found: dict[tuple[str, int], int] = {}
        for job in self.jobs:
            found.setdefault((job.score.run.key, job.score.run.num), len(found) + 1)
        return found

    def setting(self, job: Job) -> tuple[str, ...]:
        """Return a job's values of the knobs other than seeds."""
        return tuple(job.overrides.get(name, "") for name in self.settings)

    @cached_property
    def reference(self) -> Job | None:
        """Return the baseline job; None if it failed."""
        return next((job for job in self.jobs if job.number == self.baseline), None)

    def partner(self, job: Job) -> tuple[Job | None, str]:
        """Return the job that `job` is paired with, of the baseline's setting and the same seeds; or None and the reason."""
        if self.reference is None:
            return None, f"the baseline, job {self.baseline}, has no score"
        if self.setting(job) == self.setting(self.reference):
            return None, "the baseline"
        same = [other for other in self.jobs if self.setting(other) == self.setting(self.reference)]
        runs = [(other, unpaired(job.score.run, other.score.run)) for other in same]
        found = [other for other, why in runs if not why]
        found.sort(key=lambda other: other.score.run.mask_seed != job.score.run.mask_seed)  # the same masks if there are any
        if not found:
            return None, f"not on the baseline's noise: {runs[0][1]}"
        run, other = job.score.run, found[0].score.run
        if run.key == other.key:
            return None, "the same run as the baseline"
        if run.num != other.num:
            return None, f"n {run.num}, not {other.num}"
        if run.bench.version() != other.bench.version():
            return None, "scored in another way"
        return found[0], ""

    @cached_property
    def differences(self) -> dict[int, dict[str, Estimate]]:
        """Return, by job number, each job minus its partner by metric, paired on the same noise."""
        pairs = [(job, other) for job in self.jobs if (other := self.partner(job)[0]) is not None]
        return {
            job.number: {m.name: difference(m, job.score, other.score) for m in job.score.run.bench.metrics}
            for job, other in pairs
        }

    @cached_property
    def numeric_knob(self) -> str:
        """Return the knob for an x axis, of those that are numbers in every job the one with the most values; "" for none."""
        measured = any(value.value == value.value for job in self.jobs for value in job.score.estimates.values())
        found = {name: {job.number_of(name) for job in self.jobs} for name in self.settings if measured}
        numeric = {name: len(values) for name, values in found.items() if None not in values}
        return max(numeric, key=lambda name: numeric[name], default="")

    def runs_table(self) -> tuple[list[str], list[list[str]]]:
        """Return head and rows of the jobs: knobs, main metrics, effective guidance scale, number of the distinct run."""
        head = [*short(self.knobs), *map(heading, self.main), "eff. scale", RUN]
        rows = [
            [
                *(job.overrides.get(name, "") for name in self.knobs),
                *(shown(job.score.estimates.get(metric.name), metric) for metric in self.main),
                scale_of(job.score.effective).partition("±")[0],
                str(self.numbers[job.score.run.key, job.score.run.num]),
            ]
            for job in self.jobs
        ]
        return head, rows

    def differences_table(self) -> tuple[list[str], list[list[str]]]:
        """Return head and rows of the paired differences of jobs that have a partner."""
        head = [*short(self.knobs), *(f"Δ {heading(metric)}" for metric in self.main)]
        rows = []
        for job in self.jobs:
            if found := self.differences.get(job.number):
                cells = [shown(found.get(metric.name), metric, sign=True) for metric in self.main]
                rows.append([*(job.overrides.get(name, "") for name in self.knobs), *cells])
        return head, rows

    def seeds_table(self) -> tuple[list[str], list[list[str]]]:
        """Return head and rows of the settings that ran with several seeds: mean over seeds, interval, count."""
        groups: dict[tuple[str, ...], dict[str, Score]] = {}
        for job in self.jobs:
            groups.setdefault(self.setting(job), {})[job.score.run.key] = job.score
        rows = []
        for setting, scores in groups.items():
            if len(scores) > 1 and any(name in self.knobs for name in SEEDS):
                values = {m: [s.estimates[m.name].value for s in scores.values() if m.name in s.estimates] for m in self.main}
                means = [shown(metric.within(over_seeds(found)) if found else None, metric) for metric, found in values.items()]
                rows.append([*setting, *means, str(len(scores))])
        return [*short(self.settings), *map(heading, self.main), "seeds"], rows

    def notes(self) -> list[str]:
        """Return what must be said below the tables."""
        lines = []
        if len(self.numbers) < len(self.jobs):
            lines.append("rows with the same number in the last column are the same run: their configurations are equal")
        for job in self.jobs:
            other, why = self.partner(job)
            if other is None and why != "the baseline" and self.metrics and self.reference is not None:
                lines.append(f"no Δ for job {job.number}: {why}")
        if self.reference is None and self.metrics:
            lines.append(f"no Δ: the baseline, job {self.baseline}, has no score")
        lines += [RANDOM] * any(job.score.run.random for job in self.jobs)
        lines += [
            f"the scores of job {job.number} could not be stored: {why}" for job in self.jobs if (why := job.score.not_kept)
        ]
        for remark, runs in self.remarks().items():
            which = "" if len(runs) == len(self.numbers) else f"run {', '.join(map(str, runs))}: "
            lines.append(f"{which}{remark}")
        return [*lines, *(f"failed: {one}" for one in self.failed)]

    def remarks(self) -> dict[str, list[int]]:
        """Return the remarks on scores, and the numbers of the distinct runs they are about."""
        numbers_of: dict[str, list[int]] = {}
        for job in self.jobs:
            number = self.numbers[job.score.run.key, job.score.run.num]
            for remark in job.score.remarks:
                if number not in numbers_of.setdefault(remark, []):
                    numbers_of[remark].append(number)
        return numbers_of


def shown(estimate: Estimate | None, metric: Metric, sign: bool = False) -> str:
    """Return a metric's value with its interval; "" where a job's bench does not have the metric."""
    return "" if estimate is None else with_interval(estimate, metric.digits, sign)


def short(knobs: Sequence[str]) -> list[str]:
    """Return the last part of each name, if these are distinct; else the names."""
    last = [name.rpartition(".")[2] for name in knobs]
    return last if len(set(last)) == len(last) else list(knobs)
