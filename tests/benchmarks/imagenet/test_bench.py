"""bench=imagenet: Inception of random weights against torch-fidelity's own, references, labels, what is refused early."""

from __future__ import annotations

import os
import tarfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from inception_weights import extractor, write_inception
from PIL import Image

from s2g.benchmarks.distances import inception
from s2g.benchmarks.distances.batch import Batch
from s2g.benchmarks.distances.images import Images
from s2g.benchmarks.distances.inception import LOGITS, POOL, SPATIAL
from s2g.benchmarks.distances.reference import Reference
from s2g.benchmarks.imagenet.bench import ImageNet
from s2g.benchmarks.imagenet.labels import labels_of
from s2g.cli.commands import verify_fid
from s2g.engine.resolve import restore
from s2g.errors import UserError
from s2g.metrics.frechet import Moments, frechet_distance
from s2g.metrics.manifold import precision, recall
from s2g.store.retention import extract, suffices

SIT = ("model=sit_xl", "bench=imagenet", "guidance=none")


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_inception(tmp_path_factory.mktemp("inception") / "random.pth")


def pictures(count: int, seed: int = 0) -> np.ndarray:
    small = np.random.default_rng(seed).integers(0, 256, (count, 32, 32, 3), dtype=np.uint8)
    return small.repeat(8, 1).repeat(8, 2)


def statistics(path: Path, images: int = 0, side: int = 256, **more: np.ndarray) -> Path:
    """A file as ADM's: standard normal features, and so many reference images."""
    arrays = {"mu": np.zeros(2048), "sigma": np.eye(2048), "mu_s": np.zeros(2023), "sigma_s": np.eye(2023)}
    if images:
        arrays["arr_0"] = np.zeros((images, side, side, 3), np.uint8)
    np.savez(path, **(arrays | more))
    return path


@pytest.mark.slow("a second Inception")
def test_features_are_torch_fidelitys_own(weights: Path) -> None:
    images = pictures(3)
    found = inception.read(str(weights), images)
    own = extractor(weights)
    with torch.inference_mode():
        pool, logits = own(torch.from_numpy(images).movedim(-1, 1))
    assert found.shape == (3, 5079) and found.dtype == np.float32
    assert np.array_equal(found[:, POOL], pool.numpy()) and np.array_equal(found[:, LOGITS], logits.numpy())
    assert np.ptp(found[:, POOL]) > 0 and np.abs(found[0] - found[1]).max() > 0
    biased = extractor(weights, ("logits",))
    with torch.inference_mode():
        (with_bias,) = biased(torch.from_numpy(images).movedim(-1, 1))
    assert np.abs(with_bias.numpy() - found[:, LOGITS]).max() > 1  # of these the Inception Score would be another


def test_spatial_features_are_seven_channels_of_mixed_6_channels_last(weights: Path) -> None:
    images, seen = pictures(2), []
    own = extractor(weights)
    own.Mixed_6d.register_forward_hook(lambda module, inputs, output: seen.append(output))  # the whole block, joined
    with torch.inference_mode():
        own(torch.from_numpy(images).movedim(-1, 1))
    spec = seen[0][:, :7].numpy()  # its first branch comes first
    found = inception.read(str(weights), images)[:, SPATIAL].reshape(2, 17, 17, 7)
    assert spec.shape == (2, 7, 17, 17) and spec.max() > 0
    for channel in range(7):
        assert np.array_equal(found[..., channel], spec[:, channel])


def test_images_of_another_size_are_refused(weights: Path) -> None:
    extractor = ImageNet(inception=str(weights)).extractor
    for images in (np.zeros((1, 32, 32, 4), np.uint8), np.zeros((1, 256, 256, 3), np.float32)):
        with pytest.raises(UserError, match="uint8 images of 256 x 256"):
            extractor.read(images, "cpu")


