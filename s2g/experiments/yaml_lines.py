"""A YAML file that can say on which line a thing stands."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import yaml

from s2g.config.schema import read
from s2g.errors import UserError

T = TypeVar("T")


@dataclass(frozen=True)
class Located:
    """A mapping, and where its parts stand in its file."""

    path: Path
    content: Mapping[str, Any]
    root: yaml.Node

    @staticmethod
    def of(path: Path) -> Located:
        """A file's content; UserError if it is not there, or no YAML mapping, or says a key twice."""
        try:
            text = path.read_text()
        except FileNotFoundError as error:
            raise UserError(f"{path}: not there", todo="experiments are read from a checkout") from error
        try:
            root = yaml.compose(text, Loader=yaml.SafeLoader)
            content = yaml.safe_load(text)
        except yaml.YAMLError as error:
            raise UserError(f"{path}: cannot be read ({error})") from error
        if not isinstance(content, dict) or root is None:
            raise UserError(f"{path}: not a mapping")
        _no_key_twice(root, path)
        return Located(path, content, root)

    def line(self, *keys: Any) -> int:
        """The line, from 1, of what `keys` lead to; of the deepest one that is there."""
        node, found = self.root, self.root.start_mark.line + 1
        for key in keys:
            if not isinstance(node, yaml.MappingNode):
                break
            pair = next(((k, v) for k, v in node.value if k.value == str(key)), None)
            if pair is None:
                break
            found, node = pair[0].start_mark.line + 1, pair[1]
        return found

    def place(self, *keys: Any) -> str:
        """File and line of what `keys` lead to: "table2.yaml:18"."""
        return f"{self.path.name}:{self.line(*keys)}"

    @contextmanager
    def at(self, *keys: Any) -> Iterator[None]:
        """A UserError inside begins with the file and the line of what `keys` lead to."""
        try:
            yield
        except UserError as error:
            raise type(error)(f"{self.place(*keys)}: {error}") from error

    def read(self, kind: type[T], values: Any, *keys: Any) -> T:
        """A dataclass from the mapping that `keys` lead to."""
        with self.at(*keys):
            if not isinstance(values, Mapping):
                raise UserError(f"{'.'.join(map(str, keys))} = {values}: not a mapping")
            return read(kind, {str(key): value for key, value in values.items()}, ".".join(map(str, keys)))


def _no_key_twice(node: yaml.Node, path: Path) -> None:
    if isinstance(node, yaml.MappingNode):
        seen = set()
        for key, value in node.value:
            if key.value in seen:
                raise UserError(f"{path.name}:{key.start_mark.line + 1}: {key.value} is there twice")
            seen.add(key.value)
            _no_key_twice(value, path)
    elif isinstance(node, yaml.SequenceNode):
        for value in node.value:
            _no_key_twice(value, path)
