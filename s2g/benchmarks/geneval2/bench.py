"""bench=geneval2: the prompts of GenEval 2 by Soft-TIFA, every question's answer kept (docs/text-benches.md)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from s2g.benchmarks.geneval2 import prompts, scorer
from s2g.benchmarks.geneval2.prompts import COUNT, LISTS, SKILLS, Prompt, most_questions
from s2g.benchmarks.geneval2.soft_tifa import arithmetic, geometric
from s2g.benchmarks.of_texts import BenchOfTexts, in_turn, mean_of_scored
from s2g.engine.bench import Arrays, Metric
from s2g.errors import unknown
from s2g.metrics.subset_mean import subset_mean_items
from s2g.scoring.comparability import not_comparable
from s2g.scoring.file_scoring import Image
from s2g.scoring.scorer import Answer
from s2g.scoring.scoring_pool import answer_here

SCORES = ("gm", "am", "skills", "atoms")
ATOMS = range(3, 11)  # of a prompt, in the official file


def _mean(name: str, label: str, mean: Callable[[np.ndarray], np.ndarray]) -> Metric:
    def items(of: Arrays) -> np.ndarray:
        return mean_of_scored({name: 100.0 * mean(of["answers"])}, name)

    return Metric(name, label, True, 2, items=items, limits=(0.0, 100.0))


def _skill(name: str) -> Metric:
    def part(of: Arrays) -> np.ndarray:
        return np.equal(of["skills"], SKILLS.index(name))

    def asked(of: Arrays) -> np.ndarray:
        return np.asarray(part(of).any(axis=1))

    def items(of: Arrays) -> np.ndarray:
        return subset_mean_items(100.0 * of["answers"], part(of))

    label = f"GenEval 2 {name}"
    return Metric(name, label, True, 2, items=items, limits=(0.0, 100.0), subset=asked, main=False)


def _atoms(count: int) -> Metric:
    def part(of: Arrays) -> np.ndarray:
        return np.equal(of["atoms"], count)

    def items(of: Arrays) -> np.ndarray:
        return subset_mean_items(100.0 * geometric(of["answers"]), part(of))

    label = f"GenEval 2, {count} atoms (GM)"
    return Metric(f"atoms_{count}", label, True, 2, items=items, limits=(0.0, 100.0), subset=part, main=False)


METRICS: Mapping[str, tuple[Metric, ...]] = {
    "gm": (_mean("gm", "GenEval 2 (GM)", geometric),),
    "am": (_mean("am", "GenEval 2 (AM)", arithmetic),),
    "skills": tuple(map(_skill, SKILLS)),
    "atoms": tuple(map(_atoms, ATOMS)),
}


@dataclass(frozen=True)
class GenEval2(BenchOfTexts):
    """Item i is prompt i of the list, numbers of atoms in turn, one image each; beyond it, the same again with other noise."""

    prompt_list: str = "official"
    path: str = ""
    score: tuple[str, ...] = SCORES
    weights: str = scorer.OFFICIAL
    device: str = "auto"
    allow_missing: bool = False

    name: ClassVar[str] = "geneval2"
    layout: ClassVar[str] = "OUT/NNN.png, NNN the line in geneval2_data.jsonl, from 0"
    files: ClassVar[tuple[str, ...]] = ("path", "weights")

    def __post_init__(self) -> None:
        if self.prompt_list not in LISTS:
            raise unknown("bench.prompt_list", self.prompt_list, LISTS)
        for name in self.score:
            if name not in SCORES:
                raise unknown("bench.score", name, SCORES)

    @property
    def num(self) -> int:  # pyright: ignore[reportIncompatibleVariableOverride]
        return len(self._order) if self.prompt_list == "own" else COUNT

    @property
    def metrics(self) -> tuple[Metric, ...]:
        return tuple(metric for name in SCORES if name in self.score for metric in METRICS[name])

    @property
    def kept_mb(self) -> float:
        return 1.6  # a PNG of 1024x1024

    @property
    def downloads(self) -> tuple[str, ...]:
        """List what scoring fetches, with sizes."""
        return (f"facebookresearch/GenEval2, {prompts.FILE}, 0.4 MB", *(scorer.DOWNLOADS if self.score else ()))

    @property
    def licences(self) -> tuple[str, ...]:
        """List the licenses of what is fetched."""
        return ("GenEval 2: CC BY-NC 4.0", *(scorer.LICENCES if self.score else ()))

    @cached_property
    def _listed(self) -> prompts.Listed:
        return prompts.load(self.path, self.prompt_list)

    @cached_property
    def _order(self) -> list[int]:
        """Return the line of each item: numbers of atoms in turn, so that the first few items are of every one."""
        lines: dict[int, list[int]] = {}
        for line, prompt in enumerate(self._listed.prompts):
            lines.setdefault(prompt.atoms, []).append(line)
        counts = {str(atoms): len(lines[atoms]) for atoms in sorted(lines)}
        return [lines[int(atoms)][place] for atoms, place in in_turn(counts)]

    def texts(self) -> list[str]:
        return [prompt.text for prompt in self._listed.prompts]

    def needs(self) -> list[Callable[[], object]]:
        of_scores = [lambda: scorer.weights_folder(self.weights), lambda: scorer.environment().check()]
        return [self.texts, *(of_scores if self.score else ())]

    @classmethod
    def downloaders(cls, prompts_only: bool) -> list[Callable[[], list[str]]]:
        from s2g.benchmarks.geneval2.fetch import fetch_prompts

        return [fetch_prompts]

    # What the items are.

    def items_id(self) -> Any:
        return {"prompts": self._listed.sha256 if self.prompt_list == "own" else prompts.SHA256, "order": "atoms in turn"}

    def place(self, item: int) -> int:
        """Return the line of an item's prompt, from 0."""
        return self._order[item % len(self._order)]

    def prompt(self, item: int) -> Prompt:
        """Return an item's prompt with its questions."""
        return self._listed.prompts[self.place(item)]

    def caption(self, item: int) -> str:
        return self.prompt(item).text

    def official_name(self, item: int) -> str:
        return f"{self.place(item):03d}.png"

    # What is measured of them.

    def version(self) -> dict[str, Any]:
        about: dict[str, Any] = {"bench": self.name, "version": 1, "score": list(self.score)}
        if self.score:
            about["scorer"] = scorer.identity(self.weights)
        return about | ({"allow_missing": True} if self.allow_missing else {})

    def remarks(self, num: int, arrays: Arrays | None = None) -> list[str]:
        if not self.score:
            return []
        why = ["prompts of one's own"] if self.prompt_list == "own" else []
        if self.prompt_list != "own" and num != self.num:
            why.append(f"{num:,} of {self.num:,} prompts")
        if arrays is not None and (here := int(arrays["here"].sum())) < num:
            why.append(f"{here:,} of {num:,} images were there")
        return not_comparable([*why, *scorer.doubts(self.weights)], {"GenEval 2": []})

    def judge(self, images: Sequence[Image], num: int, place: Path, answer: Answer = answer_here) -> dict[str, np.ndarray]:
        """Return the probability of the right answer [num, K] to each question of each item, nan where there is none.

        Its skill [num, K] beside it, -1 where there is no question; atoms and whether there was an image [num].
        """
        asked = [self.prompt(item) for item in range(num)]
        most = most_questions(self._listed.prompts)
        arrays = {"here": np.zeros(num, bool), "atoms": np.array([prompt.atoms for prompt in asked])}
        arrays["answers"], arrays["skills"] = np.full((num, most), np.nan), np.full((num, most), -1)
        for item, prompt in enumerate(asked):
            arrays["skills"][item, : len(prompt.questions)] = [SKILLS.index(skill) for _, _, skill in prompt.questions]
        arrays["here"][[image.item for image in images]] = True
        if self.score:
            of_images = [asked[image.item] for image in images]
            found = scorer.answers(images, of_images, self.weights, place, self.device, answer)
            for image, values in zip(images, found, strict=True):
                arrays["answers"][image.item, : len(values)] = values
        return arrays

    def reading(self, arrays: Arrays, item: int) -> tuple[dict[str, bool], str]:
        if "answers" not in arrays or np.isnan(arrays["answers"][item, 0]):
            return {}, ""
        said = zip(self.prompt(item).questions, arrays["answers"][item], strict=False)
        lines = "; ".join(f"{question} {right}: {value:.2f}" for (question, right, _), value in said)
        return {}, f"Soft-TIFA GM {100 * geometric(arrays['answers'][[item]])[0]:.1f}: {lines}"
