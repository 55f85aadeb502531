"""What each preference score reads: repositories of the hub and their files, where they lie here, and their hashes."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from s2g.errors import MissingError
from s2g.io import hub
from s2g.io.hashing import content_hash

KEY = "bench.models"
PAGE = "see its page on the hub"


@dataclass(frozen=True)
class Repository:
    """A repository of the hub and the files of it that are read; the first is the weights, where it has them."""

    name: str
    files: tuple[str, ...]
    size: str
    terms: str
    asked_as: str = ""  # the name under which the packages ask for it, where that is another

    @property
    def download(self) -> str:
        """Return the command that downloads these files."""
        return f"{hub.download_command(self.name)} {' '.join(self.files)}"

    def folder(self, models: str) -> Path:
        """Return where it lies, in the folder `models` or the hub's cache; MissingError with the command that downloads it."""
        found = Path(models).expanduser() / self.name if models else hub.snapshot(self.name)
        lacking = [name for name in self.files if found is None or not (found / name).is_file()]
        if found is None or lacking:
            where = f"in {found}" if models else "in the hub's cache"
            here = f" --local-dir {found}" if models else ""
            raise MissingError(
                KEY,
                models or "(the hub's cache)",
                f"no file {lacking[0]} of {self.name} {where}",
                todo=f"{self.download}{here}",
            )
        return found


CLIP_H = Repository(
    "laion/CLIP-ViT-H-14-laion2B-s32B-b79K",
    ("config.json", "preprocessor_config.json", "tokenizer_config.json", "vocab.json", "merges.txt"),
    "4 MB, its tokenizer and sizes",
    "MIT",
)
BERT = Repository(
    "google-bert/bert-base-uncased",
    ("tokenizer_config.json", "vocab.txt"),
    "0.3 MB, its tokenizer",
    "Apache-2.0",
    asked_as="bert-base-uncased",
)
QWEN = Repository(
    "Qwen/Qwen2-VL-7B-Instruct",
    ("config.json", "preprocessor_config.json", "chat_template.json", "tokenizer_config.json", "vocab.json", "merges.txt"),
    "7 MB, its tokenizer and sizes",
    "Apache-2.0",
)


@dataclass(frozen=True)
class Published:
    """A score: its weights, what else it reads, what becomes of an image, and how its numbers are read."""

    label: str
    weights: Repository
    besides: Repository
    size: str  # of the image that the network sees: part of the score's identity
    unbounded: bool  # no value is the highest: its distribution is told beside the mean
    package: str = ""  # the official package's environment, where there is a package

    @property
    def repositories(self) -> tuple[Repository, Repository]:
        """Return all that it reads."""
        return self.weights, self.besides


OF_CLIP = "short side to 224, Pillow's bicubic on bytes, middle 224 x 224 of CLIP's processor"
SCORES: Mapping[str, Published] = {
    "pickscore": Published(
        "PickScore",
        Repository("yuvalkirstain/PickScore_v1", ("model.safetensors", "config.json"), "3.94 GB", PAGE),
        CLIP_H,
        OF_CLIP,
        unbounded=False,
    ),
    "image_reward": Published(
        "ImageReward",
        Repository("THUDM/ImageReward", ("ImageReward.pt", "med_config.json"), "1.79 GB", f"code Apache-2.0; weights: {PAGE}"),
        BERT,
        "short side to 224, Pillow's bicubic on bytes, middle 224 x 224 of torchvision",
        unbounded=True,
        package="image_reward",
    ),
    "mps": Published(
        "MPS",
        Repository("RE-N-Y/mpsv1", ("model.safetensors",), "about 4 GB", PAGE),
        CLIP_H,
        OF_CLIP,
        unbounded=False,
    ),
    "hpsv3": Published(
        "HPSv3",
        Repository("MizzenAI/HPSv3", ("HPSv3.safetensors",), "about 16 GB", f"code MIT; weights: {PAGE}"),
        QWEN,
        "about 448 x 448 pixels in multiples of 28, Pillow's bicubic on bytes",
        unbounded=True,
        package="hpsv3",
    ),
}


def folders(score: str, models: str) -> dict[str, Path]:
    """Return the folder of each repository of a score by the name under which it is asked for; MissingError as `folder`."""
    return {one.asked_as or one.name: one.folder(models) for one in SCORES[score].repositories}


def weights_digest(score: str, models: str) -> str:
    """Return 12 hex digits of the hashes of every file that the score reads; MissingError as `folders`."""
    read = [(one, name, one.folder(models) / name) for one in SCORES[score].repositories for name in one.files]
    lines = "".join(f"{one.name} {name} {content_hash(path)}\n" for one, name, path in read)
    return hashlib.sha256(lines.encode()).hexdigest()[:12]
