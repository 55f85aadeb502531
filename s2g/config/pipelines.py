"""Pipelines of images and videos from text, in diffusers' layout: which folders make one, where they are, what they hash to.

`model.weights` is a folder, or a repository of the hub that its cache holds. Either is a whole pipeline, or a transformer
alone, with the other parts from `model.base`. Nothing heavy is loaded.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from s2g.config.family import DECODER, NETWORK, Layout
from s2g.config.pipeline_files import Fault, fault, has_variant, weight_files
from s2g.config.pipeline_index import (
    INDEX,
    PipelineSource,
    check_kind,
    check_network,
    fetch_again,
    list_parts,
    part_class,
    read_index,
)
from s2g.config.weights import REPOSITORY, typed_path
from s2g.errors import MissingError, UserError
from s2g.io import hub
from s2g.io.hashing import content_hash
from s2g.io.input_files import is_litter
from s2g.io.json_files import load_json

MATTERS = (".json", ".txt", ".model", ".safetensors")  # files that determine what a part does


@dataclass(frozen=True)
class Located:
    """A pipeline's parts on this machine."""

    layout: Layout
    folders: Mapping[str, Path]  # part -> its folder
    root: Path  # of the text encoders, tokenizers and decoder
    variant: str = ""

    @property
    def absent(self) -> tuple[str, ...]:
        """Parts that model_index.json leaves out."""
        return tuple(part for part in self.layout.optional if part not in self.folders)

    @cached_property
    def network_config(self) -> dict[str, Any]:
        """What the transformer's own config.json says of it."""
        settings = load_json(self.folders[NETWORK] / "config.json")
        return {name: value for name, value in settings.items() if not name.startswith("_")}

    def revision(self, part: str) -> str:
        """Return the hub's commit of a part, or the sha256 over the files of its folder."""
        folder = self.folders[part]
        commit = hub.commit_of(folder) or hub.commit_of(folder.parent)
        if not has_variant(folder, part, self.variant):
            return commit or _digest(f"{file.name}:{content_hash(file)}" for file in _files(folder))
        if commit:
            return f"{commit}:{self.variant}"
        return _digest(f"{file.name}:{content_hash(file)}" for file in self._read_files(part, folder))

    def _read_files(self, part: str, folder: Path) -> list[Path]:
        """List the files of a part that are read."""
        if part.startswith("tokenizer"):
            return _files(folder)
        weights = [folder / name for name in weight_files(folder, part, self.variant)]
        return [file for file in _files(folder) if file.suffix != ".safetensors"] + weights

    def revisions(self) -> dict[str, str]:
        """Return the revision of every part there is."""
        return {part: self.revision(part) for part in sorted(self.folders)}

    def sha256(self, parts: Iterable[str] | None = None) -> str:
        """Return a hash of the revisions of some parts, or of all."""
        chosen = sorted(self.folders) if parts is None else sorted(set(parts) & set(self.folders))
        return _digest(f"{part}:{self.revision(part)}" for part in chosen)

    def size(self) -> int:
        """Return the bytes of all files that are read."""
        return sum(file.stat().st_size for part, folder in self.folders.items() for file in self._read_files(part, folder))

    def text_sha256(self) -> str:
        """Return a hash of what turns prompts into numbers."""
        return self.sha256(self.layout.text)


def locate(model: PipelineSource, fetching: bool = False) -> Located:
    """Find the parts of a model's pipeline; UserError names what is missing, damaged or belongs to another model.

    fetching: what the hub's cache lacks is downloaded first.
    """
    layout = model.layout
    whole = (INDEX, *(f"{part}/*" for part in (NETWORK, DECODER, *layout.text)))
    root = _place(model, model.key, model.weights, (*whole, "config.json", "diffusion_pytorch_model*"), fetching)
    alone = not (root / INDEX).is_file() and not (root / NETWORK).is_dir() and (root / "config.json").is_file()
    network = root if alone else root / NETWORK
    named, others = (model.key, model.weights), root
    if alone:
        if not model.base:
            raise UserError(
                f"{model.key} = {model.weights}: a network alone, without the other parts of a pipeline",
                todo="name a pipeline that has them: model.base=FOLDER, or a repository of the hub",
            )
        named = ("model.base", model.base)
        others = _place(model, *named, (INDEX, *(f"{part}/*" for part in (DECODER, *layout.text))), fetching)
    index = check_kind(others / INDEX, layout.pipeline, named, model)
    folders = {part: network if part == NETWORK else others / part for part in list_parts(index, layout, named)}
    if (network / "config.json").is_file():
        check_network(check_kind(network / "config.json", layout.network, (model.key, model.weights), model), model)
    faults = [
        (part, wrong)
        for part, folder in folders.items()
        if (wrong := fault(part, folder, model.variant, part_class(index, part)))
    ]
    if faults:
        raise _faulty(faults, (model.key, model.weights) if faults[0][0] == NETWORK else named, others, layout)
    if model.variant and not any(has_variant(folder, part, model.variant) for part, folder in folders.items()):
        raise UserError(
            f"model.variant = {model.variant}: no part of {model.weights} has files of that variant", todo="model.variant=''"
        )
    return Located(layout, folders, others, model.variant)


