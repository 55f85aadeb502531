"""Q-Align's aesthetic score, 1 to 5, of stored images, through its environment of its own.

Three prompts are in use under this one name, and each gives other numbers; which one it was is part of the score's key.
Code: Q-Future/Q-Align (S-Lab licence, non-commercial); weights: q-future/one-align (LLaMA-2's terms besides).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

from s2g.config.transformers_folder import files_digest, transformers_folder
from s2g.errors import UserError, unknown
from s2g.scoring.isolated.environment import Isolated, find
from s2g.scoring.scorer import Answer, IsolatedScorer, Question, ScoringRequest
from s2g.scoring.scoring_pool import answer_here

KEY = "bench.qalign"
OFFICIAL = "q-future/one-align"
DOWNLOADS = (f"{OFFICIAL}, about 16 GB", "the environment qalign, about 6 GB")
LICENCES = ("Q-Align: S-Lab, non-commercial; LLaMA-2 terms for its weights",)
BESIDE = ("tokenizer.model", "tokenizer_config.json", "preprocessor_config.json")  # what the child reads besides
_ASK = "USER: How would you rate the {} of this image?\n<|image|>\nASSISTANT: "
VARIANTS = {
    # The repository's scorer classes; their x in 0 to 1 is 4x + 1 here.
    "scorer": f"{_ASK}The {{}} of the image is".format("aesthetics", "aesthetics"),
    # Its model.score(): the words of the last sentence are exchanged.
    "method": f"{_ASK}The image of the {{}} is".format("aesthetics", "aesthetics"),
    # pyiqa's port: another word for the task.
    "pyiqa": f"{_ASK}The {{}} of the image is".format("aesthetic", "aesthetic"),
}


class File(Protocol):
    """A stored image."""

    @property
    def item(self) -> int:
        """Return the item's number in the bench."""
        ...

    @property
    def path(self) -> Path:
        """Return the file's path."""
        ...

    @property
    def sha256(self) -> str:
        """Return the sha256 of the file's bytes."""
        ...


def check_variant(name: str) -> None:
    """Raise UserError for an unknown variant."""
    if name not in VARIANTS:
        raise unknown("bench.qalign_variant", name, VARIANTS)


def environment() -> Isolated:
    """Return its environment, built or not."""
    return find("qalign")


def weights_folder(typed: str) -> Path:
    """Return the model's folder, `typed` or in the hub's cache; UserError if there is none."""
    todo = f"hf download {OFFICIAL} (16 GB; {LICENCES[0]}), or leave qalign out of bench.score"
    return transformers_folder(typed, KEY, OFFICIAL, BESIDE, todo)


def doubts(typed: str) -> list[str]:
    """Say why its scores may not be those of the published model; [] for the hub's own."""
    return [] if typed == OFFICIAL and not Path(typed).is_dir() else [f"Q-Align's weights are not known to be {OFFICIAL}"]


def remark(variant: str) -> str:
    """Say which prompt the scores were asked with: the name alone does not."""
    return f"Q-Align, variant {variant}: compare only with the same"


def identity(typed: str, variant: str) -> dict[str, str]:
    """Return what determines a score: environment, child script, every file of the model's folder, and the prompt."""
    digest = files_digest(weights_folder(typed))
    return {**environment().identity(), "weights": digest, "variant": variant}


def scores(
    images: Sequence[File], typed: str, variant: str, place: Path, device: str, answer: Answer = answer_here
) -> list[float]:
    """Return 1 to 5 for each image; values are cached below `place`. IsolatedError if the child fails."""
    about: dict[str, Any] = identity(typed, variant)
    settings = {"weights": str(weights_folder(typed).absolute()), "prompt": VARIANTS[variant], "device": device}
    questions = tuple(Question(image.item, image.sha256, image.path) for image in images)
    # A value is a value wherever it was computed, as in the score's key: the device is no part of either.
    scorer = IsolatedScorer(environment(), settings, device, {"weights": about["weights"], "prompt": VARIANTS[variant]})
    request = ScoringRequest("qalign", scorer, place / f"qalign-{variant}-{about['weights']}", questions)
    values = [float(value) for value in answer(request)]
    wrong = [(image.path.name, value) for image, value in zip(images, values, strict=True) if not 1 <= value <= 5]
    if wrong:
        raise UserError(f"{KEY}: {len(wrong)} scores are beyond 1 to 5 ({wrong[0][0]}: {wrong[0][1]})", allowed=OFFICIAL)
    return values
