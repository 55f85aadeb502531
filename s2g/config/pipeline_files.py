"""The files that one part of a pipeline needs, and what is wrong with a folder that lacks one. No weights are read."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from s2g.errors import UserError
from s2g.io.impostors import advice, impostor, tensor_names
from s2g.io.json_files import load_json

VOCABULARIES = ("tokenizer.json", "vocab.json", "spiece.model", "sentencepiece.bpe.model")


@dataclass(frozen=True)
class Fault:
    """Why a part cannot be used, and what to do ("": fetch it again)."""

    problem: str
    todo: str = ""
    missing: bool = True  # nothing is wrong but that a file is not there


def weights_stem(part: str) -> str:
    """Return how the names of a part's weights files begin."""
    return "model" if part.startswith("text_encoder") else "diffusion_pytorch_model"


def index_file(folder: Path, stem: str, variant: str) -> Path:
    """Return the path of a shard index: variants come before the last suffix, as diffusers and transformers write it."""
    return folder / f"{stem}.safetensors.index{_dotted(variant)}.json"


def weight_files(folder: Path, part: str, variant: str = "") -> list[str]:
    """Name the files that hold a part's weights: the variant's where there are any, else the plain ones.

    UserError for a shard index that cannot be read.
    """
    stem = weights_stem(part)
    for suffix in (variant, "") if variant else ("",):
        if (index := index_file(folder, stem, suffix)).is_file():
            return sorted(set(_weight_map(index).values()))
        if _present(single := folder / f"{stem}{_dotted(suffix)}.safetensors"):
            return [single.name]
    return [f"{stem}.safetensors"]


def has_variant(folder: Path, part: str, variant: str) -> bool:
    """Return whether a part has weights of that variant."""
    stem = weights_stem(part)
    return bool(variant) and (
        index_file(folder, stem, variant).is_file() or (folder / f"{stem}{_dotted(variant)}.safetensors").is_file()
    )


def fault(part: str, folder: Path, variant: str = "", kind: tuple[str, str] | None = None) -> Fault | None:
    """Return the first thing that is wrong with a part's folder; None if it holds every file it needs.

    kind: library and class of the part, for the command that converts it.
    """
    if part.startswith("tokenizer"):
        return _first(part, folder, ["tokenizer_config.json"]) or _vocabulary_fault(part, folder)
    if wrong := _first(part, folder, ["config.json"]):
        return wrong
    stem = weights_stem(part)
    try:
        files = weight_files(folder, part, variant)
    except UserError as error:
        return Fault(str(error), missing=False)
    if files == [f"{stem}.safetensors"] and not _present(folder / files[0]) and (other := _instead(part, folder, kind)):
        return other
    if wrong := _first(part, folder, files):
        return wrong
    for suffix in (variant, ""):
        if (index := index_file(folder, stem, suffix)).is_file() and set(_weight_map(index).values()) == set(files):
            return _index_fault(part, folder, index)
    return None


def _first(part: str, folder: Path, files: list[str]) -> Fault | None:
    """Return the first fault of files that have to be there."""
    for name in files:
        path, shown = folder / name, f"{part}/{name}"
        if not path.is_file():
            if path.is_symlink():
                return Fault(f"{shown} is a link to {path.readlink()}, which is not there")
            return Fault(f"no file {shown}{_interrupted(folder)}")
        if what := impostor(path):
            return Fault(f"{shown} {what}", advice(what, folder) if what.startswith("is a git") else "", missing=False)
        try:
            if name.endswith(".json"):
                load_json(path)
            elif name.endswith(".safetensors"):
                _header(path, path.stat().st_mtime_ns, path.stat().st_size)
        except (OSError, ValueError) as error:
            problem = "is not JSON, or cut off" if name.endswith(".json") else f"is not a weights file ({error})"
            return Fault(f"{shown} {problem}", missing=False)
    return None


def _vocabulary_fault(part: str, folder: Path) -> Fault | None:
    """Return what keeps a tokenizer from knowing its words; transformers would make one of two words."""
    held = [name for name in VOCABULARIES if _present(folder / name)]
    if not held:
        return Fault(f"{part} has no vocabulary: no tokenizer.json, vocab.json with merges.txt, or spiece.model")
    return _first(part, folder, ["vocab.json", "merges.txt"] if held == ["vocab.json"] else held[:1])


def _instead(part: str, folder: Path, kind: tuple[str, str] | None) -> Fault | None:
    """Return what a folder without its weights file holds in its place, if that is known."""
    stem = weights_stem(part)
    indexes = [path.name.split(".")[-2] for path in folder.glob(f"{stem}.safetensors.index.*.json")]
    variants = indexes + [path.name.split(".")[-2] for path in folder.glob(f"{stem}.*.safetensors") if "-of-" not in path.name]
    if variants:
        return Fault(f"{part} holds only the variant {variants[0]}", f"model.variant={variants[0]}")
    shards = sorted(path.name for path in folder.glob(f"{stem}*-of-*.safetensors"))
    if shards:
        return Fault(f"{part} holds {len(shards)} shards ({shards[0]}, ...) without {stem}.safetensors.index.json")
    name = "pytorch_model" if part.startswith("text_encoder") else stem
    if any(folder.glob(f"{name}*.bin")):
        library, cls = kind or ("diffusers", "THE_CLASS")
        convert = f"from {library} import {cls} as C; C.from_pretrained('{folder}').save_pretrained('{folder}')"
        return Fault(f"{part} holds {name}.bin only, and .safetensors is needed", f'python -c "{convert}"')
    return None


def _index_fault(part: str, folder: Path, index: Path) -> Fault | None:
    """Return where a shard index and its shards contradict each other."""
    for shard in sorted(set((weight_map := _weight_map(index)).values())):
        path = folder / shard
        held = _header(path, path.stat().st_mtime_ns, path.stat().st_size)
        wrong = sorted(name for name, place in weight_map.items() if place == shard and name not in held)
        if wrong:
            return Fault(f"{part}/{index.name} says that {shard} holds {wrong[0]}, and it does not", missing=False)
    return None


def _weight_map(index: Path) -> dict[str, str]:
    """Read which shard holds which tensor; UserError for a file that does not say."""
    try:
        weight_map = load_json(index)["weight_map"]
        if not weight_map or not all(isinstance(shard, str) for shard in weight_map.values()):
            raise TypeError("no names of files")
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise UserError(f"{index.parent.name}/{index.name} is no index of shards, or cut off") from error
    return weight_map


@lru_cache(maxsize=256)
def _header(path: Path, changed: int, size: int) -> frozenset[str]:
    return frozenset(tensor_names(path))


def _interrupted(folder: Path) -> str:
    """Say that a download of this folder was interrupted, where it left its traces."""
    places = [folder, folder.parent / ".cache" / "huggingface" / "download" / folder.name]
    if folder.parent.parent.name == "snapshots":
        places.append(folder.parents[2] / "blobs")
    count = sum(1 for place in places for _ in place.glob("*.incomplete"))
    return f" (a download was interrupted: {count} .incomplete file{'s' if count > 1 else ''})" if count else ""


def _present(path: Path) -> bool:
    """Return whether there is a file, or a link that should lead to one."""
    return path.is_file() or path.is_symlink()


def _dotted(variant: str) -> str:
    return f".{variant}" if variant else ""
