"""Dependency zeroing and the columns, against the official script's steps written as plain loops, and on a case by hand."""

from __future__ import annotations

import random
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from dpg_files import PROMPTS, write

from s2g.benchmarks.dpg import scorer
from s2g.benchmarks.dpg.answers import last_images, official_questions, zeroed
from s2g.benchmarks.dpg.bench import DPG
from s2g.benchmarks.dpg.grids import cut, cut_grids
from s2g.benchmarks.dpg.questions import load
from s2g.errors import UserError
from s2g.scoring.file_scoring import Image
from s2g.scoring.known_pairs import CIRCLE, SQUARE, pairs
from s2g.scoring.scorer import ScoringRequest

Words = dict[tuple[str, int], dict[int, str]]  # by (prompt ID, image): what was said to each question


def test_a_no_zeroes_children_and_their_children(tmp_path: Path) -> None:
    asked = load(str(write(tmp_path)), "own")[1].questions
    assert zeroed({1: 1, 2: 0, 3: 1, 4: 1, 5: 1}, asked) == {1: 1, 2: 0, 3: 0, 4: 1, 5: 1}
    assert zeroed({1: 0, 2: 1, 3: 1, 4: 1, 5: 1}, asked) == {1: 0, 2: 0, 3: 0, 4: 1, 5: 0}  # 3 through 2
    assert zeroed({1: 1, 2: 1, 3: 1, 4: 0, 5: 1}, asked) == {1: 1, 2: 1, 3: 1, 4: 0, 5: 0}  # one parent of two
    with pytest.raises(UserError, match="DPG-Bench, x: the answer to question 4 is missing"):
        zeroed({1: 1, 2: 1, 3: 1, 5: 1}, asked, "x")
    with pytest.raises(UserError, match="DPG-Bench: the answer to question 4 is missing, on which question 5 depends"):
        zeroed({5: 1, 1: 1}, asked[4:])


def test_the_last_image_that_is_there() -> None:
    here = np.array([True, True, True, False, True, False])  # of prompts 0, 1, 2, twice
    assert last_images(here, np.arange(6) % 3).tolist() == [True, False, True, False, True, False]


def official(prompts: Any, words: Words, images: int) -> dict[str, float]:
    """The steps of compute_dpg_bench.py on a file whose first row is lost, its columns in per cent."""
    rows = [(name, *row) for name, questions in prompts.items() for row in questions][1:]
    questions: dict[str, list[Any]] = defaultdict(list)
    for name, number, parents, about, _ in rows:
        questions[name].append((number, [int(one) for one in parents.split(",")], about))
    means, by_category = [], defaultdict(list)
    for name in prompts:
        try:
            of_images, said = [], {}
            for image in range(images):
                said = {number: float(words[name, image][number] == "yes") for number, _, _ in questions[name]}
                kept = dict(said)
                for number, parents, _ in questions[name]:
                    for parent in parents:
                        if parent != 0 and said[parent] == 0:
                            said[number] = 0
                of_images.append(sum(said.values()) / len(said))
                said = kept
            means.append(sum(of_images) / len(of_images))
        except KeyError:  # "Failed filename"
            continue
        for number, _, about in questions[name]:
            by_category[about.split("(")[0].strip().split("-")[0].strip()].append(said[number])
    found = {category: 100 * sum(ones) / len(ones) for category, ones in by_category.items()}
    return {"dpg": 100 * sum(means) / len(means), **found}


