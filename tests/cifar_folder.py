"""A folder in CIFAR-10's own format, small, whose md5 sums torchvision is told to expect."""

from __future__ import annotations

import hashlib
import pickle
from pathlib import Path

import numpy as np
import pytest
from torchvision.datasets import CIFAR10

CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")


def write_cifar(root: Path, monkeypatch: pytest.MonkeyPatch, per_class: int = 4) -> None:
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
