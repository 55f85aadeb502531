"""Damage: every kind is found and mended, or reported by name, and nothing that is stored is lost."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from s2g.cli.commands.upkeep import gc, status, verify
from s2g.cli.run import main
from s2g.errors import DamageError, UserError
from s2g.store.env_file import environments
from s2g.store.gc import leftovers, unreferenced
from s2g.store.journal import Journal
from s2g.store.locks import Owner, in_use
from s2g.store.repair import repair
from s2g.store.status import state_of, states
from s2g.store.store import Store, checksum
from s2g.store.verify import examine, examine_names

COMMAND = ["guidance=s2", "guidance.window=[0,1]", "sampler.steps=1", "num=48", "executor.workers=1"]
QUIET = Console(quiet=True)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of three units, with its scores; never touched."""
    root = tmp_path_factory.mktemp("made")
    assert main([*COMMAND, f"runs={root}"]) == 0
    (folder,) = root.iterdir()
    return folder


@pytest.fixture
def store(made: Path, tmp_path: Path) -> Store:
    """A copy to be damaged."""
    return Store(Path(shutil.copytree(made, tmp_path / "runs" / made.name)))


def content(folder: Path) -> dict[str, bytes]:
    """Every file that must be as it was, by name; records without what depends on the day."""
    kept = {p.name: p.read_bytes() for place in ("items", "scores") for p in sorted((folder / place).iterdir())}
    for path in (folder / "units").glob("[0-9]*.json"):
        record = json.loads(path.read_text())
        kept[f"unit {path.name}"] = json.dumps({name: record[name] for name in ("items", "masks", "flops", "calls")}).encode()
    return kept


def flip(path: Path, at: int = 50) -> None:
    """One bit of a file."""
    changed = bytearray(path.read_bytes())
    changed[at] ^= 4
    path.write_bytes(bytes(changed))


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def without_items(path: Path) -> None:
    """A record that lists items the unit does not have, with a sum that fits."""
    other = path.with_name("000002.json").read_text()
    path.write_text(other)


DAMAGE: dict[str, tuple[Callable[[Path], None], str, str]] = {
    "a truncated item": (lambda f: truncate(f / "items/000020.png"), "damaged", "items/000020.png"),
    "a flipped bit in an item": (lambda f: flip(f / "items/000020.png"), "damaged", "items/000020.png"),
    "an empty item": (lambda f: (f / "items/000020.png").write_bytes(b""), "damaged", "items/000020.png"),
    "another item's image": (lambda f: shutil.copy(f / "items/1.png".replace("1", "000001"), f / "items/000020.png"), "damaged",
                             "items/000020.png"),
    "a record without its item": (lambda f: (f / "items/000020.png").unlink(), "damaged", "items/000020.png"),
    "items without their record": (lambda f: (f / "units/000001.json").unlink(), "no record", "items/000016.png"),
    "a truncated record": (lambda f: truncate(f / "units/000001.json"), "damaged", "units/000001.json"),
    "an empty record": (lambda f: (f / "units/000001.json").write_bytes(b""), "damaged", "units/000001.json"),
    "a flipped bit in a record": (lambda f: flip(f / "units/000001.json", 300), "damaged", "units/000001.json"),
    "another unit's record": (lambda f: without_items(f / "units/000001.json"), "damaged", "units/000001.json"),
    "a record that is a list": (lambda f: (f / "units/000001.json").write_text("[1]"), "damaged", "units/000001.json"),
}  # fmt: skip


@pytest.mark.parametrize("kind", DAMAGE)
def test_damage_is_found_and_mended_to_the_same_bytes(
    kind: str, made: Path, store: Store, capfd: pytest.CaptureFixture[str]
) -> None:
    damage, word, where = DAMAGE[kind]
    damage(store.folder)
    examined = examine(store, 2)
    assert examined.again == [1] and {(f.kind, f.path) for f in examined.findings if f.bad} >= {(word, where)}

    root = str(store.folder.parent)
    assert verify(store.folder.name, root, False, 1) == 1
    out = capfd.readouterr().out
    assert where in out and "--repair" in out
    assert verify(store.folder.name, root, True, 1) == 0
    out = capfd.readouterr().out
    assert "unit 1: sampled again" in out and "48 items of 3 units are intact" in out
    assert content(store.folder) == content(made) and not examine(store, 1).findings


