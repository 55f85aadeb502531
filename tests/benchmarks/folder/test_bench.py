"""bench=folder and s2g score-folder --reference: numbers, what is kept, and images that are refused by name."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from inception_weights import write_inception
from PIL import Image
from rich.console import Console

from s2g.benchmarks.distances import inception
from s2g.benchmarks.distances.inception import POOL
from s2g.benchmarks.folder.bench import Folder
from s2g.cli.main import main
from s2g.config.schema import ExecutorConfig
from s2g.engine.execute import execute
from s2g.engine.executors.local import LocalExecutor
from s2g.engine.resolve import restore
from s2g.engine.run import Run
from s2g.errors import UserError
from s2g.metrics.frechet import Moments, frechet_distance
from s2g.metrics.kernel_distance import kernel_items_of
from s2g.metrics.manifold import precision, recall
from s2g.scoring.score import score
from s2g.store.store import Store

Said = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_inception(tmp_path_factory.mktemp("inception") / "random.pth")


def pictures(count: int, seed: int, side: int = 32) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, side, side, 3), dtype=np.uint8)


def write(folder: Path, images: np.ndarray) -> Path:
    folder.mkdir(parents=True)
    for at, image in enumerate(images):
        Image.fromarray(image).save(folder / f"{at:02d}.png")
    return folder


@pytest.fixture
def said(own_cache: Path, weights: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Said:
    """The command as typed: its exit code, stdout and stderr."""

    def typed(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr("sys.argv", ["s2g", "score-folder", *map(str, arguments), f"bench.inception={weights}"])
        try:
            code = main()
        except SystemExit as ended:
            code = int(ended.code or 0)
        captured = capfd.readouterr()
        return code, captured.out, captured.err

    return typed


class Narrow(inception.Inception):
    """Stands for Inception where its decompositions would take half a minute: 12 mixtures of an image's pixels."""

    parts = (inception.Part("pool", slice(0, 8)), inception.Part("spatial", slice(8, 12), "mu_s", "sigma_s", kept=False))
    width = 12  # type: ignore[assignment]
    reads = 0

    def check(self) -> None:
        pass

    def identity(self) -> str:
        return "narrow"

    def remark(self) -> str:
        return ""

    def read(self, images: np.ndarray, device: str = "auto") -> np.ndarray:
        Narrow.reads += len(images)
        mixing = np.random.default_rng(9).normal(size=(48, 12))
        side = images.shape[1] // 4
        return ((images[:, ::side, ::side].reshape(len(images), -1) / 255.0) @ mixing).astype(np.float32)


def values(text: str) -> dict[str, float]:
    """By label the value of a printed table's row, without its interval."""
    return {name: float(value) for name, value in re.findall(r"^\s*(\S.*?)(?: [↑↓])? {2,}(-?[\d.]+)", text, re.MULTILINE)}


def test_numbers_are_those_of_the_formulas_on_both_sides_features(
    said: Said, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inception, "Inception", Narrow)
    fake, real = pictures(40, 0), pictures(30, 1) // 2
    a, b = write(tmp_path / "a", fake), write(tmp_path / "b" / "deep", real).parent
    code, out, err = said(a, "--reference", b, "bench.score=[fid,sfid,kid,precision,recall]")
    assert (code, err) == (0, "")
    of_fake, of_real = (Narrow("").read(images).astype(np.float64) for images in (fake, real))
    found, pool, rest = values(out), slice(0, 8), slice(8, 12)
    for label, part in (("FID", pool), ("sFID", rest)):
        spec = frechet_distance(Moments.of(of_fake[:, part]), Moments.of(of_real[:, part]))
        assert found[label] == pytest.approx(spec, abs=0.006) and spec > 0.1
    assert found["KID x 1000"] == pytest.approx(1000 * kernel_items_of(of_fake[:, pool], of_real[:, pool]).mean(), abs=0.0006)
    assert found["precision"] == pytest.approx(precision(of_real[:, pool], of_fake[:, pool]), abs=0.0006)
    assert found["recall"] == pytest.approx(recall(of_real[:, pool], of_fake[:, pool]), abs=0.0006)
    assert "40 images against 30" in out and "compare only with" in out
    # The reference is read once, whatever it is called; the samples each time; other contents are another reference.
    Narrow.reads = 0
    again = said(a, "--reference", b, "bench.score=[fid]")[1]
    assert values(again)["FID"] == found["FID"] and Narrow.reads == 40
    Image.fromarray(fake[0]).save(b / "deep" / "00.png")
    changed = said(a, "--reference", b, "bench.score=[fid]")[1]
    assert values(changed)["FID"] != found["FID"] and Narrow.reads == 40 + 40 + 30
    assert "hold the same images" in said(a, "--reference", a, "bench.score=[fid]")[1]


