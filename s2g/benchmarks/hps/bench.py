"""bench=hps: HPSv2's prompts in four styles, scored by HPS v2.1; Q-Align on the same images (docs/scores.md)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from s2g.benchmarks.hps import checkpoint, official, prompts
from s2g.benchmarks.hps.prompts import COUNT, LISTS, STYLES
from s2g.benchmarks.hps.published import V21
from s2g.benchmarks.qalign import qalign
from s2g.config.schema import ModelConfig, model_names
from s2g.engine.bench import Arrays, Metric
from s2g.errors import SeveralError, UserError, gathered, unknown
from s2g.metrics.subset_mean import subset_mean_items
from s2g.scoring.comparability import not_comparable
from s2g.scoring.file_scoring import FileBench, Image, filled
from s2g.scoring.scorer import Asked, Inquiry, Question
from s2g.scoring.scoring_pool import asked_here

VERSION = 1  # of how images are scored; another one scores anew
SCORERS = ("hps", "official")
SCORES = ("hps", "qalign")
PUBLISHED = {"hps": "HPSv2.1", "qalign": "Q-Align (HPS)"}  # whose numbers a score would stand beside
USUAL = (10.0, 40.0)  # ours: every mean that is published for v2.1 lies well inside (GLIDE 14.51, S2 on SD3.5 31.56)


def _style(name: str, label: str, style: str) -> Metric:
    def part(of: Arrays) -> np.ndarray:
        return of["style"] == STYLES.index(style)

    return Metric(name, label, True, 2, items=lambda of: subset_mean_items(of["hps"], part(of)), subset=part)


def _all(of: Arrays, name: str) -> np.ndarray:
    return subset_mean_items(of[name], np.ones(len(of[name]), bool))


HPS = (
    _style("anime", "Anime", "anime"),
    _style("concept", "Concept", "concept-art"),
    _style("paintings", "Paintings", "paintings"),
    _style("photo", "Photo", "photo"),
    # The mean over images, as the official script; of equally many of each style it is the mean of the styles.
    Metric("avg", "HPSv2.1 Avg", True, 2, items=lambda of: _all(of, "hps")),
)
QALIGN = Metric("qalign", "Q-Align (HPS)", True, 2, items=lambda of: _all(of, "qalign"))


@dataclass(frozen=True)
class HPS21(FileBench):
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

    layout: ClassVar[str] = "OUT/STYLE/NNNNN.jpg, PNG inside (tgxs002/HPSv2)"
    files: ClassVar[tuple[str, ...]] = ("path", "weights", "architecture", "qalign")

    def __post_init__(self) -> None:
        for key, value, allowed in (("prompt_list", self.prompt_list, LISTS), ("scorer", self.scorer, SCORERS)):
            if value not in allowed:
                raise unknown(f"bench.{key}", value, allowed)
        for name in self.score:
            if name not in SCORES:
                raise unknown("bench.score", name, SCORES)
        qalign.check_variant(self.qalign_variant)
        if self.scorer == "official" and "hps" in self.score:
            device = self.device if self.device != "auto" and self.score == ("hps",) else None  # Q-Align would read it
            official.check_unread({"antialias": self.antialias, "dtype": self.dtype, "device": device})

    @property
    def num(self) -> int:  # pyright: ignore[reportIncompatibleVariableOverride]
        return len(self._entries) if self.prompt_list == "own" else COUNT * len(STYLES)

    @property
    def metrics(self) -> tuple[Metric, ...]:
        return (*(HPS if "hps" in self.score else ()), *((QALIGN,) if "qalign" in self.score else ()))

    @property
    def kept_mb(self) -> float:
        return 1.6  # a PNG of 1024x1024

    @property
    def downloads(self) -> tuple[str, ...]:
        """What scoring fetches, with sizes."""
        of_hps = (f"{checkpoint.published.REPOSITORY}, {V21}, about 4 GB",) if "hps" in self.score else ()
        of_hps += ("the environment hpsv2 (s2g env build hpsv2)",) if of_hps and self.scorer == "official" else ()
        of_qalign = qalign.DOWNLOADS if "qalign" in self.score else ()
        return (f"{checkpoint.published.DATA_SET}, 4 lists of prompts", *of_hps, *of_qalign)

    @property
    def licences(self) -> tuple[str, ...]:
        """Of what is fetched."""
        return ("HPSv2 code: Apache-2.0; weights and prompts: see their pages on the hub",) + (
            qalign.LICENCES if "qalign" in self.score else ()
        )

    @cached_property
    def _lists(self) -> tuple[prompts.Listed, ...]:
        return prompts.load(self.path, self.prompt_list)

    @cached_property
    def _entries(self) -> list[tuple[str, int]]:
        return prompts.entries_of(self._lists)

    @cached_property
    def _texts(self) -> Mapping[str, tuple[str, ...]]:
        return {listed.style: listed.prompts for listed in self._lists}

    def check(self, model: ModelConfig) -> None:
        errors = self.lacking()
        if not model.traits.makes_images_of_texts:
            allowed = ", ".join(model_names(lambda family: family.reads_any_text and not family.makes_videos))
            errors.insert(0, UserError(f"bench = hps: {model.name} makes no images of texts", allowed=allowed))
        with suppress(UserError):  # that lists are not here is among the errors already
            texts = self.prompts(range(len(self._entries)))
            with gathered(errors):
                model.check_prompts(texts)
        if errors:
            raise SeveralError.of(errors)

    def needs(self) -> list[Callable[[], object]]:
        needs: list[Callable[[], object]] = [lambda: self._lists]
        if "hps" in self.score:
            needs += [self._check_clip, *([official.environment().check] if self.scorer == "official" else [])]
        if "qalign" in self.score:
            needs += [lambda: qalign.weights_folder(self.qalign), lambda: qalign.environment().check()]
        return needs

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

    def prompts(self, items: Sequence[int]) -> list[str]:
        return [self.caption(item) for item in items]

    def caption(self, item: int) -> str:
        style, place = self.place(item)
        return self._texts[style][place]

    def place(self, item: int) -> tuple[str, int]:
        """(style, prompt in its list) of an item; prompts of one's own come again with other noise."""
        return self._entries[item % len(self._entries)]

    def official_name(self, item: int) -> str:
        """Where the official evaluator looks for an item's image: STYLE/NNNNN.jpg, whatever the format of its bytes."""
        style, place = self.place(item)
        return f"{style}/{place:05d}.jpg"

    # What is measured of them.

    def version(self) -> dict[str, Any]:
        about: dict[str, Any] = {"bench": "hps", "version": VERSION, "score": list(self.score)}
        if "hps" in self.score:
            about["hps"] = self._identity()
        if "qalign" in self.score:
            about["qalign"] = qalign.identity(self.qalign, self.qalign_variant)
        return about | ({"allow_missing": True} if self.allow_missing else {})

    def _identity(self) -> dict[str, Any]:
        return official.identity(self.weights) if self.scorer == "official" else self._clip.identity()

    @cached_property
    def _clip(self) -> Any:
        from s2g.benchmarks.hps.clip import Clip  # its preprocessing needs torch; what it is does not

        smooth = True if self.antialias is None else self.antialias
        return Clip(self.weights, self.architecture, smooth, self.dtype or "fp32")

    def remarks(self, num: int, arrays: Arrays | None = None) -> list[str]:
        """Why a score is not comparable, and what it was made with; the count of images that were there if not all were."""
        why: list[str] = []
        if not self.score:
            return why
        if self.prompt_list == "own":
            why.append("prompts of one's own")
        elif not prompts.official():
            why.append("prompts not known to be the official ones (s2g fetch hps records them)")
        if self.prompt_list != "own" and num != self.num:
            why.append(f"{num:,} of {self.num:,} prompts")
        if arrays is not None and (here := int(arrays["here"].sum())) < num:
            why.append(f"{here:,} of {num:,} images were there")
        doubts = {"hps": self._doubts(arrays) if "hps" in self.score else [], "qalign": qalign.doubts(self.qalign)}
        said = not_comparable(why, {PUBLISHED[name]: doubts[name] for name in SCORES if name in self.score})
        if "hps" in self.score and self.scorer == "hps":
            said.append(f"HPS v2.1 with {self._clip.knobs}: compare only with the same")
        return [*said, *([qalign.remark(self.qalign_variant)] if "qalign" in self.score else [])]

    def _doubts(self, arrays: Arrays | None) -> list[str]:
        """Why what gave its HPS scores may not be the published network."""
        why = checkpoint.doubts(self.weights, self.architecture)
        if arrays is not None and "hps" in arrays and not USUAL[0] <= (mean := float(np.nanmean(arrays["hps"]))) <= USUAL[1]:
            why.append(f"a mean of {mean:.2f} is far from every published one (14.5 to 33): other weights?")
        return why

    def judge(self, images: Sequence[Image], num: int, place: Path, asked: Asked = asked_here) -> dict[str, np.ndarray]:
        """100 cos and Q-Align 1 to 5 of each image, nan where it lacks; its style; whether it was there."""
        here = np.zeros(num, bool)
        here[[image.item for image in images]] = True
        order = {name: at for at, name in enumerate(STYLES)}
        style = np.array([order.get(self.place(item)[0], -1) for item in range(num)])
        arrays = {"here": here, "style": style}
        if "hps" in self.score:
            arrays["hps"] = filled(num, images, self._hps(images, place, asked))
        if "qalign" in self.score:
            found = qalign.scores(images, self.qalign, self.qalign_variant, place, self.device, asked)
            arrays["qalign"] = filled(num, images, found)
        return arrays

    def _hps(self, images: Sequence[Image], place: Path, asked: Asked) -> list[float]:
        """Each image's score; kept as it becomes known, under the image's content and its prompt."""
        texts = self.prompts([image.item for image in images])
        if self.scorer == "official":
            return official.scores(images, texts, self.weights, place, asked)
        from s2g.benchmarks.hps.clip import ClipScorer

        questions = tuple(
            Question(image.item, f"{image.sha256} {text}", image.path, text) for image, text in zip(images, texts, strict=True)
        )
        folder = place / f"hps-{official.short(self._identity())}-{VERSION}"
        return asked(Inquiry("hps", ClipScorer(self._clip, self.device), folder, questions))

    def reading(self, arrays: Arrays, item: int) -> tuple[dict[str, bool], str]:
        return {}, f"HPS {arrays['hps'][item]:.2f}" if "hps" in arrays else ""