def corrected(prompts: Any, words: Words, images: int) -> dict[str, float]:
    """Every question of every image, zeroed where any question above it has a no."""
    scores, by_category = [], defaultdict(list)
    for name, rows in prompts.items():
        parents = {number: [int(one) for one in depends.split(",") if int(one)] for number, depends, _, _ in rows}

        def counts(number: int, said: dict[int, str], parents: dict[int, list[int]] = parents) -> bool:
            return said[number] == "yes" and all(counts(parent, said, parents) for parent in parents[number])

        for image in range(images):
            found = [float(counts(number, words[name, image])) for number, _, _, _ in rows]
            scores.append(sum(found) / len(found))
            for value, (_, _, about, _) in zip(found, rows, strict=True):
                by_category[about.split()[0]].append(value)
    columns = {f"{category}_corrected": 100 * sum(ones) / len(ones) for category, ones in by_category.items()}
    return {"dpg_corrected": 100 * sum(scores) / len(scores), **columns}


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> DPG:
    monkeypatch.setattr(scorer, "identity", lambda typed: {"weights": "w"})
    monkeypatch.setattr(scorer, "weights_folder", Path)
    monkeypatch.setattr(scorer.IsolatedScorer, "known", lambda self, folder: {})
    monkeypatch.setattr("s2g.scoring.known_pairs.other_versions", lambda isolated: [])
    monkeypatch.setattr(scorer.Isolated, "check", lambda self: None)
    return DPG(prompt_list="own", path=str(write(tmp_path / "own")))


def measured(bench: DPG, words: Words, place: Path, skills: tuple[float, ...] = ()) -> dict[str, float]:
    def answer(request: ScoringRequest) -> list[list[str]]:
        if "known" in request.name:
            shares = skills or [float(image == drawing) for image, drawing in pairs()]
            return [["yes"] * round(4 * share) + ["no"] * (4 - round(4 * share)) for share in shares]
        asked = [(bench.prompt(one.item), bench.place(one.item)[1]) for one in request.questions]
        return [[words[prompt.id, image][one.id] for one in prompt.questions] for prompt, image in asked]

    images = [Image(item, Path(f"{item}.png"), f"sha{item}") for item in range(bench.num)]
    arrays = bench.judge(images, bench.num, place, answer)
    return {metric.name: float(np.mean(metric.items(arrays))) for metric in bench.metrics if metric.items}


@pytest.mark.parametrize("free", [False, True])  # whether a question depends on the first row
def test_all_columns_against_plain_loops(bench: DPG, tmp_path: Path, free: bool) -> None:
    prompts = dict(PROMPTS)
    if free:
        prompts["partiprompts97"] = [(number, "0", about, asked) for number, _, about, asked in PROMPTS["partiprompts97"]]
        write(tmp_path / "own", prompts)
    assert [len(one) for one in official_questions(load(bench.path, "own"))] == [1 if free else 0, 5, 2]
    drawn = random.Random(3)
    words = {
        (name, image): {row[0]: drawn.choice(["yes", "yes", "no", "yes it is"]) for row in rows}
        for name, rows in prompts.items()
        for image in range(4)
    }
    expected = {**official(prompts, words, 4), **corrected(prompts, words, 4)}
    assert measured(bench, words, tmp_path / "judged") == pytest.approx(expected, abs=1e-9)


def test_official_and_corrected_differ_where_the_official_script_errs(bench: DPG, tmp_path: Path) -> None:
    no = {name: {row[0]: "no" for row in rows} for name, rows in PROMPTS.items()}
    yes = {name: {row[0]: "yes" for row in rows} for name, rows in PROMPTS.items()}
    words = {(name, image): (yes if image < 3 else no)[name] for name in PROMPTS for image in range(4)}
    words["COCOval1", 3] = {**yes["COCOval1"], 1: "no"}  # the last image of one: no cat, and yet its ear
    found = measured(bench, words, tmp_path / "judged")
    assert found["dpg"] == pytest.approx(100 * ((3 + 1 / 5) / 4 + 3 / 4) / 2)  # without the first prompt
    assert found["dpg_corrected"] == pytest.approx(100 * (3 / 4 + (3 + 1 / 5) / 4 + 3 / 4) / 3)
    # Entity, official: the last images alone, the ear counts without its cat: 0, 1 of COCOval1 and 0 of COCOval2.
    assert found["entity"] == pytest.approx(100 / 3)
    # Corrected: 12 questions of three right images, none of the last.
    assert found["entity_corrected"] == pytest.approx(75)
    assert (found["attribute"], found["attribute_corrected"]) == pytest.approx((100, 75))  # of the last, and of eight


