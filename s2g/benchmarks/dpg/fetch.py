"""`s2g fetch dpg`: the official questions and prompts, out of the repository's archive at one commit."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from pathlib import PurePosixPath

from s2g.benchmarks.dpg.questions import COMMIT, COUNT, CSV, CSV_BLOB, KEY, TEXTS, TEXTS_SHA256, blob, fetched, texts_sha256
from s2g.errors import UserError
from s2g.io.atomic import write_bytes
from s2g.io.download import download

ARCHIVE = "ELLA.zip"
ADDRESS = f"https://codeload.github.com/TencentQQGYLab/ELLA/zip/{COMMIT}"


def fetch_prompts(get: Callable[[str], bytes] | None = None) -> list[str]:
    """Download the archive, and write dpg_bench.csv and prompts/ID.txt once their hashes are right; return what was done.

    UserError if it cannot be reached, or holds other files; nothing of it is written then.
    """
    said = download(fetched() / ARCHIVE, ADDRESS, None, f"get it by hand: {KEY}=ELLA/dpg_bench", get)
    try:
        with zipfile.ZipFile(io.BytesIO((fetched() / ARCHIVE).read_bytes())) as archive:
            held = {PurePosixPath(*PurePosixPath(name).parts[1:]): name for name in archive.namelist()}
            files = {
                path: archive.read(name) for path, name in held.items() if path.parts[:1] == ("dpg_bench",) and path.suffix
            }
    except (zipfile.BadZipFile, OSError) as error:
        raise UserError(f"{ADDRESS}: no archive ({error})", todo=f"delete {fetched() / ARCHIVE} and fetch again") from error
    texts = {path: content for path, content in files.items() if path.parent.name == TEXTS and path.suffix == ".txt"}
    questions = files.get(PurePosixPath("dpg_bench") / CSV, b"")
    found = texts_sha256({path.stem: content.decode(errors="replace").strip() for path, content in texts.items()})
    if blob(questions) != CSV_BLOB or found != TEXTS_SHA256:
        raise UserError(f"{ADDRESS}: its {CSV} or its {len(texts)} prompts are not those of the commit", todo="report it")
    for path, content in texts.items():
        write_bytes(fetched() / TEXTS / path.name, content)
    write_bytes(fetched() / CSV, questions)  # last: with it the files are there
    return [said, f"{CSV} and {COUNT:,} prompts: as committed"]
