"""What a user's own file registers: methods, models and benchmarks, known to every command from then on.

They have no file in configs/; their configuration is stored in Hydra by what they say of themselves (docs/add-a-method.md,
add-a-model.md, add-a-benchmark.md).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from typing import Any

from hydra.core.config_store import ConfigStore

from s2g.config.family import Family
from s2g.config.registry import BENCHES, GUIDANCE, MODELS, Registry
from s2g.config.schema import ModelConfig, config_dir, read
from s2g.errors import UserError, unknown

COMMON_KNOBS = ("window", "channels")
TYPED_AS = {"drop": ("drop_ratio", "drop_blocks")}  # fields that users type under other names
ADAPTER = ("load", "encode", "forward", "decode")  # what the engine calls; docs/add-a-model.md has all members
USUAL: dict[str, Any] = {"unit": 16, "dtype": "fp32", "passes": "batched", "network": {}, "channels": None, "vae": "none"}


def add_method(name: str, method: type, summary: str = "") -> None:
    """Register a frozen dataclass as `guidance=NAME`, with its fields as knobs; S2 and the other wrappers accept it as base.

    Raise UserError if the name is taken or the class is not a frozen dataclass. Workers import the class from its file.
    """
    _check_name("add_method: a method", name, GUIDANCE)
    _check_frozen("add_method", method)
    GUIDANCE.add(name, f"{method.__module__}:{method.__qualname__}", summary or _first_line(method, name))
    store_knobs(name)


def add_model(name: str, adapter: type, settings: Mapping[str, Any], summary: str = "", **facts: Any) -> None:
    """Register an adapter as `model=NAME`, a family of its own; workers import its class from its file.

    settings: what a file in configs/model/ holds (docs/add-a-model.md): weights, blocks, resolution and sampler are required.
    facts: fields of `Family` that differ from a class-conditional model on pixels, as reads_text=True. UserError if the name
    is taken, or for what the adapter lacks or the settings get wrong.
    """
    _check_name("add_model: a model", name, MODELS, _models())
    lacking = [member for member in ADAPTER if not callable(getattr(adapter, member, None))]
    if lacking:
        raise UserError(
            f"add_model: {adapter.__name__} has no {', '.join(lacking)}", todo="docs/add-a-model.md lists an adapter's members"
        )
    for fact in facts:
        if fact not in {f.name for f in fields(Family)}:
            raise unknown("add_model", fact, [f.name for f in fields(Family)])
    passes = {"passes": adapter.passes} if isinstance(getattr(adapter, "passes", None), str) else {}
    config = {**USUAL, **passes, **settings, "name": name, "family": name}
    MODELS.add(name, f"{adapter.__module__}:{adapter.__qualname__}", summary or _first_line(adapter, name), **facts)
    try:
        read(ModelConfig, config, "model")
    except UserError:
        del MODELS.entries[name]
        raise
    ConfigStore.instance().store(group="model", name=name, node={"presets": {}, **config})
    MODELS.own.append(name)


def add_bench(name: str, bench: type, summary: str = "") -> None:
    """Register a frozen dataclass as `bench=NAME`, with its fields as knobs.

    bench: of a base in s2g.engine.bench, with a default for every field. UserError if the name is taken or the class is none.
    """
    _check_name("add_bench: a bench", name, BENCHES)
    _check_frozen("add_bench", bench)
    without = getattr(bench, "__abstractmethods__", ())
    if without:
        raise UserError(f"add_bench: {bench.__name__} has no {', '.join(sorted(without))}", todo="docs/add-a-benchmark.md")
    knobs = {}
    for field in fields(bench):
        if field.default is MISSING and field.default_factory is MISSING:
            raise UserError(f"add_bench: {bench.__name__}.{field.name} has no default", todo="give every field one")
        knobs[field.name] = field.default_factory() if field.default is MISSING else field.default  # type: ignore[misc]
    BENCHES.add(name, f"{bench.__module__}:{bench.__qualname__}", summary or _first_line(bench, name))
    ConfigStore.instance().store(group="bench", name=name, node={"name": name, **knobs})


def _models() -> list[str]:
    return sorted(path.stem for path in (config_dir() / "model").glob("*.yaml"))


def _check_name(what: str, name: str, registry: Registry, others: list[str] | None = None) -> None:
    taken = [*registry, *(others or ())]
    if name in taken:
        raise UserError(f"{what} {name} exists already", allowed=f"a name other than {', '.join(dict.fromkeys(taken))}")


def _check_frozen(what: str, cls: type) -> None:
    if not is_dataclass(cls) or not cls.__dataclass_params__.frozen:  # type: ignore[attr-defined]
        raise UserError(f"{what}: {cls.__name__} is not a frozen dataclass", todo="put @dataclass(frozen=True) above it")


def _first_line(cls: type, name: str) -> str:
    return (cls.__doc__ or name).splitlines()[0]


def store_registered_methods() -> None:
    """Give every registered method that has no YAML a configuration, so that a line in the registry is enough."""
    for name in GUIDANCE:
        if not (config_dir() / "guidance" / f"{name}.yaml").is_file():
            store_knobs(name)


def store_knobs(name: str) -> None:
    """Store the configuration `guidance=NAME` with every knob null, so that what a user types can be told from defaults."""
    knob_names = [knob for f in fields(GUIDANCE.load(name)) for knob in TYPED_AS.get(f.name, (f.name,))]
    of_base = ("scale", "base_args") if "base" in knob_names else ()
    knobs = dict.fromkeys((*knob_names, *of_base, *COMMON_KNOBS))
    ConfigStore.instance().store(group="guidance", name=name, node={"name": name, **knobs})
