"""Methods without a file in configs/guidance/: their knobs are the fields of their class (docs/add-a-method.md)."""

from __future__ import annotations

from dataclasses import fields, is_dataclass

from hydra.core.config_store import ConfigStore

from s2g.config.registry import GUIDANCE
from s2g.config.schema import config_dir
from s2g.errors import UserError

COMMON_KNOBS = ("window", "channels")
TYPED_AS = {"drop": ("drop_ratio", "drop_blocks")}  # fields that users type under other names


def add_method(name: str, method: type, summary: str = "") -> None:
    """Register a frozen dataclass as `guidance=NAME`, with its fields as knobs; S2 and the other wrappers accept it as base.

    Raise UserError if the name is taken or the class is not a frozen dataclass. Workers import the class from its file.
    """
    if name in GUIDANCE.entries:
        raise UserError(f"add_method: a method {name} exists already", allowed=f"a name other than {', '.join(GUIDANCE)}")
    if not is_dataclass(method) or not method.__dataclass_params__.frozen:  # type: ignore[attr-defined]
        raise UserError(f"add_method: {method.__name__} is not a frozen dataclass", todo="put @dataclass(frozen=True) above it")
    GUIDANCE.add(name, f"{method.__module__}:{method.__qualname__}", summary or (method.__doc__ or name).splitlines()[0])
    store_knobs(name)


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
