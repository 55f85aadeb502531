"""Votes counted by hand, and the same numbers in every file of the report."""

from __future__ import annotations

import csv
import json
import math
from pathlib import Path

import numpy as np
import pytest
from studies_made import METHODS, study_of

from s2g.cli.commands.study import report
from s2g.errors import UserError
from s2g.study.folder import Study
from s2g.study.preferences import preferences_of, won_pairs
from s2g.study.report import lead_of
from s2g.study.specification import Criterion
from s2g.study.votes import Votes, votes_of

CRITERIA = ("detail", "color", "alignment")


def cast(study: Study, person: int, place: int, *chosen: str, detail: str = "") -> None:
    """Vote for these methods' pictures for every criterion; detail: another one for the first."""
    page = study.answers.page(person, place)
    assert page is not None
    shots = study.material.trials[page.trial].shots
    own = {name: [shots[METHODS.index(method)] for method in chosen] for name in CRITERIA}
    if detail:
        own["detail"] = [shots[METHODS.index(detail)]]
    study.answers.vote(person, place, own, 10.0 * person)


def votes_by_hand(chosen: np.ndarray) -> Votes:
    people, prompts, criteria, methods = chosen.shape
    questions = [Criterion(f"c{at}", f"C{at}", "?") for at in range(criteria)]
    named = [type("Named", (), {"name": f"m{at}", "label": f"M{at}", "run": ""})() for at in range(methods)]
    return Votes(questions, named, chosen, range(people), range(prompts), {}, [], 1.0, [])


def test_votes_by_hand(tmp_path: Path) -> None:
    """Two people, two pages each, one page unanswered: every number below is counted on paper."""
    with study_of(tmp_path, prompts=2, people=3) as study:
        cast(study, 1, 1, "s2")
        cast(study, 1, 2, "s2", "cfg", detail="apg")
        cast(study, 2, 1, "cfg")
        votes = votes_of(study)
        assert votes.participants == [1, 2] and votes.unfinished == [2] and votes.seconds == 10
        assert votes.several and np.isnan(votes.chosen).sum() == 15
        found = preferences_of(votes)
    # detail: s2, apg, cfg. color and alignment: s2, s2 + cfg, cfg.
    assert found.votes == {
        "detail": [1, 1, 0, 0, 1],
        "color": [2, 0, 0, 0, 2],
        "alignment": [2, 0, 0, 0, 2],
        "overall": [5, 1, 0, 0, 5],
    }
    size = "2 participants, 2 prompts, 11 votes"
    assert lead_of(found, METHODS).startswith(f"{size}: cfg and s2 have the largest shares, each 45.5 % of all votes; 20.0 %")
    assert [one.value for one in found.shares["detail"]] == pytest.approx([1 / 3, 1 / 3, 0, 0, 1 / 3])
    assert [one.value for one in found.shares["overall"]] == pytest.approx([5 / 11, 1 / 11, 0, 0, 5 / 11])
    assert found.shares["overall"][0].low is None and "fewer than 4" in found.shares["overall"][0].method
    pair = found.pairs["overall"][
        4, 0
    ]  # s2 over cfg: three of page one, none where both; cfg three of person 2; apg's page ties
    assert (pair.wins, pair.losses, pair.ties) == (3, 3, 3) and pair.preference is not None and pair.preference.value == 0.5
    pair = found.pairs["overall"][4, 1]
    assert (pair.wins, pair.losses, pair.ties) == (5, 1, 3) and pair.preference is not None
    assert pair.preference.value == pytest.approx(5 / 6)
    assert found.pairs["overall"][2, 3].preference is None and found.pairs["overall"][2, 3].ties == 9
    assert all(math.isnan(one.value) for one in found.strengths["overall"])  # cfgpp and cfg_zero never won
    # detail: of the page that both answered, if it is the same prompt; else nothing pairs. Here the alpha is of 5 or 0 units.
    assert found.alpha["detail"] is None or found.alpha["detail"] < 1


def test_alpha_strengths_and_preferences_of_two_methods_by_hand() -> None:
    """One criterion, two methods: three of four people choose the first for prompt 0, one of four for prompt 1."""
    first = np.array([[1, 0], [1, 0], [1, 0], [0, 1]], float)
    votes = votes_by_hand(np.stack([first, 1 - first], -1)[:, :, None, :])
    found = preferences_of(votes)
    assert found.votes["c0"] == [4, 4] and found.pairs["c0"][0, 1].wins == 4 and found.pairs["c0"][0, 1].ties == 0
    assert [one.value for one in found.strengths["c0"]] == pytest.approx([0, 0], abs=1e-9)
    # Four units of four values, 3 to 1 each. Observed: 4 * (16 - 10) / 3 = 8; expected: (256 - 128) / 15.
    assert found.alpha["c0"] == pytest.approx(1 - 8 / (128 / 15))
    assert found.alpha["overall"] == found.alpha["c0"]
    lone = np.array([[1, 1], [1, 1], [1, 0], [1, 0]], float)
    found = preferences_of(votes_by_hand(np.stack([lone, 1 - lone], -1)[:, :, None, :]))
    assert [one.value for one in found.strengths["c0"]] == pytest.approx([math.log(3) / 2, -math.log(3) / 2], abs=1e-9)
    assert found.pairs["c0"][0, 1].preference is not None and found.pairs["c0"][0, 1].preference.value == 0.75


