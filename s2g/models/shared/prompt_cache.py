"""Embeddings of prompts on disk, by what made them and by the prompt: named tensors, whatever model they are for.

One safetensors file for each prompt, below S2G_CACHE. Each file holds a hash of its tensors: a truncated
or changed one is reported and replaced.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from s2g.errors import UserError
from s2g.io.atomic import write_bytes
from s2g.io.cache import cache_folder
from s2g.io.file_lock import file_lock


@dataclass(frozen=True)
class Embedded:
    """A prompt's tensors, of one item and without a batch axis, and a remark on how it was read ("": nothing left out)."""

    tensors: dict[str, Tensor]
    remark: str = ""


class PromptCache:
    """The embeddings that one set of text encoders gives in one dtype; `made_by` says which, as plain data."""

    def __init__(self, model: str, made_by: Mapping[str, str]) -> None:
        description = json.dumps(dict(made_by), sort_keys=True)
        self.folder = cache_folder() / "prompts" / f"{model}-{hashlib.sha256(description.encode()).hexdigest()[:16]}"

    def file(self, prompt: str) -> Path:
        """Return the path of a prompt's embeddings."""
        return self.folder / f"{hashlib.sha256(prompt.encode()).hexdigest()}.safetensors"

    def get(self, prompt: str) -> Embedded | None:
        """Return a prompt's stored embeddings, copied out of the file; None if there are none or they are damaged."""
        path = self.file(prompt)
        if not path.is_file():
            return None
        try:
            with safe_open(path, framework="pt") as file:
                metadata = file.metadata() or {}
                tensors = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118 (it is no mapping)
        except (SafetensorError, OSError) as error:
            return _damaged(path, str(error).splitlines()[0])
        if metadata.get("prompt") != prompt or metadata.get("sha256") != digest(tensors):
            return _damaged(path, "its content is not what was written")
        return Embedded(tensors, metadata.get("remark", ""))

    def put(self, prompt: str, embedded: Embedded) -> None:
        """Keep a prompt's embeddings; UserError where nothing can be written."""
        tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in embedded.tensors.items()}
        metadata = {"prompt": prompt, "sha256": digest(tensors), "remark": embedded.remark}
        try:
            write_bytes(self.file(prompt), save(tensors, metadata=metadata))
        except OSError as error:
            raise UserError(
                f"S2G_CACHE: {self.folder} cannot be written ({error.strerror})",
                todo="S2G_CACHE=FOLDER, on a disk with room for the embeddings of all prompts",
            ) from error

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other processes from adding to this cache until the block ends; UserError where it cannot be written."""
        with ExitStack() as held:
            try:
                self.folder.mkdir(parents=True, exist_ok=True)
                held.enter_context(file_lock(self.folder / "lock"))
            except OSError as error:
                raise UserError(
                    f"S2G_CACHE: {self.folder} cannot be written ({error.strerror})", todo="S2G_CACHE=FOLDER, a folder of yours"
                ) from error
            yield


def digest(tensors: Mapping[str, Tensor]) -> str:
    """Return the sha256 over names, dtypes, shapes and bytes."""
    sha256 = hashlib.sha256()
    for name in sorted(tensors):
        tensor = tensors[name].contiguous()
        sha256.update(f"{name}:{tensor.dtype}:{tuple(tensor.shape)}\n".encode())
        sha256.update(tensor.flatten().view(torch.uint8).numpy().tobytes())
    return sha256.hexdigest()


def _damaged(path: Path, why: str) -> None:
    print(f"{path}: damaged ({why}); the prompt is encoded again", file=sys.stderr)