@pytest.mark.slow("features of many images")
def test_numbers_from_images_are_those_of_the_formulas(weights: Path, tmp_path: Path) -> None:
    """Four images against a folder of five: read, gathered, and the same from the features by other ways."""
    (tmp_path / "real" / "n01").mkdir(parents=True)
    real = pictures(5, seed=1)
    for at, image in enumerate(real):
        Image.fromarray(image).save(tmp_path / "real" / "n01" / f"{at}.png")
    bench = ImageNet(inception=str(weights), reference=str(tmp_path / "real"))
    images = pictures(4)
    arrays = bench.measure(images, range(4))
    found = {m.name: m.items(arrays).mean() if m.items else m.value(arrays) for m in bench.metrics}  # type: ignore[misc]
    fake, true = (inception.read(str(weights), of) for of in (images, real))
    for name, columns in (("fid", POOL), ("sfid", SPATIAL)):
        spec = frechet_distance(Moments.of(fake[:, columns]), Moments.of(true[:, columns]))
        assert found[name] == pytest.approx(spec, rel=1e-6)
    assert found["precision"] == precision(true[:, POOL], fake[:, POOL])
    assert found["recall"] == recall(true[:, POOL], fake[:, POOL])
    (kept,) = tmp_path.glob("real.s2g-*.npz")
    stamp = kept.stat().st_mtime_ns
    with tarfile.open(tmp_path / "real.tar", "w") as archive:
        archive.add(tmp_path / "real" / "n01", "n01")
    tarred = Reference(str(tmp_path / "real.tar"), 256)
    folder = Reference(str(tmp_path / "real"), 256)
    assert tarred.identity() == folder.identity()

    class Never(inception.Inception):
        def read(self, images: np.ndarray, device: str = "auto") -> np.ndarray:
            raise AssertionError("it was kept")

    moments = folder.moments("pool", Never(str(weights)))
    assert np.allclose(moments.mean, true[:, POOL].mean(0)) and kept.stat().st_mtime_ns == stamp


class MeanColor(inception.Inception):
    """Stands for Inception, in no time: an image's mean color in every feature."""

    def identity(self) -> str:
        return "mean color"

    def read(self, images: np.ndarray, device: str = "auto") -> np.ndarray:
        return images.mean((1, 2, 3))[:, None].repeat(5079, 1).astype(np.float32)


def test_replaced_images_have_new_statistics_though_names_and_sizes_are_the_same(tmp_path: Path) -> None:
    """The 16-bit image counts as the grey it shows; what macOS leaves beside it does not count."""
    (folder := tmp_path / "real").mkdir()

    def mean() -> float:
        return float(Reference(str(folder), 256).moments("pool", MeanColor("")).mean[0])

    Image.fromarray(np.full((256, 256), 30 << 8, np.uint16)).save(folder / "a.png")
    Image.new("RGB", (256, 256), (50, 50, 50)).save(folder / "b.bmp")
    (folder / "._b.bmp").write_bytes(b"\0\5\26\7")
    assert mean() == pytest.approx(40, rel=1e-6)
    size, before = (folder / "b.bmp").stat().st_size, Reference(str(folder), 256).identity()
    Image.new("RGB", (256, 256), (70, 70, 70)).save(folder / "b.bmp")
    assert (folder / "b.bmp").stat().st_size == size
    assert mean() == pytest.approx(50, rel=1e-6)
    Image.new("RGB", (256, 256), (50, 50, 50)).save(folder / "b.bmp")
    assert Reference(str(folder), 256).identity() == before and mean() == pytest.approx(40, rel=1e-6)  # kept by content


def test_a_reference_whose_sigma_is_no_covariance_is_refused(tmp_path: Path) -> None:
    skewed = np.eye(2048)
    skewed[0, 1] = 0.5
    indefinite = np.eye(2023)
    indefinite[0, 1] = indefinite[1, 0] = 2
    for name, wrong, said in (
        ("sigma", -np.eye(2048), "sigma is not a covariance: it has a negative variance"),
        ("sigma", skewed, "sigma is not a covariance: it is not symmetric"),
        ("sigma_s", indefinite, "sigma_s is not a covariance: it has a negative eigenvalue"),
    ):
        path = statistics(tmp_path / "wrong.npz", **{name: wrong})
        with pytest.raises(UserError, match=said):
            Reference(str(path), 256).check(images=False)
    of_few = np.random.default_rng(0).normal(size=(5, 2048)).astype(np.float32)  # rank 4, rounded to float32
    Reference(str(statistics(tmp_path / "few.npz", sigma=np.cov(of_few.T).astype(np.float32))), 256).check(images=False)
    Reference(str(statistics(tmp_path / "none.npz", sigma=np.zeros((2048, 2048)))), 256).check(images=False)


def test_a_pipe_is_no_reference_and_no_batch(tmp_path: Path) -> None:
    os.mkfifo(pipe := tmp_path / "pipe.npz")
    with pytest.raises(UserError, match="no file"):
        Reference(str(pipe), 256).check(images=False)
    with pytest.raises(UserError, match="no such file"):
        Batch.of(pipe, "PATH")


