"""What a pipeline's index and its transformer's config.json say, held against the model that is asked for."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Protocol

from s2g.config.family import DECODER, NETWORK, Layout
from s2g.config.registry import MODELS
from s2g.config.weights import REPOSITORY
from s2g.errors import MissingError, UserError
from s2g.io import hub
from s2g.io.impostors import advice, impostor
from s2g.io.json_files import load_json

INDEX = "model_index.json"


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
    def variant(self) -> str:
        """Which variant of the weights is read where there is one; "": none."""
        ...

    @property
    def blocks(self) -> int:
        """The stated number of blocks; 0: any."""
        ...

    @property
    def network(self) -> Mapping[str, Any]:
        """The stated settings of the network."""
        ...

    @property
    def licence(self) -> str: ...

    @property
    def download_gb(self) -> float: ...

    @property
    def layout(self) -> Layout: ...


def list_parts(index: Mapping[str, Any], layout: Layout, named: tuple[str, str]) -> list[str]:
    """List the parts that an index has; an optional one is absent only where the index says [null, null]."""
    said = f"{named[0]} = {named[1]}: {INDEX}"
    absent = [part for part in layout.text if index.get(part) == [None, None]]
    optional = [part for part in absent if part in layout.optional]
    if lost := [part for part in absent if part not in layout.optional]:
        raise UserError(f"{said} has no {lost[0]}", allowed=f"a pipeline of {', '.join(layout.needed)}")
    if optional and len(optional) < len(layout.optional):
        raise UserError(f"{said} has no {optional[0]}", allowed=f"{' and '.join(layout.optional)}, or neither")
    return [part for part in (NETWORK, DECODER, *layout.text) if part not in optional]


def part_class(index: Mapping[str, Any], part: str) -> tuple[str, str] | None:
    """Return library and class of a part, as the index names them."""
    entry = index.get(part)
    return (entry[0], entry[1]) if isinstance(entry, list) and len(entry) == 2 and all(entry) else None


def read_index(file: Path) -> dict[str, Any]:
    """Read a JSON object; an empty one where there is none, which is reported where the file is needed."""
    try:
        values = load_json(file)
    except (ValueError, OSError):
        return {}
    return values if isinstance(values, dict) else {}


def check_kind(file: Path, wanted: str, named: tuple[str, str], model: PipelineSource) -> dict[str, Any]:
    """Return a folder's description; UserError if it is not of the wanted class."""
    said = f"{named[0]} = {named[1]}"
    if not file.is_file():
        raise MissingError(
            *named,
            f"no file {file.name} in {file.parent}",
            allowed=f"the folder of a {model.layout.pipeline} as diffusers stores it",
            todo=f"{named[0]}=FOLDER, the one that holds {INDEX}",
        )
    if what := impostor(file):
        raise UserError(f"{said}: {file} {what}", todo=advice(what, file.parent))
    try:
        description = load_json(file)
        held = description.get("_class_name")
    except (OSError, ValueError, AttributeError) as error:
        raise UserError(f"{said}: {file} is not what diffusers writes ({error})", todo=fetch_again(*named)) from error
    if held != wanted:
        families = MODELS.names(
            lambda other: other.layout is not None and held in (other.layout.pipeline, other.layout.network)
        )
        fits = f"; it is of model.family = {families[0]}" if families else ""
        raise UserError(f"{said}: holds a {held}, and {model.name} needs a {wanted}{fits}", todo=f"{named[0]}=FOLDER")
    for part in model.layout.foreign:
        if any(description.get(part) or ()):  # absent parts are [null, null]
            raise UserError(
                f"{said}: its pipeline has a {part}, and {model.name}'s has none",
                todo=f"{named[0]}=FOLDER, that of {model.name}",
            )
    return description


def check_network(settings: Mapping[str, Any], model: PipelineSource) -> None:
    """Raise UserError if the transformer's config.json describes another model: other depth, or telling settings."""
    subject = f"{model.key} = {model.weights}: its transformer"
    depths = [depth for name in model.layout.depth if isinstance(depth := settings.get(name), int)]
    if model.blocks and len(depths) == len(model.layout.depth) and (count := sum(depths)) != model.blocks:
        raise UserError(
            f"{subject} has {count} blocks, and model.blocks = {model.blocks}",
            todo=f"model.blocks={count} if it is meant, or the folder of {model.name}",
        )
    for name in model.layout.distinguishing:
        if bool(settings.get(name)) != bool(model.network.get(name)):
            has = "has" if settings.get(name) else "lacks"
            raise UserError(
                f"{subject} {has} {name}, and {model.name} does {'not' if settings.get(name) else 'have it'}",
                todo=f"the model whose folder it is (model=NAME), or the folder of {model.name}",
            )


def fetch_again(key: str, typed: str) -> str:
    """Return how the files of what was typed are fetched again."""
    repository = typed if not Path(typed).expanduser().is_dir() else hub.repository_of(Path(typed).expanduser().absolute())
    if REPOSITORY.fullmatch(repository):
        return hub.download_command(repository)
    return f"copy or download the folder again: {key}=FOLDER, in diffusers' layout"
