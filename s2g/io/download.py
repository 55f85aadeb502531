"""Download a file from an address and check its sha256."""

from __future__ import annotations

import hashlib
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

from s2g.errors import UserError
from s2g.io.atomic import write_bytes

TIMEOUT = 60  # seconds for an answer


def download(path: Path, address: str, sha256: str | None, todo: str, get: Callable[[str], bytes] | None = None) -> str:
    """Write what an address serves to `path` unless the file is there already; return a line that says what was done.

    sha256: what the file must have. None: none is published; that of the first download is noted beside the file and
    required from then on. todo: how to obtain the file without a network. get: address to content, in place of urllib.
    UserError where the address cannot be reached or serves something else; nothing is written then.
    """
    noted = path.with_name(f"{path.name}.sha256")
    wanted = sha256 or (noted.read_text().strip() if noted.is_file() else None)
    if path.is_file() and hashlib.sha256(path.read_bytes()).hexdigest() == wanted:
        return f"{path.name}: there"
    try:
        content = (get or _get)(address)
    except (urllib.error.URLError, TimeoutError, ConnectionError) as error:
        raise UserError(f"{address}: cannot be downloaded ({error})", todo=f"connect to a network; or {todo}") from error
    found = hashlib.sha256(content).hexdigest()
    if wanted is not None and found != wanted:
        raise UserError(
            f"{address}: its sha256 is {found}, not {wanted}", todo=f"get {path.name} elsewhere and put it into {path.parent}"
        )
    write_bytes(path, content)
    if sha256 is None:
        write_bytes(noted, f"{found}\n".encode())
    return f"{path.name}: fetched, {len(content):,} bytes, sha256 {found}"


def _get(address: str) -> bytes:
    with urllib.request.urlopen(address, timeout=TIMEOUT) as answer:
        return answer.read()