def test_labels_are_drawn_or_balanced_and_part_of_the_key() -> None:
    balanced = labels_of("balanced", 0, range(3000))
    assert np.bincount(balanced).tolist() == [3] * 1000
    drawn = labels_of("uniform", 0, range(3000))
    assert drawn[100:200] == labels_of("uniform", 0, range(100, 200)) and drawn != labels_of("uniform", 1, range(3000))
    assert len(set(drawn)) == pytest.approx(1000 * (1 - np.exp(-3)), abs=25) and min(drawn) >= 0 and max(drawn) < 1000
    of = [ImageNet(labels="balanced"), ImageNet(), ImageNet(label_seed=1)]
    assert len({str(bench.items_id()) for bench in of}) == 3
    assert ImageNet(keep="png", score=("fid",)).items_id() == ImageNet().items_id()


def test_images_that_nothing_is_scored_of_need_no_inception() -> None:
    bench = ImageNet(keep="png", score=())
    assert bench.metrics == () and bench.extractor.identity() == "none"
    images = np.zeros((2, 256, 256, 3), np.uint8)
    kept = extract(bench.extractor, images, "cpu")
    assert kept.features is None and kept.form == "png"
    # Scored later, features are read off the images then.
    assert suffices({"kept": "png", "sink": "none"}, ImageNet().extractor)
    assert ImageNet(keep="features", score=()).extractor.keep == "features"