def _faulty(faults: list[tuple[str, Fault]], named: tuple[str, str], root: Path, layout: Layout) -> UserError:
    """Return the error for parts that cannot be used: MissingError where files are missing and nothing else is wrong."""
    wrong = [one for _, one in faults]
    first, where = next((one for one in wrong if one.todo), wrong[0]), f"in {root}"
    plain = all(one.problem.startswith("no file ") and "(" not in one.problem for one in wrong)
    names = ", ".join(one.problem.removeprefix("no file ") for one in wrong[:3])
    problem = f"no file {names} {where}" if plain else f"{first.problem}, {where}"
    optional = [part for part, _ in faults if part in layout.optional]
    zeros = (
        f"; or [null, null] for {' and '.join(layout.optional)} in {INDEX}: zeros"
        if optional and not hub.commit_of(root)
        else ""
    )
    allowed = f"a pipeline of {', '.join(layout.needed)}" + (
        f", and where wanted {', '.join(layout.optional)}" if layout.optional else ""
    )
    todo = (first.todo or fetch_again(*named)) + zeros
    if all(one.missing for one in wrong):
        return MissingError(*named, problem, allowed=allowed, todo=todo)
    return UserError(f"{named[0]} = {named[1]}: {problem}", allowed=allowed, todo=todo)


def _place(model: PipelineSource, key: str, typed: str, patterns: tuple[str, ...], fetching: bool) -> Path:
    """Return the folder that was typed, or the hub's of that name."""
    folder = typed_path(typed, key)
    if folder.is_dir():
        return folder
    if not REPOSITORY.fullmatch(typed):
        allowed = "a folder in diffusers' layout, or a repository of the hub, with @REVISION where it is not the main branch"
        if folder.is_file():
            raise UserError(f"{key} = {typed}: it is a file", allowed=allowed, todo=f"{key}=FOLDER")
        raise MissingError(key, typed, "no file or folder of that name", allowed=allowed, todo=f"{key}=FOLDER")
    held, why = hub.snapshot(typed), "nothing is fetched now"
    lacking = "no file of it" if held is None else _lacking(held, model)
    if held is not None and not lacking:
        return held
    if fetching:
        try:
            return hub.fetch(typed, patterns, model.variant)
        except hub.NotFetchedError as error:
            why = str(error)
    gated = "gated" in model.licence and (key == "model.base" or not model.base)  # a network of its own has its own terms
    size = f"; with all it needs {model.download_gb:g} GB" if model.download_gb else ""
    accept = f"accept its licence at https://huggingface.co/{hub.split(typed)[0]}, then hf auth login, then " if gated else ""
    raise MissingError(
        key,
        typed,
        f"{lacking} in the hub's cache, and {why} ({'gated' if gated else 'open'}{size})",
        allowed=f"a repository of the hub, or a folder in diffusers' layout: {key}=FOLDER",
        todo=f"{accept}the same command online, or {hub.download_command(typed)}",
    )


def _lacking(root: Path, model: PipelineSource) -> str:
    """Return what a folder of the hub's cache lacks of a network alone, or of every part that is needed; "" if nothing."""
    layout = model.layout
    if not (root / INDEX).is_file():
        wrong = fault(NETWORK, root, model.variant)
        return "" if wrong is None or not wrong.missing else wrong.problem
    index = read_index(root / INDEX)
    parts = [part for part in (*layout.needed, *layout.optional) if index.get(part) != [None, None]]
    faults = (fault(part, root / part, model.variant) for part in parts if part != NETWORK or not model.base)
    return next((wrong.problem for wrong in faults if wrong is not None and wrong.missing), "")


def _files(folder: Path) -> list[Path]:
    files = (file for file in sorted(folder.iterdir()) if file.suffix in MATTERS and ".fp16" not in file.name)
    return [file for file in files if file.is_file() and not is_litter(file.name)]


def _digest(lines: Iterable[str]) -> str:
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()
