"""Pipelines of images and videos from text, in diffusers' layout: which folders make one, where they are, what they hash to.

`model.weights` is a folder, or a repository of the hub that its cache holds. Either is a whole pipeline, or a transformer
alone, with the other parts from `model.base`. Nothing heavy is loaded.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Protocol

from s2g.config.family import DECODER, NETWORK, Layout
from s2g.config.registry import MODELS
from s2g.config.weights import REPOSITORY
from s2g.errors import MissingError, UserError
from s2g.io import hub
from s2g.io.hashing import content_hash

INDEX = "model_index.json"
MATTERS = (".json", ".txt", ".model", ".safetensors")  # files that determine what a part does


class PipelineSource(Protocol):
    """What a model's configuration says of its pipeline (s2g.config.schema.ModelConfig)."""

    key: ClassVar[str]  # the configuration key of `weights`

    @property
    def name(self) -> str: ...

    @property
    def weights(self) -> str:
        """A folder or a repository: a whole pipeline, or a transformer alone."""
        ...

    @property
    def base(self) -> str:
        """A folder or a repository that holds the other parts of a transformer alone."""
        ...

    @property
    def licence(self) -> str: ...

    @property
    def download_gb(self) -> float: ...

    @property
    def layout(self) -> Layout: ...


@dataclass(frozen=True)
class Located:
    """A pipeline's parts on this machine."""

    layout: Layout
    folders: Mapping[str, Path]  # part -> its folder
    root: Path  # of the text encoders, tokenizers and decoder

    @cached_property
    def network_config(self) -> dict[str, Any]:
        """What the transformer's own config.json says of it."""
        settings = json.loads((self.folders[NETWORK] / "config.json").read_text())
        return {name: value for name, value in settings.items() if not name.startswith("_")}

    def revision(self, part: str) -> str:
        """Return the hub's commit of a part, or the sha256 over the files of its folder."""
        folder = self.folders[part]
        commit = hub.commit_of(folder) or hub.commit_of(folder.parent)
        return commit or _digest(f"{file.name}:{content_hash(file)}" for file in _files(folder))

    def revisions(self) -> dict[str, str]:
        """Return the revision of every part there is."""
        return {part: self.revision(part) for part in sorted(self.folders)}

    def sha256(self, parts: Iterable[str] | None = None) -> str:
        """Return a hash of the revisions of some parts, or of all."""
        chosen = sorted(self.folders) if parts is None else sorted(set(parts) & set(self.folders))
        return _digest(f"{part}:{self.revision(part)}" for part in chosen)

    def text_sha256(self) -> str:
        """Return a hash of what turns prompts into numbers."""
        return self.sha256(self.layout.text)


def locate(model: PipelineSource, fetching: bool = False) -> Located:
    """Find the parts of a model's pipeline; UserError names what is missing or belongs to another pipeline.

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
    _check_kind(others / INDEX, layout.pipeline, named, model)
    if (network / "config.json").is_file():
        _check_kind(network / "config.json", layout.network, (model.key, model.weights), model)
    folders = {part: network if part == NETWORK else others / part for part in (NETWORK, DECODER, *layout.text)}
    there = {part: folder for part, folder in folders.items() if part not in layout.optional or folder.is_dir()}
    if len(set(layout.optional) & set(there)) < len(layout.optional):  # an encoder without its tokenizer is of no use
        there = {part: folder for part, folder in there.items() if part not in layout.optional}
    lacking = [f"{part}/{file}" for part, folder in there.items() if (file := _lacking(part, folder))]
    if lacking:
        of_hub = bool(hub.commit_of(others))
        raise MissingError(
            f"{named[0]} = {named[1]}: no file {', '.join(lacking[:3])} in {others}",
            allowed=f"a pipeline of {', '.join(layout.needed)}, and where wanted {', '.join(layout.optional)}"
            if layout.optional
            else f"a pipeline of {', '.join(layout.needed)}",
            todo=f"hf download {named[1]}" if of_hub else f"fetch the folder again: {named[0]}=FOLDER, in diffusers' layout",
        )
    return Located(layout, there, others)


def _place(model: PipelineSource, key: str, typed: str, patterns: tuple[str, ...], fetching: bool) -> Path:
    """Return the folder that was typed, or the hub's of that name."""
    folder = Path(typed).expanduser()
    if folder.is_dir():
        return folder
    if not REPOSITORY.fullmatch(typed):
        there = folder.is_file()
        raise (UserError if there else MissingError)(
            f"{key} = {typed}: {'it is a file' if there else 'no file or folder of that name'}",
            allowed="a folder in diffusers' layout, or a repository of the hub",
            todo=f"{key}=FOLDER",
        )
    held, why = hub.snapshot(typed), "nothing is fetched now"
    if held is not None and _complete(held, model):
        return held
    if fetching:
        try:
            return hub.fetch(typed, patterns)
        except hub.NotFetchedError as error:
            why = str(error)
    gated = "gated" in model.licence and (key == "model.base" or not model.base)  # a network of its own has its own terms
    size = f"; with all it needs {model.download_gb:g} GB" if model.download_gb else ""
    accept = f"accept its licence at https://huggingface.co/{typed}, then hf auth login, then " if gated else ""
    raise MissingError(
        f"{key} = {typed}: no file of it in the hub's cache, and {why} ({'gated' if gated else 'open'}{size})",
        allowed=f"a repository of the hub, or a folder in diffusers' layout: {key}=FOLDER",
        todo=f"{accept}the same command online, or hf download {typed}",
    )


