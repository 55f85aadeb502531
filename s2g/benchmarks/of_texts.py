"""What the benches of official prompts share: who can run them, and Q-Align's score beside their own (HPS, CompBench)."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from s2g.benchmarks.qalign import qalign
from s2g.config.schema import ModelConfig, model_names
from s2g.engine.bench import Arrays, Metric
from s2g.errors import SeveralError, UserError, gathered, unknown
from s2g.metrics.subset_mean import subset_mean_items
from s2g.scoring.comparability import not_comparable
from s2g.scoring.file_scoring import FileBench, Image, filled
from s2g.scoring.scorer import Answer
from s2g.scoring.scoring_pool import answer_here


class BenchOfTexts(FileBench):
    """A bench that gives models texts in words of any kind."""

    name: ClassVar[str]

    @abstractmethod
    def texts(self) -> Iterable[str]:
        """Return every text that models are given; UserError if lists are missing or wrong."""

    def prompts(self, items: Sequence[int]) -> list[str]:
        return [self.caption(item) for item in items]

    def suits(self, model: ModelConfig) -> bool:
        """Return whether a model makes files of this kind of texts; videos, of texts in any words."""
        if self.kind == "videos":
            return model.makes_videos and model.traits.reads_any_text
        return model.traits.makes_images_of_texts

    def check(self, model: ModelConfig) -> None:
        errors, videos = self.lacking(), self.kind == "videos"
        if not self.suits(model):
            allowed = model_names(lambda family: family.reads_any_text and family.makes_videos == videos)
            problem = f"bench = {self.name}: {model.name} makes no {self.kind} of texts"
            errors.insert(0, UserError(problem, allowed=", ".join(allowed)))
        with suppress(UserError):  # that lists are not here is among the errors already
            texts = list(self.texts())
            with gathered(errors):
                model.check_prompts(texts)
        if errors:
            raise SeveralError.of(errors)


class BenchWithQAlign(BenchOfTexts):
    """A bench of images with a score of its own, `own`, and Q-Align's on the same images; each is asked for in `score`."""

    own: ClassVar[str]
    own_version: ClassVar[int]  # of how images are scored; raised, they are scored again
    published: ClassVar[Mapping[str, str]]  # by score, the name of the published numbers
    qalign_label: ClassVar[str]

    score: tuple[str, ...]
    qalign: str
    qalign_variant: str
    device: str

    @abstractmethod
    def own_metrics(self) -> Sequence[Metric]: ...

    @abstractmethod
    def own_identity(self) -> dict[str, Any]:
        """Return what its own score depends on, as entries of `version`."""

    @abstractmethod
    def own_needs(self) -> list[Callable[[], object]]: ...

    @abstractmethod
    def own_scores(self, images: Sequence[Image], place: Path, answer: Answer) -> list[float]: ...

    @abstractmethod
    def groups(self, num: int) -> dict[str, np.ndarray]:
        """Return the array [num] by which its metrics choose items."""

    @abstractmethod
    def doubts(self, num: int, arrays: Arrays | None) -> dict[str, list[str]]:
        """Say why no score of the first `num` items is the published one (under ""), and why one score by itself is not."""

    @abstractmethod
    def notes(self) -> list[str]:
        """Say what else has to be known of a score."""

    def check_score(self) -> None:
        """Raise UserError for an unknown score or variant."""
        for name in self.score:
            if name not in self.published:
                raise unknown("bench.score", name, self.published)
        qalign.check_variant(self.qalign_variant)

    @property
    def metrics(self) -> tuple[Metric, ...]:
        of_qalign = Metric("qalign", self.qalign_label, True, 2, items=lambda of: mean_of_scored(of, "qalign"))
        found = {self.own: self.own_metrics(), "qalign": [of_qalign]}
        return tuple(metric for name in self.published if name in self.score for metric in found[name])

    @property
    def kept_mb(self) -> float:
        return 1.6  # a PNG of 1024x1024

    def needs(self) -> list[Callable[[], object]]:
        needs: list[Callable[[], object]] = [self.texts, *(self.own_needs() if self.own in self.score else ())]
        if "qalign" in self.score:
            needs += [lambda: qalign.weights_folder(self.qalign), lambda: qalign.environment().check()]
        return needs

    def version(self) -> dict[str, Any]:
        about: dict[str, Any] = {"bench": self.name, "version": self.own_version, "score": list(self.score)}
        if self.own in self.score:
            about |= self.own_identity()
        if "qalign" in self.score:
            about["qalign"] = qalign.identity(self.qalign, self.qalign_variant)
        return about | ({"allow_missing": True} if self.allow_missing else {})

    def remarks(self, num: int, arrays: Arrays | None = None) -> list[str]:
        """Say why a score is not comparable, and what else has to be known of it."""
        if not self.score:
            return []
        doubts = self.doubts(num, arrays)
        why = doubts[""]
        if arrays is not None and (here := int(arrays["here"].sum())) < num:
            why.append(f"{here:,} of {num:,} images were there")
        said = not_comparable(why, {label: doubts[name] for name, label in self.published.items() if name in self.score})
        return [*said, *self.notes(), *([qalign.remark(self.qalign_variant)] if "qalign" in self.score else [])]

    def judge(self, images: Sequence[Image], num: int, place: Path, answer: Answer = answer_here) -> dict[str, np.ndarray]:
        """Return both scores of each item (Q-Align's 1 to 5), nan without an image; whether there was one; its group."""
        here = np.zeros(num, bool)
        here[[image.item for image in images]] = True
        arrays = {"here": here, **self.groups(num)}
        if self.own in self.score:
            arrays[self.own] = filled(num, images, self.own_scores(images, place, answer))
        if "qalign" in self.score:
            found = qalign.scores(images, self.qalign, self.qalign_variant, place, self.device, answer)
            arrays["qalign"] = filled(num, images, found)
        return arrays


def mean_of_scored(of: Arrays, name: str) -> np.ndarray:
    """Return [N] numbers whose mean is the mean of of[name] over the items that have it."""
    return subset_mean_items(of[name], np.ones(len(of[name]), bool))


def in_turn(counts: Mapping[str, int]) -> list[tuple[str, int]]:
    """Return (list, place in it) of every prompt of lists of these lengths, lists in turn: the first few are of every list."""
    longest = max(counts.values())
    return [(name, place) for place in range(longest) for name, count in counts.items() if place < count]
