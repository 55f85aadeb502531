"""Another library is another scorer: its version is in the key of a score, and in the name of the folder of answers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from s2g.benchmarks.compbench import blip
from s2g.benchmarks.hps.bench import HPS21
from s2g.benchmarks.hps.clip import Clip
from s2g.io import library_versions
from s2g.scoring.file_scoring import Image
from s2g.scoring.scorer import ScoringRequest


@pytest.fixture
def weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("s2g.benchmarks.hps.checkpoint.sizes", lambda architecture: {"width": 8})
    for name in ("config.json", "model.safetensors", "vocab.txt", "a.pt"):
        (tmp_path / name).write_text("{}")
    (tmp_path / "own.json").write_text('["a cat"]')
    return tmp_path


def test_only_what_is_installed_has_a_version() -> None:
    found = library_versions.versions("torch", "no-such-library")
    assert list(found) == ["torch"] and {"torch", "numpy"} <= set(library_versions.versions())


def test_another_version_is_another_identity(weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clip = Clip(str(weights / "a.pt"))
    before = clip.identity(), blip.identity(str(weights)), blip.libraries()
    assert {"torch", "torchvision"} <= set(before[0]["libraries"]) and "transformers" in before[2]
    monkeypatch.setattr(library_versions, "version", lambda name: "99.0")
    assert clip.identity() != before[0] and blip.identity(str(weights)) != before[1] and blip.libraries() != before[2]


def test_answers_of_another_version_of_anything_lie_elsewhere(weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bench = HPS21(prompt_list="own", path=str(weights / "own.json"), weights=str(weights / "a.pt"))
    places = []

    def asked(inquiry: ScoringRequest) -> list[float]:
        places.append(inquiry.folder)
        return [30.0]

    def ask() -> None:
        found = bench.judge([Image(0, weights / "0.png", "ab")], 1, weights, asked)
        assert np.array_equal(found["hps"], [30.0])

    ask()
    ask()
    monkeypatch.setattr(HPS21, "own_version", 2)
    ask()
    monkeypatch.setattr(library_versions, "version", lambda name: "99.0")
    ask()
    assert places[0] == places[1] and len(set(places)) == 3