@pytest.mark.parametrize("kind", DAMAGE)
def test_the_runs_own_command_never_scores_what_is_damaged(
    kind: str, made: Path, store: Store, capfd: pytest.CaptureFixture[str]
) -> None:
    DAMAGE[kind][0](store.folder)
    shutil.rmtree(store.folder / "scores")
    code = main([*COMMAND, f"runs={store.folder.parent}"])
    if kind == "items without their record":  # a unit that is missing, and made
        assert code == 0 and content(store.folder) == content(made)
        return
    err = capfd.readouterr().err
    assert code == 1 and ("000020.png" in err or "000001.json" in err)
    assert "s2g verify" in err and "--repair" in err and "Traceback" not in err


def test_a_whole_run_has_nothing_to_say_of(store: Store, capfd: pytest.CaptureFixture[str]) -> None:
    examined = examine(store, 1)
    assert (examined.units, examined.items, examined.findings) == (3, 48, [])
    assert verify(store.folder.name, str(store.folder.parent), True, 1) == 0
    assert capfd.readouterr().out.count("\n") == 1


def test_what_is_not_ours_is_named_and_left_alone(made: Path, store: Store) -> None:
    ours = ["notes.txt", "items/Thumbs.db", "items/000001 (copy).png", "units/000001.json.bak", "units/7.json"]
    ours += ["units/0000001.json", "scores/mine.txt", "scores/figure.png"]
    for name in ours:
        (store.folder / name).write_text("mine")
    found = examine(store, 1).findings
    assert {f.path for f in found if f.kind == "foreign"} == set(ours) and not [f for f in found if f.bad]
    assert not leftovers(store.folder.parent)
    repair(store, examine(store, 1), QUIET, workers=1)
    assert all((store.folder / name).read_text() == "mine" for name in ours)
    assert main([*COMMAND, f"runs={store.folder.parent}"]) == 0


def test_what_a_process_left_behind_is_cleared_away(made: Path, store: Store) -> None:
    dead = replace(Owner.me(), pid=2**22 + 1, started="1")
    lease, unready = f"locks/000005/{dead.scratch()}", f"locks/.{dead.scratch()}"
    (store.folder / lease).mkdir(parents=True)
    (store.folder / lease / "000080.png").write_bytes(b"half")
    (store.folder / unready).mkdir()
    found = examine(store, 1).findings
    assert {(f.kind, f.path) for f in found} == {("left over", lease), ("left over", unready)}
    assert {str(g.path.relative_to(store.folder)) for g in leftovers(store.folder.parent)} == {lease, unready}
    assert repair(store, examine(store, 1), QUIET) == [f"{unready}: removed", f"{lease}: removed"]
    assert not examine(store, 1).findings and content(store.folder) == content(made)


@pytest.mark.parametrize(("end", "at"), [(".npz", 50), (".json", 50), (".json", -3), (".json", 400)])
def test_a_damaged_score_is_measured_again(end: str, at: int, made: Path, store: Store) -> None:
    flip(next((store.folder / "scores").glob(f"*{end}")), at)
    assert "left over" in {f.kind for f in examine(store, 1).findings}
    assert main([*COMMAND, f"runs={store.folder.parent}"]) == 0
    assert content(store.folder) == content(made)


def rewrite(path: Path, **changes: object) -> None:
    """Change a file with a sum of its own, so that the sum fits."""
    about = json.loads(path.read_text()) | changes
    del about["check"]
    path.write_text(json.dumps({**about, "check": checksum(about)}))


def test_scores_of_other_items_are_measured_again(made: Path, store: Store) -> None:
    """Images that are whole, with records that fit, but not those the score was made of."""
    for path in (store.folder / "scores").glob("*.json"):
        rewrite(path, items="0" * 64)
    assert [f.kind for f in examine_names(store)] == ["left over"]
    assert main([*COMMAND, f"runs={store.folder.parent}"]) == 0 and content(store.folder) == content(made)


