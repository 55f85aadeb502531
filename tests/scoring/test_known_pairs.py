"""A scorer first scores three known images: each way to be wrong has its reason, and nothing is scored after one."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from isolated_here import isolated_here

from s2g.errors import IsolatedError
from s2g.io.images import read_image
from s2g.scoring import known_pairs
from s2g.scoring.isolated.environment import Isolated
from s2g.scoring.isolated.pinned_versions import other_versions
from s2g.scoring.known_pairs import BLANK, CIRCLE, NOTE, SQUARE, KnownPairs, answer_checked, drawn, fault, pairs
from s2g.scoring.scorer import InProcessScorer, IsolatedScorer, Question, ScoringRequest
from s2g.scoring.scoring_pool import answer_here

GOOD = [0.9, 0.3, 0.2, 0.8, 0.1, 0.1]  # circle, square, blank; each with the circle's words and the square's


def values(numbers: list[float]) -> dict[tuple[str, str], float]:
    return dict(zip(pairs(), numbers, strict=True))


def test_the_shapes_fill_the_middle_half() -> None:
    circle, square, blank = (drawn(name) for name in (CIRCLE, SQUARE, BLANK))
    assert (blank == 255).all() and blank.shape == (512, 512, 3)
    for image, area in ((circle, math.pi * 128**2), (square, 256**2)):
        inside = (image != 255).any(axis=-1)
        assert inside.sum() == pytest.approx(area, rel=0.005)
        assert (
            (inside == inside[::-1]).all() and (inside == inside[:, ::-1]).all() and inside[256, 256] and not inside[120].any()
        )
    assert (np.argmax(circle[256, 256]), np.argmax(square[256, 256])) == (0, 2)


@pytest.mark.parametrize(
    ("numbers", "reason"),
    [
        (GOOD, ""),
        ([1, 0, 0, 1, 0, 0], ""),  # a scorer that answers yes or no
        ([5, 1, 4, 7, -3, 0.5], ""),  # the square is better liked in general
        ([0.9, 0.3, 0.2, 0.8, 0.95, 0.1], "the blank image scores no lower than a red circle with 'a red circle'"),
        ([0.9, 0.3, 0.2, 0.8, 0.1, 0.8], "the blank image scores no lower than a blue square with 'a blue square'"),
        ([0.3, 0.9, 0.8, 0.2, 0.1, 0.1], "images and words are exchanged: each drawing scores higher with the other's words"),
        (
            GOOD[::-1],
            "the answers come in reversed order: the blank image scores no lower than a red circle with 'a red circle'",
        ),
        ([0.5] * 6, "it does not look at the images: all three have the same value"),
        ([0.9, 0.3, 0.9, 0.3, 0.9, 0.3], "it does not look at the images: all three have the same value"),
        ([0.9, 0.9, 0.8, 0.8, 0.1, 0.1], "it does not read the words: every image has the same value with both"),
        ([0.5, 0.3, 0.6, 0.9, 0.1, 0.1], "a blue square scores no lower than a red circle with 'a red circle'"),
        ([0.9, 0.8, 0.2, 0.8, 0.1, 0.1], "a red circle scores no lower than a blue square with 'a blue square'"),
        ([0.9, 0.3, math.nan, 0.8, 0.1, 0.1], "its value of a blue square with 'a red circle' is nan"),
    ],
)
def test_each_fault_has_its_reason(numbers: list[float], reason: str) -> None:
    assert fault(values(numbers)) == reason


def test_a_scorer_of_images_alone_is_held_to_the_blank_only() -> None:
    same = [0.9, 0.9, 0.8, 0.8, 0.1, 0.1]
    assert fault(values(same), reads_words=False) == ""
    assert "blank image scores no lower than a blue square" in fault(values([*same[:4], 0.85, 0.85]), reads_words=False)
    assert "does not look" in fault(values([0.5] * 6), reads_words=False)


@dataclass(frozen=True)
class Colours(InProcessScorer):
    """The share of pixels of the colour that the words name; or something that goes wrong."""

    notes: Path
    how: str = "right"

    def value(self, question: Question, device: str) -> Any:
        with (self.notes / "notes.txt").open("a") as stream:
            stream.write(f"{question.path.name}, {question.words}\n")
        red, blue = (255 - read_image(question.path)[..., at].astype(float) for at in (2, 0))  # how far from white
        words = str(question.words)
        if self.how == "swapped":
            words = words.replace("red", "BLUE").replace("blue", "red").replace("BLUE", "blue")
        share = float(np.mean(red - blue if "red" in words else blue - red) / 255)
        likes_white = 1 - abs(share) + share / 10
        return {"score": {"right": share, "swapped": share, "likes white": likes_white, "constant": 0.5}[self.how]}


def asked(folder: Path) -> list[str]:
    path = folder / "notes.txt"
    return path.read_text().splitlines() if path.exists() else []


def request(folder: Path, how: str, *names: str) -> ScoringRequest:
    for name in names:
        known_pairs.Image.fromarray(drawn(CIRCLE)).save(folder / name)
    questions = tuple(Question(at, name, folder / name, "something red") for at, name in enumerate(names))
    return ScoringRequest("colours", Colours(folder, how), folder / "answers", questions)


KNOWN = KnownPairs(value=lambda answer: answer["score"])


def test_the_known_images_come_first_and_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = answer_checked(request(tmp_path, "right", "a.png"), answer_here, KNOWN)
    assert first[0]["score"] == pytest.approx(math.pi / 16 * (220 - 20) / 255, rel=0.01)
    shapes = [f"{name.replace(' ', '-')}.png, {words}" for name in (CIRCLE, SQUARE, BLANK) for words in (CIRCLE, SQUARE)]
    assert asked(tmp_path) == [*shapes, "a.png, something red"]
    assert answer_checked(request(tmp_path, "right", "a.png"), answer_here, KNOWN) == first and len(asked(tmp_path)) == 7
    answer_checked(request(tmp_path, "right", "a.png", "b.png"), answer_here, KNOWN)
    assert asked(tmp_path)[7:] == ["b.png, something red"]  # the pass is noted
    monkeypatch.setattr(known_pairs, "machine", lambda: "1 x another GPU")
    answer_checked(request(tmp_path, "right", "a.png", "c.png"), answer_here, KNOWN)
    assert asked(tmp_path)[8:] == [*shapes, "c.png, something red"]  # right there does not say right here
    (tmp_path / "answers" / NOTE).write_text("{")
    answer_checked(request(tmp_path, "right", "d.png"), answer_here, KNOWN)
    assert len(asked(tmp_path)) == 15 + 7


@pytest.mark.parametrize(
    ("how", "reason"),
    [
        ("swapped", "images and words are exchanged"),
        ("likes white", "the blank image scores no lower than a red circle"),
        ("constant", "it does not look at the images"),
    ],
)
def test_a_scorer_that_fails_scores_nothing_and_is_asked_again(tmp_path: Path, how: str, reason: str) -> None:
    with pytest.raises(IsolatedError, match=rf"scorer colours: it fails on the known images: {reason}(.|\n)*blank image with"):
        answer_checked(request(tmp_path, how, "a.png"), answer_here, KNOWN)
    assert len(asked(tmp_path)) == 6 and not (tmp_path / "answers" / NOTE).exists()
    answer_checked(request(tmp_path, "right", "a.png"), answer_here, KNOWN)  # mended: no old value of it is believed
    assert len(asked(tmp_path)) == 13


CHILD = """
import json, sys
from pathlib import Path
items, values, settings = sys.argv[1:]
with open(values, "a") as out:
    for line in Path(items).read_text().splitlines():
        item = json.loads(line)
        said = int(Path(item["path"]).stem == item["prompt"].replace(" ", "-"))
        out.write(json.dumps({"key": item["key"], "value": said}) + "\\n")