def test_files_that_are_not_read_are_counted_and_hidden_folders_left_out(
    said: Said, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inception, "Inception", Narrow)
    a, b = write(tmp_path / "a", pictures(12, 0)), write(tmp_path / "b", pictures(10, 1))
    plain = said(a, "--reference", b, "bench.score=[fid]")[1]
    assert "not read" not in plain
    write(a / ".ipynb_checkpoints", pictures(3, 2))
    (b / "notes.txt").write_text("hello")
    (b / ".DS_Store").write_text("")
    out = said(a, "--reference", b, "bench.score=[fid]")[1]
    assert values(out) == values(plain) and "12 images against 10" in out
    told = " ".join(out.split())
    assert f"{a}: 3 other files not read" in told and f"{b}: 1 other files not read" in told
    code, _, err = said(a, "--reference", b, "--bench", "hps")
    assert code == 2 and "--bench, and --reference: it would not be read" in err


@pytest.mark.slow("Inception")
def test_inception_is_the_one_of_bench_imagenet_and_random_weights_are_labeled(
    said: Said, tmp_path: Path, weights: Path
) -> None:
    fake, real = pictures(5, 0), pictures(4, 1)
    a, b = write(tmp_path / "a", fake), write(tmp_path / "b", real)
    code, out, _ = said(a, "--reference", b, "bench.score=[kid,precision,recall]", "--device", "cpu")
    of_fake, of_real = (inception.read(str(weights), images)[:, POOL] for images in (fake, real))
    assert (
        code == 0 and "not the official Inception" in out and "not comparable with published numbers" in " ".join(out.split())
    )
    assert values(out.replace("-", ""))["KID x 1000"] == pytest.approx(
        abs(1000 * kernel_items_of(of_fake, of_real).mean()), abs=0.0006
    )


def test_what_cannot_be_compared_is_refused_by_name(said: Said, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inception, "Inception", Narrow)
    a, b = write(tmp_path / "a", pictures(6, 0)), write(tmp_path / "b", pictures(6, 1))
    cut = b / "03.png"
    cut.write_bytes(cut.read_bytes()[:900])
    Image.new("RGBA", (32, 32), (1, 2, 3, 128)).save(b / "04.png")
    Narrow.reads = 0
    code, _, err = said(a, "--reference", b)
    assert code == 2 and "bench.reference" in err and "2 of 6 images cannot be used: 03.png: cannot be read" in err
    assert "04.png: RGBA with transparent pixels" in err and Narrow.reads == 0  # before anything is read
    code, _, err = said(b, "--reference", a)
    assert code == 2 and "FOLDER = " in err and "03.png" in err
    for name in ("03.png", "04.png"):
        Image.fromarray(pictures(1, 2, side=40)[0]).save(b / name)
    code, _, err = said(a, "--reference", b)
    assert code == 2 and "03.png is 40 x 40, 00.png is 32 x 32" in err and "bench.side=N crops the middle square" in err
    larger = write(tmp_path / "larger", pictures(6, 3, side=48))
    code, _, err = said(larger, "--reference", a)
    assert code == 2 and "images of 48 x 48" in err and "has images of 32 x 32" in err and "bench.side=N" in err
    code, out, _ = said(a, "--reference", b, "bench.side=32")  # stated
    assert code == 0 and "the middle square of each image, resized to 32" in out
    (empty := tmp_path / "empty").mkdir()
    assert "holds 0 images" in said(a, "--reference", empty)[2] and "holds 0 images" in said(empty, "--reference", a)[2]
    few = write(tmp_path / "few", pictures(3, 4))
    assert "holds 3 images; precision and recall" in said(few, "--reference", a)[2]
    assert said(few, "--reference", a, "bench.score=[fid]")[0] == 0
    assert "holds 3 images; precision and recall" in said(a, "--reference", few)[2]
    assert (
        "no file" in said(a, "--reference", tmp_path / "none")[2]
        and "no such folder" in said(tmp_path / "no", "--reference", a)[2]
    )
    assert "is a file" in said(a, "--reference", a / "00.png")[2]
    assert "Did you mean 'fid'" in said(a, "--reference", b, "bench.score=[fidd]")[2]
    for typed in ("bench.num=3", "bench.reference=c", "bench.text=[a]", "--allow-missing", "--workers=1", "--bench=compbench"):
        assert "it would not be read" in said(a, "--reference", b, typed)[2], typed
    assert "there is no such key" in said(a, "--reference", b, "bench.sied=3")[2]


