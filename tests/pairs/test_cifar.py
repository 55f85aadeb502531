"""CIFAR-10 as torchvision reads it, from a folder of the real format written here."""

from __future__ import annotations

import hashlib
import pickle
from pathlib import Path

import numpy as np
import pytest
from torchvision.datasets import CIFAR10

from s2g.errors import UserError
from s2g.pairs.cifar import pair

CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")


def fake_cifar(root: Path, monkeypatch: pytest.MonkeyPatch, per_class: int = 4) -> None:
    """Six files of `per_class` images a class, each of one grey: its class times 10, plus its file; md5 sums as they are."""
    folder = root / "cifar-10-batches-py"
    folder.mkdir(parents=True)
    for at, name in enumerate([*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"]):
        labels = [label for label in range(10) for _ in range(per_class)]
        data = np.stack([np.full(3072, 10 * label + at, np.uint8) for label in labels])
        (folder / name).write_bytes(pickle.dumps({"data": data, "labels": labels, "batch_label": "fake"}))
    (folder / "batches.meta").write_bytes(pickle.dumps({"label_names": list(CLASSES)}))

    def sums(files: list[str]) -> list[list[str]]:
        return [[name, hashlib.md5((folder / name).read_bytes()).hexdigest()] for name in files]

    monkeypatch.setattr(CIFAR10, "train_list", sums([f"data_batch_{i}" for i in range(1, 6)]))
    monkeypatch.setattr(CIFAR10, "test_list", sums(["test_batch"]))
    monkeypatch.setattr(CIFAR10, "meta", {**CIFAR10.meta, "md5": sums(["batches.meta"])[0][1]})


def test_horses_and_automobiles_of_both_sets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_cifar(tmp_path, monkeypatch)
    seen, kept = pair(str(tmp_path)), pair(str(tmp_path), train=False)
    assert seen.names == ("automobile", "horse") and np.bincount(seen.label).tolist() == [20, 20]
    assert seen.pixels.shape == (40, 32, 32, 3) and np.bincount(kept.label).tolist() == [4, 4]
    # Automobiles are class 1, horses class 7; training files are 0 to 4, the test file is 5.
    for images, files in ((seen, range(5)), (kept, [5])):
        greys = {label: set(np.unique(images.pixels[images.label == label]).tolist()) for label in (0, 1)}
        assert greys == {0: {10 + at for at in files}, 1: {70 + at for at in files}}


def test_what_is_not_there_or_not_whole_is_said_with_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError) as raised:
        pair(str(tmp_path / "nowhere"), "bench.data")
    said = str(raised.value)
    assert "bench.data" in said and str(tmp_path / "nowhere") in said and "bench.download=true" in said
    fake_cifar(tmp_path, monkeypatch)
    (tmp_path / "cifar-10-batches-py" / "data_batch_3").write_bytes(b"cut off")
    with pytest.raises(UserError, match=r"data = .*cannot be read"):
        pair(str(tmp_path))
