"""Votes as arrays: who chose which method's picture, for which prompt and criterion."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from s2g.study.answers import Answer
from s2g.study.folder import Study
from s2g.study.material import Material, Method
from s2g.study.specification import Criterion


@dataclass(frozen=True)
class Votes:
    """The votes that count. P participants, Q prompts, C criteria, M methods."""

    criteria: Sequence[Criterion]
    methods: Sequence[Method]
    chosen: np.ndarray  # [P, Q, C, M]: 1 chosen, 0 not chosen, NaN not answered
    participants: Sequence[int]  # [P] their numbers
    trials: Sequence[int]  # [Q] indices of trials
    left_out: Mapping[int, int]  # participants who missed attention checks, and how many of them
    unfinished: Sequence[int]  # participants who count and have pages left
    seconds: float  # a page, the median
    answers: Sequence[Answer]  # all of them, those left out too

    @property
    def several(self) -> bool:
        """Return whether more than one picture was ever chosen."""
        return bool((np.nan_to_num(self.chosen).sum(-1) > 1).any())


def votes_of(study: Study, keep_all: bool = False) -> Votes:
    """Return the votes of a study; keep_all: also those of participants who missed an attention check."""
    answers, material = study.answers.everything(), study.material
    missed: dict[int, int] = {}
    for answer in answers:
        if not attentive(material, answer):
            missed[answer.participant] = missed.get(answer.participant, 0) + 1
    trials = [at for at, trial in enumerate(material.trials) if trial.whole is None]
    counted = [one for one in answers if one.trial in trials and (keep_all or one.participant not in missed)]
    people = sorted({answer.participant for answer in counted})
    names = [criterion.name for criterion in study.spec.criteria]
    chosen = np.full((len(people), len(trials), len(names), len(material.methods)), np.nan)
    for answer in counted:
        row, column = people.index(answer.participant), trials.index(answer.trial)
        chosen[row, column] = 0
        for name, shots in answer.choices.items():
            for shot in shots:
                chosen[row, column, names.index(name), material.method_of[shot]] = 1
    pages = {one.number: one.pages - one.answered for one in study.answers.everybody()}
    return Votes(
        study.spec.criteria, material.methods, chosen, people, trials, missed,
        [number for number in people if pages[number]],
        float(np.median([answer.seconds for answer in counted])) if counted else 0.0, answers,
    )  # fmt: skip


def attentive(material: Material, answer: Answer) -> bool:
    """Return whether an answer is none to an attention check, or chose the whole picture alone for every criterion."""
    trial = material.trials[answer.trial]
    return trial.whole is None or all(list(shots) == [trial.shots[trial.whole]] for shots in answer.choices.values())


def vote_lines(study: Study, votes: Votes) -> Iterator[dict[str, object]]:
    """Yield every answer as it was given: a line for each criterion and picture."""
    for answer in votes.answers:
        trial, page = study.material.trials[answer.trial], study.answers.page(answer.participant, answer.place)
        assert page is not None
        for name, shots in answer.choices.items():
            for number, shot in enumerate(trial.shots):
                yield {
                    "participant": answer.participant,
                    "page": answer.place,
                    "item": trial.item,
                    "prompt": trial.prompt,
                    "criterion": name,
                    "method": study.material.methods[number].name,
                    "position": page.shots.index(shot) + 1,
                    "chosen": int(shot in shots),
                    "seconds": answer.seconds,
                    "attention check": int(trial.whole is not None),
                    "left out": int(answer.participant in votes.left_out),
                }
