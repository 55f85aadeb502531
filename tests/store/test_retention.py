"""What is kept of images: features, an array, files or nothing; made again where more is asked for, verified, mended."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from imagenet_fake import MODEL, register
from rich.console import Console

from s2g.benchmarks.distances.batch import Batch
from s2g.cli.commands.export import export
from s2g.config.registry import BENCHES, MODELS
from s2g.config.schema import ExecutorConfig
from s2g.engine.execute import execute
from s2g.engine.executors.local import LocalExecutor
from s2g.engine.run import Run
from s2g.errors import DamageError, UserError
from s2g.scoring import score as scoring
from s2g.scoring.score import items_digest, score
from s2g.store.repair import repair
from s2g.store.store import Store, checksum
from s2g.store.verify import examine

SMALL = (*MODEL, "model.unit=4", "num=10", "bench.score=[is]")


@pytest.fixture(autouse=True)
def _fakes(monkeypatch: pytest.MonkeyPatch) -> None:
    for registry in (BENCHES, MODELS):  # for these tests alone
        monkeypatch.setattr(registry, "entries", dict(registry.entries))
    register()


def make(run: Run, root: Path) -> tuple[Store, int]:
    Store.of(run, root).begin(run, True)
    with LocalExecutor(ExecutorConfig(workers=1, device="cpu")) as executor:
        made = execute([run], str(root), executor, True, Console(quiet=True))
    made.check(run)
    return Store.of(run, root), made.items


def test_whatever_is_kept_the_samples_are_one_run_and_one_score(run_of, tmp_path: Path) -> None:
    found = {}
    for keep in ("none", "features", "npz", "png"):
        run = run_of(*SMALL, f"bench.keep={keep}")
        store, made = make(run, tmp_path / keep)
        assert made == 12 and not examine(store, 1).findings
        names = {path.name for path in (store.folder / "items").iterdir()}
        records = store.records(run.units)
        assert all(record["kept"] == keep for record in records)
        found[keep] = run.key, items_digest(records, 10), score(run, store).estimates.get("is"), len(names)
    assert [count for *_, count in found.values()] == [0, 3, 6, 15]
    assert len({key for key, *_ in found.values()}) == 1 and len({digest for _, digest, *_ in found.values()}) == 1
    assert found["none"][2] is None and found["features"][2] == found["npz"][2] == found["png"][2]
    arrays, pngs = (Store.of(run_of(*SMALL), tmp_path / keep).items(range(10)) for keep in ("npz", "png"))
    assert np.array_equal(arrays, pngs) and arrays.shape == (10, 256, 256, 3)


def test_a_bench_that_needs_more_has_units_made_again_and_one_that_needs_less_not(run_of, tmp_path: Path) -> None:
    typed = [("bench.keep=none", 12), ("bench.keep=features", 12), ("bench.inception=other", 12), ("bench.inception=other", 0)]
    typed += [("bench.keep=png", 12), ("bench.keep=npz", 0), ("bench.keep=features", 0), ("bench.inception=third", 0)]
    for knob, wanted in typed:
        run = run_of(*SMALL, knob)
        store, made = make(run, tmp_path)
        assert made == wanted, knob
        assert set(score(run, store).estimates) == ({"is"} if knob != "bench.keep=none" else set())
    assert Store(store.folder).read_run()["config"]["bench"]["keep"] == "png"  # the most that was asked for: a repair keeps it
    assert not [finding for finding in examine(store, 1).findings if finding.bad]


def test_features_off_kept_images_are_those_read_as_they_were_made(run_of, tmp_path: Path) -> None:
    run = run_of(*SMALL, "bench.keep=png")
    store, _ = make(run, tmp_path)
    first = scoring._measure(run, store, None)["is"]
    for unit in run.units:  # as if another network had read them
        path = store.record_path(unit)
        record = json.loads(path.read_text())
        del record["check"]
        record["sink"] = "another"
        path.write_text(json.dumps({**record, "check": checksum(record)}))
    assert np.array_equal(scoring._measure(run, store, None)["is"], first)


def test_images_that_were_not_kept_are_said_to_be(run_of, tmp_path: Path) -> None:
    store, _ = make(run_of(*SMALL), tmp_path)
    with pytest.raises(UserError, match=r"bench\.keep=png: it samples them again"):
        store.items([0])


@pytest.mark.parametrize("keep", ["features", "npz", "png"])
def test_damage_is_found_and_mended_to_the_byte(keep: str, run_of, tmp_path: Path) -> None:
    run = run_of(*SMALL, f"bench.keep={keep}")
    store, _ = make(run, tmp_path)
    path = store.folder / "items" / "unit-000001.npy"  # features, whatever else is kept
    content = path.read_bytes()
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(DamageError, match="in row 3"):
        store.features(1)
    found = examine(store, 1)
    assert [(finding.path, finding.unit) for finding in found.findings] == [("items/unit-000001.npy row 3", 1)]
    told = repair(store, found, Console(quiet=True), 1)
    assert told == ["unit 1: sampled again, the same bytes as recorded"] and path.read_bytes() == content
    assert not examine(store, 1).findings


def test_other_images_do_not_take_the_place_of_those_recorded(run_of, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import imagenet_fake

    make(run_of(*SMALL), tmp_path)
    before = imagenet_fake.FakeDenoiser.decode
    monkeypatch.setattr(imagenet_fake.FakeDenoiser, "decode", lambda self, latents: before(self, latents + 0.1))
    with pytest.raises(UserError, match="of its images differ"):
        make(run_of(*SMALL, "bench.keep=png"), tmp_path)


def test_export_is_every_image_in_order(run_of, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = run_of(*SMALL, "bench.keep=png")
    store, _ = make(run, tmp_path / "runs")
    file = tmp_path / "batch.npz"
    export(run.key, file, "adm", str(tmp_path / "runs"), None)
    with np.load(file) as stored:
        assert list(stored) == ["arr_0"] and np.array_equal(stored["arr_0"], store.items(range(10)))
    batch = Batch.of(file, "PATH")
    assert np.array_equal(np.concatenate(list(batch.chunks(3))), store.items(range(10)))
    with pytest.raises(UserError, match="units of the first 40 items are missing"):
        export(run.key, file, "adm", str(tmp_path / "runs"), 40)
    with pytest.raises(UserError, match="there is no folder"):
        export(run.key, tmp_path / "no" / "file.npz", "adm", str(tmp_path / "runs"), None)
    less, _ = make(run_of(*SMALL), tmp_path / "less")
    with pytest.raises(UserError, match="its images were not kept"):
        export(str(less.folder), tmp_path / "less.npz", "adm", str(tmp_path / "less"), None)
    assert not (tmp_path / "less.npz").exists()
    file.write_bytes(file.read_bytes()[:1000])
    with pytest.raises(UserError, match="holds no batch of images"):
        Batch.of(file, "PATH")
