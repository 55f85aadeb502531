"""bench=compbench: colours, shapes and textures of T2I-CompBench by BLIP-VQA; Q-Align on the same images (docs/scores.md)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from s2g.benchmarks.compbench import blip, phrases, prompts
from s2g.benchmarks.compbench.prompts import CATEGORIES, COUNT, LISTS
from s2g.benchmarks.compbench.questions import image_score, questions_of
from s2g.benchmarks.qalign import qalign
from s2g.config.coerce import at_least
from s2g.config.schema import ModelConfig, model_names
from s2g.engine.bench import Arrays, Metric
from s2g.errors import SeveralError, UserError, gathered, unknown
from s2g.metrics.subset_mean import subset_mean_items
from s2g.scoring.comparability import not_comparable
from s2g.scoring.file_scoring import FileBench, Image, filled
from s2g.scoring.scorer import Asked, Inquiry, Question
from s2g.scoring.scoring_pool import asked_here

VERSION = 1  # of how images are asked about; another one asks anew
IMAGES = 10  # of a prompt
FIRST_SEED = 42  # image n of every prompt begins from noise of seed 42 + n
APART = 1000  # between the seeds of runs: seed=1 is 1042 to 1051
SCORES = ("blip", "qalign")
PUBLISHED = {"blip": "T2I-CompBench", "qalign": "Q-Align (T2I-CompBench)"}  # whose numbers a score would stand beside


def _category(name: str, label: str) -> Metric:
    def part(of: Arrays) -> np.ndarray:
        return of["category"] == CATEGORIES.index(name)

    return Metric(name, label, True, 2, items=lambda of: subset_mean_items(100.0 * of["blip"], part(of)), subset=part)


BLIP = (_category("color", "Color"), _category("shape", "Shape"), _category("texture", "Texture"))
QALIGN = Metric(
    "qalign", "Q-Align (T2I-Comp.)", True, 2, items=lambda of: subset_mean_items(of["qalign"], np.ones(len(of["qalign"]), bool))
)


@dataclass(frozen=True)
class CompBench(FileBench):
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

    TYPED: ClassVar[Mapping[str, str]] = {"prompts": "prompt_list"}  # `prompts` is what every bench has to answer
    layout: ClassVar[str] = "OUT/CATEGORY/samples/PROMPT_NNNNNN.png (Karine-Huang/T2I-CompBench)"
    files: ClassVar[tuple[str, ...]] = ("path", "blip", "spacy", "qalign")

    def __post_init__(self) -> None:
        if self.prompt_list not in LISTS:
            raise unknown("bench.prompts", self.prompt_list, LISTS)
        for key, names, known in (("categories", self.categories, CATEGORIES), ("score", self.score, SCORES)):
            for name in names:
                if name not in known:
                    raise unknown(f"bench.{key}", name, known)
        if not self.categories or len(set(self.categories)) < len(self.categories):
            raise UserError(f"bench.categories = {list(self.categories)}", allowed="some of color, shape, texture, each once")
        qalign.check_variant(self.qalign_variant)
        at_least(self.seed, 0, "bench.seed")

    # What there is, known without any file where the list is an official one.

    @property
    def num(self) -> int:  # pyright: ignore[reportIncompatibleVariableOverride]
        return IMAGES * self._count

    @property
    def _count(self) -> int:
        return len(self._entries) if self.prompt_list == "own" else COUNT * len(self.categories)

    @property
    def metrics(self) -> tuple[Metric, ...]:
        of_blip = [metric for metric in BLIP if metric.name in self.categories]
        return (*(of_blip if "blip" in self.score else ()), *((QALIGN,) if "qalign" in self.score else ()))

    @property
    def kept_mb(self) -> float:
        return 1.6  # a PNG of 1024x1024

    @property
    def downloads(self) -> tuple[str, ...]:
        """What scoring fetches, with sizes."""
        own = (f"{prompts.SOURCE}, 3 files, 40 kB",)
        of_blip = (f"{blip.OFFICIAL}, 1.5 GB", phrases.SOURCE, "the environment phrases, 0.2 GB")
        return (*own, *(of_blip if "blip" in self.score else ()), *(qalign.DOWNLOADS if "qalign" in self.score else ()))

    @property
    def licences(self) -> tuple[str, ...]:
        """Of what is fetched."""
        of_blip = ("BLIP: BSD-3", "spaCy and en_core_web_sm: MIT") if "blip" in self.score else ()
        return ("T2I-CompBench: MIT", *of_blip, *(qalign.LICENCES if "qalign" in self.score else ()))

    @cached_property
    def _lists(self) -> Mapping[str, prompts.Listed]:
        return prompts.load(self.path, self.prompt_list, self.categories)

    @cached_property
    def _entries(self) -> list[tuple[str, int]]:
        """(category, place in its list) of every prompt, categories in turn."""
        longest = max(len(listed.prompts) for listed in self._lists.values())
        places = ((category, place) for place in range(longest) for category in self.categories)
        return [(category, place) for category, place in places if place < len(self._lists[category].prompts)]

    def check(self, model: ModelConfig) -> None:
        errors = self.lacking()
        if not model.traits.makes_images_of_texts:
            allowed = ", ".join(model_names(lambda family: family.reads_any_text and not family.makes_videos))
            errors.insert(0, UserError(f"bench = compbench: {model.name} makes no images of texts", allowed=allowed))
        with suppress(UserError):  # that lists are not here is among the errors already
            texts = [prompt for listed in self._lists.values() for prompt in listed.prompts]
            with gathered(errors):
                model.check_prompts(texts)
        if errors:
            raise SeveralError.of(errors)

    def needs(self) -> list[Callable[[], object]]:
        needs: list[Callable[[], object]] = [lambda: self._lists]
        if "blip" in self.score:
            needs += [lambda: blip.weights_folder(self.blip), lambda: phrases.model_place(self.spacy)]
            needs.append(lambda: phrases.environment().check())
        if "qalign" in self.score:
            needs += [lambda: qalign.weights_folder(self.qalign), lambda: qalign.environment().check()]
        return needs

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

    def prompts(self, items: Sequence[int]) -> list[str]:
        return [self.caption(item) for item in items]

    def caption(self, item: int) -> str:
        category, place, _ = self.place(item)
        return self._lists[category].prompts[place]

    def place(self, item: int) -> tuple[str, int, int]:
        """(category, prompt in its list, image of the prompt) of an item."""
        image, entry = divmod(item, self._count)
        return (*self._entries[entry], image)

    def streams(self, items: Sequence[int]) -> dict[int, tuple[int, int]]:
        """By item the seed and number of its noise: image n of every prompt has the same, as the official generator's."""
        return {item: (self._seed(item // self._count), 0) for item in items}

    def _seed(self, image: int) -> int:
        return (FIRST_SEED + APART * self.seed + image) % 2**64

    def clusters(self, num: int) -> np.ndarray:
        """[num] prompt of each item: images of one prompt are alike, so an interval is over prompts."""
        return np.arange(num) % self._count

    def official_name(self, item: int) -> str:
        """Where the official evaluator has an item's image: CATEGORY/samples/PROMPT_NNNNNN.png; one category a folder."""
        category, place, image = self.place(item)
        return f"{category}/samples/{self.caption(item)}_{place * IMAGES + image:06d}.png"

    # What is measured of them.

    def version(self) -> dict[str, Any]:
        about: dict[str, Any] = {"bench": "compbench", "version": VERSION, "score": list(self.score)}
        if "blip" in self.score:
            about |= {"blip": blip.identity(self.blip), "libraries": blip.libraries(), "phrases": phrases.identity(self.spacy)}
        if "qalign" in self.score:
            about |= {"qalign": qalign.identity(self.qalign, self.qalign_variant)}
        return about | ({"allow_missing": True} if self.allow_missing else {})

    def remarks(self, num: int, arrays: Arrays | None = None) -> list[str]:
        """Why a score is not comparable, and what else is to be known of it; [] for the whole official set."""
        why: list[str] = []
        if not self.score:
            return why
        if self.prompt_list == "own":
            why.append("prompts of one's own")
        if num != self.num:
            why.append(f"{num / self._count:.3g} images of a prompt instead of {IMAGES} ({num:,} of {self.num:,})")
        if arrays is not None and (here := int(arrays["here"].sum())) < num:
            why.append(f"{here:,} of {num:,} images were there")
        doubts = {"blip": [*blip.doubts(self.blip), *phrases.doubts(self.spacy)], "qalign": qalign.doubts(self.qalign)}
        if set(self.categories) != set(CATEGORIES):  # each category of BLIP's has a column of its own, Q-Align one for all
            doubts["qalign"].append(f"it is over {', '.join(self.categories)} alone")
        said = not_comparable(why, {PUBLISHED[name]: doubts[name] for name in SCORES if name in self.score})
        if self.prompt_list == "before":
            said.append(
                "the list of colours from before 2025-09-03, with five repeats: not strictly comparable with the newer one"
            )
        return [*said, *([qalign.remark(self.qalign_variant)] if "qalign" in self.score else [])]

    def judge(self, images: Sequence[Image], num: int, place: Path, asked: Asked = asked_here) -> dict[str, np.ndarray]:
        """blip in [0, 1] and Q-Align 1 to 5 of each image, nan where it lacks; its category; whether it was there."""
        here = np.zeros(num, bool)
        here[[image.item for image in images]] = True
        category = np.array([CATEGORIES.index(self.place(item)[0]) for item in range(num)])
        arrays = {"here": here, "category": category}
        if "blip" in self.score:
            arrays["blip"] = filled(num, images, self._blip(images, place, asked))
        if "qalign" in self.score:
            arrays["qalign"] = filled(
                num, images, qalign.scores(images, self.qalign, self.qalign_variant, place, self.device, asked)
            )
        return arrays

    def _blip(self, images: Sequence[Image], place: Path, asked: Asked) -> list[float]:
        """Each image's score; its answers are kept as they become known."""
        texts = self.prompts([image.item for image in images])
        found = phrases.phrases_of(texts, self.spacy)
        questions = []
        for image, text in zip(images, texts, strict=True):
            words = questions_of(found[text]["phrases"])
            questions.append(Question(image.item, f"{image.sha256} {' '.join(words)}", image.path, words))
        scorer, folder = blip.BlipScorer(self.blip, self.device), place / f"blip-{blip.identity(self.blip)}-{VERSION}"
        return [image_score(answers) for answers in asked(Inquiry("blip", scorer, folder, tuple(questions)))]

    def reading(self, arrays: Arrays, item: int) -> tuple[dict[str, bool], str]:
        return {}, f"BLIP-VQA {arrays['blip'][item]:.4f}" if "blip" in arrays else ""
