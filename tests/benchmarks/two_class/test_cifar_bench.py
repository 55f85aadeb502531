"""The cifar bench on a folder of CIFAR-10's format and a CLIP of random weights; what is not here is said before sampling."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from cifar_folder import write_cifar

from s2g.benchmarks.distances import clip
from s2g.benchmarks.two_class.cifar import Cifar, reference
from s2g.errors import UserError
from s2g.scoring.score import estimate

ARCHITECTURE = "ViT-B-32-quickgelu"
TYPED = ("model=cifar_sit", "bench=cifar", "guidance=none")


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of all of ViT-B/32's numbers, drawn; half precision, as OpenAI's are."""
    import open_clip

    with torch.device("meta"):
        shapes = open_clip.create_model(ARCHITECTURE, device="meta").state_dict()
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("clip") / "random.pt"
    torch.save({name: (0.05 * torch.randn(value.shape)).half() for name, value in shapes.items()}, path)
    return path


@pytest.fixture
def bench(tmp_path: Path, weights: Path, monkeypatch: pytest.MonkeyPatch) -> Cifar:
    write_cifar(tmp_path / "data", monkeypatch, per_class=1)
    return Cifar(data=str(tmp_path / "data"), clip=str(weights))


@pytest.mark.slow("Inception")
def test_features_are_those_of_the_file_and_are_kept(bench: Cifar, monkeypatch: pytest.MonkeyPatch) -> None:
    real, label = bench.real()
    assert real.shape == (10, 512) and np.bincount(label).tolist() == [5, 5]
    (kept,) = Path(bench.data).glob("s2g-features-*.npz")
    reference.cache_clear()
    monkeypatch.setattr(clip, "features_of", None)  # they are read, not made again
    again, _ = bench.real()
    assert (again == real).all() and kept.exists()


def test_real_images_as_samples_are_perfect(bench: Cifar) -> None:
    from s2g.worlds.two_class.cifar import pair

    real = pair(bench.data)
    order = np.stack([np.flatnonzero(real.label == label) for label in (0, 1)], 1).ravel()  # classes in turn, as items are
    arrays = bench.measure(real.pixels[order], range(10))
    found = {metric.name: estimate(metric, arrays, np.arange(10) // 4).value for metric in bench.metrics}
    assert (
        found["fd"] == pytest.approx(0, abs=1e-4)
        and found["precision"] == found["recall"] == 100
        and found["spread"] == pytest.approx(1, abs=1e-4)
    )
    assert found["separability"] == 100 and bench.reading(arrays, 0) == ({"neighbours": True}, "")


def test_which_weights_is_part_of_how_items_are_measured(bench: Cifar, tmp_path: Path) -> None:
    other = tmp_path / "other.pt"
    other.write_bytes(b"other")
    versions = [Cifar(clip=name).version() for name in (bench.clip, str(other), "openai")]
    assert len({version["clip"] for version in versions}) == 3 and bench.clip not in str(versions)


def test_what_is_missing_is_said_before_anything_is_sampled(
    bench: Cifar, tmp_path: Path, run_of, monkeypatch: pytest.MonkeyPatch
) -> None:
    def said(*typed: str) -> str:
        with pytest.raises(UserError) as raised:
            run_of(*TYPED, *typed).key  # noqa: B018
        return str(raised.value)

    assert "bench.data = data/cifar10: no file" in said("bench.data=data/cifar10")
    here = f"bench.data={bench.data}"
    assert f"bench.clip = {tmp_path}/none.pt: no file" in said(here, f"bench.clip={tmp_path}/none.pt")
    assert "Did you mean 'openai'" in said(here, "bench.clip=opnai")
    assert "bench.architecture = ViT-B-23" in said(here, "bench.architecture=ViT-B-23")
    monkeypatch.setattr(clip, "_kept", lambda about: None)
    text = said(here)
    assert "bench.clip = openai: no file" in text and "bench.download=true" in text
    import open_clip.pretrained

    def offline(about: object) -> str:
        raise FileNotFoundError("no route to host")

    monkeypatch.setattr(open_clip.pretrained, "download_pretrained", offline)
    text = _fetched(bench)
    assert "cannot be fetched (no route to host)" in text and "bench.clip=FILE" in text
    assert "model.weights = training/cifar_sit/cifar_sit.safetensors: no file" in said(here, f"bench.clip={bench.clip}")


def _fetched(bench: Cifar) -> str:
    with pytest.raises(UserError) as raised:
        clip.weights_file(bench.architecture, "openai", True)
    return str(raised.value)


def test_weights_of_another_network_are_refused(bench: Cifar, tmp_path: Path) -> None:
    torch.save({"a": torch.zeros(1)}, tmp_path / "small.pt")
    with pytest.raises(UserError, match=r"bench.clip = .*small.pt.* is no ViT-B-32-quickgelu"):
        clip.features_of(bench.architecture, str(tmp_path / "small.pt"), np.zeros((1, 32, 32, 3), np.uint8))
