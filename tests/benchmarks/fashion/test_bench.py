"""bench=fashion: what real photographs score, what each metric notices, and what a broken data folder is told."""

from __future__ import annotations

import gzip
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from s2g.benchmarks.fashion.bench import METRICS, REFERENCE, Fashion, real_images, reference_floors
from s2g.errors import MissingError, UserError
from s2g.metrics.frechet import Moments, frechet_distance
from s2g.scoring.score import estimate
from s2g.worlds.fashion.classifier import read_clothes
from s2g.worlds.fashion.data import CLASSES, DEBIAN, SHA256, folder_of, photographs

BENCH = Fashion()
needs_data = pytest.mark.skipif(not DEBIAN.is_dir(), reason="needs Debian's package dataset-fashion-mnist")


def scores(pixels: np.ndarray, bench: Fashion = BENCH) -> dict[str, float]:
    """Score gray uint8 images [B, 28, 28] as items 0 .. B - 1."""
    arrays = bench.measure(np.repeat(pixels[..., None], 3, axis=3), range(len(pixels)))
    return {metric.name: estimate(metric, arrays, np.arange(len(pixels)) // 50).value for metric in bench.metrics}


@pytest.fixture(scope="module")
def test_images() -> np.ndarray:
    """The first 50 test images of every class, in turn."""
    test = photographs("t10k", str(DEBIAN))
    rows = np.stack([np.flatnonzero(test.label == label)[:50] for label in range(10)], axis=1).ravel()
    return test.pixels[rows, :, :, 0]


@needs_data
def test_real_photographs_score_as_real(test_images: np.ndarray) -> None:
    of, floors = reference_floors()
    found = scores(test_images)
    assert found["fd"] == pytest.approx(floors[of.index(500)], rel=0.15)  # those are means over disjoint parts
    assert found["accuracy"] > 90 and found["precision"] > 80 and found["recall"] > 80
    assert found["density"] == pytest.approx(1, abs=0.15) and abs(found["kd"]) < 1


@needs_data
def test_each_metric_notices_what_it_is_for(test_images: np.ndarray) -> None:
    true = scores(test_images)
    shifted = scores(np.roll(test_images, 1, axis=0))  # every image in the place of the class after its own
    assert shifted["accuracy"] < 10 and shifted["fd"] == pytest.approx(true["fd"])
    one = scores(np.tile(test_images[:10], (50, 1, 1)))
    assert one["accuracy"] == pytest.approx(scores(test_images[:10])["accuracy"]) and one["coverage"] < 0.3 * true["coverage"]
    flat = scores((test_images / 2).astype(np.uint8))
    assert flat["contrast"] == pytest.approx(true["contrast"] / 2, rel=0.02)
    assert flat["sharpness"] == pytest.approx(true["sharpness"] / 2, rel=0.05)
    noise = scores(np.random.default_rng(0).integers(0, 256, (500, 28, 28)).astype(np.uint8))
    assert noise["fd"] > 20 * true["fd"] and noise["precision"] < 5 and noise["kd"] > 100 * abs(true["kd"])


@pytest.mark.slow("reads 12,000 photographs")
@needs_data
def test_the_reference_is_the_classifier_on_the_training_images() -> None:
    train = photographs("train", str(DEBIAN))
    some = read_clothes(train.pixels[:2000])[1]
    with np.load(REFERENCE) as stored:
        known = Moments.stored(stored["mean"], stored["covariance"], stored["count"])
        spread = np.sqrt(np.diag(known.covariance) / len(some))
        assert known.count == 60_000 and (np.abs(some.mean(0) - known.mean) < 5 * spread + 1e-3).all()
        rows = np.sort(np.concatenate([np.flatnonzero(train.label == label)[:200] for label in range(10)]))
        np.testing.assert_allclose(stored["features"][:50], read_clothes(train.pixels[rows[:50]])[1], rtol=1e-3, atol=1e-3)
        whole = Moments.of(read_clothes(photographs("t10k", str(DEBIAN)).pixels)[1])
        assert frechet_distance(whole, known) == pytest.approx(float(stored["floor"][-1]), rel=1e-3)


@pytest.mark.slow("reads 60,000 photographs")
@needs_data
def test_copies_are_noticed_where_the_photographs_are_there(test_images: np.ndarray) -> None:
    bench = Fashion(data=str(DEBIAN))
    train = photographs("train", str(DEBIAN)).pixels[:20, :, :, 0]
    assert scores(train, bench)["nearest"] == 0 and scores(test_images[:20], bench)["nearest"] > 10
    assert "nearest" not in {metric.name for metric in METRICS} and bench.version() != BENCH.version()


def test_what_ships_is_enough_to_score_and_look() -> None:
    pixels, label = real_images()
    assert pixels.shape == (40, 28, 28) and label.tolist() == [item % 10 for item in range(40)]
    found = scores(pixels)
    assert found["accuracy"] > 80 and np.isfinite(list(found.values())).all()
    shown = BENCH.real_images(range(38, 42))
    np.testing.assert_array_equal(shown[2, :, :, 0], pixels[0])
    assert [BENCH.caption(item) for item in range(10)] == list(CLASSES)
    assert "fashion FD of the 10,000 real test images" in BENCH.remarks(500)[0] and "of 500 of them" in BENCH.remarks(500)[0]


def test_planning_loads_no_torch() -> None:
    code = "import sys, s2g.benchmarks.fashion.bench; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The test set's files, unpacked, and the training set's, packed."""
    for name in SHA256:
        packed = DEBIAN / f"{name}.gz"
        if name.startswith("t10k"):
            (tmp_path / name).write_bytes(gzip.decompress(packed.read_bytes()))
        else:
            shutil.copy(packed, tmp_path)
    return tmp_path


@needs_data
def test_packed_and_unpacked_files_are_read(folder: Path) -> None:
    np.testing.assert_array_equal(photographs("t10k", str(folder)).pixels, photographs("t10k", str(DEBIAN)).pixels)
    raw = folder / "FashionMNIST" / "raw"
    raw.mkdir(parents=True)
    for name in SHA256:
        (raw / name).touch()
    assert folder_of(str(folder), "data") == raw  # as torchvision leaves it


@needs_data
def test_a_broken_folder_is_named_once(folder: Path, run_of) -> None:
    images = folder / "t10k-images-idx3-ubyte"
    content = bytearray(images.read_bytes())
    content[5000] ^= 1
    images.write_bytes(content)
    with pytest.raises(UserError, match=r"bench\.data = .*: t10k-images-idx3-ubyte is not Fashion-MNIST's: its sha256 differs"):
        photographs("t10k", str(folder), "bench.data")
    packed = (DEBIAN / "t10k-images-idx3-ubyte.gz").read_bytes()
    images.write_bytes(packed)
    with pytest.raises(UserError, match=r"t10k-images-idx3-ubyte is packed") as told:
        photographs("t10k", str(folder), "bench.data")
    assert f"mv {images} {images}.gz" in str(told.value)
    images.unlink()
    (folder / "t10k-images-idx3-ubyte.gz").write_bytes(packed[:-1000])
    with pytest.raises(UserError, match=r"t10k-images-idx3-ubyte\.gz cannot be read"):
        photographs("t10k", str(folder), "bench.data")
    (folder / "t10k-images-idx3-ubyte.gz").unlink()
    with pytest.raises(MissingError, match=r"no file .*t10k-images-idx3-ubyte") as missing:
        run_of("model=fashion_sit", "bench=fashion", f"bench.data={folder}")
    assert "apt-get install dataset-fashion-mnist" in str(missing.value) and "s2g fetch fashion" in str(missing.value)
