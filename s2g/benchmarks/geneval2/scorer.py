"""Qwen3-VL's probability of the right answers about an image, in an environment of its own."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from s2g.benchmarks.geneval2.prompts import Prompt
from s2g.benchmarks.geneval2.soft_tifa import asked
from s2g.config.transformers_folder import files_digest, transformers_folder
from s2g.errors import UserError
from s2g.scoring.file_scoring import Image
from s2g.scoring.isolated.environment import Isolated, find
from s2g.scoring.known_pairs import CIRCLE, SQUARE, KnownPairs, answer_checked
from s2g.scoring.scorer import Answer, IsolatedScorer, Question, ScoringRequest
from s2g.scoring.scoring_pool import answer_here

KEY = "bench.weights"
OFFICIAL = "Qwen/Qwen3-VL-8B-Instruct"
DOWNLOADS = (f"{OFFICIAL}, about 17.5 GB", "the environment geneval2, about 5.5 GB")
LICENCES = ("Qwen3-VL: Apache-2.0",)
BESIDE = ("preprocessor_config.json", "video_preprocessor_config.json", "tokenizer.json", "tokenizer_config.json")
ROUNDING = 1e-4  # by which a sum of probabilities may exceed 1
KNOWN = KnownPairs(
    words={name: [asked(f"Is there {name} in the image?", "Yes")] for name in (CIRCLE, SQUARE)},
    value=lambda answer: float(answer[0]["p"]),
)


def environment() -> Isolated:
    """Return its environment, built or not."""
    return find("geneval2")


def weights_folder(typed: str) -> Path:
    """Return the model's folder, `typed` or in the hub's cache; UserError if there is none."""
    return transformers_folder(typed, KEY, OFFICIAL, BESIDE, f"hf download {OFFICIAL} (17.5 GB, Apache-2.0)")


def doubts(typed: str) -> list[str]:
    """Say why its answers may not be those of the published model; [] for the hub's own."""
    return [] if typed == OFFICIAL and not Path(typed).is_dir() else [f"the model that answers is not known to be {OFFICIAL}"]


def identity(typed: str) -> dict[str, str]:
    """Return what determines an answer: environment, child script and every file of the model's folder."""
    return {**environment().identity(), "weights": files_digest(weights_folder(typed))}


def answers(
    images: Sequence[Image], prompts: Sequence[Prompt], typed: str, place: Path, device: str, answer: Answer = answer_here
) -> list[list[float]]:
    """Return the probability of the right answer to each question about each image; cached below `place` with what was said.

    The scorer passes the known-pair check first. IsolatedError if it does not or its process fails; UserError for a value
    that is no probability.
    """
    about = identity(typed)
    questions = []
    for image, prompt in zip(images, prompts, strict=True):
        words = [asked(question, right) for question, right, _ in prompt.questions]
        questions.append(Question(image.item, f"{image.sha256} {words}", image.path, words))
    settings = {"weights": str(weights_folder(typed).absolute()), "device": device}
    scorer = IsolatedScorer(environment(), settings, device, {"weights": about["weights"]})
    request = ScoringRequest("geneval2", scorer, place / f"geneval2-{about['weights']}", tuple(questions))
    said = answer_checked(request, answer, KNOWN)
    found = [[float(one["p"]) for one in of_image] for of_image in said]
    for image, prompt, values in zip(images, prompts, found, strict=True):
        if len(values) != len(prompt.questions) or not all(0 <= value <= 1 + ROUNDING for value in values):
            raise UserError(f"{KEY}: {image.path.name}: {values} are not the probabilities of {len(prompt.questions)} answers")
    return found
