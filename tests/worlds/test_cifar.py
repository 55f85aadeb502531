"""CIFAR-10 as torchvision reads it, from a folder of the real format written here."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from cifar_folder import write_cifar

from s2g.errors import UserError
from s2g.worlds.two_class.cifar import pair


def test_horses_and_automobiles_of_both_sets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_cifar(tmp_path, monkeypatch)
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
    write_cifar(tmp_path, monkeypatch)
    (tmp_path / "cifar-10-batches-py" / "data_batch_3").write_bytes(b"cut off")
    with pytest.raises(UserError, match=r"data = .*cannot be read"):
        pair(str(tmp_path))
