"""bench=compbench: colours, shapes and textures of T2I-CompBench by BLIP-VQA; Q-Align on the same images (docs/scores.md)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from s2g.benchmarks.compbench import blip, phrases, prompts
from s2g.benchmarks.compbench.prompts import CATEGORIES, COUNT, LISTS
from s2g.benchmarks.compbench.questions import image_score, questions_of
from s2g.benchmarks.of_texts import BenchWithQAlign, in_turn
from s2g.benchmarks.qalign import qalign
from s2g.config.coerce import at_least
from s2g.engine.bench import Arrays, Metric
from s2g.errors import UserError, unknown
from s2g.metrics.subset_mean import subset_mean_items
from s2g.scoring.file_scoring import Image
from s2g.scoring.scorer import Answer, Question, ScoringRequest

IMAGES = 10  # of a prompt
FIRST_SEED = 42  # image n of every prompt begins from noise of seed 42 + n
APART = 1000  # between the seeds of runs: seed=1 is 1042 to 1051


def _category(name: str, label: str) -> Metric:
    def part(of: Arrays) -> np.ndarray:
        return of["category"] == CATEGORIES.index(name)

    return Metric(name, label, True, 2, items=lambda of: subset_mean_items(100.0 * of["blip"], part(of)), subset=part)


BLIP = (_category("color", "Color"), _category("shape", "Shape"), _category("texture", "Texture"))


@dataclass(frozen=True)
class CompBench(BenchWithQAlign):
    """Item i is image i // P of prompt i mod P, of P prompts of the categories in turn: 900 items are one image of each."""

    prompt_list: str = "2025-09"
    path: str = ""
    categories: tuple[str, ...] = CATEGORIES
    seed: int = 0
    score: tuple[str, ...] = ("blip",)
    blip: str = blip.OFFICIAL
    spacy: str = ""
    qalign: str = qalign.OFFICIAL
    qalign_variant: str = "scorer"
    device: str = "auto"
    allow_missing: bool = False

    name: ClassVar[str] = "compbench"
    own: ClassVar[str] = "blip"
    own_version: ClassVar[int] = 1
    published: ClassVar[Mapping[str, str]] = {"blip": "T2I-CompBench", "qalign": "Q-Align (T2I-CompBench)"}
    qalign_label: ClassVar[str] = "Q-Align (T2I-Comp.)"
    TYPED: ClassVar[Mapping[str, str]] = {"prompts": "prompt_list"}  # `prompts` is what every bench has to answer
    layout: ClassVar[str] = "OUT/CATEGORY/samples/PROMPT_NNNNNN.png (Karine-Huang/T2I-CompBench)"
    files: ClassVar[tuple[str, ...]] = ("path", "blip", "spacy", "qalign")

    def __post_init__(self) -> None:
        if self.prompt_list not in LISTS:
            raise unknown("bench.prompts", self.prompt_list, LISTS)
        for name in self.categories:
            if name not in CATEGORIES:
                raise unknown("bench.categories", name, CATEGORIES)
        self.check_score()
        if not self.categories or len(set(self.categories)) < len(self.categories):
            raise UserError(f"bench.categories = {list(self.categories)}", allowed="some of color, shape, texture, each once")
        at_least(self.seed, 0, "bench.seed")

    # What there is, known without any file where the list is an official one.

    @property
    def num(self) -> int:  # pyright: ignore[reportIncompatibleVariableOverride]
        return IMAGES * self._count

    @property
    def _count(self) -> int:
        return len(self._entries) if self.prompt_list == "own" else COUNT * len(self.categories)

    def own_metrics(self) -> Sequence[Metric]:
        return [metric for metric in BLIP if metric.name in self.categories]

    @property
    def downloads(self) -> tuple[str, ...]:
        """List what scoring fetches, with sizes."""
        own = (f"{prompts.SOURCE}, 3 files, 40 kB",)
        of_blip = (f"{blip.OFFICIAL}, 1.5 GB", phrases.SOURCE, "the environment phrases, 0.2 GB")
        return (*own, *(of_blip if "blip" in self.score else ()), *(qalign.DOWNLOADS if "qalign" in self.score else ()))

    @property
    def licences(self) -> tuple[str, ...]:
        """List the licenses of what is fetched."""
        of_blip = ("BLIP: BSD-3", "spaCy and en_core_web_sm: MIT") if "blip" in self.score else ()
        return ("T2I-CompBench: MIT", *of_blip, *(qalign.LICENCES if "qalign" in self.score else ()))

    @cached_property
    def _lists(self) -> Mapping[str, prompts.Listed]:
        return prompts.load(self.path, self.prompt_list, self.categories)

    @cached_property
    def _entries(self) -> list[tuple[str, int]]:
        """Return (category, place in its list) of every prompt, categories in turn."""
        return in_turn({category: len(self._lists[category].prompts) for category in self.categories})

    def texts(self) -> list[str]:
        return [prompt for listed in self._lists.values() for prompt in listed.prompts]

    def own_needs(self) -> list[Callable[[], object]]:
        return [
            lambda: blip.weights_folder(self.blip),
            lambda: phrases.model_place(self.spacy),
            lambda: phrases.environment().check(),
        ]

    @classmethod
    def downloaders(cls, prompts_only: bool) -> list[Callable[[], list[str]]]:
        from s2g.benchmarks.compbench.fetch import addresses, fetch_file

        names = [name for name in addresses() if name.endswith(".txt") or not prompts_only]
        return [lambda name=name: [fetch_file(name)] for name in names]

    # What the items are.

    def items_id(self) -> Any:
        if self.prompt_list == "own":
            lists = prompts.lists_id(self._lists)
        else:
            lists = {category: prompts.OFFICIAL[self.prompt_list][category] for category in self.categories}
        return {"prompts": lists, "order": list(self.categories), "seeds": self._seed(0)}

    def caption(self, item: int) -> str:
        category, place, _ = self.place(item)
        return self._lists[category].prompts[place]

    def place(self, item: int) -> tuple[str, int, int]:
        """Return (category, prompt in its list, image of the prompt) of an item."""
        image, entry = divmod(item, self._count)
        return (*self._entries[entry], image)

    def streams(self, items: Sequence[int]) -> dict[int, tuple[int, int]]:
        """Return seed and number of the noise by item: image n of every prompt has the same, as in the official generator."""
        return {item: (self._seed(item // self._count), 0) for item in items}

    def _seed(self, image: int) -> int:
        return (FIRST_SEED + APART * self.seed + image) % 2**64

    def clusters(self, num: int) -> np.ndarray:
        """Return the prompt of each item [num]: images of one prompt are correlated, so an interval is over prompts."""
        return np.arange(num) % self._count

    def official_name(self, item: int) -> str:
        """Return the official evaluator's path of an item's image: CATEGORY/samples/PROMPT_NNNNNN.png."""
        category, place, image = self.place(item)
        return f"{category}/samples/{self.caption(item)}_{place * IMAGES + image:06d}.png"

    # What is measured of them.

    def own_identity(self) -> dict[str, Any]:
        return {"blip": blip.identity(self.blip), "libraries": blip.libraries(), "phrases": phrases.identity(self.spacy)}

    def doubts(self, num: int, arrays: Arrays | None) -> dict[str, list[str]]:
        every = ["prompts of one's own"] if self.prompt_list == "own" else []
        if num != self.num:
            every.append(f"{num / self._count:.3g} images of a prompt instead of {IMAGES} ({num:,} of {self.num:,})")
        of_blip, of_qalign = [*blip.doubts(self.blip), *phrases.doubts(self.spacy)], qalign.doubts(self.qalign)
        if set(self.categories) != set(CATEGORIES):  # each category of BLIP's has a column of its own, Q-Align one for all
            of_qalign.append(f"it is over {', '.join(self.categories)} alone")
        return {"": every, "blip": of_blip, "qalign": of_qalign}

    def notes(self) -> list[str]:
        before = "the list of colours from before 2025-09-03, with five repeats: not strictly comparable with the newer one"
        return [before] if self.prompt_list == "before" else []

    def groups(self, num: int) -> dict[str, np.ndarray]:
        return {"category": np.array([CATEGORIES.index(self.place(item)[0]) for item in range(num)])}

    def own_scores(self, images: Sequence[Image], place: Path, answer: Answer) -> list[float]:
        """Return BLIP-VQA's score in [0, 1] of each image; answers are cached as they become known."""
        texts = self.prompts([image.item for image in images])
        found = phrases.phrases_of(texts, self.spacy)
        questions = []
        for image, text in zip(images, texts, strict=True):
            words = questions_of(found[text]["phrases"])
            questions.append(Question(image.item, f"{image.sha256} {' '.join(words)}", image.path, words))
        scorer, folder = blip.BlipScorer(self.blip, self.device), place / f"blip-{blip.identity(self.blip)}-{self.own_version}"
        return [image_score(answers) for answers in answer(ScoringRequest("blip", scorer, folder, tuple(questions)))]

    def reading(self, arrays: Arrays, item: int) -> tuple[dict[str, bool], str]:
        return {}, f"BLIP-VQA {arrays['blip'][item]:.4f}" if "blip" in arrays else ""