def test_a_unit_stored_while_others_are_hashed_is_no_damage(made: Path, store: Store) -> None:
    path, kept = store.record_path(2), store.record_path(2).read_bytes()
    path.unlink()
    examined = examine(store, 1, lambda items: None if path.exists() else void(path.write_bytes(kept)))
    assert not [f for f in examined.findings if f.bad]


def void(result: object) -> None:
    """Nothing, whatever came of it."""


def test_missing_units_are_counted(store: Store, capfd: pytest.CaptureFixture[str]) -> None:
    store.record_path(2).unlink()
    for item in range(32, 48):
        (store.folder / f"items/{item:06d}.png").unlink()
    assert verify(store.folder.name, str(store.folder.parent), False, 1) == 0
    assert "32 items of 2 units are intact; 1 units are missing" in capfd.readouterr().out


@pytest.mark.parametrize("content", ['{"12345678": {"machine": "a guess"}}', "a guess"])
def test_a_lost_env_json_is_named_and_never_overwritten(store: Store, content: str) -> None:
    (store.folder / "env.json").write_text(content)
    assert [(f.kind, f.path) for f in examine(store, 1).findings] == [("lost", "env.json")]
    assert main([*COMMAND, "num=64", f"runs={store.folder.parent}"]) == 0
    (damaged,) = store.folder.glob("env.json.damaged.*")
    assert "a guess" in damaged.read_text() and len(environments(store)) == 1


def test_a_repair_that_fails_loses_nothing(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    flip(store.folder / "items/000020.png")
    before = {path: path.read_bytes() for path in store.folder.rglob("*.*") if path.name != "journal.jsonl"}

    def fails(task: object, device: str) -> float:
        raise OSError(28, "No space left on device", "somewhere")

    monkeypatch.setattr("s2g.engine.worker.sample_unit", fails)
    with pytest.raises(OSError, match="No space"):
        repair(store, examine(store, 1), QUIET, workers=1)
    assert {path: path.read_bytes() for path in before} == before


def test_a_repair_does_not_replace_what_is_whole_unless_told_to(store: Store, capfd: pytest.CaptureFixture[str]) -> None:
    """As if torch had been another version when the unit was made: one whole item differs from what is made now."""
    record = store.record(1)
    images = store.items(range(16, 32))
    images[4] = store.items([1])[0]
    facts = {name: value for name, value in record.items() if name not in ("unit", "items")}
    with store.exclusive() as scratch:
        store.put(1, range(16, 32), images, facts, scratch)
    flip(store.folder / "items/000017.png")
    shutil.rmtree(store.folder / "scores")  # of the items as they were before
    (store.folder / "scores").mkdir()
    before = content(store.folder)
    with pytest.raises(UserError, match=r"unit 1: 1 undamaged items would be replaced by different ones \(000020\.png"):
        repair(store, examine(store, 1), QUIET, workers=1)
    assert content(store.folder) == before
    told = repair(store, examine(store, 1), QUIET, workers=1, replace=True)
    assert "unit 1: sampled again; 1 of 16 items differ from the record (env.json)" in told
    assert not [f for f in examine(store, 1).findings if f.bad]


def test_a_run_that_is_not_what_its_name_says_is_not_repaired(store: Store) -> None:
    moved = Store(store.folder.rename(store.folder.with_name("tiny_sit-s2-000000000000")))
    assert [f.path for f in examine(moved, 1).findings] == ["run.json"]
    with pytest.raises(UserError, match="its configuration now has the key tiny_sit-s2-"):
        repair(moved, examine(moved, 1), QUIET)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"key": 3}', "null", "flip"])
def test_a_damaged_run_json_is_named(text: str, store: Store, capfd: pytest.CaptureFixture[str]) -> None:
    if text == "flip":  # the seed it was made with, say
        whole = (store.folder / "run.json").read_text()
        text = whole.replace('"seed": 0', '"seed": 1')
        assert text != whole
    (store.folder / "run.json").write_text(text)
    with pytest.raises(DamageError, match=r"run\.json (does not say what the run is|is not what was written)"):
        examine(store, 1)
    assert main([*COMMAND, f"runs={store.folder.parent}"]) == 1
    err = capfd.readouterr().err
    assert "run.json" in err and "move it away" in err and "Traceback" not in err
    (state,) = states(store.folder.parent)
    assert state.problem and not leftovers(store.folder.parent)
    # What the message says to do works, and finds what is stored.
    (store.folder / "run.json").unlink()
    assert main([*COMMAND, f"runs={store.folder.parent}"]) == 0
    assert "0 items made now" in capfd.readouterr().out