def test_grey_images_are_the_color_they_show_on_both_sides(said: Said, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inception, "Inception", Narrow)
    grey = pictures(6, 0)[..., 0]
    (of_one := tmp_path / "grey").mkdir()
    for at, image in enumerate(grey):
        Image.fromarray(image).save(of_one / f"{at:02d}.png")
    as_color = write(tmp_path / "color", grey[..., None].repeat(3, -1))
    real = write(tmp_path / "real", pictures(6, 1))
    outs = [said(folder, "--reference", real, "bench.score=[fid]")[1] for folder in (of_one, as_color)]
    assert values(outs[0]) == values(outs[1]) and values(outs[0])["FID"] > 0


def test_a_middle_square_is_cropped_then_resized(tmp_path: Path) -> None:
    wide = np.zeros((20, 60, 3), np.uint8)
    wide[:, 20:40] = pictures(1, 0, side=20)
    Image.fromarray(wide).save((write(tmp_path / "real", pictures(2, 1, side=20))) / "zz.png")
    bench = Folder(reference=str(tmp_path / "real"), side=10)
    *_, last = next(bench.referred.images.chunks(64))
    spec = np.asarray(Image.fromarray(wide[:, 20:40]).resize((10, 10), Image.Resampling.BICUBIC))
    assert np.array_equal(last, spec)
    assert not np.array_equal(last, np.asarray(Image.fromarray(wide).resize((10, 10), Image.Resampling.BICUBIC)))


def make(run: Run, root: Path) -> Store:
    Store.of(run, root).begin(run, True)
    with LocalExecutor(ExecutorConfig(workers=1, device="cpu")) as executor:
        execute([run], str(root), executor, True, Console(quiet=True)).check(run)
    return Store.of(run, root)


@pytest.mark.slow("samples and measures twice")
def test_a_models_images_are_measured_as_a_folder_of_them_is(run_of, said: Said, weights: Path, tmp_path: Path) -> None:
    real = write(tmp_path / "real", pictures(5, 1))
    typed = ("model=tiny_sit", "guidance=none", "sampler.steps=1", "bench=folder", "num=5", "model.unit=5")
    typed += (f"bench.reference={real}", f"bench.inception={weights}", "bench.score=[kid,precision]")
    run = run_of(*typed)
    assert run.bench.classes == 108 and run.bench.prompts([107, 108]) == [107, 0] and run.bench.cycle == 108
    store = make(run, tmp_path / "runs")
    found = score(run, store)
    assert any("5 images against 5 of" in remark for remark in found.remarks)
    code, out, _ = said(store.folder / "items", "--reference", real, "bench.score=[kid,precision]", "--device", "cpu")
    assert code == 0 and f"{abs(found.estimates['kid'].value):.3f}" in out
    again = restore(run.config, 5)
    assert (again.key, again.bench.version()) == (run.key, run.bench.version())


def test_models_and_prompts_that_do_not_fit_are_refused(run_of, weights: Path, tmp_path: Path) -> None:
    real = write(tmp_path / "real", pictures(5, 1, side=40))
    typed = ("bench=folder", f"bench.inception={weights}", "guidance=none")

    def refused(*more: str) -> str:
        with pytest.raises(UserError) as raised:
            run_of(*typed, *more)
        return str(raised.value)

    here = f"bench.reference={real}"
    assert "no reference" in refused("model=tiny_sit") and "bench.reference=FOLDER" in refused("model=tiny_sit")
    assert "tiny_sit makes images of 32 x 32, and bench.reference" in refused("model=tiny_sit", here)
    run_of("model=tiny_sit", *typed, here, "bench.side=40")
    assert "reads prompts in words, and none are given" in refused("model=tiny_sd3", here)
    assert "tiny_sit takes classes" in refused("model=tiny_sit", here, "bench.text=[a red circle]")
    assert "makes points" in refused("model=toy_2d", here) and "makes videos" in refused("model=tiny_wan", here)
    words = run_of("model=tiny_sd3", *typed, here, "bench.side=32", "bench.text=[a red circle,a blue star]")
    assert words.bench.prompts([0, 3]) == ["a red circle", "a blue star"] and words.bench.cycle == 2
    assert restore(words.config, 4).key == words.key
