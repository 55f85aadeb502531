"""Repositories of the Hugging Face hub: where its cache holds one, at which commit, and how to download it."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

LEFT_OUT = ("*.fp16*", "*.bin", "*.msgpack", "*.onnx*", "*.gguf")  # the same weights in other forms


class NotFetchedError(Exception):
    """A repository that could not be downloaded; the message says why."""


def split(typed: str) -> tuple[str, str | None]:
    """Split NAME/REPOSITORY or NAME/REPOSITORY@REVISION; the revision is None for the main branch."""
    repository, _, revision = typed.partition("@")
    return repository, revision or None


def download_command(typed: str) -> str:
    """Return the command that downloads a repository, at its revision where one is given."""
    repository, revision = split(typed)
    return f"hf download {repository}" + (f" --revision {revision}" if revision else "")


def snapshot(typed: str) -> Path | None:
    """Return the folder in which the hub's cache holds a repository, or what there is of it; None if nothing."""
    from huggingface_hub import snapshot_download  # only where a repository is named
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

    repository, revision = split(typed)
    try:
        return Path(snapshot_download(repository, revision=revision, local_files_only=True))
    except (LocalEntryNotFoundError, HFValidationError):
        return None


def commit_of(folder: Path) -> str:
    """Return the commit of a folder of the hub's cache; "" for a folder elsewhere."""
    in_cache = folder.parent.name == "snapshots" and folder.parent.parent.name.startswith("models--")
    return folder.name if in_cache else ""


def repository_of(folder: Path) -> str:
    """Return REPOSITORY@COMMIT for a folder of the hub's cache; "" for a folder elsewhere."""
    commit = commit_of(folder)
    return f"{folder.parent.parent.name.removeprefix('models--').replace('--', '/')}@{commit}" if commit else ""


def fetch(typed: str, patterns: Sequence[str], variant: str = "") -> Path:
    """Download what `patterns` name of a repository and return its folder; NotFetchedError says why it could not be.

    variant: files of this variant, too, where they exist.
    """
    import httpx2
    from huggingface_hub import constants, snapshot_download
    from huggingface_hub.errors import (
        GatedRepoError,
        HfHubHTTPError,
        HFValidationError,
        LocalEntryNotFoundError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    if constants.HF_HUB_OFFLINE:
        raise NotFetchedError("HF_HUB_OFFLINE=1 forbids the download")
    repository, revision = split(typed)
    left_out = [pattern for pattern in LEFT_OUT if not variant or pattern != f"*.{variant}*"]
    try:
        with quiet():
            return Path(
                snapshot_download(repository, revision=revision, allow_patterns=list(patterns), ignore_patterns=left_out)
            )
    except HFValidationError as error:
        raise NotFetchedError("that is not a repository name") from error
    except RevisionNotFoundError as error:
        raise NotFetchedError(f"the repository has no revision {revision}") from error
    except GatedRepoError as error:
        raise NotFetchedError("its licence must be accepted by the account that is logged in here") from error
    except RepositoryNotFoundError as error:
        raise NotFetchedError("the hub has no such repository, or does not show it to this account") from error
    except HfHubHTTPError as error:
        raise NotFetchedError(f"the hub said: {str(error).splitlines()[0]}") from error
    except (LocalEntryNotFoundError, ConnectionError, httpx2.TransportError) as error:
        raise NotFetchedError("the hub cannot be reached from here") from error


@contextmanager
def quiet() -> Iterator[None]:
    """Hide the hub's retries and advice, not its progress: what went wrong is reported once, by us."""
    logger = logging.getLogger("huggingface_hub")
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(before)
