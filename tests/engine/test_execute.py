"""What goes wrong while sampling: units that fail, processes that die, memory and disks that do not suffice."""

from __future__ import annotations

import errno
import os
import pickle
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch
from engine.failing_methods import Fails, Greedy, Harmless, Infinite, Killed
from rich.console import Console

from s2g.cli.run import main
from s2g.config.schema import CHECKOUT, ExecutorConfig
from s2g.engine import worker
from s2g.engine.execute import Made, execute
from s2g.engine.executors.local import LocalExecutor
from s2g.engine.memory import in_parts, is_out_of_memory
from s2g.engine.packed_run import pack
from s2g.engine.run import Run
from s2g.engine.worker import Task
from s2g.errors import NotFiniteError, UnitsFailedError, UserError
from s2g.io import atomic
from s2g.store.journal import Journal
from s2g.store.locks import Locks
from s2g.store.store import Store

RunOf = Callable[..., Run]
QUICK = ("guidance=none", "sampler.steps=1")


def make(run: Run, root: Path, workers: int = 1) -> Made:
    Store.of(run, root).begin(run, True)
    with LocalExecutor(ExecutorConfig(workers=workers)) as executor:
        return execute([run], str(root), executor, True, Console(quiet=True))


def events(store: Store, name: str) -> list[dict[str, Any]]:
    return [event for event in Journal(store.folder).events() if event["event"] == name]


def nothing_temporary(store: Store) -> bool:
    names = {path.name for path in store.folder.iterdir()}
    return "locks" not in names and not list(store.folder.rglob("*.tmp"))


def test_a_unit_that_fails_three_times_is_set_aside_and_the_rest_goes_on(tmp_path: Path, run_of: RunOf) -> None:
    run = replace(run_of(*QUICK, "num=64"), guidance=Fails(units=(1,)))
    made = make(run, tmp_path)
    store = Store.of(run, tmp_path)
    assert store.stored() == {0, 2, 3} and store.failed() == {1} and made.items == 48
    assert [event["attempt"] for event in events(store, "failed")] == [1, 2, 3]
    aside = (store.folder / "failed" / "000001.json").read_text()
    assert "ValueError: no such luck" in aside and "in branches" in aside and '"attempts": 3' in aside
    with pytest.raises(UnitsFailedError, match=r"1 of 4 units failed: 1\n  ValueError: no such luck\n  tracebacks"):
        made.check(run)
    assert nothing_temporary(store)

    # The same command tries again; when it goes well, nothing is left to tell of.
    store_again = make(replace(run, guidance=Fails(units=())), tmp_path / "other").items
    assert store_again == 64