def test_status_counts_and_says_who_works(
    store: Store, made: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (store.folder / "units/000002.json").unlink()
    (store.folder / "failed").mkdir()
    (store.folder / "failed/000002.json").write_text('{"error": "no luck"}')
    state = state_of(store)
    assert (state.wanted, state.done, state.missing, state.failed, state.size) == (3, 2, 1, 1, 16)
    status("", str(store.folder.parent))
    assert "stopped, last unit" in capfd.readouterr().out
    (store.folder / "locks/000002" / Owner.me().scratch()).mkdir(parents=True)
    status(store.folder.name[:10], str(store.folder.parent))
    out = capfd.readouterr().out
    assert f"process {os.getpid()}" in out and "1 at work" in out
    (store.folder / "locks/000001" / replace(Owner.me(), host="node7", machine="another").scratch()).mkdir(parents=True)
    sleeps: list[float] = []

    def sleep(seconds: float) -> None:
        sleeps.append(seconds)
        shutil.rmtree(store.folder / "locks")
        shutil.copy(made / "units/000002.json", store.folder / "units")

    monkeypatch.setattr("s2g.cli.commands.upkeep.time.sleep", sleep)
    status(store.folder.name[:10], str(store.folder.parent), watch=True)
    out = capfd.readouterr().out
    assert "2 processes: 2 at work" in out and "node7" in out and "complete" in out and sleeps == [5.0]
    status("", str(store.folder / "nothing"))
    assert "no runs in" in capfd.readouterr().out


def test_pace_and_time_left_come_from_the_journal(store: Store) -> None:
    lines = [{"at": "2026-01-01T00:00:00+00:00", "event": "stored", "unit": 9, "items": 16}]
    lines += [{"at": "2026-01-02T00:00:00+00:00", "event": "start"}]
    lines += [{"at": f"2026-01-02T00:00:{s:02d}+00:00", "event": "stored", "unit": s, "items": 16} for s in (4, 8)]
    text = "\n".join(json.dumps(line) for line in lines) + "\nnot a line of ours\n"
    (store.folder / "journal.jsonl").write_text(text)
    (store.folder / "units/000002.json").unlink()
    (store.folder / "locks/000002" / Owner.me().scratch()).mkdir(parents=True)
    state = state_of(store)
    assert state.rate == pytest.approx(4.0) and state.left == pytest.approx(4.0)  # 32 items in 8 s, 16 to make
    (store.folder / "journal.jsonl").write_text(
        "".join(f"{json.dumps(line)}\n" for line in reversed(lines))
    )  # a clock went back
    assert state_of(store).rate is None or state_of(store).rate > 0


def test_status_of_a_million_items_in_seconds(tmp_path: Path, made: Path) -> None:
    """62,500 records of 16 items; docs/reliability.md has the time with a record for each item."""
    folder = tmp_path / "runs" / made.name
    (folder / "units").mkdir(parents=True)
    shutil.copy(made / "run.json", folder)
    rewrite(folder / "run.json", num=1_000_000)
    units = os.open(folder / "units", os.O_RDONLY)
    for unit in range(62_400):
        os.close(os.open(f"{unit:06d}.json", os.O_CREAT, dir_fd=units))
    os.close(units)
    began = time.perf_counter()
    (state,) = states(tmp_path / "runs")
    assert time.perf_counter() - began < 10
    assert (state.done, state.missing) == (62_400, 100)


def test_gc_lists_and_deletes_only_when_told(store: Store, made: Path, capfd: pytest.CaptureFixture[str]) -> None:
    root, page = store.folder.parent, store.folder.parent.parent / "outputs" / "page"
    other = Path(shutil.copytree(store.folder, root / "tiny_sit-cfg-000000000000"))
    page.mkdir(parents=True)
    (page / "runs.json").write_text(json.dumps({"runs": [store.folder.name]}))
    (store.folder / "units/000001.json").unlink()
    (store.folder / "items/notes.txt").write_text("mine")
    before = sorted(root.rglob("*"))

    gc(str(root), False, False, [page.parent])
    out = capfd.readouterr().out
    assert "000016.png" in out and other.name in out and "KiB" in out and sorted(root.rglob("*")) == before
    gc(str(root), False, True, [page.parent])
    assert other.exists() and not (store.folder / "items/000016.png").exists() and (store.folder / "items/000015.png").exists()
    assert (store.folder / "items/notes.txt").exists()
    gc(str(root), True, True, [page.parent])
    assert not other.exists() and store.folder.exists()
    assert main([*COMMAND, f"runs={root}"]) == 0 and set(content(made)) <= set(content(store.folder))


def test_gc_looks_again_before_it_deletes(store: Store, made: Path) -> None:
    """Listed as left over; then the run's command makes the unit, or begins to work on the run."""
    root = store.folder.parent
    store.record_path(1).unlink()
    listed, runs = leftovers(root), unreferenced(root, [])
    assert len(listed) == 16 and len(runs) == 1
    assert main([*COMMAND, f"runs={root}"]) == 0
    assert not any(garbage.remove() for garbage in listed)
    with in_use(store.folder):
        assert not runs[0].remove() and not unreferenced(root, [])
    assert content(store.folder) == content(made) and not (store.folder / "locks").exists()
    assert runs[0].remove() and not list(root.iterdir())


def test_a_deletion_that_was_interrupted_is_finished_and_not_taken_for_a_run(store: Store) -> None:
    root = store.folder.parent
    store.folder.rename(root / f".{store.folder.name}.going")
    assert not states(root) and not unreferenced(root, [])
    (left,) = leftovers(root)
    assert left.remove() and not list(root.iterdir())


def test_gc_of_whole_runs_wants_to_know_who_refers_to_them(store: Store, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no folder exists that could refer"):
        gc(str(store.folder.parent), True, True, [tmp_path / "nowhere"])
    assert store.folder.exists()


def test_odd_journals_do_no_harm(store: Store) -> None:
    for line in (
        b'{"event": 3}\n[1]\n{"event": "stored"}\n{"event": "stored", "items": 16, "at": "2026-01-01T00:00:00"}\n',
        b"\xff",
    ):
        (store.folder / "journal.jsonl").write_bytes(line)
        assert state_of(store).done == 3
    Journal(store.folder).add("stored", unit=1, items=16)
    assert [event["unit"] for event in Journal(store.folder).events()] == [1]  # on a line of its own
    (store.folder / "journal.jsonl").unlink()
    (store.folder / "journal.jsonl").mkdir()
    assert state_of(store).done == 3 and not examine(store, 1).again


def test_a_run_somebody_works_on_or_a_table_names_is_no_garbage(store: Store, tmp_path: Path) -> None:
    assert [g.path for g in unreferenced(store.folder.parent, [tmp_path / "outputs"])] == [store.folder]
    (tmp_path / "outputs").mkdir()
    (tmp_path / "outputs/._runs.json").write_bytes(b"\0\5\26\7")  # what macOS leaves on a foreign disk
    assert len(unreferenced(store.folder.parent, [tmp_path / "outputs"])) == 1
    (tmp_path / "outputs/runs.json").write_text("{")
    with pytest.raises(DamageError, match="does not list the runs"):
        unreferenced(store.folder.parent, [tmp_path / "outputs"])
    (tmp_path / "outputs/runs.json").unlink()
    (store.folder / "locks/000002" / Owner.me().scratch()).mkdir(parents=True)
    assert not unreferenced(store.folder.parent, [tmp_path / "outputs"])


@pytest.mark.parametrize("command", [["verify", "nope"], ["status", "nope"], ["gc", "--runs", "/no/such/folder"]])
def test_mistakes_have_one_message(command: list[str], tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "s2g.cli.main", *command], capture_output=True, text=True, cwd=tmp_path, check=False
    )
    assert done.returncode == 2 and done.stderr.startswith("error: ") and "Traceback" not in done.stderr
