"""The official vbench package in its environment: one dimension after another, each result kept whole as it becomes known."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from s2g.benchmarks.vbench.dimensions import DIMENSIONS
from s2g.benchmarks.vbench.prompts import SAMPLES, Suite, colliding, parted
from s2g.benchmarks.vbench.results import Scored, parse
from s2g.config.schema import canonical
from s2g.errors import MissingError, SeveralError, UserError, gathered
from s2g.io.hashing import content_hash
from s2g.scoring.isolated.child import values_of
from s2g.scoring.isolated.environment import Isolated, find

KEY = "bench.weights"
HALF_A_DAY = 12 * 3600.0  # seconds that a dimension may take; all sixteen took about that on an H100
CLIP_AT = "https://openaipublic.azureedge.net/clip/models"
OBJECTS = ("object_class", "multiple_objects", "color", "spatial_relationship")
HUB = "https://huggingface.co"
BERT = "huggingface/hub/models--bert-base-uncased/snapshots/*"  # as the hub keeps it below HF_HOME, which is the child's


@dataclass(frozen=True)
class Weight:
    """A file or folder below the package's cache, where it is published, and the dimensions that need it."""

    place: str  # with * where a revision stands
    address: str
    dimensions: tuple[str, ...]
    other: str = ""  # a place that does as well

    def found(self, folder: Path) -> list[Path]:
        """Return its paths that exist."""
        return [found for place in (self.place, self.other) if place for found in sorted(folder.glob(place))]


WEIGHTS = (
    Weight("dino_model/facebookresearch_dino_main", "https://github.com/facebookresearch/dino", ("subject_consistency",)),
    Weight(
        "dino_model/dino_vitbase16_pretrain.pth",
        "https://dl.fbaipublicfiles.com/dino/dino_vitbase16_pretrain/dino_vitbase16_pretrain.pth",
        ("subject_consistency",),
    ),
    Weight(
        "clip_model/ViT-B-32.pt",
        f"{CLIP_AT}/40d365715913c9da98579312b702a82c18be219cc2a73407c4526f58eba950af/ViT-B-32.pt",
        ("background_consistency", "appearance_style"),
    ),
    Weight(
        "clip_model/ViT-L-14.pt",
        f"{CLIP_AT}/b8cca3fd41ae0c99ba7e8951adf17d267cdb84cd88be6f7c2e0eca1737a03836/ViT-L-14.pt",
        ("aesthetic_quality",),
    ),
    Weight(
        "aesthetic_model/emb_reader/sa_0_4_vit_l_14_linear.pth",
        "https://github.com/LAION-AI/aesthetic-predictor",
        ("aesthetic_quality",),
    ),
    Weight(
        "pyiqa_model/musiq_spaq_ckpt-358bb6af.pth",
        "https://github.com/chaofengc/IQA-PyTorch/releases/download/v0.1-weights/musiq_spaq_ckpt-358bb6af.pth",
        ("imaging_quality",),
    ),
    Weight("amt_model/amt-s.pth", f"{HUB}/lalala125/AMT/resolve/main/amt-s.pth", ("motion_smoothness",)),
    Weight(
        "raft_model/models/raft-things.pth",
        "https://dl.dropboxusercontent.com/s/4j4z58wuv8o0mfz/models.zip",
        ("dynamic_degree", "temporal_flickering"),  # whose static filter it is
    ),
    Weight("grit_model/grit_b_densecap_objectdet.pth", f"{HUB}/OpenGVLab/VBench_Used_Models", OBJECTS),
    Weight("umt_model/l16_ptk710_ftk710_ftk400_f16_res224.pth", f"{HUB}/OpenGVLab/VBench_Used_Models", ("human_action",)),
    Weight("caption_model/tag2text_swin_14m.pth", f"{HUB}/spaces/xinyu1205/recognize-anything", ("scene",)),
    Weight(
        "ViCLIP/ViClip-InternVid-10M-FLT.pth",
        f"{HUB}/OpenGVLab/VBench_Used_Models",
        ("temporal_style", "overall_consistency"),
    ),
    Weight(
        "ViCLIP/bpe_simple_vocab_16e6.txt.gz",
        "https://github.com/openai/CLIP, clip/bpe_simple_vocab_16e6.txt.gz",
        ("temporal_style", "overall_consistency"),
    ),
    Weight(f"{BERT}/vocab.txt", f"{HUB}/bert-base-uncased", ("scene", *OBJECTS)),  # tokenizer of Tag2Text and of GRiT
    Weight(f"{BERT}/config.json", f"{HUB}/bert-base-uncased", ("scene",)),
    Weight(f"{BERT}/model.safetensors", f"{HUB}/bert-base-uncased", ("scene",), f"{BERT}/pytorch_model.bin"),
)
DOWNLOADS = (
    "the environment vbench (vbench 0.1.5), about 6 GB",
    "weights of 16 dimensions, 16 files of about ten hosts, about 8.5 GB",
)
LICENCES = ("VBench: Apache-2.0", "imaging quality comes by pyiqa: non-commercial")


def environment() -> Isolated:
    """Return the package's environment, built or not."""
    return find("vbench")


