"""`s2g fetch hps`: the prompts and the checkpoint from where they are published, with sha256 recorded at the first fetch."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from s2g.benchmarks.hps import published
from s2g.benchmarks.hps.prompts import COUNT, STYLES, read
from s2g.errors import SeveralError, UserError, gathered
from s2g.io.atomic import write_bytes
from s2g.io.hashing import content_hash
from s2g.io.hub import quiet

T = TypeVar("T")
Get = Callable[[str, str, str], Path]  # repository, kind of repository, file -> where it lies now
Sum = Callable[[str, str], str]  # repository, file -> the sha256 that the hub states


class UnreachableError(UserError):
    """The hub cannot be reached: nothing else of it will be had either."""


def fetch_prompts(get: Get | None = None) -> list[str]:
    """Fetch and count four lists, and say what was done; UserError for any that cannot be had or differs from the record."""
    get, errors, said = get or from_hub, [], []
    for style in STYLES:
        with gathered(errors):
            file = get(published.DATA_SET, "dataset", f"benchmark/{style}.json")
            listed, content = read(file), file.read_bytes()
            if len(listed.prompts) != COUNT:
                raise UserError(
                    f"{published.DATA_SET}: {style}.json has {len(listed.prompts)} prompts, not {COUNT}; nothing is kept"
                )
            before = published.recorded()["prompts"].get(style)
            if before is not None and before["sha256"] != listed.sha256:
                raise UserError(
                    f"{published.DATA_SET}: {style}.json is not what was first fetched "
                    f"(sha256 {listed.sha256[:12]}, recorded {before['sha256'][:12]})",
                    todo=f"if the new one is to count: delete {published.place() / 'recorded.json'}, and fetch again",
                )
            write_bytes(published.place() / "prompts" / f"{style}.json", content)
            about = {"sha256": listed.sha256, "file_sha256": hashlib.sha256(content).hexdigest(), "count": COUNT}
            published.record("prompts", {style: about})
            said.append(f"{style}: {COUNT} prompts, file sha256 {about['file_sha256']}")
        if errors and isinstance(errors[-1], UnreachableError):
            break
    if errors:
        raise SeveralError.of(errors)
    return said


def fetch_checkpoint(get: Get | None = None, stated: Sum | None = None) -> list[str]:
    """Fetch the checkpoint of version 2.1, record the sha256 of both versions, and say what was done."""
    get, stated = get or from_hub, stated or stated_by_hub
    sums = {name: stated(published.REPOSITORY, name) for name in (published.V21, published.V20)}
    file = get(published.REPOSITORY, "model", published.V21)
    found = content_hash(file)
    if found != sums[published.V21]:
        raise UserError(
            f"{file}: its sha256 is {found[:12]}, and the hub states {sums[published.V21][:12]}", todo="delete it, fetch again"
        )
    before = published.recorded()["weights"].get(published.V21, found)
    if before != found:
        raise UserError(
            f"{published.REPOSITORY}: {published.V21} is not what was first fetched "
            f"(sha256 {found[:12]}, recorded {before[:12]})",
            todo=f"if the new one is to count: delete {published.place() / 'recorded.json'}, and fetch again",
        )
    published.record("weights", sums)
    return [f"{published.V21}: sha256 {found}; {published.V20} would be {sums[published.V20]}"]


def from_hub(repository: str, kind: str, name: str) -> Path:
    """Return a file of the hub, fetched unless it is cached; UserError says why that failed."""
    from huggingface_hub import hf_hub_download

    return Path(_asked(repository, kind, name, lambda: hf_hub_download(repository, name, repo_type=kind)))


def stated_by_hub(repository: str, name: str) -> str:
    """Return the sha256 of a large file as the hub states it, without fetching the file."""
    from huggingface_hub import get_hf_file_metadata, hf_hub_url

    found = _asked(repository, "model", name, lambda: get_hf_file_metadata(hf_hub_url(repository, name)).etag) or ""
    if len(found) != 64:
        raise UserError(f"{repository}: the hub states no sha256 of {name}")
    return found


def _asked(repository: str, kind: str, name: str, ask: Callable[[], T]) -> T:
    """Ask the hub without its client's retries, and turn the client's errors into UserError."""
    import httpx2
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError, OfflineModeIsEnabled

    try:
        with quiet():
            return ask()
    except (LocalEntryNotFoundError, OfflineModeIsEnabled, httpx2.TransportError, ConnectionError) as error:
        to = "" if kind == "model" else f" --repo-type {kind}"
        raise UnreachableError(
            f"{repository}: {name} cannot be fetched, the hub cannot be reached from here",
            todo=f"the same command online; or hf download {repository} {name}{to} elsewhere, and bench.path or bench.weights",
        ) from error
    except HfHubHTTPError as error:
        raise UserError(f"{repository}: {name} cannot be fetched: {str(error).splitlines()[0]}") from error
