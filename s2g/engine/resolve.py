"""From a composed configuration to a checked run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from s2g.config.coerce import at_least
from s2g.config.knob import DEFAULT, TYPED, Knob, default_comment
from s2g.config.registry import BENCHES, EXECUTORS, MODELS, SAMPLERS
from s2g.config.schema import ExecutorConfig, ModelConfig, Settings, WeakConfig, read
from s2g.engine.bench import Bench, PlannedBench
from s2g.engine.run import Run
from s2g.errors import NotBuiltError, SeveralError, UserError, gathered
from s2g.guidance.assemble import Fit, assemble
from s2g.guidance.base import Ability, Guidance, Requirement
from s2g.models.resolution import check_resolution
from s2g.sampling.activity import check_activity
from s2g.sampling.base import WITHOUT, Sampler
from s2g.sampling.levels import shift_of_side, shift_of_tokens

GROUPS = ("model", "guidance", "sampler", "bench", "executor", "logger")
BY_SIDE = "by_side"  # a shift of videos that are small or large
BY_TOKENS, TOKEN = "by_tokens", 16  # a shift that grows with the image; side of a token in pixels


@dataclass(frozen=True)
class Outline:
    """A run as far as it is known without code and weights, enough to plan it."""

    model: ModelConfig
    sampler: Sampler
    guidance: Guidance
    bench: Bench | PlannedBench
    name: str  # of the method
    num: int
    settings: Settings

    @property
    def unbuilt(self) -> NotBuiltError | None:
        """The error for a model or bench that has no code yet; None if both have."""
        if self.model.family not in MODELS.entries:
            return NotBuiltError(
                f"model = {self.model.name}: there is no adapter for model.family = {self.model.family} yet",
                allowed=f"families: {', '.join(MODELS)}",
                todo="model=tiny_sit, or plan=true",
            )
        if isinstance(self.bench, PlannedBench):
            return NotBuiltError(
                f"bench = {self.bench.name}: it is not built yet", allowed=", ".join(BENCHES), todo="bench=shapes, or plan=true"
            )
        return None


def outline(raw: Mapping[str, Any], trace: list[Knob] | None = None) -> Outline:
    """Return a composed configuration as an outline, checked without code and weights; UserError for a mistake in it.

    trace: every effective knob of method and sampler is appended to it, with its source.
    """
    for key in ("seed", "mask_seed"):
        if key not in raw:
            raise UserError(f"{key}: it was deleted, but is required", todo=f"leave out ~{key}; {key}=NUMBER sets it")
    for group in GROUPS:
        if not isinstance(raw.get(group), Mapping) or not isinstance(raw[group].get("name"), str):
            raise UserError(f"{group} = {raw.get(group)}: required", todo=f"{group}=NAME; s2g ls lists what there is")
    EXECUTORS.check(raw["executor"]["name"])
    settings = read(Settings, {k: v for k, v in raw.items() if k not in GROUPS}, "")
    model = read(ModelConfig, raw["model"], "model")
    check_resolution(model)
    fit = Fit(model.blocks, model.presets, model.channels, model.network.get("channels"))
    guidance = assemble(raw["guidance"]["name"], raw["guidance"], fit, trace)
    if guidance.channels is not None and model.traits.packed:
        raise UserError(
            f"guidance.channels = {guidance.channels}: {model.name}'s latents are packed, four of each channel in a token",
            allowed="null: all channels",
        )
    check_abilities(raw["guidance"]["name"], guidance, model)
    sampler = read_sampler(raw["sampler"], model, trace)
    lacking = [need for need in Requirement if need in guidance.needs - sampler.offers]
    if lacking:
        name = sampler_name(raw["sampler"], model)
        raise UserError(
            f"sampler = {name}: {raw['guidance']['name']} needs "
            + "; and ".join(f"{need.value}, but {WITHOUT[need]}" for need in lacking),
            allowed=", ".join(f"{other} (its defaults)" if other == name else other for other in able(guidance, model)),
        )
    check_activity(raw["guidance"]["name"], guidance, sampler, model.blocks)
    bench: Bench | PlannedBench
    if raw["bench"]["name"] in BENCHES.entries:
        kind = BENCHES.load(raw["bench"]["name"])
        bench = read(kind, {k: v for k, v in raw["bench"].items() if k != "name"}, "bench")
    else:
        bench = read(PlannedBench, raw["bench"], "bench")
    if not isinstance(bench, PlannedBench):
        bench = bench.fitted(model)
    num = bench.num if settings.num is None else settings.num
    at_least(num, bench.fewest, "num" if settings.num is not None else "bench.num")
    return Outline(model, sampler, guidance, bench, raw["guidance"]["name"], num, settings)


def check_abilities(name: str, guidance: Guidance, model: ModelConfig) -> None:
    """Raise UserError if the method `name` asks of the model what it does not have."""
    traits = model.traits
    has = {Ability.TEXT: traits.reads_text, Ability.GRID: not (traits.packed or traits.points)}
    lacking = [ability.value for ability in Ability if ability in guidance.asks and not has[ability]]
    if lacking:
        raise UserError(
            f"guidance = {name}: it needs {' and '.join(lacking)}, and model = {model.name} has none",
            allowed="guidance.mid=mean" if name == "tdg" else "",
            todo="choose another model, or another method (s2g ls)",
        )


def resolve(raw: Mapping[str, Any], fetching: bool = False) -> tuple[Run, ExecutorConfig, Settings]:
    """Return a composed configuration as a checked run; UserError for every mistake that is known before loading.

    fetching: download a pipeline that the hub's cache lacks, once everything else has been checked.

    NotBuiltError if model or bench have no code yet. Of the logger only the name is checked here.
    """
    about = outline(raw)
    if about.unbuilt is not None:
        raise about.unbuilt
    model, guidance, bench, settings = about.model, about.guidance, about.bench, about.settings
    assert not isinstance(bench, PlannedBench)
    # Report what bench and model lack together; download only if nothing is wrong.
    errors: list[UserError] = []
    weak, executor = None, ExecutorConfig()
    with gathered(errors):
        bench.check(model)
    with gathered(errors):
        executor = read(ExecutorConfig, raw["executor"], "executor")
        if guidance.weaker is not None:
            weak = WeakConfig.of(model, guidance.weaker.weights, guidance.weaker.network)
    with gathered(errors):
        if model.piped:
            model.pipeline(fetching and not errors)
        elif not model.ships:
            model.weights_file()
    if errors:
        raise SeveralError.of(errors)
    config = {key: raw[key] for key in ("model", "guidance", "sampler", "bench", "seed", "mask_seed")}
    # Absolute paths: the run can be restored from any folder.
    config["bench"] = bench.placed(raw["bench"])
    config["model"] = {**raw["model"], "unit": model.unit}  # another version may have another default
    if model.piped:
        folders = {key: Path(raw["model"].get(key) or "").expanduser() for key in ("weights", "base")}
        config["model"] |= {k: str(f.absolute()) for k, f in folders.items() if str(f) != "." and f.is_dir()}
    elif not model.ships:
        config["model"]["weights"] = str(model.weights_file().absolute())
    if model.vae != "none" and not model.random and (folder := Path(model.vae).expanduser()).is_dir():
        config["model"] = {**config["model"], "vae": str(folder.absolute())}
    if weak is not None and not weak.ships and (not weak.piped or Path(weak.weights).expanduser().is_dir()):
        place = Path(weak.weights).expanduser() if weak.piped else weak.weights_file()
        config["guidance"] = _placed(raw["guidance"], str(place.absolute()))
    run = Run(model, about.sampler, guidance, bench, about.name, about.num, settings.seed, settings.mask_seed, weak, config)
    return run, executor, settings


def _placed(guidance: Mapping[str, Any], weights: str) -> dict[str, Any]:
    """Return the method's configuration with the absolute path of the weak network's file."""
    if "base" in guidance:
        return {**guidance, "base_args": {**(guidance.get("base_args") or {}), "weak": weights}}
    return {**guidance, "weak": weights}


def restore(config: Mapping[str, Any], num: int) -> Run:
    """Return the run of a `config` from run.json; UserError as of `resolve`."""
    others = {"executor": {"name": "local"}, "logger": {"name": "none"}}
    return resolve({**config, **others, "num": num})[0]


def sampler_name(typed: Mapping[str, Any], model: ModelConfig) -> str:
    """Return the sampler's name; "model" stands for the model's own."""
    if not isinstance(model.sampler.get("name"), str):
        raise UserError(f"model.sampler.name = {model.sampler.get('name')}: required", allowed=", ".join(SAMPLERS))
    return model.sampler["name"] if typed["name"] == "model" else typed["name"]


def read_sampler(typed: Mapping[str, Any], model: ModelConfig, trace: list[Knob] | None = None) -> Sampler:
    """Return the typed sampler over the model's defaults; UserError if it cannot sample the model.

    trace: every effective knob is appended to it, with its source.
    """
    name = sampler_name(typed, model)
    given = {k: v for k, v in typed.items() if k != "name" and v is not None}
    kind = SAMPLERS.load(name)
    knobs = {f.name for f in fields(kind)}
    # Steps belong to a sampler; shift and grid belong to the model and apply to every sampler that has them.
    preset = {
        k: v
        for k, v in model.sampler.items()
        if k != "name" and (name == model.sampler["name"] or (k in ("shift", "grid") and k in knobs))
    }
    if preset.get("shift") == BY_SIDE:
        preset["shift"] = shift_of_side(model.resolution)
    if preset.get("shift") == BY_TOKENS:
        preset["shift"] = shift_of_tokens((model.resolution // TOKEN) ** 2)
    grid = model.sampler.get("grid", "flow")
    if grid != "flow" and "grid" not in knobs:
        raise UserError(
            f"sampler = {name}: it integrates a flow's velocity, but {model.name} is variance-preserving",
            allowed=", ".join(other for other in SAMPLERS if "grid" in {f.name for f in fields(SAMPLERS.load(other))}),
        )
    if given.get("grid", grid) != grid:
        raise UserError(f"sampler.grid = {given['grid']}: {model.name} was trained on other noise levels", allowed=grid)
    sampler = read(kind, {**preset, **given}, "sampler")
    for knob in fields(sampler) if trace is not None else ():
        source = TYPED if knob.name in given else "sampler" if knob.name in preset else DEFAULT
        said = default_comment(kind, knob.name) if source == DEFAULT else ""
        trace.append(Knob(f"sampler.{knob.name}", getattr(sampler, knob.name), source, said))  # type: ignore[union-attr]
    return sampler


def able(guidance: Guidance, model: ModelConfig) -> list[str]:
    """Return the samplers that at their defaults meet a method's requirements and can sample this model."""
    names = []
    for name in SAMPLERS:
        try:
            offers = read_sampler({"name": name}, model).offers
        except UserError:  # not for this model
            continue
        if guidance.needs <= offers:
            names.append(name)
    return names