def test_random_weights_are_sampled_without_inception_and_scored_with_it(
    run_of, weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    run = run_of("model=sit_xl", "model.weights=random", "bench=imagenet", "num=2")
    assert (run.model.unit, run.bench.keep) == (2, "png") and run.bench.extractor.identity() == "none"
    with pytest.raises(UserError, match=r"bench.inception = weights-inception(.|\n)*curl -LO"):
        run.bench.version()
    with pytest.raises(UserError, match=r"bench\.reference = VIRTUAL"):  # not an OSError, which would be exit code 1
        run_of("model=sit_xl", "model.weights=random", "bench=imagenet", f"bench.inception={weights}").bench.version()
    again = restore(run.config, 2)
    assert (again.key, again.model.unit, again.bench.keep) == (run.key, 2, "png")
    # What is typed is as typed, and features need the network that reads them.
    assert run_of("model=sit_xl", "model.weights=random", "model.unit=5", "bench=imagenet").model.unit == 5
    assert run_of("model=sit_xl", "model.weights=random", "bench=imagenet", "bench.keep=npz").bench.keep == "npz"
    with pytest.raises(UserError, match=r"bench\.inception"):
        run_of("model=sit_xl", "model.weights=random", "bench=imagenet", "bench.keep=features")
    given = replace(run.bench, inception=str(weights))
    kept = {"kept": "png", "sink": "none"}
    assert suffices(kept, run.bench.extractor) and suffices(kept, given.extractor) and given.extractor.identity() != "none"


def test_trained_weights_keep_their_units_and_ask_early(run_of, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "SiT-XL-2-256x256.pt").write_bytes(b"")
    for keep in ("null", "features", "npz", "png"):
        with pytest.raises(UserError, match=r"bench\.inception"):
            run_of(*SIT, f"bench.keep={keep}")
    run = run_of(*SIT, "bench.score=[]")
    assert (run.model.unit, run.bench.keep) == (64, "features")
    with pytest.raises(UserError, match=r"model.units.trained = 'many'"):
        run_of(*SIT, "model.units.trained=many")


def test_what_is_wrong_is_said_before_sampling(weights: Path, tmp_path: Path, run_of) -> None:
    def said(*typed: str) -> str:
        with pytest.raises(UserError) as raised:
            run_of(*SIT, *typed)
        return str(raised.value)

    here = f"bench.inception={weights}"
    assert "bench.inception = weights-inception-2015-12-05-6726825d.pth: no file" in said() and "curl -LO" in said()
    assert "bench.reference = VIRTUAL_imagenet256_labeled.npz: no file" in said(here)
    samples = tmp_path / "samples.npz"
    np.savez(samples, np.zeros((2, 256, 256, 3), np.uint8))
    assert "a batch of samples" in said(here, f"bench.reference={samples}")
    bare = statistics(tmp_path / "bare.npz")
    assert "holds no reference images" in said(here, f"bench.reference={bare}")
    small = statistics(tmp_path / "small.npz", mu=np.zeros(64))
    assert "mu is [64] instead of [2048]" in said(here, f"bench.reference={small}")
    other = statistics(tmp_path / "other.npz", images=2, side=64)
    assert "its images are 64 x 64" in said(here, f"bench.reference={other}")
    (tmp_path / "text.npz").write_text("no")
    assert "is no npz" in said(here, f"bench.reference={tmp_path / 'text.npz'}")
    whole = bare.read_bytes()
    (tmp_path / "short.npz").write_bytes(whole[: len(whole) // 2])
    text = said(here, f"bench.reference={tmp_path / 'short.npz'}")
    assert "was cut short" in text and "curl -LO" in text
    middle = len(whole) // 2
    (tmp_path / "bits.npz").write_bytes(whole[:middle] + b"\xff" * 8 + whole[middle + 8 :])
    assert "is damaged" in said(here, f"bench.reference={tmp_path / 'bits.npz'}")
    endless = statistics(tmp_path / "endless.npz", mu=np.full(2048, np.nan))
    assert "mu holds numbers that are not finite" in said(here, f"bench.reference={endless}")
    few = statistics(tmp_path / "few.npz", images=3)
    assert "holds 3 images" in said(here, f"bench.reference={few}")
    assert "at 512 pixels" in said("model.resolution=512") and "bench = imagenet" in said("model=tiny_sit")
    assert "Did you mean 'png'" in said("bench.keep=pgn") and "Did you mean 'fid'" in said("bench.score=[fiid]")
    assert "Did you mean 'balanced'" in said("bench.labels=balancd")
    # With what they need, it is the model's weights that lack.
    assert "model.weights" in said_key(run_of, *SIT, here, f"bench.reference={bare}", "bench.score=[fid,is]")
    assert "model.weights" in said_key(run_of, *SIT, "bench.keep=none")  # nothing is read


def said_key(run_of, *typed: str) -> str:
    with pytest.raises(UserError) as raised:
        run_of(*typed).key  # noqa: B018
    return str(raised.value)


def test_a_file_that_is_no_inception_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.pth"
    torch.save({"fc.weight": torch.zeros(2, 2)}, path)
    with pytest.raises(UserError, match="is no such Inception"):
        inception.read(str(path), pictures(1))
    path = tmp_path / "text.pth"
    path.write_text("no weights")
    with pytest.raises(UserError, match="not a weights file"):
        inception.read(str(path), pictures(1))


@pytest.mark.slow("Inception")
def test_a_public_batch_is_held_against_the_official_numbers(
    weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    batch, reference = tmp_path / "batch.npz", statistics(tmp_path / "stats.npz", images=5, arr_0=pictures(5, seed=1))
    np.savez_compressed(batch, pictures(6))
    monkeypatch.setattr(
        verify_fid, "PUBLIC", {name: verify_fid.PUBLIC[name] for name in ("is", "precision")}
    )  # without decompositions
    assert verify_fid.verify_fid(batch, str(weights), str(reference), "cpu", other=False) == 1
    out = capsys.readouterr().out
    assert "215.837" in out and "not the official file" in out and "not ADM's public batch of 50,000" in out
    assert verify_fid.verify_fid(batch, str(weights), str(reference), "cpu", other=True) == 0
    assert "215.837" not in capsys.readouterr().out
    with pytest.raises(UserError, match="holds no batch of images"):
        verify_fid.verify_fid(statistics(tmp_path / "none.npz"), str(weights), str(reference), "cpu", other=False)


def test_a_batch_that_is_damaged_or_too_small_is_said_to_be(weights: Path, tmp_path: Path) -> None:
    reference = statistics(tmp_path / "stats.npz", images=4)
    path = tmp_path / "batch.npz"
    np.savez(path, pictures(3))
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(UserError, match="is damaged near image 0"):
        list(Batch.of(path, "PATH").chunks(64))
    np.savez(path, pictures(1))
    with pytest.raises(UserError, match="2 or more, for a covariance"):
        verify_fid.verify_fid(path, str(weights), str(reference), "cpu", other=True)
    np.savez(path, pictures(2))
    with pytest.raises(UserError, match=r"--device = gpu(.|\n)*auto, cpu, cuda"):
        verify_fid.verify_fid(path, str(weights), str(reference), "gpu", other=True)
    if not torch.cuda.is_available():
        with pytest.raises(UserError, match="no CUDA GPU"):
            inception.read(str(weights), pictures(1), "cuda")


def test_a_tar_that_was_cut_short_is_said_to_be(tmp_path: Path) -> None:
    for name in "abcd":
        Image.fromarray(pictures(1)[0]).save(tmp_path / f"{name}.bmp")
    with tarfile.open(tmp_path / "real.tar", "w") as archive:
        for name in "abcd":
            archive.add(tmp_path / f"{name}.bmp", f"{name}.bmp")
    images = Images.of(tmp_path / "real.tar", 256, "bench.reference")
    assert len(list(images.chunks(3))) == 2
    content = (tmp_path / "real.tar").read_bytes()
    (tmp_path / "real.tar").write_bytes(content[: len(content) // 2])
    with pytest.raises(UserError, match=r"bench.reference = .*real.tar: "):
        list(images.chunks(3))


def test_the_verdict_on_the_public_batch() -> None:
    official = {"fid": 3.94256, "sfid": 6.14043, "is": 215.837, "precision": 0.8265, "recall": 0.5309}
    assert verify_fid.verdict(official | {"fid": 3.94335, "recall": 0.5282}, 50_000) == (
        "equal to the official evaluator's, within the tolerances",
        0,
    )
    said, code = verify_fid.verdict(official | {"fid": 4.1}, 50_000)
    assert code == 1 and "another resize" in said
    assert verify_fid.verdict(official | {"is": float("nan")}, 50_000)[1] == 1


def test_a_plan_lists_what_scoring_fetches() -> None:
    from types import SimpleNamespace

    from s2g.experiments.planning import needed

    one = SimpleNamespace(model=SimpleNamespace(ships=True), bench=ImageNet())
    assert needed([one]) == {  # type: ignore[list-item]
        "weights": [],
        "scorers fetch": ["VIRTUAL_imagenet256_labeled.npz, 2 GB", "weights-inception-2015-12-05-6726825d.pth, 91 MB"],
        "licences": ["ADM statistics: MIT", "ImageNet images behind the statistics: non-commercial research"],
    }
    alone = needed([SimpleNamespace(model=SimpleNamespace(ships=True), bench=ImageNet(score=("is",)))])  # type: ignore[list-item]
    assert alone["scorers fetch"] == ["weights-inception-2015-12-05-6726825d.pth, 91 MB"] and not alone["licences"]
    none = SimpleNamespace(model=SimpleNamespace(ships=True), bench=ImageNet(score=()))
    assert not any(needed([none]).values())  # type: ignore[list-item]


def test_a_plan_lists_network_and_decoder(run_of) -> None:
    from types import SimpleNamespace

    from s2g.experiments.planning import needed

    run = run_of(*SIT, "bench.score=[]", "model.weights=random")
    trained = replace(run.model, weights="SiT-XL-2-256x256.pt")
    (line,) = needed([SimpleNamespace(model=trained, bench=run.bench)])["weights"]  # type: ignore[list-item]
    assert line == "SiT-XL-2-256x256.pt and stabilityai/sd-vae-ft-ema, 3 GB"
    assert not needed([SimpleNamespace(model=run.model, bench=run.bench)])["weights"]  # type: ignore[list-item]


def test_the_inception_score_alone_asks_for_no_reference(weights: Path) -> None:
    bench = ImageNet(inception=str(weights), reference="/none.npz", score=("is",))
    assert "reference" not in bench.version()
    assert set(bench.measure(pictures(4), range(4))) == {"is"}
    with pytest.raises(UserError, match=r"bench\.reference = /none\.npz"):
        ImageNet(inception=str(weights), reference="/none.npz", score=("is", "fid")).version()


def test_other_distances_are_asked_for_and_leave_a_scores_key_as_it_was(weights: Path, tmp_path: Path) -> None:
    stats = statistics(tmp_path / "stats.npz", images=4)
    default = ImageNet(inception=str(weights), reference=str(stats))
    about = {"inception": inception.identity(str(weights)), "reference": Reference(str(stats), 256).identity()}
    score = ["fid", "sfid", "is", "precision", "recall", "kid"]
    assert default.version() == {"bench": "imagenet", "version": 1, **about, "score": score}
    assert default.extractor.identity() == about["inception"]
    more = replace(default, score=("fid", "fd_dinov2"), dinov2=str(tmp_path / "none.pth"))
    with pytest.raises(UserError, match=r"bench\.dinov2 = .*none\.pth: no file"):
        more.version()
    assert any("not against the training set" in remark for remark in more.remarks(4))  # ADM's file has Inception's alone
    (tmp_path / "real").mkdir()
    assert not any("training set" in remark for remark in replace(more, reference=str(tmp_path / "real")).remarks(4))
