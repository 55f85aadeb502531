"""bench=geneval2: order of items, answers kept, and all its numbers against the official analysis written as loops."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from s2g.benchmarks.dpg.bench import DPG
from s2g.benchmarks.geneval2 import scorer
from s2g.benchmarks.geneval2.bench import GenEval2
from s2g.benchmarks.geneval2.prompts import FILE, SKILLS
from s2g.benchmarks.geneval2.soft_tifa import asked
from s2g.engine.resolve import outline
from s2g.errors import UserError
from s2g.scoring.file_scoring import Image
from s2g.scoring.known_pairs import BLANK, CIRCLE, pairs
from s2g.scoring.scorer import ScoringRequest


def line(at: int) -> dict[str, Any]:
    """A prompt of 3 to 10 atoms, with as many questions and one more for each "a"."""
    count = 3 + at // 4
    questions = [[f"How many things {at}?" if one == 0 else f"Is thing {one} of {at} there?", "two"] for one in range(count)]
    return {
        "prompt": f"thing {at}",
        "atom_count": count,
        "vqa_list": questions,
        "skills": [SKILLS[(at + one) % 5] for one in range(count)],
    }


LINES = [line(at) for at in range(32)]


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> GenEval2:
    (tmp_path / FILE).write_text("".join(json.dumps(one) + "\n" for one in LINES))
    monkeypatch.setattr(scorer, "identity", lambda typed: {"weights": "w"})
    monkeypatch.setattr(scorer, "weights_folder", Path)
    monkeypatch.setattr(scorer.IsolatedScorer, "known", lambda self, folder: {})
    monkeypatch.setattr("s2g.scoring.known_pairs.other_versions", lambda isolated: [])
    monkeypatch.setattr(scorer.Isolated, "check", lambda self: None)
    return GenEval2(prompt_list="own", path=str(tmp_path))


class Answers:
    """Answers of random numbers, those to the known images right unless told otherwise; what was asked is kept."""

    def __init__(self, blank: float = 0.0) -> None:
        self.asked: list[ScoringRequest] = []
        self.noise, self.blank = np.random.default_rng(1), blank

    def __call__(self, request: ScoringRequest) -> list[Any]:
        self.asked.append(request)
        if "known" in request.name:
            shares = [self.blank if image == BLANK else float(image == words) for image, words in pairs()]
            return [[{"p": share, "said": "?"}] for share in shares]
        return [[{"p": float(self.noise.uniform()), "said": "?"} for _ in one.words] for one in request.questions]


def images(items: list[int]) -> list[Image]:
    return [Image(item, Path(f"{item}.png"), f"sha{item}") for item in items]


def test_the_first_items_are_of_every_number_of_atoms(bench: GenEval2) -> None:
    assert bench.num == 32 and [bench.prompt(item).atoms for item in range(16)] == [*range(3, 11)] * 2
    assert bench.caption(1) == "thing 4" and bench.official_name(1) == "004.png"
    assert sorted(bench.official_name(item) for item in range(32)) == [f"{at:03d}.png" for at in range(32)]
    assert bench.prompts([33]) == ["thing 4"]


def test_all_numbers_are_those_of_the_official_analysis(bench: GenEval2, tmp_path: Path) -> None:
    answers = Answers()
    arrays = bench.judge(images(list(range(32))), 32, tmp_path / "judged", answers)
    kept = {bench.place(item): [p for p in arrays["answers"][item] if not math.isnan(p)] for item in range(32)}
    assert all(len(kept[at]) == len(LINES[at]["vqa_list"]) for at in range(32))  # per question and prompt
    by_skill: dict[str, list[float]] = {skill: [] for skill in SKILLS}
    by_atoms: dict[int, list[float]] = {}
    for at, one in enumerate(LINES):
        for p, skill in zip(kept[at], one["skills"], strict=True):
            by_skill[skill].append(p)
        by_atoms.setdefault(one["atom_count"], []).append(math.prod(kept[at]) ** (1 / len(kept[at])))
    expected = {
        "gm": 100 * sum(map(sum, by_atoms.values())) / 32,
        "am": 100 * sum(sum(kept[at]) / len(kept[at]) for at in range(32)) / 32,
        **{skill: 100 * sum(ps) / len(ps) for skill, ps in by_skill.items()},
        **{f"atoms_{atoms}": 100 * sum(ps) / len(ps) for atoms, ps in by_atoms.items()},
    }
    found = {metric.name: float(np.mean(metric.items(arrays))) for metric in bench.metrics if metric.items}
    assert found == pytest.approx(expected, abs=1e-9) and next(iter(found)) == "gm"
    known, real = answers.asked
    assert known.questions[0].words == [asked(f"Is there {CIRCLE} in the image?", "Yes")]
    assert real.questions[1].words[0] == asked("How many things 4?", "two") and real.questions[1].key.startswith("sha1 ")
    assert f"How many things {bench.place(0)}? two: {arrays['answers'][0, 0]:.2f}" in bench.reading(arrays, 0)[1]


def test_what_is_not_the_published_measurement_is_said(bench: GenEval2, tmp_path: Path) -> None:
    some = replace(bench, allow_missing=True)
    arrays = some.judge(images([0, 3]), 4, tmp_path / "judged", Answers())
    am = next(metric for metric in some.metrics if metric.name == "am")
    assert am.items is not None
    rows = [arrays["answers"][item] for item in (0, 3)]
    assert np.mean(am.items(arrays)) == pytest.approx(50 * sum(np.nanmean(row) for row in rows))
    said = some.remarks(4, arrays)[0]
    assert "own" in said and "2 of 4 images" in said and "not known to be Qwen/Qwen3-VL" not in said
    assert "not known to be Qwen" in replace(bench, weights=str(tmp_path)).remarks(32)[0]
    assert GenEval2().remarks(100) == ["not comparable with published GenEval 2 numbers: 100 of 800 prompts"]
    assert GenEval2().remarks(800) == [] and bench.reading(arrays, 1) == ({}, "")


def test_a_blank_that_wins_and_values_that_are_no_probabilities_stop_it(bench: GenEval2, tmp_path: Path) -> None:
    answers = Answers(blank=1.0)
    with pytest.raises(Exception, match="scorer geneval2: it fails on the known images: the blank image scores no lower"):
        bench.judge(images([0]), 1, tmp_path / "judged", answers)
    assert len(answers.asked) == 1  # the real images were not asked about
    wrong = Answers()
    wrong.noise = type("Two", (), {"uniform": lambda self: 2.0})()  # type: ignore[assignment]
    with pytest.raises(UserError, match=r"0\.png: \[2\.0, 2\.0, 2\.0\] are not the probabilities of 3 answers"):
        bench.judge(images([0]), 1, tmp_path / "judged", wrong)
    with pytest.raises(UserError, match=r"bench\.score = mean: there is no 'mean'(.|\n)*am, atoms, gm, skills"):
        GenEval2(score=("mean",))


def test_its_yaml_says_what_the_class_says(composed: Callable[..., dict[str, Any]]) -> None:
    for name, bench in (("geneval2", GenEval2()), ("dpg", DPG())):
        assert outline(composed("model=sd35", f"bench={name}")).bench == bench
