"""Embeddings of prompts on disk, by what made them and by the prompt: named tensors, whatever model they are for.

One safetensors file for each prompt, below S2G_CACHE. What a file holds is hashed in it, so that one that was cut off or
changed is told from one that is whole; it is named, and made anew.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from s2g.errors import UserError
from s2g.io.cache import cache_folder, put


@dataclass(frozen=True)
class Embedded:
    """A prompt's tensors, of one item and without a batch axis, and a remark on how it was read ("": whole)."""

    tensors: dict[str, Tensor]
    remark: str = ""


class PromptCache:
    """The embeddings that one set of text encoders gives in one dtype; `made_by` says which, as plain data."""

    def __init__(self, model: str, made_by: Mapping[str, str]) -> None:
        about = json.dumps(dict(made_by), sort_keys=True)
        self.folder = cache_folder() / "prompts" / f"{model}-{hashlib.sha256(about.encode()).hexdigest()[:16]}"

    def file(self, prompt: str) -> Path:
        """Where a prompt's embeddings are, or will be."""
        return self.folder / f"{hashlib.sha256(prompt.encode()).hexdigest()}.safetensors"

    def get(self, prompt: str) -> Embedded | None:
        """What is kept of a prompt, copied out of its file; None if there is nothing, or nothing whole."""
        path = self.file(prompt)
        if not path.is_file():
            return None
        try:
            with safe_open(path, framework="pt") as file:
                about = file.metadata() or {}
                tensors = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118 (it is no mapping)
        except (SafetensorError, OSError) as error:
            return _damaged(path, str(error).splitlines()[0])
        if about.get("prompt") != prompt or about.get("sha256") != digest(tensors):
            return _damaged(path, "its content is not what was written")
        return Embedded(tensors, about.get("remark", ""))

    def put(self, prompt: str, embedded: Embedded) -> None:
        """Keep a prompt's embeddings; UserError where nothing can be written."""
        tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in embedded.tensors.items()}
        about = {"prompt": prompt, "sha256": digest(tensors), "remark": embedded.remark}
        try:
            put(self.file(prompt), save(tensors, metadata=about))
        except OSError as error:
            raise UserError(
                f"S2G_CACHE: {self.folder} cannot be written ({error.strerror})",
                todo="S2G_CACHE=FOLDER, on a disk with room for the embeddings of all prompts",
            ) from error

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Other processes that want to add to this cache wait meanwhile."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            stream = (self.folder / "lock").open("w")
        except OSError as error:
            raise UserError(
                f"S2G_CACHE: {self.folder} cannot be written ({error.strerror})", todo="S2G_CACHE=FOLDER, a folder of yours"
            ) from error
        with stream:
            fcntl.flock(stream, fcntl.LOCK_EX)
            yield


def digest(tensors: Mapping[str, Tensor]) -> str:
    """sha256 over names, dtypes, shapes and bytes."""
    found = hashlib.sha256()
    for name in sorted(tensors):
        tensor = tensors[name].contiguous()
        found.update(f"{name}:{tensor.dtype}:{tuple(tensor.shape)}\n".encode())
        found.update(tensor.flatten().view(torch.uint8).numpy().tobytes())
    return found.hexdigest()


def _damaged(path: Path, why: str) -> None:
    print(f"{path}: damaged ({why}); the prompt is encoded anew", file=sys.stderr)