def gpu_there() -> bool:
    """Return whether the driver sees a GPU; our torch may be built without CUDA, and the package has its own."""
    command = shutil.which("nvidia-smi")
    if command is None:
        return False
    try:
        done = subprocess.run([command, "-L"], capture_output=True, text=True, check=False, timeout=60)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0 and "GPU " in done.stdout


def weights_folder(typed: str) -> Path:
    """Return the package's cache: `typed`, else $VBENCH_CACHE_DIR, else ~/.cache/vbench."""
    return Path(typed or os.environ.get("VBENCH_CACHE_DIR") or "~/.cache/vbench").expanduser()


def check(typed: str) -> None:
    """Raise UserError with everything that scoring needs and that is missing; a GPU first, without which nothing else helps."""
    if not gpu_there():
        raise MissingError(
            "bench.score",
            "[vbench]",
            "the official package needs an NVIDIA GPU, and nvidia-smi shows none here",
            kind="device",
            allowed="videos alone (bench.score=[]), or results that were made elsewhere (bench.results=[FILE])",
            todo="s2g export RUN OUT --to vbench, score OUT where there is a GPU, then s2g score RUN bench.results=[FILE]",
        )
    errors: list[UserError] = []
    with gathered(errors):
        environment().check()
    folder = weights_folder(typed)
    lacking = [weight for weight in WEIGHTS if not weight.found(folder)]
    if lacking:
        listed = "\n".join(f"  {one.place} for {', '.join(one.dimensions)}: {one.address}" for one in lacking)
        with gathered(errors):
            raise MissingError(KEY, folder, f"{len(lacking)} of {len(WEIGHTS)} files are not there\n{listed}")
    if errors:
        raise SeveralError.of(errors)


def identity(typed: str) -> dict[str, str]:
    """Return what determines a score: environment, child script, every weights file, and the code among them."""
    folder, lines = weights_folder(typed), []
    for place in (place for weight in WEIGHTS for place in weight.found(folder)):
        # Of a folder its code: torch.hub runs it.
        files = [place] if place.is_file() else sorted(place.rglob("*.py"))
        lines += [f"{file.relative_to(place.parent).as_posix()} {content_hash(file)}" for file in files]
    digest = hashlib.sha256("".join(lines).encode()).hexdigest()[:12]
    return {**environment().identity(), "weights": digest}


def scores(
    videos: Mapping[str, tuple[Path, str]],
    suite: Suite,
    typed: str,
    place: Path,
    told: Callable[[str], None] = lambda line: None,
) -> dict[str, Scored]:
    """Return results by dimension of videos {official name: (file, sha256)}; a dimension without a video has none.

    What is known of a dimension is kept below `place` under its videos' content: a stopped scoring goes on with the
    next dimension. UserError, IsolatedError as `values_of`.
    """
    folder = place / f"vbench-{hashlib.sha256(canonical(identity(typed)).encode()).hexdigest()[:12]}"
    asked = [name for name in DIMENSIONS if _of(suite, name, videos)]
    with tempfile.TemporaryDirectory(prefix="s2g-vbench-") as temporary:
        flat = Path(temporary) / "videos"
        flat.mkdir()
        if not tells_case_apart(flat) and (same := colliding(list(videos))):
            raise UserError(
                f"{flat}: {' and '.join(same[0])} are one name on this file system", todo="TMPDIR=FOLDER of another"
            )
        for name, (file, _) in videos.items():
            (flat / name).symlink_to(file.absolute())
        items = [
            {
                "key": f"{name} {_digest(suite, name, videos)}",
                "dimension": name,
                "videos": str(flat),
                "info": str(suite.path.absolute()),
                "output": str(Path(temporary) / "results" / name),
                "weights": str(weights_folder(typed).absolute()),
            }
            for name in asked
        ]
        found = values_of(
            environment(), items, folder, timeout=HALF_A_DAY, told=lambda count: told(f"{count} of {len(items)} dimensions")
        )
    results: dict[str, Scored] = {}
    for item in items:
        if found[item["key"]] is not None:  # else its mean is of no video at all
            results |= parse({item["dimension"]: found[item["key"]]}, "vbench")
    return results


def tells_case_apart(folder: Path) -> bool:
    """Return whether a folder's file system tells "a" from "A"; writes and removes a probe file."""
    probe = folder / ".s2g-case-probe"
    try:
        probe.touch()
        return not probe.with_name(probe.name.upper()).exists()
    finally:
        probe.unlink(missing_ok=True)


def _of(suite: Suite, dimension: str, videos: Mapping[str, Any]) -> Sequence[str]:
    """Return the names of a dimension's videos that are there; the static filter is given all 25 of a prompt."""
    most = max((entry.samples for entry in suite.entries if dimension in entry.dimensions), default=SAMPLES)
    prompts = set(suite.prompts_of(dimension))
    parts = ((name, parted(name)) for name in videos)
    return sorted(name for name, part in parts if part and part[0] in prompts and part[1] < most)


def _digest(suite: Suite, dimension: str, videos: Mapping[str, tuple[Path, str]]) -> str:
    lines = "\n".join(f"{name} {videos[name][1]}" for name in _of(suite, dimension, videos))
    return hashlib.sha256(lines.encode()).hexdigest()[:16]
