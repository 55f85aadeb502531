"""Scorers in environments of their own: built for real, run, killed, resumed, failing, hanging, kept from secrets."""

from __future__ import annotations

import ast
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy
import pytest

from s2g.errors import IsolatedError, UserError
from s2g.scoring.isolated.child import _about, _folder, try_imports, values_of
from s2g.scoring.isolated.environment import Isolated, _step, build, differences, find, known
from s2g.scoring.score_cache import FILE, places, read_values
from s2g.scoring.scorer import IsolatedScorer

OLD_NUMPY = Isolated(Path(__file__).parent / "old_numpy")
ITEMS = [{"key": f"item-{i}", "path": f"{i}.png", "prompt": "", "numbers": [i, i + 1]} for i in range(6)]
PARENT = """
import sys, json, pathlib
from s2g.scoring.isolated.child import values_of
from s2g.scoring.isolated.environment import Isolated, build
what, folder, place = sys.argv[1:4]
isolated = Isolated(pathlib.Path(folder))
if what == "build":
    print(build(isolated))
else:
    values_of(isolated, json.loads(sys.argv[4]), pathlib.Path(place), {"seconds": 0.4}, beside=what == "beside")
"""


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache in which the small environment was built while the parent held secrets."""
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("S2G_CACHE", str(folder))
        patched.setenv("HF_TOKEN", "a secret")
        patched.setenv("AWS_SECRET_ACCESS_KEY", "a secret")
        assert build(OLD_NUMPY) is True
        assert build(OLD_NUMPY) is False
    return folder


@pytest.fixture
def built(cache: Path, monkeypatch: pytest.MonkeyPatch) -> Isolated:
    monkeypatch.setenv("S2G_CACHE", str(cache))
    return OLD_NUMPY


def start(what: str, place: Path, cache: Path, items: list[dict[str, object]] = ITEMS) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", PARENT, what, str(OLD_NUMPY.folder), str(place), json.dumps(items)]
    variables = {**os.environ, "S2G_CACHE": str(cache)}
    return subprocess.Popen(command, env=variables, stdout=subprocess.PIPE, text=True)


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except FileNotFoundError:
        return False


def within(seconds: float, what: object) -> bool:
    until = time.monotonic() + seconds
    while not what():  # type: ignore[operator]
        if time.monotonic() > until:
            return False
        time.sleep(0.02)
    return True


def test_another_numpy_scores_and_what_is_known_is_not_asked_again(built: Isolated, tmp_path: Path) -> None:
    first = values_of(built, ITEMS[:4], tmp_path)
    assert [first[f"item-{i}"]["mean"] for i in range(4)] == [0.5, 1.5, 2.5, 3.5]
    assert {value["numpy"] for value in first.values()} == {"1.26.4"} and numpy.__version__[0] != "1"
    second = values_of(built, ITEMS, tmp_path)
    assert {key: second[key] for key in first} == first  # by the process that made them: its number is in them
    assert second["item-5"]["pid"] != first["item-0"]["pid"] and list(second) == [item["key"] for item in ITEMS]
    other = values_of(built, ITEMS, tmp_path, {"seconds": 0.001})  # other settings: nothing of it holds
    assert other["item-0"]["pid"] != first["item-0"]["pid"]


def test_the_environment_is_named_by_what_determines_it(built: Isolated, tmp_path: Path) -> None:
    shutil.copytree(built.folder, tmp_path / built.name)
    copy = Isolated(tmp_path / built.name)
    assert copy.identity() == built.identity() and copy.place == built.place
    (copy.folder / "child.py").write_text("print('other')")
    assert copy.hash == built.hash and copy.identity() != built.identity()
    for file, text in (("requirements.txt", "numpy==1.26.3"), ("python-version", "3.12"), ("prepare.py", "1")):
        before = copy.hash
        (copy.folder / file).write_text(text)
        assert copy.hash != before
    with pytest.raises(UserError, match=r"environment old_numpy: it is not built(.|\n)*s2g env build old_numpy"):
        values_of(copy, ITEMS, tmp_path / "place")
    (copy.folder / "requirements.txt").write_text("numpy>=1.26")
    with pytest.raises(ValueError, match=r"numpy>=1.26 pins no version"):
        _ = copy.hash


@pytest.mark.slow("isolated environment")
def test_two_processes_build_one_environment(tmp_path: Path) -> None:
    both = [start("build", tmp_path, tmp_path) for _ in range(2)]
    assert sorted(process.communicate()[0].strip() for process in both) == ["False", "True"]
    assert [path.name for path in (tmp_path / "environments").iterdir() if path.is_dir()] == [OLD_NUMPY.place.name]


@pytest.mark.slow("isolated environment")
def test_a_build_that_fails_says_all_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("S2G_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("UV_OFFLINE", "1")  # no index is asked
    shutil.copytree(OLD_NUMPY.folder, tmp_path / "wrong")
    (tmp_path / "wrong" / "requirements.txt").write_text("numpy==0.0.1")
    with pytest.raises(IsolatedError, match=r"ended with code 1(.|\n)*\| (.|\n)*numpy(.|\n)*s2g env build wrong"):
        build(Isolated(tmp_path / "wrong"))
    assert [path.suffix for path in (tmp_path / "cache" / "environments").iterdir()] == [".lock"]


@pytest.mark.slow("isolated environment")
def test_a_stopped_build_leaves_no_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    process = start("build", tmp_path, tmp_path)
    folder = tmp_path / "environments"
    assert within(60, lambda: list(folder.glob("*.unfinished-*")))
    process.kill()
    process.wait()
    monkeypatch.setenv("S2G_CACHE", str(tmp_path))
    assert OLD_NUMPY.built() is None
    assert build(OLD_NUMPY) is True and not list(folder.glob("*.unfinished-*"))


def test_a_killed_scoring_goes_on_where_it_was(built: Isolated, cache: Path, tmp_path: Path) -> None:
    process = start("score", tmp_path, cache)
    file = place_of({"seconds": 0.4}, tmp_path) / FILE
    assert within(60, lambda: file.exists() and file.read_bytes().count(b"\n") >= 2)
    process.send_signal(signal.SIGKILL)
    process.wait()
    child = json.loads(file.read_text().splitlines()[0])["value"]["pid"]
    assert within(10, lambda: not alive(child))  # it ended with its parent
    before = file.read_bytes()
    done = before.count(b"\n")
    assert 2 <= done < len(ITEMS)
    file.write_bytes(before[: before.rfind(b"\n") + 1] + b'{"key": "item-5", "val')  # stopped in the middle of a line
    values = values_of(built, ITEMS, tmp_path, {"seconds": 0.4})
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    assert [line["key"] for line in lines] == [item["key"] for item in ITEMS]  # each once, in order
    assert [line["value"]["pid"] == child for line in lines] == [i < done for i in range(len(ITEMS))]
    straight = values_of(built, ITEMS, tmp_path / "straight")
    assert [values[key]["mean"] for key in values] == [straight[key]["mean"] for key in straight]


def test_a_failing_child_is_shown_in_full_and_its_values_stay(built: Isolated, tmp_path: Path) -> None:
    with pytest.raises(IsolatedError) as raised:
        values_of(built, ITEMS, tmp_path, {"fail_at": "item-3"})
    said = str(raised.value)
    for words in ("scorer old_numpy", "code 1", "about to divide", "Traceback", "ZeroDivisionError: what went wrong inside"):
        assert words in said
    assert "log.txt" in said and "s2g env doctor old_numpy" in said
    place = place_of({"fail_at": "item-3"}, tmp_path)
    assert list(read_values(place / FILE)) == ["item-0", "item-1", "item-2"]
    assert "ZeroDivisionError" in (place / "log.txt").read_text()


def test_of_a_log_of_several_children_the_last_ones_is_shown_whole(built: Isolated, tmp_path: Path) -> None:
    shutil.copytree(built.folder, tmp_path / built.name)
    copy = Isolated(tmp_path / built.name)
    (copy.folder / "child.py").write_text("print('begun\\n== Loading ==\\ndone')")
    for _ in range(2):
        with pytest.raises(IsolatedError) as raised:
            values_of(copy, ITEMS, tmp_path / "place")
        said = str(raised.value)
        assert said.count("| begun") == said.count("| == Loading ==") == said.count("UTC: old_numpy, 6 items") == 1


def test_values_outlive_a_moved_file_and_another_device(built: Isolated, tmp_path: Path) -> None:
    weights, depends = {"weights": "/here/model", "device": "auto"}, {"weights": "12ab"}
    first = values_of(built, ITEMS[:2], tmp_path, weights, depends=depends)
    moved = {"weights": "/there/model", "device": "cuda"}
    assert values_of(built, ITEMS[:2], tmp_path, moved, depends=depends) == first  # no child was started
    others = values_of(built, ITEMS[:2], tmp_path, moved, depends={"weights": "34cd"})
    assert others["item-0"]["pid"] != first["item-0"]["pid"]
    assert values_of(built, ITEMS[:2], tmp_path, weights, depends=depends) == first  # nothing was deleted
    scorer = IsolatedScorer(built, moved, "cuda", depends)
    assert scorer.known(tmp_path) == first


def place_of(depends: dict[str, object], place: Path) -> Path:
    return _folder(place, _about(OLD_NUMPY, depends))


def test_a_child_that_hangs_is_ended_and_named(built: Isolated, tmp_path: Path) -> None:
    with pytest.raises(IsolatedError) as raised:
        values_of(built, ITEMS, tmp_path, {"hang_at": "item-2"}, timeout=3)
    said = str(raised.value)
    assert "old_numpy" in said and "no new value for 3 s, at item-2" in said and "about to hang" in said
    assert not alive(read_values(place_of({"hang_at": "item-2"}, tmp_path) / FILE)["item-0"]["pid"])


def test_a_child_that_leaves_items_out_is_no_success(built: Isolated, tmp_path: Path) -> None:
    shutil.copytree(built.folder, tmp_path / built.name)
    copy = Isolated(tmp_path / built.name)
    (copy.folder / "child.py").write_text("print('nothing to do')")
    with pytest.raises(IsolatedError, match=r"without a value for 6 items, the first item-0(.|\n)*nothing to do"):
        values_of(copy, ITEMS, tmp_path / "place")


def test_the_parents_secrets_stay_outside(built: Isolated, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HF_TOKEN", "WANDB_API_KEY", "AWS_SECRET_ACCESS_KEY", "PYTHONPATH", "https_proxy"):
        monkeypatch.setenv(name, "a secret")
    monkeypatch.setenv("HOME", str(tmp_path / "own"))
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / ".netrc").write_text("a secret")
    seen = values_of(built, ITEMS[:1], tmp_path / "place", {"look": True})["item-0"]
    assert "a secret" not in json.dumps(seen) and seen["home"] == []
    assert set(seen["variables"]) <= {
        *("PATH", "TMPDIR", "LANG", "TZ", "LD_LIBRARY_PATH", "CUDA_VISIBLE_DEVICES", "NVIDIA_VISIBLE_DEVICES", "HOME"),
        *("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "HF_DATASETS_OFFLINE", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "LC_CTYPE"),
        *(name for name in os.environ if name.startswith("LC_")),
    }
    assert not any("s2g" in place and "site-packages" not in place for place in seen["path"])
    of_build = json.loads((built.place / "seen.json").read_text())
    assert "PATH" in of_build and not {"HF_TOKEN", "AWS_SECRET_ACCESS_KEY"} & set(of_build)


def test_only_the_installer_is_given_the_index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given = {
        "UV_INDEX_URL": "https://user:secret@index",
        "UV_PUBLISH_TOKEN": "secret",
        "UV_INDEX_OWN_PASSWORD": "secret",
        "https_proxy": "http://user:secret@proxy",
        "no_proxy": "localhost",
    }
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    seen = {}
    for name in ("uv", "python"):
        (tmp_path / name).symlink_to("/usr/bin/env")
        seen[name] = dict(line.split("=", 1) for line in _step(OLD_NUMPY, [str(tmp_path / name)]).splitlines())
    assert {name for name in given if name in seen["uv"]} == {"UV_INDEX_URL", "https_proxy", "no_proxy"}
    assert "secret" not in str(seen["python"]) and {"PATH", "no_proxy"} <= set(seen["python"])


def test_what_was_changed_by_hand_is_named(built: Isolated, tmp_path: Path) -> None:
    assert differences(built) == []
    try_imports(built, tmp_path)
    (note := built.place / "built.json").write_text(note.read_text().replace("1.26.4", "1.26.3"))
    try:
        assert differences(built) == ["numpy==1.26.3 is gone", "numpy==1.26.4 is new"]
    finally:
        note.write_text(note.read_text().replace("1.26.3", "1.26.4"))


@pytest.mark.parametrize("name", sorted(known()))
def test_what_ships_pins_all_and_imports_nothing_of_ours(name: str) -> None:
    isolated = find(name)
    assert isolated.requirements and isolated.about.endswith(".") and isolated.python.startswith("3.")
    for path in isolated.folder.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or "."] if isinstance(node, ast.ImportFrom) else []
            assert not any(name.split(".")[0] in ("s2g", "") for name in names), path


def test_a_misspelt_environment_is_named() -> None:
    with pytest.raises(UserError, match="environment = hpsv4"):
        find("hpsv4")


@pytest.mark.external
def test_an_old_transformers_lives_beside_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import transformers

    monkeypatch.setenv("S2G_CACHE", str(tmp_path))
    isolated = Isolated(Path(__file__).parent / "old_transformers")
    build(isolated)
    try_imports(isolated, tmp_path / "try")
    (tmp_path / "vocab.txt").write_text("[UNK]\n[PAD]\na\ncat\n##s\n")
    items = [{"key": "one", "path": "", "prompt": "a cat"}, {"key": "two", "path": "", "prompt": "cats"}]
    values = values_of(isolated, items, tmp_path / "place", {"vocabulary": str(tmp_path / "vocab.txt")})
    assert values == {"one": [2, "4.36.1", "1.26.4"], "two": [2, "4.36.1", "1.26.4"]}
    assert transformers.__version__.split(".") > ["4", "50"] and numpy.__version__[0] == "2"


def test_two_children_beside_each_other_ask_nothing_twice(built: Isolated, cache: Path, tmp_path: Path) -> None:
    both = [start("beside", tmp_path, cache, part) for part in (ITEMS[:3], ITEMS[3:])]
    assert [process.wait() for process in both] == [0, 0]
    found = {place.name: read_values(place / FILE) for place in places(place_of({"seconds": 0.4}, tmp_path))}
    assert sorted(len(of) for of in found.values()) == [0, 3, 3]
    values = values_of(built, ITEMS, tmp_path, {"seconds": 0.4})  # both are read, and no child is started
    assert values == {key: value for of in found.values() for key, value in of.items()} and len(values) == 6
    pids = {value["pid"] for value in values.values()}
    assert len(pids) == 2
    assert {value["pid"] for value in values_of(built, ITEMS[:1], tmp_path, {"seconds": 0.2}).values()}.isdisjoint(pids)
