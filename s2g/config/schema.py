"""A run as it is typed, checked and resolved: plain values in, frozen dataclasses out, nothing heavy loaded."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import MISSING, dataclass, field, fields, replace
from pathlib import Path
from typing import Any, ClassVar, Self, TypeVar, get_type_hints

from omegaconf import OmegaConf

from s2g.config.coerce import at_least, coerce, only
from s2g.config.family import Family, Layout, import_object
from s2g.config.kernels import Kernels
from s2g.config.pipelines import Located, locate
from s2g.config.ranges import check_network
from s2g.config.registry import MODELS
from s2g.config.weights import decoder_folder, decoder_sha256, random_seed, typed_path
from s2g.errors import MissingError, UserError
from s2g.io.hashing import content_hash

PACKAGE = Path(__file__).parent.parent
CHECKOUT = PACKAGE.parent
EARLY = "builtin:early"  # an earlier state of the same training, as a model of its own
BUILTIN = PACKAGE / "worlds" / "shapes" / "weights"
PAIRS = PACKAGE / "worlds" / "two_class" / "weights"
FASHION = PACKAGE / "worlds" / "fashion" / "weights"
SHIPPED = (BUILTIN, PAIRS, FASHION)  # toys have a shelf of their own
OWN = "own family"  # beside the fields of a pickled configuration
T = TypeVar("T")


def config_dir() -> Path:
    """Return the checkout's configs/ if it is beside the package, else the copy inside the installed package."""
    beside = CHECKOUT / "configs"
    return beside if (beside / "run.yaml").exists() else PACKAGE / "configs"


def model_names(wanted: Callable[[Family], bool]) -> list[str]:
    """Return the names of the models, in configs/model/ and the user's, whose families `wanted` selects."""
    models = {path.stem: OmegaConf.load(path).family for path in sorted((config_dir() / "model").glob("*.yaml"))}
    models |= {name: name for name in MODELS.own}
    return [name for name, family in models.items() if wanted(MODELS.find(MODELS.current_name(family)))]


@dataclass(frozen=True)
class Units:
    """Items of a unit where nobody says otherwise: samples of random weights mean nothing, so few of them do."""

    trained: int
    random: int