def test_a_unit_whose_worker_died_after_it_was_stored_counts_as_made(
    tmp_path: Path, run_of: RunOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    def sample_and_die(task: Task, device: str) -> float:
        seconds = sample_unit(task, device)
        if task.unit == 1:
            raise RuntimeError("the worker died")
        return seconds

    sample_unit = worker.sample_unit
    monkeypatch.setattr(worker, "sample_unit", sample_and_die)
    run = run_of(*QUICK, "num=48")
    made = make(run, tmp_path)
    store = Store.of(run, tmp_path)
    assert (made.items, made.failed, store.stored()) == (48, {}, {0, 1, 2})
    assert sorted(event["unit"] for event in events(store, "stored")) == [0, 1, 2] and not events(store, "failed")


def test_what_failed_is_tried_again_by_the_next_start(tmp_path: Path, run_of: RunOf, monkeypatch: pytest.MonkeyPatch) -> None:
    run = replace(run_of(*QUICK, "num=48"), guidance=Fails(units=(2,)))
    make(run, tmp_path)
    store = Store.of(run, tmp_path)
    assert store.failed() == {2}
    monkeypatch.setattr(Fails, "branches", Harmless.branches)
    made = make(run, tmp_path)
    made.check(run)
    assert (made.items, store.failed(), store.stored()) == (16, set(), {0, 1, 2}) and not list(
        (store.folder / "failed").iterdir()
    )


def test_numbers_that_are_not_finite_fail_once_and_say_what_to_do(tmp_path: Path, run_of: RunOf) -> None:
    run = replace(run_of(*QUICK, "num=48"), guidance=Infinite(units=(2,)))
    made = make(run, tmp_path)
    assert len(events(Store.of(run, tmp_path), "failed")) == 1
    with pytest.raises(UnitsFailedError, match=r"not finite: step 0 of 1.*item 32(.|\n)*do: lower guidance\.scale"):
        made.check(run)


@pytest.mark.parametrize(
    ("guided", "dtype", "advice"),
    [
        (True, "fp32", "lower guidance.scale or guidance.omega; "),
        (True, "bf16", "lower guidance.scale or guidance.omega, or use model.dtype=fp32; "),
        (False, "fp16", "use model.dtype=bf16 or model.dtype=fp32; "),
        (False, "bf16", ""),
        (False, "fp32", ""),
    ],
)
def test_advice_is_given_only_where_it_may_help(
    guided: bool, dtype: str, advice: str, tmp_path: Path, run_of: RunOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*about: object) -> None:
        raise NotFiniteError("not finite: somewhere", guided)

    monkeypatch.setattr("s2g.engine.worker.sample_unit", fail)
    run = run_of(*QUICK, "num=16", f"model.dtype={dtype}")
    with pytest.raises(UnitsFailedError) as caught:
        make(run, tmp_path).check(run)
    assert str(caught.value).endswith(f"\n  do: {advice}run the same command to try them again")


def test_a_run_of_which_nothing_comes_stops(tmp_path: Path, run_of: RunOf) -> None:
    run = replace(run_of(*QUICK, "num=320"), guidance=Infinite(units=tuple(range(20))))
    made = make(run, tmp_path)
    assert len(Store.of(run, tmp_path).failed()) == 3 and made.items == 0
    with pytest.raises(UnitsFailedError, match="none succeeded, so the others were not tried"):
        made.check(run)


def test_a_run_that_has_units_goes_on_past_those_that_fail(tmp_path: Path, run_of: RunOf) -> None:
    run = replace(run_of(*QUICK, "num=16"), guidance=Infinite(units=(1, 2, 3)))
    make(run, tmp_path)
    made = make(replace(run, num=128), tmp_path)
    assert Store.of(run, tmp_path).stored() == {0, 4, 5, 6, 7} and made.items == 64
    assert [event["unit"] for event in events(Store.of(run, tmp_path), "begun")] == list(range(8))
    make(replace(run, num=160), tmp_path)  # those that failed before come last
    assert [event["unit"] for event in events(Store.of(run, tmp_path), "begun")][8:] == [8, 9, 1, 2, 3]


def test_a_failing_run_exits_with_1_and_one_message(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("s2g.guidance.cfg.cfg", lambda cond, uncond, scale: uncond + float("inf"))
    code = main(["guidance=cfg", "guidance.scale=2", "sampler.steps=2", "num=64", "executor.workers=1", f"runs={tmp_path}"])
    err = capfd.readouterr().err
    assert code == 1 and err.startswith("error: tiny_sit-cfg-") and "Traceback" not in err and "not finite" in err


@pytest.mark.slow("many processes")
def test_a_worker_that_is_killed_is_replaced_and_its_unit_made_again(tmp_path: Path, run_of: RunOf) -> None:
    (tmp_path / "count").mkdir()
    run = run_of(*QUICK, "num=64")
    killed = replace(run, guidance=Killed(unit=1, times=1, folder=str(tmp_path / "count")))
    made = make(killed, tmp_path, workers=2)
    made.check(killed)
    store = Store.of(killed, tmp_path)
    (failed,) = events(store, "failed")
    assert failed["unit"] == 1 and "SIGKILL" in failed["error"] and store.stored() == {0, 1, 2, 3} and nothing_temporary(store)

    (tmp_path / "more").mkdir()
    doomed = replace(run, guidance=Killed(unit=2, times=99, folder=str(tmp_path / "more")))
    made = make(doomed, tmp_path, workers=2)
    store = Store.of(doomed, tmp_path)
    assert store.stored() == {0, 1, 3} and store.failed() == {2} and len(list((tmp_path / "more").iterdir())) == 3
    with pytest.raises(UnitsFailedError, match="its process died"):
        made.check(doomed)


@pytest.mark.slow("many processes")
def test_too_little_memory_splits_the_unit_and_says_so(tmp_path: Path, run_of: RunOf) -> None:
    run = run_of(*QUICK, "num=32")
    plenty, little = replace(run, guidance=Greedy(fits=16)), replace(run, guidance=Greedy(fits=6))
    for one in (plenty, little):
        make(one, tmp_path).check(one)
    whole, parts = Store.of(plenty, tmp_path), Store.of(little, tmp_path)
    assert "split" not in whole.record(1)
    assert parts.record(1)["split"] == {"reason": "out of memory", "sampled": [4, 4, 4, 4], "decoded": [16]}
    # Masks belong to the unit and noise to the item, so the images are those of the whole unit, up to a batch's rounding.
    assert parts.record(1)["masks"] == whole.record(1)["masks"]
    assert parts.record(1)["evaluations"] == whole.record(1)["evaluations"] == 1 and parts.record(1)["calls"] == 4
    assert abs(parts.items(range(32)).astype(int) - whole.items(range(32)).astype(int)).max() <= 1


@pytest.mark.slow("three attempts at a unit")
def test_an_item_that_never_fits_is_a_failure(tmp_path: Path, run_of: RunOf) -> None:
    run = replace(run_of(*QUICK, "num=32"), guidance=Fails(units=(0,), error="Memory"))
    make(run, tmp_path)
    assert Store.of(run, tmp_path).failed() == {0}


def test_parts_are_halved_until_they_fit_and_come_in_order() -> None:
    tried = []

    def fitting(items: Any) -> list[int]:
        tried.append(len(items))
        if len(items) > 3:
            raise MemoryError
        return list(items)

    parts = in_parts(fitting, range(10))
    assert [item for _, part in parts for item in part] == list(range(10)) and tried == [10, 5, 3, 3, 3, 1]
    with pytest.raises(MemoryError):
        in_parts(lambda items: fitting(range(4)), range(2))
    with pytest.raises(RuntimeError, match="other"):
        in_parts(lambda items: (_ for _ in ()).throw(RuntimeError("other")), range(2))


def test_what_torch_says_when_a_cpu_has_too_little_memory_is_known() -> None:
    with pytest.raises(RuntimeError) as caught:
        torch.empty(2**60, dtype=torch.uint8)
    assert is_out_of_memory(caught.value) and not is_out_of_memory(RuntimeError("shapes do not fit"))


def test_a_full_disk_stops_at_once_and_the_run_goes_on_from_what_is_stored(
    tmp_path: Path, run_of: RunOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk is full in the middle of the third unit's items."""
    run, written, real = run_of(*QUICK, "num=80"), [], atomic._flushed

    def flushed(path: Path, content: bytes) -> None:
        if path.suffix == ".png":
            written.append(path)
            if len(written) > 40:
                path.write_bytes(content[:100])
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        real(path, content)

    monkeypatch.setattr(atomic, "_flushed", flushed)
    with pytest.raises(OSError, match="No space"):
        make(run, tmp_path)
    store = Store.of(run, tmp_path)
    assert store.stored() == {0, 1} and nothing_temporary(store) and len(list((store.folder / "items").iterdir())) == 32
    monkeypatch.setattr(atomic, "_flushed", real)
    before = {path: path.stat().st_mtime_ns for path in (store.folder / "units").iterdir()}
    assert make(run, tmp_path).items == 48
    assert all(path.stat().st_mtime_ns == at for path, at in before.items())


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of one MiB."""
    place = tmp_path / "small"
    place.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(place)], capture_output=True, check=False)
    if mounted.returncode:
        pytest.skip("mounting a small tmpfs is not allowed here")
    yield place
    subprocess.run(["umount", str(place)], check=True)


@pytest.mark.slow("many processes")
def test_a_real_full_disk_and_space_freed(small_disk: Path, capfd: pytest.CaptureFixture[str]) -> None:
    ballast = small_disk / "ballast"
    ballast.write_bytes(bytes(800 * 1024))
    command = [*QUICK, "num=96", "executor.workers=1", f"runs={small_disk / 'runs'}"]
    assert main(command) == 1
    err = capfd.readouterr().err
    assert "No space left on device" in err and "the same command resumes" in err and "Traceback" not in err
    (folder,) = (small_disk / "runs").iterdir()
    store = Store(folder)
    before = {unit: store.record(unit) for unit in store.stored()}
    assert 0 < len(before) < 6 and nothing_temporary(store)
    ballast.unlink()
    assert main(command) == 0, capfd.readouterr().err
    assert {unit: store.record(unit) for unit in before} == before and store.stored() == set(range(6))


@pytest.fixture
def read_only(tmp_path: Path) -> Iterator[Callable[[Path], None]]:
    """Makes a folder read-only, for root too."""
    places: list[Path] = []

    def seal(place: Path) -> None:
        for arguments in (["--bind", str(place), str(place)], ["-o", "remount,bind,ro", str(place)]):
            if subprocess.run(["mount", *arguments], capture_output=True, check=False).returncode:
                pytest.skip("read-only mounts are not allowed here")
            if not places:
                places.append(place)

    yield seal
    for place in places:
        subprocess.run(["umount", str(place)], check=True)


def test_a_read_only_store_gives_what_it_has_and_names_itself(
    tmp_path: Path, read_only: Callable[[Path], None], capfd: pytest.CaptureFixture[str]
) -> None:
    root = tmp_path / "runs"
    command = [*QUICK, "executor.workers=1", f"runs={root}"]
    assert main([*command, "num=32"]) == 0
    (folder,) = root.iterdir()
    read_only(root)
    capfd.readouterr()
    assert main([*command, "num=32"]) == 0  # stored and scored
    assert "0 items made now, 32 scored" in capfd.readouterr().out
    assert main([*command, "num=20"]) == 0  # stored, to be scored
    assert "the scores could not be stored: Read-only file system" in capfd.readouterr().out
    assert main([*command, "num=64"]) == 2  # to be made
    err = capfd.readouterr().err
    assert "runs = " in err and "Read-only file system" in err and "Traceback" not in err
    assert Store(folder).stored() == {0, 1}


@pytest.mark.slow("many processes")
def test_two_processes_started_at_once_make_each_unit_once(tmp_path: Path) -> None:
    arguments = ["guidance=cfg", "sampler.steps=6", "num=160", "executor.workers=1", f"runs={tmp_path}"]
    command = [sys.executable, str(CHECKOUT / "run.py"), *arguments]
    both = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    said = [process.communicate(timeout=300) for process in both]
    assert [process.returncode for process in both] == [0, 0], said
    (folder,) = tmp_path.iterdir()
    store = Store(folder)
    stored = events(store, "stored")
    assert (
        Counter(event["unit"] for event in stored) == Counter(range(10)) == Counter(e["unit"] for e in events(store, "begun"))
    )
    assert nothing_temporary(store) and len({event["pid"] for event in events(store, "begun")}) == 2
    scores = [line for out, _ in said for line in out.splitlines() if "probe FD" in line]
    assert len(scores) == 2 and scores[0] == scores[1] and said[0][1] == said[1][1] == ""


def test_of_two_runs_with_one_key_the_longer_one_is_sampled_whole(tmp_path: Path, run_of: RunOf) -> None:
    short, long = run_of(*QUICK, "num=16"), run_of(*QUICK, "num=48")
    Store.of(short, tmp_path).begin(short, True)
    with LocalExecutor(ExecutorConfig(workers=1)) as executor:
        made = execute([short, long], str(tmp_path), executor, True, Console(quiet=True))
    assert made.items == 48 and Store.of(long, tmp_path).stored() == {0, 1, 2}


@dataclass(frozen=True)
class Notes:
    """A job that writes down what is stored of two runs when it is done, then fails."""

    stores: tuple[Store, Store]
    place: Path

    scoring: ClassVar[bool] = True

    def do(self, device: str) -> float:
        self.place.write_text(str([len(store.stored()) for store in self.stores]))
        raise ValueError("of no interest")


def test_the_job_of_a_run_follows_its_last_unit_while_others_are_sampled(tmp_path: Path, run_of: RunOf) -> None:
    short, long = run_of(*QUICK, "num=16"), run_of(*QUICK, "num=48", "seed=1")
    stores = (Store.of(short, tmp_path), Store.of(long, tmp_path))
    for store, run in zip(stores, (short, long), strict=True):
        store.begin(run, True)
    with LocalExecutor(ExecutorConfig(workers=1)) as executor:
        about = ([short, long], str(tmp_path), executor, True, Console(quiet=True))
        made = execute(*about, then=lambda run: Notes(stores, tmp_path / f"{run.num}.txt"))
    assert made.items == 64 and not made.failed
    short_at, long_at = ((tmp_path / f"{run.num}.txt").read_text() for run in (short, long))
    assert short_at in ("[1, 0]", "[1, 1]") and long_at == "[1, 3]"  # keys decide which run begins


def test_a_task_travels_with_its_run_packed_once(tmp_path: Path, run_of: RunOf) -> None:
    runs = [run_of(*QUICK, "num=32", f"seed={seed}") for seed in (0, 1)]
    tasks = [Task(run, unit, Store.of(run, tmp_path), tmp_path, True, "") for run in runs for unit in (0, 1)]
    there = [pickle.loads(pickle.dumps(task)) for task in tasks]
    assert there == tasks and [task.run.key for task in there] == [task.run.key for task in tasks]
    assert there[0].run is there[1].run and there[2].run is there[3].run and there[1].run is not there[2].run
    assert pack(runs[0]) is pack(runs[0]) and pack(replace(runs[0], num=16)) != pack(runs[0])


def test_units_of_a_process_elsewhere_are_waited_for(tmp_path: Path, run_of: RunOf, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another machine has one of three units and stores it while we work."""
    run = run_of(*QUICK, "num=48")
    make(run, tmp_path / "theirs")
    theirs, ours = Store.of(run, tmp_path / "theirs"), Store.of(run, tmp_path / "ours")
    ours.begin(run, True)
    lock = Locks(ours.folder).acquire("000001")
    assert lock is not None

    def sleep(seconds: float) -> None:
        for entry in theirs.record(1)["items"]:
            (ours.folder / "items" / entry["file"]).write_bytes(theirs.read_item(entry))
        ours.record_path(1).write_bytes(theirs.record_path(1).read_bytes())
        shutil.rmtree(lock.path, ignore_errors=True)

    monkeypatch.setattr("s2g.engine.executors.executor.time.sleep", sleep)
    assert make(run, tmp_path / "ours").items == 32
    assert ours.stored() == {0, 1, 2} and [event["unit"] for event in events(ours, "begun")] == [0, 2]


def test_a_worker_that_does_not_wait_leaves_what_others_sample(
    tmp_path: Path, run_of: RunOf, capfd: pytest.CaptureFixture[str]
) -> None:
    """Ten units, one of them sampled elsewhere: `score=false` makes nine and ends; a table's rows likewise."""
    command = [*QUICK, "num=160", "executor.workers=1", f"runs={tmp_path}"]
    run = run_of(*QUICK, "num=160")
    store = Store.of(run, tmp_path)
    store.begin(run, True)
    theirs = Locks(store.folder)
    assert theirs.acquire("000000") is not None
    assert main([*command, "score=false"]) == 0
    assert "144 items made now, none scored; 1 units are being sampled by other processes" in capfd.readouterr().out
    begun = [event["unit"] for event in events(store, "begun")]
    assert sorted(begun) == list(range(1, 10)) and not list((store.folder / "scores").iterdir())
    theirs.close()
    assert main([*command, "score=false"]) == 0
    assert "16 items made now, none scored; nothing is missing" in capfd.readouterr().out and nothing_temporary(store)


def test_a_unit_that_another_process_sets_aside_is_not_tried_again_here(
    tmp_path: Path, run_of: RunOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = replace(run_of(*QUICK, "num=64"), guidance=Harmless())
    store, real = Store.of(run, tmp_path), Harmless.branches

    def elsewhere(self: Harmless, step: Any) -> Any:
        if step.draws.unit == 0:  # meanwhile unit 2 fails for the third time
            store.set_aside(2, {"error": "ValueError: no such luck", "attempts": 3})
        return real(self, step)

    monkeypatch.setattr(Harmless, "branches", elsewhere)
    made = make(run, tmp_path)
    assert store.stored() == {0, 1, 3} and store.failed() == {2} and made.items == 48
    with pytest.raises(UnitsFailedError, match=r"1 of 4 units failed: 2\n  ValueError: no such luck"):
        made.check(run)


def test_ctrl_c_leaves_what_is_stored_and_no_lock(tmp_path: Path, run_of: RunOf, monkeypatch: pytest.MonkeyPatch) -> None:
    run = replace(run_of(*QUICK, "num=48"), guidance=Harmless())
    real = Harmless.branches

    def interrupted(self: Harmless, step: Any) -> Any:
        if step.draws.unit == 1:
            raise KeyboardInterrupt
        return real(self, step)

    monkeypatch.setattr(Harmless, "branches", interrupted)
    with pytest.raises(KeyboardInterrupt):
        make(run, tmp_path)
    store = Store.of(run, tmp_path)
    assert store.stored() == {0} and nothing_temporary(store)


@pytest.mark.slow("many processes")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_command_that_is_told_to_stop_says_so_and_leaves_no_lock(tmp_path: Path, number: signal.Signals) -> None:
    """Ctrl-C reaches the command and its workers, SIGTERM (a cluster's warning) the command alone."""
    arguments = ["guidance=cfg", "num=1600", "executor.workers=2", f"runs={tmp_path}"]
    process = subprocess.Popen(
        [sys.executable, str(CHECKOUT / "run.py"), *arguments],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    until = time.monotonic() + 120
    sampled = "*/units/*.json" if number == signal.SIGTERM else "*/locks/*"  # or while the workers are starting
    while not list(tmp_path.glob(sampled)) and time.monotonic() < until:
        time.sleep(0.05)
    time.sleep(0.5)
    os.kill(process.pid, number) if number == signal.SIGTERM else os.killpg(process.pid, number)
    said = process.communicate(timeout=60)[1]
    (folder,) = tmp_path.iterdir()
    last_words = (
        said.split("\n\n")[-1] if said.startswith("sampling: ") else said.lstrip("\n")
    )  # a slow machine reports progress
    assert process.returncode == 130 and last_words.startswith(
        "Interrupted. Finished units are stored; run the same command"
    ), said
    assert nothing_temporary(Store(folder)) and "Traceback" not in said
    assert number == signal.SIGINT or Store(folder).stored()


@pytest.mark.slow("many processes")
def test_a_mistake_found_by_a_worker_is_the_users_and_stops_everything(tmp_path: Path, run_of: RunOf) -> None:
    run = run_of(*QUICK, "num=48", "model.blocks=11")
    with pytest.raises(UserError, match=r"model\.blocks = 11"):
        make(run, tmp_path, workers=2)
    assert not Store.of(run, tmp_path).failed() and nothing_temporary(Store.of(run, tmp_path))
