"""Thirteen prompts that have every dimension, results of them, small videos, a stand-in for the vbench package.

Importable by workers.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from compbench_fake import FakeTexts

from s2g.benchmarks.vbench import bench as vbench_bench
from s2g.benchmarks.vbench import official, prompts
from s2g.benchmarks.vbench.bench import VBench
from s2g.benchmarks.vbench.dimensions import DIMENSIONS
from s2g.config.registry import MODELS
from s2g.engine.run import Run
from s2g.scoring.isolated.environment import Isolated, find
from s2g.store.store import Store, checksum

OVERALL = ["overall_consistency", "aesthetic_quality", "imaging_quality"]
SUBJECT = ["subject_consistency", "dynamic_degree", "motion_smoothness"]
ENTRIES: list[tuple[str, list[str]]] = [
    ("In a still frame, a stop sign", ["temporal_flickering"]),
    ("a toilet, frozen in time", ["temporal_flickering"]),
    ("a person swimming", SUBJECT),
    ("a bird", ["object_class"]),
    ("a bird and a cat", ["multiple_objects"]),
    ("A person is riding a bike", ["human_action"]),
    ("a red bicycle", ["color"]),
    ("a dog on the left of a cat, front view", ["spatial_relationship"]),
    ("The bund Shanghai, oil painting", ["appearance_style"]),
    ("A slo-mo of a well-known square.", ["temporal_style"]),
    ("a fantasy landscape", OVERALL),
    ("The bund Shanghai, oil painting", OVERALL),
    ("A fantasy landscape", ["scene", "background_consistency"]),
]
VIDEOS, FILES = 13 * 5 + 2 * 20, 12 * 5 + 2 * 20
CONTENT = json.dumps([{"prompt_en": prompt, "dimension": of} for prompt, of in ENTRIES]).encode()
SUITE = prompts.Suite(prompts.read(CONTENT), Path(prompts.FILE))
MODEL = (
    "model=tiny_sit",
    "model.family=fake_videos",
    "model.name=fake_videos",
    "model.weights=none",
    "model.blocks=1",
    "model.unit=5",
    "model.resolution=256",
    "model.network.num_classes=null",
    "guidance=none",
    "sampler.steps=1",
    "bench=vbench",
)
PACKAGE = """
import json, os, hashlib
from pathlib import Path

def value(dimension, name):
    share = int(hashlib.sha256(f"{dimension} {name}".encode()).hexdigest()[:6], 16) / 16**6
    if dimension in ("dynamic_degree", "human_action"):
        return share > 0.5
    return 100 * share if dimension == "imaging_quality" else share

class VBench:
    def __init__(self, device, full_info_dir, output_path):
        self.info, self.output = full_info_dir, output_path
        os.makedirs(output_path, exist_ok=True)

    def evaluate(self, videos_path, name, dimension_list=None, local=False, mode="vbench_standard"):
        assert local and mode == "vbench_standard" and os.environ["HF_HUB_OFFLINE"] == "1"
        (dimension,) = dimension_list
        weights = Path(os.environ["VBENCH_CACHE_DIR"])
        if (weights / "stop").exists() and (weights / "stop").read_text() == dimension:
            raise RuntimeError("out of memory")
        with open(weights / "asked", "a") as out:
            out.write(dimension + "\\n")
        records = []
        for entry in json.loads(Path(self.info).read_text()):
            if dimension in entry["dimension"]:
                for i in range(5):
                    path = Path(videos_path) / f"{entry['prompt_en']}-{i}.mp4"
                    if path.exists() and not (dimension == "color" and i == 3):
                        records.append({"video_path": str(path), "video_results": value(dimension, path.resolve().name)})
        mean = sum(r["video_results"] for r in records) / len(records)
        mean = mean / 100 if dimension == "imaging_quality" else mean
        (Path(self.output) / f"{name}_eval_results.json").write_text(json.dumps({dimension: [mean, records]}))
"""
FILTER = """
import json, shutil
from pathlib import Path

def static_filter(args):
    assert args.filter_scope == "temporal_flickering" and Path(args.model).name == "raft-things.pth"
    kept = {}
    for path in sorted(Path(args.videos_path).glob("*.mp4")):
        prompt, _, sample = path.stem.rpartition("-")
        if ("frozen" in prompt or "still" in prompt) and int(sample) % 4 == 2:
            kept.setdefault(prompt, {"static_path": []})["static_path"].append(str(path))
    target = Path(args.result_path) / "filtered_videos"
    target.mkdir(parents=True)
    for prompt, of in kept.items():
        of["static_path"] = of["static_path"][:5]
        for i, path in enumerate(of["static_path"]):
            shutil.copy(path, target / f"{prompt}-{i}.mp4")
    (Path(args.result_path) / args.store_name).write_text(json.dumps(kept))
