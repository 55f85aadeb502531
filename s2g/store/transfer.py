"""Copy a stored run out of the store and back: a tar file, or a folder of the same files, at any URL that fsspec knows.

Both hold what the run's folder holds, byte for byte; the store stays the only format that is written. A run is pulled
beside the others, verified there, and then renamed to its key, so that a broken copy is never taken for a run.
"""

from __future__ import annotations

import io
import re
import secrets
import shutil
import tarfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import fsspec
from fsspec.core import url_to_fs

from s2g.errors import DamageError, UserError
from s2g.store.items import name_of
from s2g.store.store import Store
from s2g.store.verify import Examined, examine

TAR = ".tar"
# KEY/NAME of the files of a run, and of nothing else: where a pulled file may be written.
NAMES = re.compile(
    r"[A-Za-z0-9][\w.-]*/((run|env)\.json|journal\.jsonl|(items|units|scores|failed)/[A-Za-z0-9][A-Za-z0-9._-]{0,127})",
    re.ASCII,
)


def files_of(store: Store) -> list[str]:
    """Return the run's files, relative to its folder: of stored units only, items before the records that vouch for them.

    DamageError if a record is not what was written. What is stored after this was asked is not among them.
    """
    units = sorted(store.stored())
    entries = [entry for record in store.records(units) for entry in [*record["items"], *record.get("beside", ())]]
    items = [f"items/{name}" for name in dict.fromkeys(name_of(entry) for entry in entries if "file" in entry)]
    records = [f"units/{store.record_path(unit).name}" for unit in units]
    beside = [f"{path.parent.name}/{path.name}" for place in ("scores", "failed") for path in store.folder.glob(f"{place}/*")]
    last = [name for name in ("env.json", "journal.jsonl", "run.json") if (store.folder / name).exists()]
    return [name for name in [*items, *records, *sorted(beside), *last] if NAMES.fullmatch(f"{store.folder.name}/{name}")]


def push(store: Store, url: str, advance: Callable[[int], None] = lambda files: None) -> tuple[str, int]:
    """Copy a run to URL/KEY, or to one file where the URL ends in .tar; return where it is and how many files were written.

    A folder that has the run already gets what it lacks: items and records that are there, of the same size, stay.
    UserError for a URL that cannot be reached or written.
    """
    key, names = store.read_run()["key"], files_of(store)
    with _reached(url):
        if url.endswith(TAR):
            with fsspec.open(url, "wb") as stream, tarfile.open(fileobj=stream, mode="w|") as tar:  # type: ignore[call-overload]
                for name in names:
                    content = (store.folder / name).read_bytes()  # at once: the journal may grow meanwhile
                    about = tarfile.TarInfo(f"{key}/{name}")
                    about.size = len(content)
                    tar.addfile(about, io.BytesIO(content))
                    advance(1)
            return url, len(names)
        target = f"{url.rstrip('/')}/{key}"
        system, place = url_to_fs(target)
        there = {path[len(place) + 1 :]: about["size"] for path, about in system.find(place, detail=True).items()}
        for folder in ("items", "units", "scores", "failed"):
            system.makedirs(f"{place}/{folder}", exist_ok=True)
        lacking = [n for n in names if n[:6] not in ("items/", "units/") or there.get(n) != (store.folder / n).stat().st_size]
        advance(len(names) - len(lacking))
        for name in lacking:
            system.put_file(str(store.folder / name), f"{place}/{name}")
            advance(1)
        return target, len(lacking)


def pull(url: str, root: Path, threads: int) -> tuple[Store, Examined]:
    """Copy a pushed run into the folder `root`; return it, and what was found when it was verified.

    UserError, and nothing is kept, if there is no run at the URL, if `root` has one of its key, or if a file is not what
    the run's records say.
    """
    beside = root.absolute() / f".pulled.{secrets.token_hex(4)}"
    beside.mkdir(parents=True)
    try:
        with _reached(url):
            for name, stream in _pushed(url):
                if not NAMES.fullmatch(name):
                    raise UserError(f"{url}: holds {name!r}, which is no file of a run", todo="name what s2g push wrote")
                target = root / name.partition("/")[0]
                if target.exists():
                    raise UserError(f"{url}: {target} exists", todo="s2g pull URL --runs FOLDER, with another folder")
                (beside / name).parent.mkdir(parents=True, exist_ok=True)
                with (beside / name).open("xb") as file:
                    shutil.copyfileobj(stream, file, 1 << 20)
        runs = list(beside.glob("*/run.json"))
        if len(runs) != 1:
            raise UserError(f"{url}: there is no run", todo="name the URL that s2g push printed, KEY or .tar included")
        store = Store(runs[0].parent)
        for name in ("items", "units", "scores"):  # a file system without empty folders
            (store.folder / name).mkdir(exist_ok=True)
        examined = _intact(url, store, threads)
        return Store(store.folder.rename(root.absolute() / store.folder.name)), examined
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def _intact(url: str, store: Store, threads: int) -> Examined:
    """Verify a pulled run; UserError if any of it is damaged or incomplete."""
    todo = "s2g verify the run where it was pushed from, and push it again, to another URL"
    try:
        examined = examine(store, threads)
    except DamageError as error:
        raise UserError(f"{url}: run.json {error.problem}", todo=todo) from error
    bad = [finding for finding in examined.findings if finding.bad]
    if bad:
        raise UserError(f"{url}: {len(bad)} files are not as they were stored: {bad[0].path} {bad[0].problem}", todo=todo)
    return examined


def _pushed(url: str) -> Iterator[tuple[str, IO[bytes]]]:
    """Yield KEY/NAME and the content of every file of a pushed run."""
    if url.endswith(TAR):
        with fsspec.open(url, "rb") as stream, tarfile.open(fileobj=stream, mode="r|") as tar:  # type: ignore[call-overload]
            for about in tar:
                content = tar.extractfile(about) if about.isreg() else None
                if content is None:
                    raise UserError(f"{url}: holds {about.name!r}, which is no regular file", todo="name what s2g push wrote")
                yield about.name, content
        return
    system, place = url_to_fs(url.rstrip("/"))
    for path in system.find(place):
        with system.open(path, "rb") as stream:
            yield f"{place.rpartition('/')[2]}/{path[len(place) + 1 :]}", stream


@contextmanager
def _reached(url: str) -> Iterator[None]:
    """Turn what a file system of fsspec raises about a URL into a UserError."""
    try:
        yield
    except (UserError, DamageError):
        raise
    except ImportError as error:  # fsspec names the package of the URL's protocol
        raise UserError(f"{url}: {error}", todo="pip install that package: s3fs for s3://, gcsfs for gs://") from error
    except FileNotFoundError as error:
        raise UserError(f"{url}: no such file or folder", todo="name the URL that s2g push printed") from error
    except tarfile.TarError as error:
        raise UserError(f"{url}: it is no tar file that can be read ({error})", todo="push the run again") from error
    except (OSError, ValueError) as error:
        raise UserError(
            f"{url}: {error or type(error).__name__}", todo="check the URL, and the credentials it needs"
        ) from error