"""


def test_another_version_than_the_pinned_one_is_named_before_anything_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("S2G_CACHE", str(tmp_path / "cache"))
    numpy = f"numpy=={np.__version__}"
    wrong = isolated_here(
        tmp_path / "wrong", CHILD, numpy, "pillow==1.0", "nothing-of-this-name==1 ; sys_platform == 'win32'", "absent-too==2"
    )
    assert other_versions(wrong) == [
        f"pillow {known_pairs.Image.__version__}, not 1.0",  # type: ignore[attr-defined]
        "absent-too is not there, not 2",
    ]
    image = tmp_path / "a.png"
    image.write_bytes(b"")

    def of(made: Isolated) -> ScoringRequest:
        return ScoringRequest(
            "one", IsolatedScorer(made, {}), tmp_path / made.name / "answers", (Question(0, "a", image, "a"),)
        )

    with pytest.raises(
        IsolatedError, match=r"scorer one: it fails on the known images: .*other versions than its pins: pillow"
    ):
        answer_checked(of(wrong), answer_here, KnownPairs())
    assert not (tmp_path / "wrong" / "answers").exists()
    right = isolated_here(tmp_path / "right", CHILD, numpy)
    assert other_versions(right) == []
    assert answer_checked(of(right), answer_here, KnownPairs()) == [1]
    # Another script is not believed because an earlier one passed.
    (right.folder / "child.py").write_text(
        CHILD.replace('== item["prompt"]', '!= item["prompt"]')
    )  # another script: not believed
    with pytest.raises(IsolatedError, match="images and words are exchanged"):
        answer_checked(of(right), answer_here, KnownPairs())


@pytest.mark.parametrize(("found", "pinned", "same"), [("2.15.0+cpu", "2.15.0", True), ("2.15.0", "2.15.0+cpu", False)])
def test_a_build_of_a_version_is_that_version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, found, pinned, same) -> None:
    from s2g.scoring.isolated import pinned_versions

    monkeypatch.setenv("S2G_CACHE", str(tmp_path / "cache"))
    made = isolated_here(tmp_path / "one", CHILD, f"numpy=={pinned}")
    monkeypatch.setattr(pinned_versions, "VERSIONS", f'print(\'{{"numpy": "{found}"}}\')')
    assert (other_versions(made) == []) is same