def test_items_and_what_is_said_of_them(bench: DPG, tmp_path: Path) -> None:
    assert bench.num == 12 and [bench.prompt(item).id for item in range(4)] == [
        "COCOval1",
        "partiprompts97",
        "COCOval2",
        "COCOval1",
    ]
    assert [bench.official_name(item) for item in (0, 4, 11)] == ["COCOval1_0.png", "partiprompts97_1.png", "COCOval2_3.png"]
    assert bench.clusters(12).tolist() == [0, 1, 2] * 4
    said = bench.remarks(6)
    assert "prompts of one's own; 2 images of a prompt instead of 4 (6 of 12)" in said[0] and "no published numbers" in said[1]
    assert DPG(score=("official",)).remarks(4260) == []
    with pytest.raises(UserError, match=r"bench\.score = fixed: there is no 'fixed'"):
        DPG(score=("fixed",))
    arrays = {
        "answers": np.array([[1.0, 0.0, 1.0, 1.0, 1.0]]),
        "corrected": np.array([[1.0, 0.0, 0.0, 1.0, 1.0]]),
    }
    assert "DPG 60.0: Is there a cat? yes; " in (line := bench.reading(arrays, 0)[1])
    assert "Is the ear red? yes, but its parent no" in line and "have an ear? no" in line


def test_a_scorer_that_says_yes_to_everything_scores_nothing(bench: DPG, tmp_path: Path) -> None:
    words = {(name, image): {row[0]: "yes" for row in rows} for name, rows in PROMPTS.items() for image in range(4)}
    with pytest.raises(Exception, match="scorer dpg: it fails on the known images: it does not look at the images"):
        measured(bench, words, tmp_path / "judged", (1.0,) * 6)
    assert scorer.KNOWN.words[CIRCLE][2:] == ["Is the circle red?", "Is there a red circle?"]
    assert scorer.KNOWN.words[SQUARE][1] == "Is there something blue?"
    assert scorer.KNOWN.value(["yes", "no", "yes", "yes it is"]) == 0.5


def test_a_grid_is_cut_by_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import PIL.Image

    monkeypatch.setenv("S2G_CACHE", str(tmp_path / "cache"))
    grid = np.random.default_rng(0).integers(0, 255, (8, 8, 3), dtype=np.uint8)
    parts = cut(grid)
    assert (np.vstack([np.hstack(parts[:2]), np.hstack(parts[2:])]) == grid).all() and parts[1].shape == (4, 4, 3)
    (folder := tmp_path / "grids").mkdir()
    PIL.Image.fromarray(grid).save(folder / "COCOval1.png")
    cut_to = cut_grids(folder, ["COCOval1", "COCOval2"])
    assert sorted(file.name for file in cut_to.iterdir()) == [f"COCOval1_{number}.png" for number in range(4)]
    assert (np.asarray(PIL.Image.open(cut_to / "COCOval1_2.png")) == grid[4:, :4]).all()
    assert cut_grids(cut_to, ["COCOval1"]) == cut_to
    PIL.Image.fromarray(grid).save(folder / "COCOval2_0.png")
    with pytest.raises(UserError, match=r"COCOval1\.png is a grid of four, and COCOval2_0\.png is not"):
        cut_grids(folder, ["COCOval1", "COCOval2"])
    (folder / "COCOval2_0.png").unlink()
    PIL.Image.fromarray(grid[:, :6]).save(folder / "COCOval2.png")
    with pytest.raises(UserError, match=r"COCOval2\.png: 6x8 pixels are no grid of two by two"):
        cut_grids(folder, ["COCOval1", "COCOval2"])
