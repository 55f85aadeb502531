"""bench=vbench: sixteen dimensions of 6,230 videos by the official package, totals by our own arithmetic (docs/vbench.md)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np

from s2g.benchmarks.of_texts import BenchOfTexts
from s2g.benchmarks.vbench import coverage, official, prompts, results
from s2g.benchmarks.vbench.dimensions import DIMENSIONS, GROUP_WEIGHTS, QUALITY, SEMANTIC, Dimension, raw_items, total_items
from s2g.benchmarks.vbench.prompts import SAMPLES, VIDEOS, Suite
from s2g.benchmarks.vbench.videos import Shape, sized
from s2g.config.schema import ModelConfig
from s2g.engine.bench import Arrays, Metric
from s2g.errors import UserError, unknown
from s2g.io.hashing import content_hash
from s2g.scoring.file_scoring import Image
from s2g.scoring.scorer import Answer
from s2g.scoring.scoring_pool import answer_here

PROMPTS = ("short", "augmented")
SCORES = ("vbench",)
SHOWN = ("subject_consistency", "background_consistency", "aesthetic_quality", "imaging_quality", "object_class")
SHOWN = (*SHOWN, "appearance_style")  # what the paper's Table 3 prints
ALLOW = "bench.allow_missing=true (s2g score RUN --allow-missing) scores what is there, labelled"
COMPLETE = f"s2g verify RUN --repair recomputes damaged videos; or {ALLOW}"


def _dimension(one: Dimension) -> Metric:
    return Metric(one.name, one.label, True, 2, items=lambda of: raw_items(of, one.name), main=one.name in SHOWN)


def metrics_of(partial: bool) -> tuple[Metric, ...]:
    """Return Total, Quality, Semantic and the sixteen dimensions, in percent; dimensions are raw, as the paper prints them."""

    def total(name: str, label: str, groups: Sequence[str]) -> Metric:
        return Metric(name, label, True, 2, items=lambda of: total_items(of, groups, partial))

    return (
        total("total", "Total", tuple(GROUP_WEIGHTS)),
        total("quality", QUALITY, (QUALITY,)),
        total("semantic", SEMANTIC, (SEMANTIC,)),
        *map(_dimension, DIMENSIONS.values()),
    )


@dataclass(frozen=True)
class VBench(BenchOfTexts):
    """Items are sample 0 of every prompt in official order, then sample 1 of every prompt, …: 946 are one video of each."""

    prompt_list: str = "short"
    augmented: str = ""
    path: str = ""
    score: tuple[str, ...] = ("vbench",)
    results: tuple[str, ...] = ()
    weights: str = ""
    allow_missing: bool = False
    video_size: Shape | None = None  # frames, height and width of every video; set by `fitted`, part of no key

    TYPED: ClassVar[Mapping[str, str]] = {"prompts": "prompt_list"}  # `prompts` is what every bench has to answer
    name: ClassVar[str] = "vbench"
    kind: ClassVar[str] = "videos"
    layout: ClassVar[str] = "OUT/PROMPT-SAMPLE.mp4, one flat folder, the short prompt (Vchitect/VBench)"
    files: ClassVar[tuple[str, ...]] = ("path", "augmented", "weights")

    def __post_init__(self) -> None:
        if self.prompt_list not in PROMPTS:
            raise unknown("bench.prompts", self.prompt_list, PROMPTS)
        if self.augmented and self.prompt_list != "augmented":
            raise UserError(
                f"bench.augmented = {self.augmented}, and bench.prompts = short: it would not be read",
                todo="bench.prompts=augmented, or leave bench.augmented out",
            )
        for name in self.score:
            if name not in SCORES:
                raise unknown("bench.score", name, SCORES)
        if self.results and not self.score:
            raise UserError(
                "bench.results is given, and bench.score = []: they would not be read", todo="leave bench.score out"
            )

    # What there is, known without any file.

    @property
    def metrics(self) -> tuple[Metric, ...]:
        return metrics_of(self.allow_missing) if self.score else ()

    @property
    def kept_mb(self) -> float:
        return 3.0  # H.264 of 81 frames of 480x832, an estimate

    @property
    def downloads(self) -> tuple[str, ...]:
        """List what scoring fetches, with sizes."""
        return (prompts.SOURCE, *(official.DOWNLOADS if self.score and not self.results else ()))

    @property
    def licences(self) -> tuple[str, ...]:
        """List the licenses of what is fetched."""
        return official.LICENCES if self.score else official.LICENCES[:1]

    @cached_property
    def _suite(self) -> Suite:
        return prompts.load(self.path)

    @cached_property
    def _long(self) -> tuple[tuple[str, ...], str]:
        return prompts.long_prompts(self.augmented, len(self._suite.entries))

    @property
    def num(self) -> int:  # pyright: ignore[reportIncompatibleVariableOverride]
        return VIDEOS

    def fitted(self, model: ModelConfig) -> Self:
        return replace(self, video_size=model.video if model.makes_videos else None)

    def texts(self) -> list[str]:
        return list(self._long[0]) if self.prompt_list == "augmented" else [entry.prompt for entry in self._suite.entries]

    def needs(self) -> list[Callable[[], object]]:
        needs: list[Callable[[], object]] = [lambda: self._suite]
        if self.prompt_list == "augmented":
            needs = [lambda: self._long]  # which needs the official ones as well
        if self.results:
            needs.append(lambda: results.read_files(self.results))
        elif self.score:
            needs.append(lambda: official.check(self.weights))
        return needs

    def placed(self, typed: Mapping[str, Any]) -> dict[str, Any]:
        results = [str(Path(file).expanduser().absolute()) for file in self.results]
        return {**super().placed(typed), "results": results}

    @classmethod
    def downloaders(cls, prompts_only: bool) -> list[Callable[[], list[str]]]:
        from s2g.benchmarks.vbench.fetch import FILES, fetch_file

        return [lambda name=name: [fetch_file(name)] for name in FILES]  # weights have ten hosts; errors name the address

    # What the items are.

    def items_id(self) -> Any:
        long = {"augmented": self._long[1]} if self.prompt_list == "augmented" else {}
        return {"prompts": prompts.OFFICIAL, **long, "order": "samples in turn"}

    def prompts(self, items: Sequence[int]) -> list[str]:
        if self.prompt_list == "augmented":
            return [self._long[0][self._suite.items[item][0]] for item in items]
        return [self.caption(item) for item in items]

    def caption(self, item: int) -> str:
        """Return the short prompt, also if the model is given a long one: files and scorer use it."""
        return self._suite.entries[self._suite.items[item][0]].prompt

    def clusters(self, num: int) -> np.ndarray:
        """Return the prompt of each item [num], repeated prompts as one: an interval is over prompts."""
        return np.array([self._suite.first[at] for at, _ in self._suite.items[:num]])

    def official_name(self, item: int) -> str:
        """Return the package's name of an item's video: PROMPT-SAMPLE.mp4 in one flat folder."""
        at, sample = self._suite.items[item]
        return prompts.name_of(self._suite.entries[at].prompt, sample)

    def exported(self) -> dict[int, str]:
        """Return official names by item. A prompt that is listed twice has the videos of its first entry."""
        return {item: name for name, item in self._suite.files.items()}

    # What is measured of them.

    def version(self) -> dict[str, Any]:
        about: dict[str, Any] = {"bench": "vbench", "version": 1, "score": list(self.score)}
        if self.results:
            about["results"] = sorted(content_hash(file) for one in self.results for file in results.files_of(Path(one)))
        elif self.score:
            about["vbench"] = official.identity(self.weights)
        return about | ({"allow_missing": True} if self.allow_missing else {})

    def remarks(self, num: int, arrays: Arrays | None = None) -> list[str]:
        """Say why a score is not comparable, and what else has to be known of it."""
        if not self.score:
            return []
        why, said = [], []
        if num != VIDEOS:
            why.append(f"{num:,} of {VIDEOS:,} videos")
        if arrays is not None:
            why += coverage.not_comparable(self._suite, arrays, num, self.allow_missing)
        if why:
            said.append(f"not comparable with published VBench numbers: {'; '.join(why)}")
        if arrays is not None:
            said += coverage.left_out_items(self._suite, arrays, num)
        said.append(f"{self.prompt_list} prompts: compare only with the same")
        if self.results:
            files = [file for one in self.results for file in results.files_of(Path(one))]
            said.append(f"results of {', '.join(f'{file.name} ({content_hash(file)[:8]})' for file in files)}")
            said += [one.remark for one in results.read_files(self.results).values() if one.remark]
        return said

    def judge(self, images: Sequence[Image], num: int, place: Path, answer: Answer = answer_here) -> dict[str, np.ndarray]:
        """Return the sixteen dimensions as fractions by item, nan where an item has none; whether its video was there.

        A dimension is scored whole, by the package, since its means are over all its videos: nobody is asked one by one.
        """
        suite = self._suite
        if not self.score:
            return {}
        names = {item: name for item, name in self.exported().items() if item < num}
        checked = sized([image for image in images if image.item in names], lambda image: image.path.name, self.video_size)
        whole = checked.check("videos", len(names), self.allow_missing, COMPLETE)
        here = np.zeros(num, bool)
        by_name = {names[image.item]: (image.path, image.sha256) for image in whole}
        for item in range(num):
            here[item] = self.official_name(item) in by_name
        found = results.read_files(self.results) if self.results else official.scores(by_name, suite, self.weights, place)
        lacks = [name for name in DIMENSIONS if name not in found]
        wanted = {part for name in by_name if (part := prompts.parted(name)) and part[1] < SAMPLES}
        lines = coverage.lacking(suite, found, wanted)
        if lacks and num >= len(suite.entries):  # of fewer items a dimension may have none
            lines.insert(0, f"no dimension {', '.join(lacks)}")
        if lines and not self.allow_missing:
            raise UserError("vbench: its results are not complete\n  " + "\n  ".join(lines), todo=ALLOW)
        return {"here": here, **coverage.arrays_of(suite, found, num)}

    def reading(self, arrays: Arrays, item: int) -> tuple[dict[str, bool], str]:
        values = [f"{DIMENSIONS[name].label} {100 * arrays[name][item]:.1f}" for name in DIMENSIONS if name in arrays]
        return {}, ", ".join(value for value in values if not value.endswith("nan"))