def test_wins_are_of_pages_where_one_was_chosen_and_the_other_was_not() -> None:
    page = np.array([[[[1, 1, 0]], [[math.nan] * 3]]])
    assert won_pairs(page)[0, 0, 0].tolist() == [[0, 0, 1], [0, 0, 1], [0, 0, 0]] and not won_pairs(page)[0, 1].any()


def crowd(study: Study, people: int, prompts: int) -> None:
    """People who prefer s2 in half of their votes, and the others alike."""
    rng = np.random.default_rng(0)
    for person in range(1, people + 1):
        for place in range(1, prompts + 1):
            cast(study, person, place, METHODS[4 if rng.random() < 0.5 else rng.integers(5)])


def test_every_file_says_the_same(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with study_of(tmp_path, prompts=6, people=8) as study:
        crowd(study, 8, 6)
        found = preferences_of(votes_of(study))
        folder = study.folder
    report(folder, None, False)
    out = folder / "report"
    said = json.loads((out / "report.json").read_text())
    with (out / "shares.csv").open() as stream:
        shares = list(csv.DictReader(stream))
    assert len(shares) == 4 * 5
    for line in shares:
        own = said["shares"][line["criterion"]][line["method"]]
        estimate = found.shares[line["criterion"]][METHODS.index(line["method"])]
        for name in ("value", "low", "high"):
            assert float(line[name]) == pytest.approx(own[name], rel=1e-5) == pytest.approx(getattr(estimate, name), rel=1e-5)
        assert own["low"] < own["value"] < own["high"] and own["method"] == "bootstrap over 8 participants and 6 prompts"
    with (out / "votes.csv").open() as stream:
        votes = list(csv.DictReader(stream))
    assert len(votes) == 8 * 6 * 3 * 5 and sum(int(line["chosen"]) for line in votes) == 8 * 6 * 3
    chosen = sum(int(line["chosen"]) for line in votes if line["method"] == "s2" and line["criterion"] == "detail")
    assert chosen == said["votes"]["detail"]["s2"]
    with (out / "pairs.csv").open() as stream:
        pairs = {(line["criterion"], line["method"], line["over"]): line for line in csv.DictReader(stream)}
    assert len(pairs) == 4 * 20
    one, other = pairs["overall", "s2", "cfg"], pairs["overall", "cfg", "s2"]
    assert one["wins"] == other["losses"] and float(one["value"]) == pytest.approx(1 - float(other["value"]), abs=1e-5)
    s2 = said["shares"]["overall"]["s2"]
    printed = capsys.readouterr().out
    page, text = (out / "index.html").read_text(), (out / "report.md").read_text()
    for words in (page, text, printed):
        assert f"{100 * s2['value']:.1f}" in words and "8 participants, 6 prompts, 144 votes: s2 has the largest share" in words
    assert "31.0" in text and "32.5" in text and "(paper)" in text  # Figure 11's own numbers beside those of the same name
    assert (out / "fig11.png").stat().st_size > 5000 and "share of votes" in (out / "fig11.svg").read_text()
    before = (out / "fig11.svg").read_bytes()
    report(folder, out, False)
    assert (out / "fig11.svg").read_bytes() == before and json.loads((out / "report.json").read_text()) == said


def test_who_misses_an_attention_check_is_left_out_unless_asked_for(tmp_path: Path) -> None:
    with study_of(tmp_path, prompts=2, people=2, checks=1) as study:
        for person in (1, 2):
            for place in (1, 2, 3):
                page = study.answers.page(person, place)
                assert page is not None
                trial = study.material.trials[page.trial]
                right = METHODS[trial.whole] if trial.whole is not None else "cfg"
                wrong = METHODS[(METHODS.index(right) + 1) % 5]
                cast(study, person, place, *([right, wrong] if trial.whole is not None and person == 2 else [right]))
        votes = votes_of(study)
        assert votes.participants == [1] and votes.left_out == {2: 1} and votes.chosen.shape == (1, 2, 3, 5)
        kept = votes_of(study, keep_all=True)
        assert kept.participants == [1, 2] and kept.left_out == {2: 1}
        folder = study.folder
    report(folder, tmp_path / "a", False)
    report(folder, tmp_path / "b", True)
    assert "are left out (--keep-all counts them): 2." in (tmp_path / "a" / "report.md").read_text()
    assert "are counted all the same (--keep-all): 2." in (tmp_path / "b" / "report.md").read_text()
    with (tmp_path / "a" / "votes.csv").open() as stream:
        lines = list(csv.DictReader(stream))
    assert len(lines) == 2 * 3 * 3 * 5 and {line["left out"] for line in lines if line["participant"] == "2"} == {"1"}


def test_no_votes_no_report(tmp_path: Path) -> None:
    with study_of(tmp_path) as study:
        folder = study.folder
    with pytest.raises(UserError, match="no votes that count"):
        report(folder, None, False)
    assert not (folder / "report").exists()
