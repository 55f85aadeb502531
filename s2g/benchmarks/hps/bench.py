"""bench=hps: HPSv2's prompts in four styles, scored by HPS v2.1; Q-Align on the same images (docs/scores.md)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from s2g.benchmarks.hps import checkpoint, official, prompts
from s2g.benchmarks.hps.prompts import COUNT, LISTS, STYLES
from s2g.benchmarks.hps.published import V21
from s2g.benchmarks.of_texts import BenchWithQAlign, in_turn, mean_of_scored
from s2g.benchmarks.qalign import qalign
from s2g.engine.bench import Arrays, Metric
from s2g.errors import unknown
from s2g.metrics.subset_mean import subset_mean_items
from s2g.scoring.file_scoring import Image
from s2g.scoring.scorer import Answer, Question, ScoringRequest

SCORERS = ("hps", "official")
USUAL = (10.0, 40.0)  # ours: every mean that is published for v2.1 lies well inside (GLIDE 14.51, S2 on SD3.5 31.56)


def _style(name: str, label: str, style: str) -> Metric:
    def part(of: Arrays) -> np.ndarray:
        return of["style"] == STYLES.index(style)

    return Metric(name, label, True, 2, items=lambda of: subset_mean_items(of["hps"], part(of)), subset=part)


HPS = (
    _style("anime", "Anime", "anime"),
    _style("concept", "Concept", "concept-art"),
    _style("paintings", "Paintings", "paintings"),
    _style("photo", "Photo", "photo"),
    # The mean over images, as the official script; of equally many of each style it is the mean of the styles.
    Metric("avg", "HPSv2.1 Avg", True, 2, items=lambda of: mean_of_scored(of, "hps")),
)


@dataclass(frozen=True)
class HPS21(BenchWithQAlign):
    """Item i is prompt i // 4 of style i mod 4: any few neighbours are of all styles."""

    prompt_list: str = "official"
    path: str = ""
    score: tuple[str, ...] = ("hps",)
    scorer: str = "hps"
    weights: str = V21
    architecture: str = checkpoint.ARCHITECTURE
    antialias: bool | None = None  # of our scorer alone, so that a typed one can be told: true
    dtype: str | None = None  # likewise: fp32
    qalign: str = qalign.OFFICIAL
    qalign_variant: str = "scorer"
    device: str = "auto"
    allow_missing: bool = False

    name: ClassVar[str] = "hps"
    own: ClassVar[str] = "hps"
    own_version: ClassVar[int] = 1
    published: ClassVar[Mapping[str, str]] = {"hps": "HPSv2.1", "qalign": "Q-Align (HPS)"}
    qalign_label: ClassVar[str] = "Q-Align (HPS)"
    layout: ClassVar[str] = "OUT/STYLE/NNNNN.jpg, PNG inside (tgxs002/HPSv2)"
    files: ClassVar[tuple[str, ...]] = ("path", "weights", "architecture", "qalign")

    def __post_init__(self) -> None:
        for key, value, allowed in (("prompt_list", self.prompt_list, LISTS), ("scorer", self.scorer, SCORERS)):
            if value not in allowed:
                raise unknown(f"bench.{key}", value, allowed)
        self.check_score()
        if self.scorer == "official" and "hps" in self.score:
            device = self.device if self.device != "auto" and self.score == ("hps",) else None  # Q-Align would read it
            official.check_unread({"antialias": self.antialias, "dtype": self.dtype, "device": device})

    @property
    def num(self) -> int:  # pyright: ignore[reportIncompatibleVariableOverride]
        return len(self._entries) if self.prompt_list == "own" else COUNT * len(STYLES)

    def own_metrics(self) -> Sequence[Metric]:
        return HPS

    @property
    def downloads(self) -> tuple[str, ...]:
        """List what scoring fetches, with sizes."""
        of_hps = (f"{checkpoint.published.REPOSITORY}, {V21}, about 4 GB",) if "hps" in self.score else ()
        of_hps += ("the environment hpsv2 (s2g env build hpsv2)",) if of_hps and self.scorer == "official" else ()
        of_qalign = qalign.DOWNLOADS if "qalign" in self.score else ()
        return (f"{checkpoint.published.DATA_SET}, 4 lists of prompts", *of_hps, *of_qalign)

    @property
    def licences(self) -> tuple[str, ...]:
        """List the licenses of what is fetched."""
        return ("HPSv2 code: Apache-2.0; weights and prompts: see their pages on the hub",) + (
            qalign.LICENCES if "qalign" in self.score else ()
        )

    @cached_property
    def _lists(self) -> tuple[prompts.Listed, ...]:
        return prompts.load(self.path, self.prompt_list)

    @cached_property
    def _entries(self) -> list[tuple[str, int]]:
        return in_turn({listed.style: len(listed.prompts) for listed in self._lists})

    @cached_property
    def _texts(self) -> Mapping[str, tuple[str, ...]]:
        return {listed.style: listed.prompts for listed in self._lists}

    def texts(self) -> list[str]:
        return self.prompts(range(len(self._entries)))

    def own_needs(self) -> list[Callable[[], object]]:
        return [self._check_clip, *([official.environment().check] if self.scorer == "official" else [])]

    def _check_clip(self) -> None:
        checkpoint.file_of(self.weights)  # before anything that loads torch
        from s2g.benchmarks.hps.clip import check

        check(self._clip)

    @classmethod
    def downloaders(cls, prompts_only: bool) -> list[Callable[[], list[str]]]:
        from s2g.benchmarks.hps.fetch import fetch_checkpoint, fetch_prompts

        return [fetch_prompts, *([] if prompts_only else [fetch_checkpoint])]

    # What the items are.

    def items_id(self) -> Any:
        return {"prompts": prompts.lists_id(self._lists), "order": "styles in turn"}

    def caption(self, item: int) -> str:
        style, place = self.place(item)
        return self._texts[style][place]

    def place(self, item: int) -> tuple[str, int]:
        """Return (style, index in its list) of an item; the user's own prompts repeat with other noise."""
        return self._entries[item % len(self._entries)]

    def official_name(self, item: int) -> str:
        """Return the official evaluator's path of an item's image: STYLE/NNNNN.jpg, whatever the format of its bytes."""
        style, place = self.place(item)
        return f"{style}/{place:05d}.jpg"

    # What is measured of them.

    def own_identity(self) -> dict[str, Any]:
        return {"hps": self._identity()}

    def _identity(self) -> dict[str, Any]:
        return official.identity(self.weights) if self.scorer == "official" else self._clip.identity()

    @cached_property
    def _clip(self) -> Any:
        from s2g.benchmarks.hps.clip import Clip  # its preprocessing needs torch; what it is does not

        smooth = True if self.antialias is None else self.antialias
        return Clip(self.weights, self.architecture, smooth, self.dtype or "fp32")

    def notes(self) -> list[str]:
        ours = "hps" in self.score and self.scorer == "hps"
        return [f"HPS v2.1 with {self._clip.knobs}: compare only with the same"] if ours else []

    def doubts(self, num: int, arrays: Arrays | None) -> dict[str, list[str]]:
        every = []
        if self.prompt_list == "own":
            every.append("prompts of one's own")
        elif not prompts.official():
            every.append("prompts not known to be the official ones (s2g fetch hps records them)")
        if self.prompt_list != "own" and num != self.num:
            every.append(f"{num:,} of {self.num:,} prompts")
        why = checkpoint.doubts(self.weights, self.architecture) if "hps" in self.score else []
        if arrays is not None and "hps" in arrays and not USUAL[0] <= (mean := float(np.nanmean(arrays["hps"]))) <= USUAL[1]:
            why.append(f"a mean of {mean:.2f} is far from every published one (14.5 to 33): other weights?")
        return {"": every, "hps": why, "qalign": qalign.doubts(self.qalign)}

    def groups(self, num: int) -> dict[str, np.ndarray]:
        order = {name: at for at, name in enumerate(STYLES)}
        return {"style": np.array([order.get(self.place(item)[0], -1) for item in range(num)])}

    def own_scores(self, images: Sequence[Image], place: Path, answer: Answer) -> list[float]:
        """Return 100 cos of each image, cached under the image's content and its prompt."""
        texts = self.prompts([image.item for image in images])
        if self.scorer == "official":
            return official.scores(images, texts, self.weights, place, answer)
        from s2g.benchmarks.hps.clip import ClipScorer

        questions = tuple(
            Question(image.item, f"{image.sha256} {text}", image.path, text) for image, text in zip(images, texts, strict=True)
        )
        folder = place / f"hps-{official.short(self._identity())}-{self.own_version}"
        return answer(ScoringRequest("hps", ClipScorer(self._clip, self.device), folder, questions))

    def reading(self, arrays: Arrays, item: int) -> tuple[dict[str, bool], str]:
        return {}, f"HPS {arrays['hps'][item]:.2f}" if "hps" in arrays else ""
