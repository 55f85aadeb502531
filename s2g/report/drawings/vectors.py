"""CFG's push, S2's correction and the remaining error as vectors in the plane (Figure 2, computed)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from s2g.engine.run import Run
from s2g.experiments.specification import Profile, RunSpec
from s2g.experiments.studies.directions import Directions, vectors
from s2g.experiments.studies.study import read_study
from s2g.report.drawing import Arrays, first_runs
from s2g.report.drawings.samples import mixture_of, truth_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Vectors:
    """Around one class's mode, at the noise levels of a group's rows; vectors are of denoised estimates.

    In each panel the correction is magnified until its longest arrow is as long as CFG's; the title gives the factor.
    """

    side: int = 9  # points per side
    label: int = 3
    least: float = 0.5  # lower noise levels are not drawn: little is decided there
    group: str = ""  # default: the first

    @property
    def alt(self) -> str:
        return "CFG's push, S²'s correction and the way back to the truth as arrows at points of the plane"

    def collect(self, profile: Profile, rows: Sequence[RunSpec], runs: Mapping[int, Run], root: str) -> dict[str, np.ndarray]:
        from s2g.experiments.studies.probed import probe

        arrays: dict[str, np.ndarray] = {}
        for (group, row), index in first_runs(rows, runs).items():
            run, study = runs[index], read_study("directions", rows[index].study)
            assert isinstance(study, Directions)
            if group != (self.group or next(iter(profile.groups))) or study.level < self.least:
                continue
            truth = truth_of(run)
            mean, level = truth["means"][truth["labels"] == self.label][0], study.level
            wide = 2 * np.sqrt(((1 - level) * truth["std"]) ** 2 + level**2)  # two deviations of the noised mode
            steps = np.linspace(-1, 1, self.side)
            x = (1 - level) * mean + wide * np.stack(np.meshgrid(steps, steps), -1).reshape(-1, 2)
            probed = probe(run, x, level, np.full(len(x), self.label))
            push, correction = vectors(probed, run)
            parts = {"points": x, "cond": probed.cond, "push": push, "correction": correction, "exact": probed.exact_cond}
            arrays |= {f"{group}/{row}/{name}": value.astype(np.float32) for name, value in parts.items()}
            arrays |= {f"{group}/{row}/{name}": value for name, value in truth.items()}
            arrays[f"{group}/{row}/level"] = np.array(level)
        return arrays

    def figure(self, profile: Profile, arrays: Arrays) -> Figure:
        from matplotlib.figure import Figure

        from s2g.report.plots import COLOURS

        group = self.group or next(iter(profile.groups))
        shown = [(f"{group}/{row}", line.label) for row, line in profile.rows.items() if f"{group}/{row}/points" in arrays]
        figure = Figure(figsize=(3.3 * len(shown) + 0.3, 4.0), layout="constrained")
        axes = figure.subplots(1, len(shown), squeeze=False)[0]
        for axis, (name, label) in zip(axes, shown, strict=True):
            x, cond, push, correction, exact = (
                arrays[f"{name}/{part}"] for part in ("points", "cond", "push", "correction", "exact")
            )
            mixture, level = mixture_of(arrays, name), float(arrays[f"{name}/level"])
            spread = np.sqrt(((1 - level) * mixture.std) ** 2 + level**2)
            low, high = x.min(0) - 0.45 * spread, x.max(0) + 0.45 * spread
            noised = type(mixture)((1 - level) * mixture.means, float(spread), mixture.labels)
            side = [np.linspace(low[d], high[d], 121) for d in range(2)]
            grid = np.stack(np.meshgrid(*side), -1).reshape(-1, 2)
            heights = noised.density(grid, self.label).reshape(121, 121)
            rings = [heights.max() * np.exp(-(k**2) / 2) for k in (2, 1)]
            axis.contourf(*side, heights, [*rings, 2 * heights.max()], colors=["#EEEEEE", "#DDDDDD"])
            # All arrows of a panel have one scale, times the stated factor for the correction.
            longest, longest_of_ours = (max(np.linalg.norm(part, axis=1).max(), 1e-9) for part in (push, correction))
            scale = 1.3 * (x[1, 0] - x[0, 0]) / longest
            times = float(f"{longest / longest_of_ours:.2g}")
            arrows = (
                (push, "#777777", "CFG's push"),
                (exact - cond - push, COLOURS[6], "the way back to the exact estimate"),
                (times * correction, COLOURS[1], "S²'s correction, magnified"),
            )
            for vector, colour, legend in arrows:
                axis.quiver(
                    *x.T, *(scale * vector).T, color=colour, label=legend, angles="xy", scale_units="xy", scale=1, width=0.006
                )
            centre = (1 - level) * mixture.of(self.label)
            axis.plot(centre[:, 0], centre[:, 1], "+", color="#000000", markersize=8)
            axis.set(
                title=f"{label}: S²'s correction × {times:g}", aspect="equal", xlim=(low[0], high[0]), ylim=(low[1], high[1])
            )
            axis.title.set_fontsize(8)
            axis.tick_params(labelsize=7)
        figure.legend(*axes[0].get_legend_handles_labels(), loc="outside upper center", ncols=3, fontsize=8)
        return figure
