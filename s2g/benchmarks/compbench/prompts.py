"""The validation prompts of T2I-CompBench: colour, shape, texture; which list it is, by its sha256.

Source: Karine-Huang/T2I-CompBench (MIT), examples/dataset, at the commit named below.
"""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from s2g.errors import MissingError, UserError, lacks
from s2g.io.input_files import read_regular
from s2g.io.text_files import lines_of

CATEGORIES = ("color", "shape", "texture")
LISTS = ("2025-09", "before", "own")  # which list of colours; own: files of one's own, of any length
COUNT = 300  # prompts of a category
SOURCE = "Karine-Huang/T2I-CompBench, examples/dataset (MIT)"
COMMIT = "1b7094991a57f3c22abdd4f6e8ba6c1a15517073"
BEFORE = "3310c2f^"  # the parent of the commit that changed the list of colours
# Of the files' bytes, CRLF included, as the repository has them.
SHAPE = "37e1a276906c7ea9516cbd7ac8501be896006c0c17ca7344f260562834455bae"
TEXTURE = "fbb5363515b4a28009e360afaaaf389d2dd2289e50dbb0c6ef4ea0c7fe4f3d4f"
OFFICIAL = {
    "2025-09": {
        "color": "1634259756dbc77d13093d907d414480080ec9790a8c97ad09efaea7b2534f2d",  # since 2025-09-03, all distinct
        "shape": SHAPE,
        "texture": TEXTURE,
    },
    "before": {
        "color": "1e37a12c1861bf6b11623eaffb0bf6d6eeea9702caf45b95d040f1721bba7f4f",  # five repeats; what the paper had
        "shape": SHAPE,
        "texture": TEXTURE,
    },
}
# A file's name in the repository; the older list of colours may lie beside the newer one.
NAMES = {category: (f"{category}_val.txt",) for category in CATEGORIES}
OLDER = ("color_val.before-2025-09-03.txt", "color_val.txt")
KEY = "bench.path"
UNNAMEABLE = {"_": "_", "/": "/", "\0": "a NUL character"}  # no image could be named after a prompt that holds one


@dataclass(frozen=True)
class Listed:
    """The prompts of one category, and the sha256 of the official file they are, or of what was read."""

    prompts: tuple[str, ...]
    sha256: str

    @property
    def repeated(self) -> int:
        """Return how many prompts repeat an earlier one."""
        return sum(count - 1 for count in Counter(self.prompts).values())


def read(content: bytes) -> tuple[str, ...]:
    """Read lines, of each the text before a tab; UnicodeDecodeError if they are not UTF-8."""
    prompts = [line.partition("\t")[0].strip() for line in lines_of(content.decode("utf-8-sig"))]
    while prompts and not prompts[-1]:
        prompts.pop()
    return tuple(prompts)


def official_bytes(prompts: Sequence[str], closing: bool) -> bytes:
    """Return the file's bytes as the repository has them: CRLF, with or without one after the last line."""
    return "\r\n".join(prompts).encode() + b"\r\n" * closing


def identify(content: bytes) -> str:
    """Return the sha256 of the official file with these prompts, whatever the line endings, or else of the bytes.

    git and editors change line endings and add marks: the prompts are the same. An edited prompt is not.
    """
    prompts, known = read(content), {sha256 for by in OFFICIAL.values() for sha256 in by.values()}
    for candidate in (content, official_bytes(prompts, False), official_bytes(prompts, True)):
        found = hashlib.sha256(candidate).hexdigest()
        if found in known:
            return found
    return hashlib.sha256("\n".join(prompts).encode()).hexdigest()


def folders(path: str) -> list[Path]:
    """List where prompt files are looked for: the typed folder, or S2G_DATA's and that of `s2g fetch compbench`."""
    if path:
        return [Path(path).expanduser()]
    data = os.environ.get("S2G_DATA")
    places = [Path(data) / "prompts" / "t2i_compbench", Path(data) / "t2i_compbench"] if data else []
    return [*places, fetched()]


def fetched() -> Path:
    """Return the folder into which `s2g fetch compbench` puts the files."""
    from s2g.io.cache import cache_folder

    return cache_folder() / "compbench"


@cache
def load(path: str, which: str, categories: tuple[str, ...]) -> Mapping[str, Listed]:
    """Read the lists by category; UserError naming every file that is missing, unreadable or not the expected one."""
    wrong: list[UserError] = []
    found: dict[str, Listed] = {}
    for category in categories:
        try:
            found[category] = _one(path, which, category)
        except UserError as error:
            wrong.append(error)
    if wrong:
        message = "\n".join(map(str, wrong))
        if all(map(lacks, wrong)):
            raise MissingError(KEY, path or "(not given)", message, todo=_todo(path))
        raise UserError(message, todo=_todo(path))
    return found


def _todo(path: str) -> str:
    give = f"{KEY}=FOLDER with color_val.txt, shape_val.txt and texture_val.txt; bench.prompts=own takes files of one's own"
    return give if path else f"s2g fetch compbench ({SOURCE}), or {give}"


def _one(path: str, which: str, category: str) -> Listed:
    names = OLDER if (which, category) == ("before", "color") else NAMES[category]
    files = [folder / name for folder in folders(path) for name in names if (folder / name).is_file()]
    if not files:
        where = " or ".join(str(folder) for folder in folders(path))
        raise MissingError(KEY, path or "(not given)", f"no file {names[-1]} in {where}")
    listed = {file: _parsed(file) for file in files}
    if which == "own":
        return _checked(files[0], listed[files[0]])
    wanted = OFFICIAL[which][category]
    for one in listed.values():
        if one.sha256 == wanted:
            return one
    raise UserError(_not_official(files[0], listed[files[0]], which, category))


def _parsed(file: Path) -> Listed:
    try:
        content = read_regular(file)
        return Listed(read(content), identify(content))
    except UnicodeDecodeError as error:
        raise UserError(f"{KEY}: {file} is not UTF-8 (byte {error.start})") from error
    except OSError as error:
        raise UserError(f"{KEY}: {file} cannot be read ({error.strerror})") from error


def _checked(file: Path, listed: Listed) -> Listed:
    """Return a user's own list; UserError for a prompt that no image can be named after in the official layout."""
    if not listed.prompts:
        raise UserError(f"{KEY}: {file} holds no prompt")
    for number, prompt in enumerate(listed.prompts, 1):
        held = next((name for character, name in UNNAMEABLE.items() if character in prompt), "")
        if not prompt or held:
            what = f"holds {held}, and images are named after prompts" if held else "is empty"
            raise UserError(f"{KEY}: {file}, line {number} {what}: {prompt!r}")
    return listed


def _not_official(file: Path, listed: Listed, which: str, category: str) -> str:
    lists = [name for name, by in OFFICIAL.items() if by[category] == listed.sha256]
    if lists:
        return f"{KEY}: {file} is the list of bench.prompts={lists[0]}, not of bench.prompts={which}"
    count = len(listed.prompts)
    said = f"has {count} prompts, not {COUNT}" if count != COUNT else "was edited: it has as many prompts, but not the same"
    return f"{KEY}: {file} is not the official file (it {said}; sha256 of its prompts {listed.sha256[:12]})"


def lists_id(lists: Mapping[str, Listed]) -> dict[str, str]:
    """Return the sha256 that identifies the prompts, by category."""
    return {category: listed.sha256 for category, listed in lists.items()}