@dataclass(frozen=True)
class ModelConfig:
    """One model: which network, which weights, and what is known of it before they are loaded."""

    name: str
    family: str
    weights: str  # "builtin", "builtin:early", a file, "random[:SEED]", "none" for what has no weights; a pipeline's place
    blocks: int  # stated here so that masks can be checked without the weights; loading checks the statement
    unit: int  # items of a unit: the batch
    dtype: str
    passes: str
    resolution: int
    network: Mapping[str, Any]
    sampler: Mapping[str, Any]
    presets: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    channels: int | None = None  # guided channels
    vae: str = "none"  # what makes images of latents: a folder or repository in diffusers' layout, "random[:SEED]", or "none"
    noise: str = "random"  # initial noise: random, or an even sequence within each class (points of few dimensions)
    base: str = ""  # where weights are a network alone: the pipeline, folder or repository, of its other parts
    variant: str = ""  # of a pipeline's files, e.g. fp16: read where there are files of it, else the plain ones
    memory: str = "resident"  # resident: a pipeline's parts stay on the device; offload: each is there while it is used
    vae_tiling: bool = False  # a pipeline's decoder works in overlapping tiles, for large images on small devices
    frames: int | None = None  # of a video; None where images or points are made
    height: int | None = None  # of a video, in pixels; then resolution is the shorter of the two
    width: int | None = None
    fps: int | None = None  # of a video, frames a second: at which it is shown
    negative: str = ""  # the text of uncond; of a video also a preset's name (s2g/models/video.py)
    film: str = "mp4"  # how videos are kept: mp4, or strip where they are small and every pixel counts (s2g/store/video.py)
    source: str = ""  # where weights that do not ship are to be had, and how large they are
    licence: str = ""  # of weights that are fetched
    download_gb: float = 0.0  # everything the model needs, as it is fetched; 0: not known

    key: ClassVar[str] = "model.weights"  # under which a user types the weights
    network_key: ClassVar[str] = "model.network"  # and what the network is

    def __post_init__(self) -> None:
        at_least(self.unit, 1, "model.unit")
        check_network(self.network, self.network_key)
        named = (("dtype", self.dtype, DTYPES), ("passes", self.passes, PASSES), ("noise", self.noise, NOISES))
        named = (*named, ("memory", self.memory, MEMORIES), ("film", self.film, FILMS))
        for key, value, allowed in named:
            if value not in allowed:
                raise UserError(f"model.{key} = {value}", allowed=", ".join(allowed))
        if self.weights_seed is not None and not self.traits.random:
            families = ", ".join(MODELS.names(lambda family: family.random))
            raise UserError(
                f"{self.key} = {self.weights}: not for model.family = {self.family}", allowed=f"families {families}"
            )
        if self.variant and not self.piped and self.key == ModelConfig.key:
            raise UserError(
                f"model.variant = {self.variant}: {self.key} = {self.weights} has no files of variants", todo="model.variant=''"
            )
        if self.weights == "none" and self.traits.trained:
            raise UserError(
                f"{self.key} = none: {self.name} has weights",
                allowed="a file, or what its YAML says",
                todo=f"leave {self.key} out",
            )

    def __getstate__(self) -> dict[str, Any]:
        """Take a user's own family along: another process does not know it, and finds its class by this reference."""
        own = {OWN: (self.traits, self.traits.load())} if self.traits.own else {}
        return {**vars(self), **own}

    def __setstate__(self, state: dict[str, Any]) -> None:
        values = dict(state)
        if OWN in values:
            family, _ = values.pop(OWN)
            MODELS.entries[family.name] = family
        vars(self).update(values)

    @staticmethod
    def settled(values: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return values with former names and nulls replaced: `family` by its name of today, `unit` by what `units` says for
        trained or random weights, `resolution` by the shorter of a video's height and width. UserError for wrong types."""
        if isinstance(values.get("family"), str):
            values = {**values, "family": MODELS.current_name(values["family"])}
        if values.get("resolution") is None and "height" in values:
            sides = [coerce(int | None, values.get(side), f"model.{side}") for side in ("height", "width")]
            values = {**values, "resolution": min(side or 0 for side in sides)}  # one that is null is named later
        if "units" not in values:
            return values
        sizes = read(Units, coerce(Mapping[str, Any], values["units"], "model.units"), "model.units")
        drawn = any(random_seed(str(values.get(key))) is not None for key in ("weights", "vae"))
        rest = {name: value for name, value in values.items() if name != "units"}
        return rest if rest.get("unit") is not None else {**rest, "unit": sizes.random if drawn else sizes.trained}

    @property
    def weights_seed(self) -> int | None:
        """The seed of random weights; None for weights that somebody trained, or where there are none."""
        return random_seed(self.weights)

    @property
    def decoder(self) -> str:
        """What makes images of latents; random where the weights are, since latents of no meaning need no other."""
        return self.vae if self.vae == "none" or self.weights_seed is None else self.weights

    @property
    def random(self) -> bool:
        """Whether any of its weights are random: its samples show that the code runs, and nothing else."""
        return self.weights_seed is not None or random_seed(self.decoder) is not None

    @property
    def traits(self) -> Family:
        """The record of its family."""
        return MODELS.find(self.family)

    @property
    def reads_text(self) -> bool:
        """Whether its prompts are texts."""
        return self.traits.reads_text

    @property
    def makes_videos(self) -> bool:
        """Whether its items have frames."""
        return self.traits.makes_videos

    def check_prompts(self, prompts: Iterable[str]) -> None:
        """Raise UserError for the first prompt that it cannot read; only models of the built-in world know few words."""
        if (vocabulary := self.traits.load_vocabulary()) is not None:
            vocabulary.check(prompts)

    @property
    def video(self) -> tuple[int, int, int]:
        """Frames, height and width of a video; AssertionError where none is made."""
        assert self.frames is not None and self.height is not None and self.width is not None
        return self.frames, self.height, self.width

    @property
    def video_fps(self) -> int:
        """Frames a second of a video; AssertionError where none is made."""
        assert self.fps is not None
        return self.fps

    @property
    def piped(self) -> bool:
        """Whether its weights are a pipeline in diffusers' layout, here or on the hub."""
        return self.traits.layout is not None and not self.ships

    @property
    def layout(self) -> Layout:
        """The layout of its pipeline; AssertionError where it has none."""
        assert self.traits.layout is not None
        return self.traits.layout

    def pipeline(self, fetching: bool = False) -> Located:
        """Find its pipeline's parts; UserError if they are missing or of another model. fetching: download them first."""
        return locate(self, fetching)

    def as_found(self) -> Self:
        """Return the configuration with the network that its pipeline's folder states, which may differ from the YAML's;
        as it is where the pipeline is not on this machine."""
        try:
            return replace(self, network=self.pipeline().network_config) if self.piped else self
        except MissingError:
            return self

    def size_gb(self) -> float:
        """Return the gigabytes of all its files: those of the folder that is given, else what the YAML states."""
        if self.piped and Path(self.weights).expanduser().is_dir():
            return round(self.pipeline().size() / 1e9, 1)
        return self.download_gb

    @property
    def ships(self) -> bool:
        """Whether its weights are part of the package, or there are none."""
        return self.weights in ("none", "builtin", EARLY) or self.weights_seed is not None

    @property
    def _early(self) -> bool:
        """Whether the earlier state of its training is meant."""
        return self.weights == EARLY

    @property
    def _shipped_name(self) -> str:
        """The name, without suffix, of the file that ships."""
        return f"{self.name}{'_weak' * (self.weights == EARLY)}"

    def weights_file(self) -> Path:
        """Return the path of the weights; UserError if no file is there, ValueError for random weights."""
        todo = "give a .safetensors or .pt file, or builtin for the built-in models"
        if self.source:
            todo = f"get {self.source}; then {self.key}=FILE. {self.key}=random only shows that the code runs"
        if self.weights_seed is not None:
            raise ValueError(f"{self.key} = {self.weights}: random weights have no file")
        if not self.ships:
            path = typed_path(self.weights, self.key)
        elif self.traits.shipped:
            path, todo = import_object(self.traits.shipped)(self.network, self._early)
        else:
            places = [folder / f"{self._shipped_name}.safetensors" for folder in SHIPPED]
            path = next((place for place in places if place.is_file()), places[0])
        if not path.is_file():
            raise MissingError(self.key, self.weights, f"no file {path}", todo=todo)
        if not os.access(path, os.R_OK):
            raise UserError(f"{self.key} = {self.weights}: {path} cannot be read", todo="make it readable")
        return path

    def weights_sha256(self) -> str:
        """Return the hash of the weights' bytes, "none" without weights, or "random:SEED"; UserError if the file is missing."""
        if self.weights_seed is not None:
            return f"random:{self.weights_seed}"
        if self.piped:
            return self.pipeline().sha256()
        return "none" if self.weights == "none" else content_hash(self.weights_file())

    def vae_sha256(self) -> str:
        """Return the hash of the decoder's files, "none" or "random:SEED", as `weights_sha256` does."""
        if (seed := random_seed(self.decoder)) is not None:
            return f"random:{seed}"
        return "none" if self.decoder == "none" else decoder_sha256(decoder_folder(self.decoder, "model.vae"))


@dataclass(frozen=True)
class WeakConfig(ModelConfig):
    """The second, weaker network of a method: the model with other weights, and where stated another network."""

    key: ClassVar[str] = "guidance.weak"
    network_key: ClassVar[str] = "guidance.weak_network"

    smaller: bool = False  # another network than the model's, trained as long; else an earlier state of the model's own

    @staticmethod
    def of(model: ModelConfig, weights: str, network: Mapping[str, Any]) -> WeakConfig:
        """Return the model's weaker partner; UserError if its weights or network settings make no sense."""
        only(model.network, network, "guidance.weak_network")
        inherited = {f.name: getattr(model, f.name) for f in fields(model)}
        # Its blocks are never dropped, so their number need not be stated.
        overrides = {"name": f"{model.name}_weak", "weights": weights, "network": {**model.network, **network}, "blocks": 0}
        overrides |= {"smaller": bool(network), "vae": "none", "source": ""}  # its latents are never decoded
        weak = WeakConfig(**(inherited | overrides))
        if weak.piped:
            weak.pipeline()
        elif weak.weights_seed is None:
            weak.weights_file()
        return weak

    @property
    def _early(self) -> bool:
        return not self.smaller

    @property
    def _shipped_name(self) -> str:
        """An earlier state is NAME_weak, a smaller network NAME_small."""
        return f"{self.name.removesuffix('_weak')}_small" if self.smaller else super()._shipped_name


DTYPES = ("fp32", "bf16", "fp16")
PASSES = ("batched", "separate")
NOISES = ("random", "even")
MEMORIES = ("resident", "offload")
FILMS = ("mp4", "strip")
DEVICES = ("auto", "cpu", "cuda", "mps")


@dataclass(frozen=True)
class ExecutorConfig:
    """How the work is done: none of it is part of what the samples are."""

    name: str = "local"
    workers: int | None = None  # None: one per core on CPU
    device: str = "auto"
    # Fixed once a run has begun, since they change the last bits:
    reuse: bool = True  # prefix reuse
    compile: str = "none"  # blocks: each class of block is compiled; graphs: each block is a CUDA graph
    attention: str = "auto"  # the kernel of attention
    address: str | None = None  # of a Ray cluster; None: RAY_ADDRESS if that is set, else this machine
    resources: Mapping[str, Any] | None = field(default=None, hash=False)  # of a Ray worker, as Ray names them
    scoring: Mapping[str, Any] | None = field(default=None, hash=False)  # of a Ray worker that only scores; None: there is none
    runtime_env: Mapping[str, Any] | None = field(default=None, hash=False)  # of Ray workers, as Ray takes it

    def __post_init__(self) -> None:
        for key, amounts in (("resources", self.resources), ("scoring", self.scoring)):
            for name, amount in (amounts or {}).items():
                if not isinstance(amount, int | float) or isinstance(amount, bool) or amount < 0:
                    raise UserError(f"executor.{key}.{name} = {amount}", allowed="an amount, 0 or more")
        if self.workers is not None:
            at_least(self.workers, 1, "executor.workers")
        if self.device not in DEVICES:
            raise UserError(f"executor.device = {self.device}", allowed=", ".join(DEVICES))
        _ = self.kernels  # which checks them

    @property
    def kernels(self) -> Kernels:
        """Return how networks are computed."""
        return Kernels(self.compile, self.attention)


@dataclass(frozen=True)
class Settings:
    """Everything of a command line that is not one of the groups."""

    num: int | None = None
    seed: int = 0
    mask_seed: int = 0
    plan: bool = False
    score: bool = True  # False: sample what is missing and nobody else is sampling, and end
    runs: str = "runs"
    baseline: int | None = None  # of a sweep: the job that the others are compared with, from 1

    def __post_init__(self) -> None:
        for key in ("seed", "mask_seed"):
            at_least(getattr(self, key), 0, key)
            if getattr(self, key) >= 2**64:
                raise UserError(f"{key} = {getattr(self, key)}", allowed="below 2^64")
        if self.num is not None:
            at_least(self.num, 1, "num")
        if self.baseline is not None:
            at_least(self.baseline, 1, "baseline")
        if not self.runs.strip() or "\0" in self.runs:
            problem = "holds a NUL byte" if self.runs.strip() else "names no folder"
            raise UserError(f"runs = {self.runs!r}: it {problem}", allowed="a folder", todo="leave runs out, or runs=FOLDER")


def read(cls: type[T], values: Mapping[str, Any], key: str) -> T:
    """Read a dataclass from a mapping: coerce types, name unknown keys, leave missing ones to their defaults.

    A class may have `settled`, which is given the values first. A class whose TYPED says so has fields under other names
    than users type: {typed: field}.
    """
    values = getattr(cls, "settled", dict)(values)
    typed: Mapping[str, str] = getattr(cls, "TYPED", {})
    names = {field: name for name, field in typed.items()}
    kinds = {names.get(name, name): kind for name, kind in get_type_hints(cls).items()}
    known = {names.get(f.name, f.name) for f in fields(cls)}  # type: ignore[arg-type]
    only(known, values, key)
    dot = f"{key}." if key else ""
    read_values = {typed.get(name, name): coerce(kinds[name], value, dot + name) for name, value in values.items()}
    lacking = [
        f.name
        for f in fields(cls)  # type: ignore[arg-type]
        if f.default is MISSING and f.default_factory is MISSING and f.name not in read_values
    ]
    if lacking:
        raise UserError(f"{dot}{lacking[0]}: missing", todo="give it a value in the YAML of its group")
    return cls(**read_values)


def canonical(value: Any) -> str:
    """Return JSON with sorted keys and shortest floats: equal values give equal text."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
