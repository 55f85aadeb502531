"""YAML files that a user names, read with limits: size, depth, and how much aliases expand to."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

try:
    from yaml import CSafeLoader as LOADER  # eight times as fast
except ImportError:  # a PyYAML built without libyaml
    from yaml import SafeLoader as LOADER

from s2g.errors import UserError
from s2g.io.text_files import read_text

LARGEST = 2**20  # characters
DEEPEST = 40  # levels
MOST_VALUES = 100_000  # with aliases expanded
WORDS = ("tag:yaml.org,2002:str", "tag:yaml.org,2002:merge")  # of keys; the second is <<


def read_yaml(path: Path, todo: str = "") -> tuple[dict[str, Any], yaml.Node]:
    """Read a YAML mapping and its node tree; UserError with the line for what is none, beyond a limit, or repeats a key.

    Keys are words at every level. Aliases are expanded; one that contains itself is refused.
    """
    if not path.exists():
        raise UserError(f"{path}: not there", todo=todo)
    text = read_text(path, str(path))
    if len(text) > LARGEST:
        raise UserError(f"{path}: {len(text):,} characters", allowed=f"at most {LARGEST:,}")
    try:
        _check_depth(text, path)
        root = yaml.compose(text, Loader=LOADER)
        if not isinstance(root, yaml.MappingNode):
            raise UserError(f"{path}: not a mapping", allowed="KEY: VALUE lines")
        _check(root, path, 1, [MOST_VALUES])
        return yaml.load(text, Loader=LOADER), root
    except yaml.YAMLError as error:
        raise UserError(f"{path}: not YAML ({error})") from error
    except ValueError as error:  # 2026-13-45 looks like a date
        raise UserError(f"{path}: not YAML ({error})", todo="put quotes around it if it is text") from error


def _check_depth(text: str, path: Path) -> None:
    """Raise UserError for nesting beyond the limit; before nodes are made of it, which takes the stack."""
    depth = 0
    for event in yaml.parse(text, Loader=LOADER):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > DEEPEST:
            raise UserError(f"{path.name}:{event.start_mark.line + 1}: nested too deep", allowed=f"at most {DEEPEST} levels")


def _check(node: yaml.Node, path: Path, depth: int, left: list[int]) -> None:
    """Raise UserError for a node beyond the limits, a key that is no word, and a key that is there twice."""
    place = f"{path.name}:{node.start_mark.line + 1}"
    left[0] -= 1
    if left[0] < 0:
        raise UserError(f"{place}: more than {MOST_VALUES:,} values, with aliases expanded")
    if depth > DEEPEST:
        raise UserError(f"{place}: nested too deep", allowed=f"at most {DEEPEST} levels, and no alias inside itself")
    if isinstance(node, yaml.MappingNode):
        names = set()
        for key, value in node.value:
            place = f"{path.name}:{key.start_mark.line + 1}"
            if not isinstance(key, yaml.ScalarNode) or key.tag not in WORDS:
                shown = key.value if isinstance(key, yaml.ScalarNode) else "a list or mapping"
                raise UserError(f"{place}: key {shown}: not a word", todo=f"put it in quotes: '{shown}'")
            if key.value in names:
                raise UserError(f"{place}: {key.value} is there twice")
            names.add(key.value)
            _check(value, path, depth + 1, left)
    elif isinstance(node, yaml.SequenceNode):
        for value in node.value:
            _check(value, path, depth + 1, left)