"""
TORCH = """
__version__ = "0"
device = str
class cuda:
    is_available = staticmethod(lambda: True)
    get_device_name = staticmethod(lambda at: "none")
"""


class FakeVideos(FakeTexts):
    """Makes images; tests put videos in their place."""


@dataclass(frozen=True)
class Fake(Isolated):
    """The real child script in an environment with stand-ins for torch and vbench."""

    at: Path = Path()

    @property
    def interpreter(self) -> Path:
        return self.at / "bin" / "python"

    def check(self) -> None:
        pass


def fake_package(folder: Path) -> Fake:
    """An environment that has nothing but the stand-ins."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    (packages,) = folder.glob("lib/python*/site-packages")
    (packages / "torch.py").write_text(TORCH)
    (packages / "vbench" / "cli").mkdir(parents=True)
    (packages / "vbench" / "__init__.py").write_text(PACKAGE)
    (packages / "vbench" / "cli" / "static_filter.py").write_text(FILTER)
    return Fake(find("vbench").folder, folder)


def video(path: Path, frames: int = 5, height: int = 32, width: int = 48, seed: int = 0) -> bytes:
    """A small H.264 file, written and given back."""
    import av

    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=16)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for values in np.random.default_rng(seed).integers(0, 255, (frames, height, width, 3), dtype=np.uint8):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(values, format="rgb24")))
        container.mux(stream.encode())
    return path.read_bytes()


def as_videos(store: Store, content: Callable[[int], bytes]) -> None:
    """The run's stored images replaced by videos, items/NNNNNN.mp4, as an engine that stores videos would have them."""
    for unit in sorted(store.stored()):
        record = store.record(unit)
        for entry in record["items"]:
            (store.folder / "items" / entry["file"]).unlink(missing_ok=True)
            entry["file"] = f"{entry['item']:06d}.mp4"
            made = content(entry["item"])
            (store.folder / "items" / entry["file"]).write_bytes(made)
            entry["sha256"] = hashlib.sha256(made).hexdigest()
        store.record_path(unit).write_text(json.dumps({**record, "check": checksum(record)}))


def official_results(
    shift: float = 0.0, samples: int = 5, dimensions: Sequence[str] = tuple(DIMENSIONS), seed: int = 0
) -> dict[str, Any]:
    """What the package writes for the thirteen prompts: values at random, moved by `shift`."""
    found: dict[str, Any] = {}
    draw = np.random.default_rng(seed)
    for name in DIMENSIONS:
        records, values = [], []
        for prompt in dict.fromkeys(SUITE.prompts_of(name)):
            for sample in range(samples):
                value = float(draw.uniform(0.1, 0.25)) + shift
                shown: Any = value > 0.17 if name in ("dynamic_degree", "human_action") else value
                values.append(float(shown))
                shown = 100 * value if name == "imaging_quality" else shown
                records.append({"video_path": f"/data/{prompt}-{sample}.mp4", "video_results": shown})
        found[name] = [sum(values) / len(values), records]
    return {name: found[name] for name in dimensions}


@pytest.fixture
def few(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The thirteen prompts as the official ones; the folder they are in."""
    folder = tmp_path / "prompts"
    folder.mkdir()
    (folder / prompts.FILE).write_bytes(CONTENT)
    monkeypatch.setattr(prompts, "OFFICIAL", hashlib.sha256(CONTENT).hexdigest())
    for module in (prompts, vbench_bench):
        monkeypatch.setattr(module, "VIDEOS", VIDEOS)
    monkeypatch.setattr(VBench, "num", VIDEOS)
    monkeypatch.setenv("S2G_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("S2G_DATA", raising=False)  # where the real ones may be
    prompts.load.cache_clear()
    yield folder
    prompts.load.cache_clear()


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The stand-in for the package, a GPU, and its weights; the folder of these."""
    weights = tmp_path / "weights"
    for one in official.WEIGHTS:
        place = weights / one.place.replace("*", "main")
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(b"")
    made = fake_package(tmp_path / "environment")
    monkeypatch.setattr(official, "environment", lambda: made)
    monkeypatch.setattr(official, "gpu_there", lambda: True)
    return weights


@pytest.fixture
def fake_runs(few: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[str, ...]]:
    """Overrides of a run on the fake model and the thirteen prompts; more may be given."""
    monkeypatch.setattr(MODELS, "entries", dict(MODELS.entries))
    MODELS.add("fake_videos", "vbench_fake:FakeVideos", "nothing but images", trained=False)
    monkeypatch.setattr(VBench, "suits", lambda bench, model: model.family in ("wan", "fake_videos"))
    return lambda *more: (*MODEL, f"bench.path={few}", *more)


def videos_of(run: Run, store: Store, scratch: Path) -> None:
    """A small video for every item of a run, each another."""
    as_videos(store, lambda item: video(scratch / "one.mp4", seed=item))
    assert run.units
