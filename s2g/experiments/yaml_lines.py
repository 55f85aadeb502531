"""A YAML file that can say on which line a thing stands."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, TypeVar, get_args, get_type_hints

import yaml
from pydantic import TypeAdapter, ValidationError
from typing_extensions import is_typeddict

from s2g.config.schema import read
from s2g.errors import UserError, no_such_key
from s2g.io.yaml_files import read_yaml

T = TypeVar("T")


@dataclass(frozen=True)
class Located:
    """A mapping, and where its parts stand in its file."""

    path: Path
    content: Mapping[str, Any]
    root: yaml.Node

    @staticmethod
    def of(path: Path, todo: str = "experiments are read from a checkout") -> Located:
        """Return a file's content; UserError for what is no YAML mapping of sensible size and depth, or repeats a key."""
        return Located(path, *read_yaml(path, todo=todo))

    def check(self, shape: Any) -> None:
        """Raise UserError, with file and line, for the first part of the content whose type is not that of `shape`.

        shape: a TypedDict; keys that it does not name are errors, with the nearest name.
        """
        try:
            _adapter(shape).validate_python(self.content, strict=True)
        except ValidationError as error:
            errors = error.errors(include_url=False)
            # A misspelt key is also a missing one: the first tells more.
            first = next((e for e in errors if e["type"] == "extra_forbidden"), errors[0])
            keys = [key for key in first["loc"] if not str(key).startswith(("function-", "dict[", "list[", "union"))]
            with self.at(*keys):
                if first["type"] == "extra_forbidden":
                    raise no_such_key(".".join(map(str, keys)), _allowed(shape, keys[:-1])) from None
                if first["type"] == "missing":
                    raise UserError(f"{'.'.join(map(str, keys))}: missing") from None
                value = str(first["input"])
                shown = value if len(value) < 60 else f"{value[:60]}…"
                raise UserError(f"{'.'.join(map(str, keys))} = {shown}", allowed=_in_words(first["msg"])) from None

    def line(self, *keys: Any) -> int:
        """The line, from 1, of what `keys` lead to; of the deepest one that is there."""
        node, found = self.root, self.root.start_mark.line + 1
        for key in keys:
            if isinstance(node, yaml.SequenceNode) and isinstance(key, int) and key < len(node.value):
                node = node.value[key]
                found = node.start_mark.line + 1
                continue
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
            raise error.at(self.place(*keys)) from None

    def read(self, kind: type[T], values: Any, *keys: Any) -> T:
        """A dataclass from the mapping that `keys` lead to."""
        with self.at(*keys):
            if not isinstance(values, Mapping):
                raise UserError(f"{'.'.join(map(str, keys))} = {values}: not a mapping")
            return read(kind, {str(key): value for key, value in values.items()}, ".".join(map(str, keys)))


@cache
def _adapter(shape: Any) -> TypeAdapter[Any]:
    return TypeAdapter(shape)


def _allowed(shape: Any, keys: Sequence[Any]) -> list[str]:
    """Return the keys of the TypedDict that `keys` lead to; below a mapping of names any key leads to its values' type."""
    for key in keys:
        hints = get_type_hints(shape) if is_typeddict(shape) else {}
        shape = hints[key] if key in hints else get_args(shape)[-1]
    return list(get_type_hints(shape))


def _in_words(message: str) -> str:
    """Return what pydantic asks for in the words of YAML: "Input should be a valid dictionary" is "a mapping"."""
    words = {"a valid dictionary": "a mapping", "a valid string": "text", "a valid list": "a list"}
    asked = message.removeprefix("Input should be ")
    return words.get(asked, asked)
