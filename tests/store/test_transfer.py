"""Runs pushed and pulled: the same bytes, verified; nothing of a broken copy is kept."""

from __future__ import annotations

import hashlib
import io
import os
import tarfile
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from s2g.cli.main import app
from s2g.cli.run import main
from s2g.errors import UserError
from s2g.store.locks import Locks
from s2g.store.store import Store
from s2g.store.transfer import pull, push


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """A run of three units."""
    root = tmp_path_factory.mktemp("made")
    assert main(["guidance=none", "sampler.steps=1", "num=48", "executor.workers=1", "score=false", f"runs={root}"]) == 0
    return Store(next(root.iterdir()))


def content(store: Store) -> dict[str, str]:
    paths = sorted(path for path in store.folder.rglob("*") if path.is_file() and "locks" not in path.parts)
    return {str(path.relative_to(store.folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}


@pytest.fixture(params=["folder", "tar", "memory", "memory tar"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    base = str(tmp_path / "there") if "memory" not in request.param else f"memory://{uuid.uuid4()}"
    return f"{base}/run.tar" if "tar" in request.param else base


def test_a_run_comes_back_byte_for_byte(made: Store, url: str, tmp_path: Path) -> None:
    if url.startswith("/"):
        Path(url).parent.mkdir(exist_ok=True)
    where, written = push(made, url)
    assert written == len(content(made)) == 48 + 3 + 3
    store, examined = pull(where, tmp_path / "back", 1)
    assert store.folder == tmp_path / "back" / made.folder.name and content(store) == content(made)
    assert (examined.units, examined.items, examined.missing, examined.findings) == (3, 48, 0, [])
    assert [path.name for path in (tmp_path / "back").iterdir()] == [made.folder.name]
    with pytest.raises(UserError, match=r"exists\n(.|\n)*another folder"):
        pull(where, tmp_path / "back", 1)


def test_what_is_new_is_added_and_unfinished_units_are_not_pushed(made: Store, tmp_path: Path) -> None:
    """A machine that may be taken away pushes again and again while it samples."""
    partial, target = Store(tmp_path / "runs" / made.folder.name), str(tmp_path / "bucket")
    where, _ = push(made, str(tmp_path / "start"))
    partial = pull(where, tmp_path / "runs", 1)[0]
    (partial.folder / "units/000002.json").unlink()
    assert Locks(partial.folder).acquire("000002") is not None
    pushed, written = push(partial, target)
    assert written == 32 + 2 + 3
    (partial.folder / "units/000002.json").write_bytes((made.folder / "units/000002.json").read_bytes())
    again = pull(pushed, tmp_path / "first", 1)[1]
    assert (again.units, again.missing) == (2, 1)
    assert push(partial, target)[1] == 16 + 1 + 3
    assert content(pull(pushed, tmp_path / "second", 1)[0]) == content(made)


def test_nothing_of_a_damaged_copy_is_kept(made: Store, tmp_path: Path) -> None:
    where = Path(push(made, str(tmp_path))[0])
    item = where / "items/000020.png"
    item.write_bytes(item.read_bytes()[:-1])
    with pytest.raises(UserError, match=r"items/000020\.png is not what was written"):
        pull(str(where), tmp_path / "back", 1)
    item.unlink()
    with pytest.raises(UserError, match=r"items/000020\.png"):
        pull(str(where), tmp_path / "back", 1)
    (where / "run.json").unlink()
    with pytest.raises(UserError, match="there is no run"):
        pull(str(where), tmp_path / "back", 1)
    assert not list((tmp_path / "back").iterdir())


@pytest.mark.parametrize(
    "name", ["../evil", "/tmp/evil", "key/../../evil", "key/items/../../evil", ".k/run.json", "key/locks/a/b"]
)
def test_a_tar_writes_nothing_outside_the_run(name: str, tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "x.tar", "w") as tar:
        about = tarfile.TarInfo(name)
        about.size = 1
        tar.addfile(about, io.BytesIO(b"x"))
    with pytest.raises(UserError, match="no file of a run"):
        pull(str(tmp_path / "x.tar"), tmp_path / "back", 1)
    with tarfile.open(tmp_path / "x.tar", "w") as tar:
        about = tarfile.TarInfo("key/items/000000.png")
        about.type, about.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(about)
    with pytest.raises(UserError, match="no regular file"):
        pull(str(tmp_path / "x.tar"), tmp_path / "back", 1)
    assert not list((tmp_path / "back").iterdir())


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ("nosuch://a/b", "Protocol not known"),
        ("/proc/none/x.tar", "no such"),
        ("here.tar", "no such"),
        ("cut.tar", "no tar"),
    ],
)
def test_a_url_that_cannot_be_reached_is_named(target: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("cut.tar").write_bytes(b"not a tar")
    with pytest.raises(UserError, match=f"{target}: .*{said}"):
        pull(target, tmp_path / "back", 1)


def test_the_commands(made: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in (
        ["push", made.folder.name, str(tmp_path / "run.tar"), "--runs", str(made.folder.parent)],
        ["pull", str(tmp_path / "run.tar"), "--runs", str(tmp_path / "back")],
    ):
        app(arguments, standalone_mode=False)
    out = capsys.readouterr().out
    assert "run.tar: 3 units, 54 files written" in out and "48 items of 3 units are intact" in out


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A bucket of a local server that speaks S3."""
    server = pytest.importorskip("moto.server", reason="needs moto[server]: pip install 'moto[s3,server]'")
    s3fs = pytest.importorskip("s3fs", reason="needs s3fs: pip install s3fs")
    running = server.ThreadedMotoServer("127.0.0.1", 0)
    running.start()
    host, port = running.get_host_and_port()
    for name, value in {"ENDPOINT_URL": f"http://{host}:{port}", "ACCESS_KEY_ID": "x", "SECRET_ACCESS_KEY": "x"}.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    s3fs.S3FileSystem.clear_instance_cache()
    name = f"bucket-{uuid.uuid4()}"
    s3fs.S3FileSystem().mkdir(name)
    yield f"s3://{name}/runs"
    running.stop()


@pytest.mark.slow("a server")
@pytest.mark.parametrize("end", ["", "/run.tar"])
def test_a_run_on_s3(made: Store, bucket: str, end: str, tmp_path: Path) -> None:
    where, written = push(made, bucket + end)
    assert written == 54 and (push(made, bucket + end)[1] == 3 or end)
    assert content(pull(where, tmp_path, os.cpu_count() or 1)[0]) == content(made)
