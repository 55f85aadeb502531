"""bench=prompts: prompts of one's own, typed or from a file; their images are looked at, and scored where `score` says how."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from s2g.benchmarks.preference import panel
from s2g.benchmarks.prompts.prompt_file import KINDS, check_seed, read_prompts, wrong_with
from s2g.config.schema import ModelConfig, canonical, model_names
from s2g.engine.bench import Arrays, Metric
from s2g.errors import SeveralError, UserError
from s2g.scoring.file_scoring import FileBench, Image, filled
from s2g.scoring.scorer import Answer
from s2g.scoring.scoring_pool import answer_here


@dataclass(frozen=True)
class Prompts(FileBench):
    """Item i is prompt i mod their number; beyond it, the same prompts come again with other noise.

    path: a file, as prompt_file.py reads it; text: the prompts themselves.
    seeds: with a seed of its own, a prompt's noise is that of (seed, 0), wherever it stands; then of (seed, 1) and so on.
    score: preference scores of the images (s2g/benchmarks/preference); none by default.
    models: a folder of their repositories; "": the hub's cache.
    """

    num: int | None = None  # pyright: ignore  # set to the number of prompts when it is made
    path: str | None = None
    text: tuple[str, ...] | None = None
    seeds: tuple[int, ...] = ()
    examples: tuple[str, ...] = ()  # where neither path nor text is typed: a YAML's prompts are not taken for typed ones
    score: tuple[str, ...] = ()
    scorer: str = panel.IMSCORE
    models: str = ""
    device: str = "auto"
    allow_missing: bool = False

    fewest: ClassVar[int] = 1  # one image has a preference score, or none is asked for
    files: ClassVar[tuple[str, ...]] = ("models",)
    listed: ClassVar[tuple[str, ...]] = ()  # the prompts, wherever they are from; set when it is made

    def __post_init__(self) -> None:
        text = self.examples if self.text is None else self.text
        if self.path is not None:
            for key, typed in (("text", self.text), ("seeds", self.seeds)):
                if typed:
                    raise UserError(
                        f"bench.{key} is given, and bench.path = {self.path}: it would not be read",
                        allowed="prompts and their seeds from a file, or typed",
                        todo=f'leave out bench.path or bench.{key}; seeds of a file: .jsonl of {{"prompt": ..., "seed": ...}}',
                    )
            text, seeds = read_prompts(Path(self.path).expanduser())
            object.__setattr__(self, "seeds", seeds)
        object.__setattr__(self, "listed", text)
        if not text:
            raise UserError("bench.text = []: no prompts", todo=f"'bench.text=\"a cat\"', or bench.path=FILE: {KINDS}")
        for number, prompt in enumerate(self.listed, 1):
            if wrong := wrong_with(prompt):
                raise UserError(f"bench.text: prompt {number} {wrong}", allowed="prompts of at least one word, in UTF-8")
        if self.seeds and len(self.seeds) != len(self.listed):
            raise UserError(f"bench.seeds: {len(self.seeds)} seeds for {len(self.listed)} prompts", allowed="one each, or none")
        for seed in self.seeds:
            check_seed(seed, "bench.seeds")
        if self.num is None:
            object.__setattr__(self, "num", len(self.listed))
        panel.check_names(self.score, self.scorer)
        for key, value, default in (
            ("scorer", self.scorer, panel.IMSCORE),
            ("models", self.models, ""),
            ("device", self.device, "auto"),
        ):
            if not self.score and value != default:
                raise UserError(
                    f"bench.{key} = {value}, and bench.score = []: it would not be read",
                    todo=f"leave out bench.{key}, or bench.score=[{','.join(panel.SCORES)}]",
                )
        if self.scorer == panel.OFFICIAL and self.device != "auto":
            raise UserError(
                f"bench.device = {self.device}, and bench.scorer = official: it would not be read",
                allowed="the packages' own device: a GPU where there is one",
                todo="leave bench.device out, or bench.scorer=imscore",
            )

    @staticmethod
    def settled(values: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return values with a single prompt, or a single score, as a list of one."""
        return {**values, **{key: [values[key]] for key in ("text", "score") if isinstance(values.get(key), str)}}

    @property
    def metrics(self) -> tuple[Metric, ...]:
        return panel.metrics(self.score)

    @property
    def downloads(self) -> tuple[str, ...]:
        return panel.downloads(self.score, self.scorer)

    @property
    def licences(self) -> tuple[str, ...]:
        return panel.licences(self.score)

    def needs(self) -> list[Callable[[], object]]:
        return panel.needs(self.score, self.scorer, self.models)

    @property
    def cycle(self) -> int:
        return len(self.listed)

    @property
    def kept_mb(self) -> float:
        return 1.6  # a PNG of 1024x1024

    def check(self, model: ModelConfig) -> None:
        if not model.reads_text:
            raise UserError(
                f"bench = prompts: {model.name} does not read prompts in words",
                allowed=f"models that do: {', '.join(model_names(lambda family: family.reads_text))}",
            )
        model.check_prompts(self.listed)
        if self.score and model.makes_videos:
            raise UserError(
                f"bench.score = {list(self.score)}: {model.name} makes videos, and these scores are of images",
                allowed="bench.score=[], or a model of images",
            )
        if errors := self.lacking():
            raise SeveralError.of(errors)

    def placed(self, typed: Mapping[str, Any]) -> dict[str, Any]:
        """Return the bench as typed, with its prompts instead of the file, which may change."""
        return {**super().placed(typed), "path": None, "text": list(self.listed), "seeds": list(self.seeds), "examples": []}

    def items_id(self) -> Any:
        of = hashlib.sha256(canonical([self.listed, self.seeds]).encode()).hexdigest()
        return {"prompts": len(self.listed), "sha256": of}

    def version(self) -> dict[str, Any]:
        about: dict[str, Any] = {"bench": "prompts", "version": 1}
        if self.score:
            about["score"] = {name: panel.identity(name, self.scorer, self.models) for name in self.score}
        return about | ({"allow_missing": True} if self.score and self.allow_missing else {})

    def prompts(self, items: Sequence[int]) -> list[str]:
        return [self.listed[item % len(self.listed)] for item in items]

    def streams(self, items: Sequence[int]) -> dict[int, tuple[int, int]]:
        """Return seed and number of the noise by item, if prompts have seeds of their own."""
        count = len(self.listed)
        return {item: (self.seeds[item % count], item // count) for item in items} if self.seeds else {}

    def caption(self, item: int) -> str:
        return self.listed[item % len(self.listed)]

    def official_name(self, item: int) -> str:
        """Return a name by number: there is no official evaluator of these prompts."""
        return f"{item:06d}.png"

    def remarks(self, num: int, arrays: Arrays | None = None) -> list[str]:
        said = panel.remarks(self.score, self.scorer, self.models, arrays)
        if self.score and arrays is not None and (here := int(arrays["here"].sum())) < num:
            said.append(f"{here:,} of {num:,} images were there")
        return said

    def judge(self, images: Sequence[Image], num: int, place: Path, answer: Answer = answer_here) -> dict[str, np.ndarray]:
        """Return each score of each item, nan without an image, and whether there was one."""
        here = np.zeros(num, bool)
        here[[image.item for image in images]] = True
        texts = self.prompts([image.item for image in images])
        arrays = {"here": here}
        for name in self.score:
            found = panel.scores(
                name,
                images=images,
                texts=texts,
                scorer=self.scorer,
                models=self.models,
                device=self.device,
                place=place,
                answer=answer,
            )
            arrays[name] = filled(num, images, found)
        return arrays

    def reading(self, arrays: Arrays, item: int) -> tuple[dict[str, bool], str]:
        return {}, ", ".join(f"{panel.SCORES[name].label} {arrays[name][item]:.3f}" for name in self.score if name in arrays)
