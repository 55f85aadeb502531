"""The preference panel: each score of images with their prompts, in an environment of its own, after the known images.

scorer "imscore" computes all four in the one environment of that name; "official" those that have a package, in its own.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from s2g.benchmarks.preference.published import KEY, SCORES, folders, weights_digest
from s2g.engine.bench import Arrays, Metric
from s2g.errors import UserError, unknown
from s2g.metrics.subset_mean import subset_mean_items
from s2g.scoring.file_scoring import Image
from s2g.scoring.isolated.environment import Isolated, find
from s2g.scoring.known_pairs import KnownPairs, answer_checked
from s2g.scoring.scorer import Answer, IsolatedScorer, Question, ScoringRequest

IMSCORE, OFFICIAL = "imscore", "official"
SCORERS = (IMSCORE, OFFICIAL)
QUANTILES = {"5 %": 0.05, "25 %": 0.25, "median": 0.5, "75 %": 0.75, "95 %": 0.95}


def check_names(names: Sequence[str], scorer: str) -> None:
    """Raise UserError for an unknown score or scorer, for a score twice, and for one without an official package."""
    for name in names:
        if name not in SCORES:
            raise unknown("bench.score", name, SCORES)
    if len(set(names)) < len(names):
        raise UserError(f"bench.score = {list(names)}: a score stands there twice", allowed=f"some of {', '.join(SCORES)}")
    if scorer not in SCORERS:
        raise unknown("bench.scorer", scorer, SCORERS)
    without = [name for name in names if not SCORES[name].package]
    if scorer == OFFICIAL and without:
        raise UserError(
            f"bench.scorer = official: {', '.join(without)} has no official package",
            allowed=f"bench.score of {', '.join(name for name, about in SCORES.items() if about.package)}",
            todo="bench.scorer=imscore",
        )


def environment(score: str, scorer: str) -> Isolated:
    """Return the environment in which a score is computed, built or not."""
    return find(IMSCORE if scorer == IMSCORE else SCORES[score].package)


def needs(names: Sequence[str], scorer: str, models: str) -> list[Callable[[], object]]:
    """Return checks of every environment and repository that the scores need, each once."""
    environments = {environment(name, scorer).name: environment(name, scorer) for name in names}
    repositories = {one.name: one for name in names for one in SCORES[name].repositories}
    checks: list[Callable[[], object]] = [one.check for one in environments.values()]
    return checks + [lambda one=one: one.folder(models) for one in repositories.values()]


def identity(score: str, scorer: str, models: str) -> dict[str, Any]:
    """Return what a score depends on: package versions and script (the environment), every file that is read, and the size."""
    return {**environment(score, scorer).identity(), **_depends(score, models)}


def _depends(score: str, models: str) -> dict[str, str]:
    return {"score": score, "weights": weights_digest(score, models), "size": SCORES[score].size}


def scores(
    score: str,
    *,
    images: Sequence[Image],
    texts: Sequence[str],
    scorer: str,
    models: str,
    device: str,
    place: Path,
    answer: Answer,
) -> list[float]:
    """Return the value of each image with its text, cached below `place`.

    IsolatedError if the child fails, or values the known images in a wrong order; UserError for a value that is no number.
    """
    isolated, found = environment(score, scorer), folders(score, models)
    weights = found[SCORES[score].weights.name]
    settings: dict[str, Any] = {
        "score": score,
        "weights": str((weights / SCORES[score].weights.files[0]).absolute()),
        "folders": {name: str(folder.absolute()) for name, folder in found.items()},
        "device": device,
    }
    depends = _depends(score, models)
    questions = tuple(
        Question(image.item, f"{image.sha256} {text}", image.path, text) for image, text in zip(images, texts, strict=True)
    )
    request = ScoringRequest(
        f"{score} ({isolated.name})",
        IsolatedScorer(isolated, settings, device, depends),
        place / f"{score}-{isolated.name}-{depends['weights']}",
        questions,
    )
    values = [float(value) for value in answer_checked(request, answer, KnownPairs())]
    wrong = [image.path.name for image, value in zip(images, values, strict=True) if not math.isfinite(value)]
    if wrong:  # a mean would leave them out without a word
        raise UserError(
            f"{KEY}: {len(wrong)} values of {score} are not finite ({wrong[0]} the first)",
            todo=f"delete {request.folder}, and give the published weights: {SCORES[score].weights.download}",
        )
    return values


def metrics(names: Sequence[str]) -> tuple[Metric, ...]:
    """Return a column for each score: the mean over the images that have it."""
    return tuple(Metric(name, SCORES[name].label, True, 3, items=_of(name)) for name in names)


def _of(name: str) -> Callable[[Arrays], np.ndarray]:
    return lambda of: subset_mean_items(of[name], np.ones(len(of[name]), bool))


def remarks(names: Sequence[str], scorer: str, models: str, arrays: Mapping[str, np.ndarray] | None) -> list[str]:
    """Return what must stand beside the scores: how they were made, and the distribution of those without a highest value."""
    said = []
    if models and names:
        said.append(f"preference scores by weights in {models}: not known to be the published ones")
    if scorer == OFFICIAL and names:
        said.append(f"{', '.join(SCORES[name].label for name in names)} by the official package: compare only with the same")
    for name in names:
        if SCORES[name].unbounded and arrays is not None and name in arrays:
            said.append(
                f"{SCORES[name].label} has no highest value, and a mean may be that of a few: {distribution(arrays[name])}"
            )
    return said


def distribution(values: np.ndarray) -> str:
    """Return extremes and quantiles of the numbers among values [N] as text."""
    values = values[~np.isnan(values)]
    if not len(values):
        return "no values"
    points = [
        f"{name} {value:.3f}" for name, value in zip(QUANTILES, np.quantile(values, list(QUANTILES.values())), strict=True)
    ]
    return f"least {values.min():.3f}, {', '.join(points)}, most {values.max():.3f}, of {len(values):,} images"


def downloads(names: Sequence[str], scorer: str) -> tuple[str, ...]:
    """List what the scores fetch, with sizes."""
    repositories = {one.name: f"{one.name}, {one.size}" for name in names for one in SCORES[name].repositories}
    environments = dict.fromkeys(environment(name, scorer).name for name in names)
    return (*repositories.values(), *(f"the environment {name} (s2g env build {name})" for name in environments))


def licences(names: Sequence[str]) -> tuple[str, ...]:
    """List the terms of what is fetched."""
    repositories = {one.name: one.terms for name in names for one in SCORES[name].repositories}
    return tuple(f"{name}: {terms}" for name, terms in repositories.items())
