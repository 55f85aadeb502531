"""Repositories of the Hugging Face hub: where its cache holds one, which commit that is, and fetching what is not there."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

LEFT_OUT = ("*.fp16*", "*.bin", "*.msgpack", "*.onnx*", "*.gguf")  # the same weights in other forms


class NotFetchedError(Exception):
    """Why a repository could not be fetched, in words."""


def snapshot(repository: str) -> Path | None:
    """The folder in which the hub's cache holds the repository's main branch, or what there is of it; None if nothing."""
    from huggingface_hub import snapshot_download  # only where a repository is named
    from huggingface_hub.errors import LocalEntryNotFoundError

    try:
        return Path(snapshot_download(repository, local_files_only=True))
    except LocalEntryNotFoundError:
        return None


def commit_of(folder: Path) -> str:
    """The commit whose files a folder of the hub's cache holds; "" for a folder elsewhere."""
    known = folder.parent.name == "snapshots" and folder.parent.parent.name.startswith("models--")
    return folder.name if known else ""


def fetch(repository: str, patterns: Sequence[str]) -> Path:
    """The folder of a repository after everything of it that `patterns` name was fetched; NotFetchedError says why not."""
    import httpx2
    from huggingface_hub import constants, snapshot_download
    from huggingface_hub.errors import GatedRepoError, HfHubHTTPError, LocalEntryNotFoundError, RepositoryNotFoundError

    if constants.HF_HUB_OFFLINE:
        raise NotFetchedError("HF_HUB_OFFLINE=1 forbids fetching it")
    try:
        with _quiet():
            return Path(snapshot_download(repository, allow_patterns=list(patterns), ignore_patterns=list(LEFT_OUT)))
    except GatedRepoError as error:
        raise NotFetchedError("its licence has to be accepted by an account that is logged in here") from error
    except RepositoryNotFoundError as error:
        raise NotFetchedError("the hub shows no such repository to who is logged in here") from error
    except HfHubHTTPError as error:
        raise NotFetchedError(f"the hub said: {str(error).splitlines()[0]}") from error
    except (LocalEntryNotFoundError, ConnectionError, httpx2.TransportError) as error:
        raise NotFetchedError("the hub cannot be reached from here") from error


@contextmanager
def _quiet() -> Iterator[None]:
    """Its progress is shown, its retries and advice are not: what went wrong is said once, by us."""
    logger = logging.getLogger("huggingface_hub")
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(before)
