"""A warning where `guide` guided nothing: its context was never entered, or nothing was called inside it."""

from __future__ import annotations

import warnings
from contextlib import ExitStack


class Unused:
    """What the two doors share: they notice that they were of no use. Warnings, since nothing else tells of it."""

    _state = "incomplete"

    def made(self) -> None:
        """Say that it is whole; one that was refused gives no second message."""
        self._state = "made"

    def entered(self) -> ExitStack:
        """Say that its context is about to be entered; return what that will be opened in."""
        self._state = "entered"
        return ExitStack()

    def used(self) -> None:
        """Say that something was asked for in the context, also if that is refused then."""
        self._state = "used"

    def left(self, why: str) -> None:
        """Warn if the context is left and nothing was asked for in it; why: what was not called."""
        if self._state == "entered":
            warnings.warn(f"nothing was guided inside `with s2g.guide(...)`: {why}", RuntimeWarning, stacklevel=3)

    def __del__(self) -> None:
        if self._state == "made":
            warnings.warn(
                "s2g.guide(...) was called and its context never entered, so nothing was guided: "
                "`with s2g.guide(pipe, method): pipe(prompt)`",
                RuntimeWarning,
                stacklevel=2,
            )
