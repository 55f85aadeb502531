"""What votes say: shares, pairwise preferences, strengths, agreement, each with what it rests on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from s2g.errors import UserError
from s2g.metrics.agreement import nominal_alpha
from s2g.metrics.bradley_terry import bradley_terry
from s2g.metrics.crossed import crossed_bootstrap
from s2g.metrics.statistics import Estimate
from s2g.study.specification import OVERALL
from s2g.study.votes import Votes


@dataclass(frozen=True)
class Pair:
    """How often one method was chosen and another of the same page was not; both or neither is a tie."""

    wins: int
    losses: int
    ties: int
    preference: Estimate | None  # wins among wins and losses; None: there were neither


@dataclass(frozen=True)
class Preferences:
    """Results by criterion; `overall` is all criteria together."""

    names: Sequence[str]  # criteria, then overall
    votes: Mapping[str, Sequence[int]]  # by criterion, the votes of each method
    shares: Mapping[str, Sequence[Estimate]]  # the votes of each method among all votes: they add up to 1
    pairs: Mapping[str, Mapping[tuple[int, int], Pair]]  # by (method, other method), both orders
    strengths: Mapping[str, Sequence[Estimate]]  # Bradley-Terry: log odds against the mean of all methods
    alpha: Mapping[str, float | None]  # Krippendorff's, of chosen or not
    participants: int
    prompts: int


def preferences_of(votes: Votes) -> Preferences:
    """Return what the votes say; UserError if nobody has voted."""
    chosen = np.nan_to_num(votes.chosen)  # [P, Q, C, M]: what is not answered adds nothing
    people, prompts, criteria, methods = chosen.shape
    if not chosen.sum():
        raise UserError("no votes that count", todo="wait for answers; --keep-all counts those who missed attention checks")
    wins = won_pairs(votes.chosen)
    names = [*(criterion.name for criterion in votes.criteria), OVERALL]
    shares = crossed_bootstrap(chosen.reshape(people, prompts, -1), lambda totals: _shares(totals, criteria, methods))
    flat = wins.reshape(people, prompts, -1)
    preferred = crossed_bootstrap(flat, lambda totals: _preferred(totals, criteria, methods))
    strengths = crossed_bootstrap(flat, lambda totals: _strengths(totals, criteria, methods))
    answered = ~np.isnan(votes.chosen).any(-1)  # [P, Q, C]
    totals, counts = _with_overall(chosen.sum((0, 1))), _with_overall(wins.sum((0, 1)))
    pages = _with_overall(answered.sum((0, 1)).astype(float))
    pairs = {}
    for at, name in enumerate(names):
        own = preferred[at * methods**2 : (at + 1) * methods**2]
        pairs[name] = {
            (i, j): _pair(counts[at], int(pages[at]), i, j, own[i * methods + j])
            for i in range(methods) for j in range(methods) if i != j
        }  # fmt: skip
    rated = {name: votes.chosen[:, :, at] for at, name in enumerate(names[:-1])} | {OVERALL: votes.chosen}
    return Preferences(
        names=names,
        votes={name: totals[at].astype(int).tolist() for at, name in enumerate(names)},
        shares={name: shares[at * methods : (at + 1) * methods] for at, name in enumerate(names)},
        pairs=pairs,
        strengths={name: strengths[at * methods : (at + 1) * methods] for at, name in enumerate(names)},
        alpha={name: nominal_alpha(values.reshape(people, -1)) for name, values in rated.items()},
        participants=people,
        prompts=prompts,
    )


def won_pairs(chosen: np.ndarray) -> np.ndarray:
    """Return [P, Q, C, M, M]: 1 where the first method was chosen and the second was not; 0 also where nothing was answered."""
    return np.nan_to_num(chosen)[..., :, None] * np.nan_to_num(1 - chosen)[..., None, :]


def _with_overall(values: np.ndarray) -> np.ndarray:
    """Return values [C, ...] with their sum over criteria as one more."""
    return np.concatenate([values, values.sum(0, keepdims=True)])


def _all(totals: np.ndarray, *shape: int) -> np.ndarray:
    """Return totals [..., K] as [..., C + 1, ...], all criteria together last."""
    split = totals.reshape(*totals.shape[:-1], *shape)
    axis = totals.ndim - 1
    return np.concatenate([split, split.sum(axis, keepdims=True)], axis)


def _shares(totals: np.ndarray, criteria: int, methods: int) -> np.ndarray:
    votes = _all(totals, criteria, methods)
    with np.errstate(invalid="ignore"):
        return (votes / votes.sum(-1, keepdims=True)).reshape(*totals.shape[:-1], -1)


def _preferred(totals: np.ndarray, criteria: int, methods: int) -> np.ndarray:
    wins = _all(totals, criteria, methods, methods)
    with np.errstate(invalid="ignore"):
        return (wins / (wins + wins.swapaxes(-1, -2))).reshape(*totals.shape[:-1], -1)


def _strengths(totals: np.ndarray, criteria: int, methods: int) -> np.ndarray:
    return bradley_terry(_all(totals, criteria, methods, methods)).reshape(*totals.shape[:-1], -1)


def _pair(wins: np.ndarray, pages: int, one: int, other: int, preference: Estimate) -> Pair:
    won, lost = int(wins[one, other]), int(wins[other, one])
    return Pair(won, lost, pages - won - lost, preference if won + lost else None)
