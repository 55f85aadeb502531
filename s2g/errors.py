"""Errors with a message for the user: the key, its value, what is allowed and what to do next."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self


class UserError(Exception):
    """A mistake of the user; the command line prints the message and exits with code 2."""

    def __init__(self, problem: str, *, allowed: str = "", todo: str = "") -> None:
        lines = [problem]
        if allowed:
            lines.append(f"  allowed: {allowed}")
        if todo:
            lines.append(f"  do: {todo}")
        super().__init__("\n".join(lines))

    def at(self, place: str) -> Self:
        """Put a place before the message, such as file and line; return the error itself, with all that it carries."""
        self.args = (f"{place}: {self}",)
        return self


class SeveralError(UserError):
    """Several errors in one message, each with what to do."""

    def __init__(self, errors: Sequence[UserError]) -> None:
        self.errors = tuple(errors)
        messages = [str(error).replace("\n", "\n  ") for error in self.errors]
        super().__init__(f"{len(messages)} things are missing or wrong:\n" + "\n".join(f"- {words}" for words in messages))

    def __reduce__(self) -> tuple[Any, ...]:
        return SeveralError, (self.errors,)

    @staticmethod
    def of(errors: Iterable[UserError]) -> UserError:
        """Join errors into one: a single error as it is, several as one flat list."""
        flat = [one for error in errors for one in (error.errors if isinstance(error, SeveralError) else (error,))]
        return flat[0] if len(flat) == 1 else SeveralError(flat)


@contextmanager
def gathered(errors: list[UserError]) -> Iterator[None]:
    """Collect a UserError in `errors` and go on, so that later ones are found too; `SeveralError.of` joins them."""
    try:
        yield
    except UserError as error:
        errors.append(error)


class MissingError(UserError):
    """Something that is needed is not on this machine, while the request itself is fine."""

    def __init__(self, key: str, value: object, why: str, *, kind: str = "file", allowed: str = "", todo: str = "") -> None:
        """key, value: under which it was asked for, as model.weights = FILE. kind: file (or folder), device, environment."""
        self.key, self.value, self.kind, self.why = key, str(value), kind, why
        sign = " " if kind == "environment" else " = "
        super().__init__(f"{key}{sign}{value}: {why}", allowed=allowed, todo=todo)

    def __reduce__(self) -> tuple[Any, ...]:
        return _missing, (self.key, self.value, self.kind, self.why, self.args)


def _missing(key: str, value: str, kind: str, why: str, args: tuple[Any, ...]) -> MissingError:
    error = MissingError(key, value, why, kind=kind)
    error.args = args
    return error


def lacks(error: Exception) -> bool:
    """Whether an error only reports missing things."""
    return all(map(lacks, error.errors)) if isinstance(error, SeveralError) else isinstance(error, MissingError)


class NotBuiltError(UserError):
    """A model or bench that is described but has no code yet: it can be planned, not run."""


class DamageError(UserError):
    """A stored file that is not what was written to it."""

    def __init__(self, path: Path, problem: str, todo: str = "") -> None:
        self.path, self.problem, self.todo = path, problem, todo
        run = path.parent if path.name == "run.json" else path.parent.parent
        super().__init__(f"{path} {problem}", todo=todo or f"s2g verify {run} --repair recomputes it")

    def __reduce__(self) -> tuple[Any, ...]:
        return DamageError, (self.path, self.problem, self.todo)


class UnitsFailedError(Exception):
    """Units that failed; the others are stored."""


class IsolatedError(Exception):
    """A scorer in an environment of its own that could not be built, failed or hung; with its output."""


class NotFiniteError(ArithmeticError):
    """NaN or infinity during sampling, with the step, branch and item, or in the decoder."""

    def __init__(self, problem: str, guided: bool = False) -> None:
        """guided: guidance may be the reason: the network's first predictions were finite."""
        self.problem, self.guided = problem, guided
        super().__init__(problem)

    def __reduce__(self) -> tuple[Any, ...]:
        return NotFiniteError, (self.problem, self.guided)


# What a user can do something about: shown as one message, never as a traceback.
KNOWN = (UserError, UnitsFailedError, IsolatedError, OSError)


def unknown(key: str, value: str, known: Iterable[str], todo: str = "") -> UserError:
    """Return the error for a value that is not among `known`, suggesting the nearest one."""
    names = sorted(known)
    return UserError(f"{key} = {value}: there is no '{value}'.{_near(value, names)}", allowed=", ".join(names), todo=todo)


def no_such_key(key: str, known: Iterable[str], of: str = "") -> UserError:
    """Return the error for a dotted key whose last part is not among `known`, suggesting the nearest one.

    of: what has the known keys, as " of guidance=cfg".
    """
    names = sorted(known)
    near = _near(key.rpartition(".")[2], names)
    return UserError(
        f"{key}: there is no such key{'' if near else of}.{near}", allowed=", ".join(names) or "no key at all here"
    )


def _near(word: str, names: list[str]) -> str:
    as_named = word.lower().replace("++", "pp").replace("-", "_").replace("*", "")  # papers write CFG++ and CFG-Zero*
    near = difflib.get_close_matches(as_named, names, n=1, cutoff=0.5)
    return f" Did you mean '{near[0]}'?" if near else ""