def _complete(root: Path, model: PipelineSource) -> bool:
    """Whether a folder of the hub's cache holds either a network, or every part that is needed."""
    layout = model.layout
    if not (root / INDEX).is_file():
        return (root / "config.json").is_file() and not _lacking(NETWORK, root)
    own = [part for part in (*layout.needed, *layout.optional) if part != NETWORK or not model.base]
    return not any(_lacking(part, root / part) for part in own)


def _check_kind(file: Path, wanted: str, named: tuple[str, str], model: PipelineSource) -> None:
    """Raise UserError if a folder does not say that it holds what is wanted."""
    said = f"{named[0]} = {named[1]}"
    if not file.is_file():
        raise MissingError(
            f"{said}: no file {file.name} in {file.parent}",
            allowed=f"the folder of a {model.layout.pipeline} as diffusers stores it",
            todo=f"{named[0]}=FOLDER, the one that holds {INDEX}",
        )
    try:
        about = json.loads(file.read_text())
        found = about.get("_class_name")
    except (ValueError, AttributeError) as error:
        raise UserError(f"{said}: {file} is not what diffusers writes ({error})", todo="fetch the folder again") from error
    if found != wanted:
        families = MODELS.names(
            lambda other: other.layout is not None and found in (other.layout.pipeline, other.layout.network)
        )
        fits = f"; it is of model.family = {families[0]}" if families else ""
        raise UserError(f"{said}: holds a {found}, and {model.name} needs a {wanted}{fits}", todo=f"{named[0]}=FOLDER")
    for part in model.layout.foreign:
        if any(about.get(part) or ()):  # absent parts are [null, null]
            raise UserError(
                f"{said}: its pipeline has a {part}, and {model.name}'s has none",
                todo=f"{named[0]}=FOLDER, that of {model.name}",
            )


def _lacking(part: str, folder: Path) -> str:
    """Return the first file that a part needs and its folder does not have; "" if it has them."""
    if part.startswith("tokenizer"):
        return "" if (folder / "tokenizer_config.json").is_file() else "tokenizer_config.json"
    if not (folder / "config.json").is_file():
        return "config.json"
    name = "model" if part.startswith("text_encoder") else "diffusion_pytorch_model"
    index = folder / f"{name}.safetensors.index.json"
    if not index.is_file():
        return "" if (folder / f"{name}.safetensors").is_file() else f"{name}.safetensors"
    return next((shard for shard in shards(folder, name) if not (folder / shard).is_file()), "")


def shards(folder: Path, name: str = "diffusion_pytorch_model") -> list[str]:
    """Return names of the files that hold a network's weights."""
    index = folder / f"{name}.safetensors.index.json"
    if not index.is_file():
        return [f"{name}.safetensors"]
    return sorted(set(json.loads(index.read_text())["weight_map"].values()))


def _files(folder: Path) -> list[Path]:
    files = (file for file in sorted(folder.iterdir()) if file.suffix in MATTERS and ".fp16" not in file.name)
    return [file for file in files if file.is_file()]


def _digest(lines: Iterable[str]) -> str:
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()
