"""The official hpsv2 package as a scorer, in an environment of its own (bench.scorer=official)."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from s2g.benchmarks.hps import checkpoint
from s2g.config.schema import canonical
from s2g.errors import UserError
from s2g.io.hashing import content_hash
from s2g.scoring.file_scoring import Image
from s2g.scoring.isolated.environment import Isolated, find
from s2g.scoring.scorer import Answer, IsolatedScorer, Question, ScoringRequest
from s2g.scoring.scoring_pool import answer_here


def environment() -> Isolated:
    """Return the package's environment, built or not."""
    return find("hpsv2")


def identity(weights: str) -> dict[str, Any]:
    """Return everything that the package's score depends on, except the device: it uses half precision on a GPU only."""
    return {**environment().identity(), "weights_sha256": content_hash(checkpoint.file_of(weights))}


def short(about: Mapping[str, Any]) -> str:
    """Return 12 hex digits that stand for a scorer's identity."""
    return hashlib.sha256(canonical(about).encode()).hexdigest()[:12]


def scores(
    images: Sequence[Image], texts: Sequence[str], weights: str, place: Path, answer: Answer = answer_here
) -> list[float]:
    """Return 100 times the package's score of each image with its prompt; UserError, IsolatedError as `values_of`."""
    file = checkpoint.file_of(weights)
    questions = tuple(
        Question(image.item, f"{image.sha256} {text}", image.path, text) for image, text in zip(images, texts, strict=True)
    )
    digest = content_hash(file)
    scorer = IsolatedScorer(environment(), {"checkpoint": str(file.resolve()), "sha256": digest}, depends={"sha256": digest})
    request = ScoringRequest("hpsv2", scorer, place / f"hpsv2-{short(identity(weights))}", questions)
    found = [100.0 * value for value in answer(request)]
    wrong = [image.path.name for image, value in zip(images, found, strict=True) if not math.isfinite(value)]
    if wrong:  # a mean would leave them out without a word
        raise UserError(
            f"{checkpoint.KEY} = {weights}: {len(wrong)} scores of the official package are not finite ({wrong[0]} the first)",
            todo=f"delete {request.folder}, and give the hub's checkpoint: {checkpoint.FETCH}",
        )
    return found


def check_unread(typed: Mapping[str, Any]) -> None:
    """Raise UserError for a typed knob of our scorer, which the package would not read."""
    for key, value in typed.items():
        if value is not None:
            raise UserError(
                f"bench.{key} = {str(value).lower()}, and bench.scorer = official: it would not be read",
                allowed="the package's own resize, precision and device",
                todo=f"leave bench.{key} out, or bench.scorer=hps",
            )
