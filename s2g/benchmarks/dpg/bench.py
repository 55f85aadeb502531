"""bench=dpg: DPG-Bench's dense prompts by yes/no questions, official and corrected columns (docs/text-benches.md)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from s2g.benchmarks.dpg import questions, scorer
from s2g.benchmarks.dpg.answers import YES, last_images, official_questions, zeroed
from s2g.benchmarks.dpg.grids import cut_grids
from s2g.benchmarks.dpg.questions import CATEGORIES, COUNT, LISTS, Prompt
from s2g.benchmarks.of_texts import BenchOfTexts, in_turn
from s2g.engine.bench import Arrays, Metric
from s2g.errors import unknown
from s2g.metrics.subset_mean import subset_mean_items
from s2g.scoring.comparability import not_comparable
from s2g.scoring.file_scoring import Image
from s2g.scoring.scorer import Answer
from s2g.scoring.scoring_pool import answer_here

IMAGES = 4  # of a prompt; the official evaluator cuts them out of one grid
SCORES = ("official", "corrected")
COLUMN = {"official": "DPG {}(official)", "corrected": "DPG {}(corrected)"}


def _whole(which: str) -> Metric:
    """The mean over images of the share of questions with a yes that counts."""

    def chosen(of: Arrays) -> np.ndarray:
        return np.asarray(~np.isnan(of[which]).all(axis=1))

    def items(of: Arrays) -> np.ndarray:
        counts = (~np.isnan(of[which])).sum(axis=1)
        return subset_mean_items(100.0 * np.nansum(of[which], axis=1) / np.maximum(counts, 1), chosen(of))

    return Metric(
        "dpg" if which == "official" else "dpg_corrected", COLUMN[which].format(""), True, 2, items=items, subset=chosen
    )


def _category(which: str, category: str) -> Metric:
    """The mean over questions of a category: of the last images before zeroing (official), or of all after it."""

    def asked(of: Arrays) -> np.ndarray:
        part = np.equal(of["category"], CATEGORIES.index(category)) & ~np.isnan(of[which])
        return np.asarray(part & of["last"][:, None] if which == "official" else part)

    def subset(of: Arrays) -> np.ndarray:
        return np.asarray(asked(of).any(axis=1))

    def items(of: Arrays) -> np.ndarray:
        return subset_mean_items(100.0 * of["answers" if which == "official" else which], asked(of))

    name = category if which == "official" else f"{category}_corrected"
    return Metric(name, COLUMN[which].format(f"{category} "), True, 2, items=items, subset=subset, main=False)


METRICS = {which: (_whole(which), *(_category(which, one) for one in CATEGORIES)) for which in SCORES}


@dataclass(frozen=True)
class DPG(BenchOfTexts):
    """Item i is image i // P of prompt i mod P, of P prompts, their sources in turn: 1,065 items are one image of each."""

    prompt_list: str = "official"
    path: str = ""
    score: tuple[str, ...] = SCORES
    weights: str = scorer.OFFICIAL
    device: str = "auto"
    allow_missing: bool = False

    name: ClassVar[str] = "dpg"
    layout: ClassVar[str] = "OUT/ID_N.png, N from 0 to 3; the official evaluator takes ID.png, a grid of the four"
    files: ClassVar[tuple[str, ...]] = ("path", "weights")

    def __post_init__(self) -> None:
        for key, value, allowed in (("prompt_list", (self.prompt_list,), LISTS), ("score", self.score, SCORES)):
            for name in value:
                if name not in allowed:
                    raise unknown(f"bench.{key}", name, allowed)

    @property
    def num(self) -> int:  # pyright: ignore[reportIncompatibleVariableOverride]
        return IMAGES * self._count

    @property
    def _count(self) -> int:
        return len(self._prompts) if self.prompt_list == "own" else COUNT

    @property
    def metrics(self) -> tuple[Metric, ...]:
        return tuple(metric for which in SCORES if which in self.score for metric in METRICS[which])

    @property
    def kept_mb(self) -> float:
        return 1.6  # a PNG of 1024x1024

    @property
    def downloads(self) -> tuple[str, ...]:
        """List what scoring fetches, with sizes."""
        return ("TencentQQGYLab/ELLA, its archive, some MB", *(scorer.DOWNLOADS if self.score else ()))

    @property
    def licences(self) -> tuple[str, ...]:
        """List the licenses of what is fetched."""
        return ("DPG-Bench: Apache-2.0", *(scorer.LICENCES if self.score else ()))

    @cached_property
    def _prompts(self) -> tuple[Prompt, ...]:
        return questions.load(self.path, self.prompt_list)

    @cached_property
    def _order(self) -> list[int]:
        """Return the place in the file of each prompt: sources (an ID without its number) in turn."""
        places: dict[str, list[int]] = {}
        for place, prompt in enumerate(self._prompts):
            places.setdefault(prompt.id.rstrip("0123456789"), []).append(place)
        counts = {source: len(places[source]) for source in sorted(places)}
        return [places[source][place] for source, place in in_turn(counts)]

    def texts(self) -> list[str]:
        return [prompt.text for prompt in self._prompts]

    def needs(self) -> list[Callable[[], object]]:
        of_scores = [lambda: scorer.weights_folder(self.weights), lambda: scorer.environment().check()]
        return [self.texts, *(of_scores if self.score else ())]

    @classmethod
    def downloaders(cls, prompts_only: bool) -> list[Callable[[], list[str]]]:
        from s2g.benchmarks.dpg.fetch import fetch_prompts

        return [fetch_prompts]

    # What the items are.

    def items_id(self) -> Any:
        texts = questions.texts_sha256({prompt.id: prompt.text for prompt in self._prompts})
        return {"prompts": [texts, [prompt.id for prompt in self._prompts]], "order": "sources in turn"}

    def place(self, item: int) -> tuple[int, int]:
        """Return (place of the prompt in the file, image of the prompt) of an item."""
        image, at = divmod(item, self._count)
        return self._order[at], image

    def prompt(self, item: int) -> Prompt:
        """Return an item's prompt with its questions."""
        return self._prompts[self.place(item)[0]]

    def caption(self, item: int) -> str:
        return self.prompt(item).text

    def clusters(self, num: int) -> np.ndarray:
        """Return the prompt of each item [num]: images of one prompt are correlated, so an interval is over prompts."""
        return np.arange(num) % self._count

    def official_name(self, item: int) -> str:
        return f"{self.prompt(item).id}_{self.place(item)[1]}.png"

    def one_image_each(self, folder: Path) -> Path:
        return cut_grids(folder, [prompt.id for prompt in self._prompts])

    # What is measured of them.

    def version(self) -> dict[str, Any]:
        about: dict[str, Any] = {"bench": self.name, "version": 1, "score": list(self.score)}
        if self.score:
            asked = [[[one.id, one.text, one.parents, one.category] for one in prompt.questions] for prompt in self._prompts]
            about |= {"scorer": scorer.identity(self.weights), "questions": questions.blob(repr(asked).encode())}
        return about | ({"allow_missing": True} if self.allow_missing else {})

    def remarks(self, num: int, arrays: Arrays | None = None) -> list[str]:
        if not self.score:
            return []
        why = ["prompts of one's own"] if self.prompt_list == "own" else []
        if num != self.num:
            why.append(f"{num / self._count:.3g} images of a prompt instead of {IMAGES} ({num:,} of {self.num:,})")
        if arrays is not None and (here := int(arrays["here"].sum())) < num:
            why.append(f"{here:,} of {num:,} images were there")
        said = not_comparable([*why, *scorer.doubts(self.weights)], {"DPG-Bench": []})
        corrected = "DPG (corrected) has no published numbers: they are of the official script (docs/text-benches.md)"
        return [*said, *([corrected] if "corrected" in self.score else [])]

    def judge(self, images: Sequence[Image], num: int, place: Path, answer: Answer = answer_here) -> dict[str, np.ndarray]:
        """Return 1 for yes and 0 for any other answer [num, K], nan where nothing is asked: as said, and after zeroing.

        `official` is nan too for questions that the official script does not count. Besides, [num]: whether there was an
        image, whether it is the last of its prompt.
        """
        most = max(len(prompt.questions) for prompt in self._prompts)
        arrays = {"here": np.zeros(num, bool), "category": np.full((num, most), -1)}
        arrays |= {name: np.full((num, most), np.nan) for name in ("answers", *SCORES)}
        arrays["here"][[image.item for image in images]] = True
        arrays["last"] = last_images(arrays["here"], self.clusters(num))
        if self.score:
            of_images = [self.prompt(image.item) for image in images]
            counted = official_questions(self._prompts)
            found = scorer.answers(images, of_images, self.weights, place, self.device, answer)
            for image, prompt, said in zip(images, of_images, found, strict=True):
                yes = {number: float(word == YES) for number, word in said.items()}
                official = counted[self.place(image.item)[0]]
                ids = [question.id for question in prompt.questions]
                for name, after in (
                    ("answers", yes),
                    ("corrected", zeroed(yes, prompt.questions, prompt.id)),
                    ("official", {one.id: zeroed(yes, official, prompt.id)[one.id] for one in official}),
                ):
                    arrays[name][image.item, : len(ids)] = [after.get(number, np.nan) for number in ids]
                arrays["category"][image.item, : len(ids)] = [CATEGORIES.index(one.category) for one in prompt.questions]
        return arrays

    def reading(self, arrays: Arrays, item: int) -> tuple[dict[str, bool], str]:
        if "answers" not in arrays or np.isnan(arrays["answers"][item, 0]):
            return {}, ""
        answers, counted = arrays["answers"][item], arrays["corrected"][item]
        words = ("no", "yes, but its parent no", "yes")
        said = [
            words[int(yes) + int(yes and counts)] for yes, counts in zip(answers, counted, strict=True) if not np.isnan(yes)
        ]
        lines = "; ".join(f"{one.text} {word}" for one, word in zip(self.prompt(item).questions, said, strict=True))
        return {}, f"DPG {100 * np.nanmean(counted):.1f}: {lines}"
